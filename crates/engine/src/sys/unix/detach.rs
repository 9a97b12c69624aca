//! A file that is kept open without a descriptor: descriptors are few, mappings are many.
//!
//! A mapping holds the open file that it was made from (mmap(2): closing the descriptor does not unmap), and with it
//! the file's `flock` and the error of a write-back that fails meanwhile. That error goes with the inode, and an
//! inode that nobody has open goes when memory is short: fsync(2) of a file that was closed and opened again
//! succeeded on ext4, xfs and btrfs though its content was lost.

#[cfg(target_os = "linux")]
pub use linux::{Detached, detach};
#[cfg(not(target_os = "linux"))]
pub use std::convert::Infallible as Detached;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Half of what a process may have (`vm.max_map_count`, 65,530 by default): V8 and malloc need some too.
    const MOST: usize = 32_768;
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// Less than any page: the kernel maps a whole one.
    const LENGTH: usize = 1;

    /// A mapping that is never accessed.
    #[derive(Debug)]
    pub struct Detached(NonNull<libc::c_void>);

    // SAFETY: nobody reads or writes through the address; it is only unmapped, once.
    unsafe impl Send for Detached {}
    // SAFETY: as above.
    unsafe impl Sync for Detached {}

    /// Keeps the open file behind this descriptor alive. `None`: that cannot be.
    pub fn detach(file: &File) -> Option<Detached> {
        if COUNT.load(Ordering::Relaxed) >= MOST {
            return None;
        }
        // SAFETY: a fresh private mapping at an address of the kernel's choice, without any access.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), LENGTH, libc::PROT_NONE, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        let address = NonNull::new(address).filter(|address| address.as_ptr() != libc::MAP_FAILED)?;
        COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Detached(address))
    }

    impl Drop for Detached {
        fn drop(&mut self) {
            // SAFETY: the mapping made in `detach`.
            unsafe { libc::munmap(self.0.as_ptr(), LENGTH) };
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Keeps the open file behind this descriptor alive: not done here, where a lock goes with the last descriptor.
#[cfg(not(target_os = "linux"))]
pub fn detach(_file: &std::fs::File) -> Option<Detached> {
    None
}
