//! Linux and macOS. Differences between the two are decided here and nowhere else.

mod access;
mod cache;
mod content;
mod detach;
mod dir;
mod durability;
pub(super) mod errno;
mod file_system;
pub(super) mod identity;
mod lock;
mod memory;
mod name;
mod obstacle;
mod tree;

pub use access::{access_of, inherit, is_private, keeps_acls, keeps_attributes, set_mode};
pub use cache::{drop_pages, read_at};
pub use content::copy_content;
pub use detach::{Detached, detach};
pub use dir::{Dir, id_at};
pub use durability::{close, flush_and_close_copy, reserve, start_write_back, sync_file};
pub use errno::{
    EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ELOOP, EMFILE, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
    ENOTEMPTY, EPERM, ESTALE, EXDEV, cannot_exchange, cannot_link, has_no_locks, is_being_removed, is_full,
    is_held, is_transient,
};
pub use file_system::{file_system_number, is_durable};
pub use identity::FileId;
pub use lock::{try_lock, try_lock_shared, unlock};
pub use memory::prefer_huge_pages;
pub use name::{
    LONGEST_PATH, bytes_beyond_text, cut, ends_in_dots, is_reserved, names_directory, path_from_bytes,
};

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Whether a file can be replaced while this process has it open.
pub const REPLACES_OPEN_FILES: bool = true;

/// One thread after another changes a directory: Linux has a lock for each, and threads that wait for it spin.
pub const CHANGES_DIRECTORIES_IN_TURN: bool = cfg!(target_os = "linux");

/// [`Version::links`](super::Version::links) says how many names a file has.
pub const COUNTS_LINKS: bool = true;

/// Marks a file as in use, for as long as it is open: a lock, which dies with its process. `false`
/// when another process has it.
///
/// Where a file system has no locks it is `true`: there the sweeper finds none to go by, and sweeps
/// nothing.
pub fn hold(file: &File) -> bool {
    try_hold(file).unwrap_or(true)
}

/// As [`hold`], and says why the file could not be marked.
pub fn try_hold(file: &File) -> io::Result<bool> {
    try_lock(file)
}

/// Takes the mark off a file that stays open.
pub fn release(file: &File) {
    drop(unlock(file));
}

/// Tells a file from those that had its inode number before it; `None` where the file system does not.
#[cfg(target_os = "linux")]
pub fn generation(file: &File) -> Option<u64> {
    // Said to be a long; every file system stores an int.
    let mut generation: libc::c_long = 0;
    // SAFETY: writes at most a long to where it points.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETVERSION, &raw mut generation) };
    (status == 0).then_some(generation as u64)
}

/// Tells a file from those that had its inode number before it: not known here.
#[cfg(not(target_os = "linux"))]
pub fn generation(_file: &File) -> Option<u64> {
    None
}

/// Whether another program has locked a part of the file by fcntl(2). `false` where that cannot be known.
pub fn has_record_lock(file: &File) -> bool {
    // The locks of this process count too.
    #[cfg(target_os = "linux")]
    let operation = libc::F_OFD_GETLK;
    #[cfg(not(target_os = "linux"))]
    let operation = libc::F_GETLK;
    // SAFETY: a plain structure, for which zeros are values.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // From the first byte on, as far as there are any.
    lock.l_type = libc::F_WRLCK as libc::c_short;
    // SAFETY: reads and writes a lock where it points.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), operation, &raw mut lock) };
    status == 0 && lock.l_type != libc::F_UNLCK as libc::c_short
}

/// What this machine, or container, is called.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// How many descriptors this process may have open.
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}
