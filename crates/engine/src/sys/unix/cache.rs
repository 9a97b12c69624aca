//! Reading back: through the page cache, or after dropping it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reads at an offset; 0 only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Makes the system forget what it has cached of `file`; `false` when some of it stayed, so that
/// reading proves nothing about the device.
#[cfg(target_os = "linux")]
pub fn drop_pages(file: &File, size: u64) -> bool {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).is_ok() && !any_cached(file, size)
}

/// macOS offers no way to tell whether it worked.
#[cfg(not(target_os = "linux"))]
pub fn drop_pages(_file: &File, _size: u64) -> bool {
    false
}

/// mincore(2), which every kernel has; cachestat(2) came with Linux 6.5. It looks, it does not touch:
/// the mapping is never read.
#[cfg(target_os = "linux")]
fn any_cached(file: &File, size: u64) -> bool {
    use std::os::fd::AsRawFd;

    // Mapped piece by piece, so that a large file costs no address space to speak of.
    const PIECE: u64 = 1 << 30;
    const PAGE: usize = 4096;
    let mut pages = vec![0_u8; (size.min(PIECE) as usize).div_ceil(PAGE)];
    let mut offset = 0;
    while offset < size {
        let length = (size - offset).min(PIECE) as usize;
        // SAFETY: a fresh shared read-only mapping at an address of the kernel's choice; it is not
        // accessed, and unmapped below.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if address == libc::MAP_FAILED {
            return true;
        }
        // SAFETY: `pages` has a byte for each page of the mapping (pages are 4 KiB or larger).
        let answer = unsafe { libc::mincore(address, length, pages.as_mut_ptr()) };
        // SAFETY: the mapping made above.
        unsafe { libc::munmap(address, length) };
        if answer != 0 || pages[..length.div_ceil(PAGE)].iter().any(|page| page & 1 == 1) {
            return true;
        }
        offset += length as u64;
    }
    false
}
