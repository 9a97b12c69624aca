//! Copying what is in a file: shared where the file system can, holes kept where it says where they are.

use std::fs::File;
use std::io;
#[cfg(not(target_os = "linux"))]
use std::io::Read;

/// How much is copied between two looks at the caller's signal.
const PIECE: u64 = 16 << 20;

/// Makes the content of `to`, an empty file, that of `from`. `go_on` is asked between pieces.
#[cfg(target_os = "linux")]
pub fn copy_content(from: &File, to: &File, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    use rustix::fs::SeekFrom;
    use rustix::io::Errno;

    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        // Without such a seek a file is one piece of data.
        let (start, end) = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => (start, rustix::fs::seek(from, SeekFrom::Hole(start)).unwrap_or(size).min(size)),
            // Only a hole is left.
            Err(Errno::NXIO) => return Ok(()),
            Err(_) => (at, size),
        };
        at = start;
        while at < end {
            if !go_on() {
                return Ok(());
            }
            let copied = copy_range(from, to, at, (end - at).min(PIECE))?;
            if copied == 0 {
                // It got shorter, which a comparison will find.
                return Ok(());
            }
            at += copied;
        }
    }
    Ok(())
}

/// By the kernel if it will.
#[cfg(target_os = "linux")]
fn copy_range(from: &File, to: &File, at: u64, length: u64) -> io::Result<u64> {
    use rustix::io::Errno;

    let (mut read_at, mut write_at) = (at, at);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), wanted) {
        // Nothing is what some pseudo file systems answer, though there is something.
        Ok(0)
        | Err(
            Errno::XDEV
            | Errno::INVAL
            | Errno::NOSYS
            | Errno::NOTSUP
            | Errno::PERM
            | Errno::BADF
            | Errno::INTR,
        ) => copy_by_hand(from, to, at, length),
        Ok(copied) => Ok(copied as u64),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn copy_by_hand(from: &File, to: &File, at: u64, length: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;

    let mut buffer = vec![0; usize::try_from(length.min(1 << 18)).unwrap_or(1)];
    let read = super::cache::read_at(from, &mut buffer, at)?;
    to.write_all_at(&buffer[..read], at)?;
    Ok(read as u64)
}

/// Makes the content of `to`, an empty file, that of `from`. `go_on` is asked between pieces.
#[cfg(not(target_os = "linux"))]
pub fn copy_content(from: &File, mut to: &File, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    while go_on() {
        if io::copy(&mut from.take(PIECE), &mut to)? == 0 {
            break;
        }
    }
    Ok(())
}
