//! Windows. A directory is its resolved path here: std has no calls relative to a handle.
//!
//! What differs: no file without a name, no permission bits but read-only, locks that would keep
//! readers out (so a writer's open handle takes the place of its lock), and directories that can be
//! flushed only by some users, so `durable` may be `false`.

mod dir;
pub(super) mod errno;
mod held;
pub(super) mod identity;
mod lock;
mod name;
mod tree;

pub use std::convert::Infallible as Detached;

pub use dir::{Dir, id_at};
pub use errno::{
    EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ELOOP, EMFILE, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
    ENOTEMPTY, EPERM, ESTALE, EXDEV, cannot_link, has_no_locks, is_being_removed, is_full, is_held,
    is_transient,
};
pub use identity::FileId;
pub use lock::{try_lock, try_lock_shared, unlock};
pub use name::{
    LONGEST_PATH, bytes_beyond_text, cut, ends_in_dots, is_reserved, names_directory, path_from_bytes,
};
pub use tree::{cannot_exchange, copy_content};

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;

use self::identity::Access;
use super::call::{CallResult, failed};

/// Whether a file can be replaced while this process has it open. NTFS can, by a rename with POSIX semantics; FAT, exFAT, shares and
/// Wine cannot.
pub const REPLACES_OPEN_FILES: bool = false;

/// Threads make files in one directory at once: on a share each waits for the server by itself.
pub const CHANGES_DIRECTORIES_IN_TURN: bool = false;

/// What tells a file's size and times does not tell how many names it has.
pub const COUNTS_LINKS: bool = false;

/// Large pages need a privilege here that programs do not have.
pub fn prefer_huge_pages<T>(_memory: &mut [std::mem::MaybeUninit<T>]) {}

/// Tells a file from those that had its number before it: not known here.
pub fn generation(_file: &File) -> Option<u64> {
    None
}

/// What this machine is called.
pub fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// There is one kind of locks here.
pub fn has_record_lock(_file: &File) -> bool {
    false
}

/// A writer's handle is open, and that says enough.
pub fn hold(_file: &File) -> bool {
    true
}

/// As [`hold`].
pub fn try_hold(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Keeps an open file alive without a handle: not done here, where handles are not scarce.
pub fn detach(_file: &File) -> Option<Detached> {
    None
}

/// Nothing was locked.
pub fn release(_file: &File) {}

/// Whether a file may keep the first of two modes where the system refuses to give it the second.
pub type Bears<'call> = &'call dyn Fn(u32, u32) -> bool;

/// Carries over what there is: a file that may not be written.
pub fn inherit(
    file: &File,
    _dir: &Dir,
    _name: &OsStr,
    old: &Access,
    mode: Option<u32>,
    bears: Bears<'_>,
) -> CallResult<()> {
    set_mode(file, mode.unwrap_or(old.mode), bears)
}

/// Owner and permissions of an open file.
pub fn access_of(file: &File) -> io::Result<Access> {
    Ok(Access { mode: if file.metadata()?.permissions().readonly() { 0o444 } else { 0o666 } })
}

/// Its folder decides that.
pub fn is_private(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Attributes here are others, and are not carried over.
pub fn keeps_attributes(_file: &File) -> io::Result<Option<bool>> {
    Ok(None)
}

/// Its folder decides that.
pub fn keeps_acls(_file: &File) -> io::Result<Option<bool>> {
    Ok(None)
}

/// Read-only without any write bit.
pub fn set_mode(file: &File, mode: u32, _bears: Bears<'_>) -> CallResult<()> {
    let metadata = file.metadata().map_err(failed("fstat"))?;
    if metadata.is_dir() {
        // There it means something else.
        return Ok(());
    }
    let mut permissions = metadata.permissions();
    let readonly = mode & 0o222 == 0;
    if permissions.readonly() == readonly {
        return Ok(());
    }
    permissions.set_readonly(readonly);
    file.set_permissions(permissions).map_err(failed("fchmod"))
}

/// Reads at an offset; 0 only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// There is no way to drop a file's cached pages.
pub fn drop_pages(_file: &File, _size: u64) -> bool {
    false
}

/// Tells the file system that a file is on from others: not known here.
pub fn file_system_number(_file: &File) -> u64 {
    0
}

/// Nothing here says otherwise.
pub fn is_durable(_file: &File) -> bool {
    true
}

/// Makes sure that a file can become this long: not done here.
pub fn reserve(_file: &File, _size: u64) -> io::Result<()> {
    Ok(())
}

/// There is no such hint here.
pub fn start_write_back(_file: &File) {}

/// Flushes a file's content and attributes.
pub fn sync_file(file: &File) -> io::Result<bool> {
    match file.sync_all() {
        Ok(()) => Ok(true),
        // A handle that is open for reading cannot be flushed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// std ignores what closing says; there is nothing to be learnt from it here.
pub fn close(file: File) -> io::Result<()> {
    drop(file);
    Ok(())
}

/// Nothing to be learnt from closing.
pub fn flush_and_close_copy(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Handles are not scarce.
pub fn descriptor_limit() -> u64 {
    1 << 14
}
