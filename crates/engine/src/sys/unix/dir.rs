//! An open directory and the calls relative to it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::errno::cannot_link;
use super::identity::{Access, FileId};
use crate::sys::stat::{Kind, Seen, Stat, Version};

/// An open directory.
#[derive(Debug)]
pub struct Dir(pub(super) OwnedFd);

impl Dir {
    /// Opens a directory by its path.
    pub fn open(path: &Path) -> io::Result<Self> {
        open_dir(CWD, path)
    }

    /// Opens a directory by a path that is relative to this one.
    pub fn open_in(&self, path: &Path) -> io::Result<Self> {
        open_dir(&self.0, path)
    }

    /// Where the directory is, links resolved.
    #[cfg(target_os = "linux")]
    pub fn path(&self) -> io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Where the directory is, links resolved.
    #[cfg(target_os = "macos")]
    pub fn path(&self) -> io::Result<PathBuf> {
        Ok(OsString::from_vec(rustix::fs::getpath(&self.0)?.into_bytes()).into())
    }

    /// Where the directory is, links resolved: not known here.
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub fn path(&self) -> io::Result<PathBuf> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Which directory this is.
    pub fn id(&self) -> io::Result<FileId> {
        Ok(version(&rustix::fs::fstat(&self.0)?).id)
    }

