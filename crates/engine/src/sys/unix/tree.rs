//! Directories as wholes: listed, walked through, swapped, removed.
//!
//! Walks never follow a link, and those through trees of our own never enter another file system: what is
//! mounted below a tree that is removed is not ours to empty.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::dir::{Dir, kind, version};
use super::identity::{Access, FileId};
use crate::sys::stat::{Entry, Kind, Stat};

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What an owner needs to empty a directory.
const OWNER: u32 = 0o700;

impl Dir {
    /// What is in here, and of what kind, as far as the directory itself knows.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        self.each_entry()?.collect()
    }

    /// As [`Dir::entries`], however many there are.
    pub fn each_entry(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let entry = |entry: rustix::io::Result<rustix::fs::DirEntry>| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name().to_bytes();
            let kind = match entry.file_type() {
                FileType::Directory => Some(Kind::Directory),
                FileType::RegularFile => Some(Kind::File),
                FileType::Symlink => Some(Kind::Symlink),
                _ => None,
            };
            (name != b"." && name != b"..").then(|| Ok((OsString::from_vec(name.to_vec()), kind)))
        };
        Ok(rustix::fs::Dir::read_from(&self.0)?.filter_map(entry))
    }

    /// What this directory itself is like.
    pub fn stat_self(&self) -> io::Result<Stat> {
        let stat = rustix::fs::fstat(&self.0)?;
        Ok(Stat { kind: kind(&stat), version: version(&stat), access: Access::of(&stat) })
    }

    /// Opens a directory in this one, wherever it is mounted from.
    pub fn open_child(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(&self.0, name, OPEN, Mode::empty())?))
    }

    /// Opens a directory in this one; `EXDEV` if something is mounted there.
    #[cfg(target_os = "linux")]
    pub fn open_own_child(&self, name: &OsStr) -> io::Result<Self> {
        use rustix::fs::ResolveFlags;

        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(&self.0, name, OPEN, Mode::empty(), resolve) {
            // Linux before 5.6, and sandboxes that have not heard of it.
            Err(Errno::NOSYS | Errno::PERM) => self.open_in_same_mount(name),
            opened => Ok(Self(opened?)),
        }
    }

    /// Opens a directory in this one; `EXDEV` if something is mounted there.
    #[cfg(not(target_os = "linux"))]
    pub fn open_own_child(&self, name: &OsStr) -> io::Result<Self> {
        self.open_in_same_mount(name)
    }

    fn open_in_same_mount(&self, name: &OsStr) -> io::Result<Self> {
        let child = self.open_child(name)?;
        let (own, childs) = (self.see()?, child.see()?);
        match own.id.is_on_device_of(&childs.id) && own.mount == childs.mount {
            true => Ok(child),
            false => Err(Errno::XDEV.into()),
        }
    }

    /// Opens the directory that this one is in.
    pub fn open_parent(&self) -> io::Result<Self> {
        self.open_child(OsStr::new(".."))
    }

    /// The same directory, open once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// The same open directory for calls that take a file. A lock on the one is a lock on the other.
    pub fn as_file(&self) -> io::Result<File> {
        Ok(self.0.try_clone()?.into())
    }

    /// Opens a file to have it flushed, whatever its content.
    pub fn open_to_flush(&self, name: &OsStr) -> io::Result<File> {
        match self.open_file(name) {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
            }
            opened => opened,
        }
    }

    /// Makes a directory with at most these rights.
    pub fn make_dir_with(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, name, permissions(mode))?)
    }

    /// Makes a symbolic link.
    pub fn make_link(&self, target: &Path, name: &OsStr, _to_directory: bool) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.0, name)?)
    }

    /// Links do not differ by what they lead to.
    pub fn links_to_directory(&self, _name: &OsStr) -> bool {
        false
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Swaps two directories in one step.
    pub fn exchange(&self, name: &OsStr, other_dir: &Self, other: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(&self.0, name, &other_dir.0, other, RenameFlags::EXCHANGE)?)
    }

    /// Renames a directory to a name that must not be there. Where the file system cannot make sure of that, an
    /// empty directory may be replaced.
    pub fn move_dir(&self, name: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, name, &to_dir.0, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match rustix::fs::renameat(&self.0, name, &to_dir.0, to) {
                    // There is a file, or more.
                    Err(Errno::NOTEMPTY | Errno::NOTDIR) => Err(Errno::EXIST.into()),
                    renamed => Ok(renamed?),
                }
            }
            renamed => Ok(renamed?),
        }
    }

    /// Lets its owner remove what is in here.
    pub fn let_owner_in(&self) {
        if let Ok(stat) = rustix::fs::fstat(&self.0) {
            let mode = Access::of(&stat).mode;
            if mode & OWNER != OWNER {
                // Should that fail, so will the removal.
                let _ = rustix::fs::fchmod(&self.0, permissions(mode | OWNER));
            }
        }
    }

    /// Lets its owner open a directory in here that is closed to everybody.
    #[cfg(target_os = "linux")]
    pub fn let_owner_into(&self, name: &OsStr) {
        use std::os::fd::AsRawFd;

        // By way of a descriptor, for chmod(2) follows links, and by way of /proc, for such a one takes no fchmod(2).
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(closed) = rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            let path = format!("/proc/self/fd/{}", closed.as_raw_fd());
            let _ = rustix::fs::chmod(path, permissions(OWNER));
        }
    }

    /// Lets its owner open a directory in here that is closed to everybody.
    #[cfg(not(target_os = "linux"))]
    pub fn let_owner_into(&self, name: &OsStr) {
        let _ = rustix::fs::chmodat(&self.0, name, permissions(OWNER), AtFlags::SYMLINK_NOFOLLOW);
    }

    /// Whether a tree with this entry here is ours to sweep: one's own; for root also that of others, unless
    /// it lies where everybody may leave things (a sticky directory, such as /tmp).
    pub fn may_sweep(&self, stat: &Stat) -> bool {
        const STICKY: u32 = 0o1000;
        let shared = || self.stat_self().map_or(true, |here| here.access.mode & STICKY != 0);
        stat.access.is_ours() || rustix::process::geteuid().is_root() && !shared()
    }

    /// Whether `wanted` is this directory or one around it.
    pub fn is_within(&self, wanted: &FileId) -> io::Result<bool> {
        let mut here = Self(self.as_fd().try_clone_to_owned()?);
        let mut id = here.id()?;
        loop {
            if id == *wanted {
                return Ok(true);
            }
            // Those around need not be readable.
            here = here.open_in(Path::new(".."))?;
            let above = here.id()?;
            // The root is its own parent.
            if above == id {
                return Ok(false);
            }
            id = above;
        }
    }
}

#[allow(clippy::useless_conversion, reason = "mode_t is u16 on macOS")]
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode.try_into().unwrap_or_default())
}
