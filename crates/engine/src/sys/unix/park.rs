//! A file that is kept open without a descriptor.
//!
//! A mapping holds the open file it was made from (mmap(2): closing the descriptor does not unmap), and with
//! it the file's `flock`, as long as it lasts. Descriptors are few, mappings are many.

use std::fs::File;

/// A mapping that is never accessed.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Parked(std::ptr::NonNull<libc::c_void>);

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::AsRawFd;
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{File, Parked};

    /// Half of what a process may have (`vm.max_map_count`, 65,530 by default): V8 and malloc need some too.
    const MOST: usize = 32_768;
    static PARKED: AtomicUsize = AtomicUsize::new(0);

    /// Less than any page: the kernel maps a whole one.
    const LENGTH: usize = 1;

    // SAFETY: no code reads or writes through the address; it is only unmapped, once.
    unsafe impl Send for Parked {}
    // SAFETY: as above.
    unsafe impl Sync for Parked {}

    /// Keeps the open file behind this descriptor alive. `None`: that cannot be.
    pub fn park(file: &File) -> Option<Parked> {
        if PARKED.fetch_add(1, Ordering::Relaxed) >= MOST {
            PARKED.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        // SAFETY: a fresh private mapping at an address of the kernel's choice, without any access.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), LENGTH, libc::PROT_NONE, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            PARKED.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        NonNull::new(address).map(Parked)
    }

    impl Drop for Parked {
        fn drop(&mut self) {
            // SAFETY: the mapping made in `park`.
            unsafe { libc::munmap(self.0.as_ptr(), LENGTH) };
            PARKED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::park;

/// There is none: elsewhere a lock goes with the last descriptor.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub struct Parked(std::convert::Infallible);

/// Keeps the open file behind this descriptor alive: not done here.
#[cfg(not(target_os = "linux"))]
pub fn park(_file: &File) -> Option<Parked> {
    None
}