    /// Which directory this is, and by which mount it is seen: a part of a file system can be mounted once more. `None`: Linux
    /// before 5.8 does not tell it.
    #[cfg(target_os = "linux")]
    pub fn see(&self) -> io::Result<Seen> {
        use rustix::fs::{StatxAttributes, StatxFlags};

        let asked = StatxFlags::INO | StatxFlags::MNT_ID;
        match rustix::fs::statx(&self.0, "", AtFlags::EMPTY_PATH, asked) {
            Ok(found) if found.stx_mask & asked.bits() == asked.bits() => {
                let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
                Ok(Seen {
                    id: FileId { device, inode: found.stx_ino },
                    mount: Some(found.stx_mnt_id),
                    keeps_names: found.stx_attributes.contains(StatxAttributes::APPEND),
                })
            }
            Ok(_) | Err(Errno::NOSYS | Errno::PERM) => {
                Ok(Seen { id: self.id()?, mount: None, keeps_names: false })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Dir::id`]: a file system is mounted once here.
    #[cfg(not(target_os = "linux"))]
    pub fn see(&self) -> io::Result<Seen> {
        Ok(Seen { id: self.id()?, mount: None, keeps_names: false })
    }

    /// What `name` stands for; a symbolic link is not followed.
    pub fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                Ok(Some(Stat { kind: kind(&stat), version: version(&stat), access: Access::of(&stat) }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the symbolic link `name` points to.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.0, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Makes a directory, open to all but for the umask.
    pub fn make_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
    }

    /// Opens a file for reading. Never waits for a FIFO's writer, never follows a link.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY | OFlags::NONBLOCK, 0)
    }

    /// Opens a file to be overwritten. Never waits for a FIFO's reader, never follows a link.
    pub fn open_to_overwrite(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::NONBLOCK, 0)
    }

    /// Opens a file to be appended to, and read. Never waits for a FIFO's reader, never follows a link.
    pub fn open_to_append(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK, 0)
    }

    /// Makes a file to be appended to, which must not be there yet.
    pub fn create_to_append(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL, mode)
    }

    /// Keeps what `name` stands for alive, without opening it for anything.
    #[cfg(target_os = "linux")]
    pub fn keep(&self, name: &OsStr) -> Option<File> {
        self.open_with(name, OFlags::PATH, 0).ok()
    }

    /// Keeps what `name` stands for alive: not done here.
    #[cfg(not(target_os = "linux"))]
    pub fn keep(&self, _name: &OsStr) -> Option<File> {
        None
    }

    /// Makes a file that must not be there yet.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
    }

    /// Opens and locks a temp file that no living writer holds.
    ///
    /// # Errors
    /// Those of open(2) and of flock(2): where there are no locks, nothing is known.
    pub fn open_orphan(&self, name: &OsStr) -> io::Result<Option<File>> {
        let file = self.open_file(name)?;
        Ok(super::try_hold(&file)?.then_some(file))
    }

    /// Makes a file without a name; `None` where the file system cannot.
    #[cfg(target_os = "linux")]
    pub fn create_unnamed(&self, mode: u32) -> io::Result<Option<File>> {
        match self.open_with(OsStr::new("."), OFlags::RDWR | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(Some(file)),
            // EISDIR: a kernel or a file system that does not know the flag sees only "open a directory".
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::ENOSYS)
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a file without a name; `None` where the file system cannot.
    #[cfg(not(target_os = "linux"))]
    pub fn create_unnamed(&self, _mode: u32) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Gives a file that was made without a name its first one.
    pub fn link_unnamed(&self, file: &File, name: &OsStr) -> io::Result<()> {
        match rustix::fs::linkat(file, "", &self.0, name, empty_path()) {
            // Before Linux 6.10 only with CAP_DAC_READ_SEARCH; by way of /proc it was always allowed.
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(rustix::fs::linkat(CWD, path, &self.0, name, AtFlags::SYMLINK_FOLLOW)?)
            }
            linked => Ok(linked?),
        }
    }

    /// A second name for the file `name`, in this or another directory.
    pub fn link(&self, name: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.0, name, &to_dir.0, to, AtFlags::empty())?)
    }

    /// Puts `from` in the place of `to` in this or another directory.
    pub fn rename(&self, from: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &to_dir.0, to)?)
    }

    /// Renames `from` to `to`, which must not be there. `false`: this file system has no step that refuses a taken
    /// name, and nothing was done.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<bool> {
        if self.rename_no_replace(from, to)? {
            return Ok(true);
        }
        // A link refuses a taken name wherever there are links.
        match self.link(from, self, to) {
            Ok(()) => {
                // It has its name now, and a sweep finds the other one.
                drop(self.unlink(from));
                Ok(true)
            }
            Err(error) if has_no_links(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Dir::rename_new`], but never by a link, which watchers do not see as a rename.
    pub fn rename_no_replace(&self, from: &OsStr, to: &OsStr) -> io::Result<bool> {
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            renamed => Ok(renamed.map(|()| true)?),
        }
    }

    /// # Errors
    /// That of access(2) if this user may not make or remove names in here.
    pub fn check_changeable(&self) -> io::Result<()> {
        use rustix::fs::Access;
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        Ok(rustix::fs::accessat(&self.0, ".", wanted, AtFlags::EACCESS)?)
    }

    /// Removes a name.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Whether `name` still stands for the open `file`.
    pub fn is_same(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let open = version(&rustix::fs::fstat(file)?).id;
        Ok(self.stat(name)?.is_some_and(|named| named.version.id == open))
    }

    /// The state of an open file.
    pub fn stat_file(file: &File) -> io::Result<(Kind, Version)> {
        let stat = rustix::fs::fstat(file)?;
        Ok((kind(&stat), version(&stat)))
    }

    /// The names in this directory.
    pub fn names(&self) -> io::Result<impl Iterator<Item = OsString>> {
        let entries = rustix::fs::Dir::read_from(&self.0)?;
        Ok(entries.filter_map(|entry| Some(OsString::from_vec(entry.ok()?.file_name().to_bytes().to_vec()))))
    }

    pub(super) fn open_with(&self, name: &OsStr, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        #[allow(clippy::useless_conversion, reason = "mode_t is u16 on macOS")]
        let mode = Mode::from_raw_mode(mode.try_into().unwrap_or_default());
        Ok(rustix::fs::openat(&self.0, name, flags, mode)?.into())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// That a file with a name got no second one in the same directory.
fn has_no_links(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| errno != libc::ENOENT && cannot_link(errno))
}

/// Which file or directory `path` means, links followed.
pub fn id_at(path: &Path) -> io::Result<FileId> {
    Ok(version(&rustix::fs::stat(path)?).id)
}

fn open_dir(at: impl AsFd, path: &Path) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(&at, path, flags | OFlags::RDONLY, Mode::empty()) {
        // One may create files in a directory that one may not list. It can then not be fsynced
        // either, and the result says so.
        #[cfg(target_os = "linux")]
        Err(Errno::ACCESS) => Ok(Dir(rustix::fs::openat(&at, path, flags | OFlags::PATH, Mode::empty())?)),
        opened => Ok(Dir(opened?)),
    }
}

#[cfg(target_os = "linux")]
fn empty_path() -> AtFlags {
    AtFlags::EMPTY_PATH
}

#[cfg(not(target_os = "linux"))]
fn empty_path() -> AtFlags {
    AtFlags::empty()
}

pub(super) fn kind(stat: &rustix::fs::Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Other("a FIFO"),
        FileType::Socket => Kind::Other("a socket"),
        FileType::CharacterDevice => Kind::Other("a character device"),
        FileType::BlockDevice => Kind::Other("a block device"),
        _ => Kind::Other("of an unknown type"),
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between platforms")]
pub(super) fn version(stat: &rustix::fs::Stat) -> Version {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Version {
        id: FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 },
        size: stat.st_size as u64,
        modified: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        links: stat.st_nlink as u64,
    }
}
