//! Directories as wholes. Windows has no step that swaps two of them, and renames none in which a file is open.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use super::dir::{Dir, FILE_FLAG_BACKUP_SEMANTICS, kind, one_number};
use super::errno::{EEXIST, ENOENT, ENOTDIR, EXDEV};
use super::held::change_directory;
use super::identity::FileId;
use crate::sys::stat::{Entry, Kind, Stat};

const NOT_SUPPORTED: i32 = 50;

impl Dir {
    /// What is in here, and of what kind.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        self.each_entry()?.collect()
    }

    /// As [`Dir::entries`], however many there are.
    pub fn each_entry(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let entry = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name(), Some(kind(&entry.metadata()?))))
        };
        Ok(std::fs::read_dir(&self.0).map_err(one_number)?.map(entry))
    }

    /// What this directory itself is like.
    pub fn stat_self(&self) -> io::Result<Stat> {
        let gone = || io::Error::from_raw_os_error(ENOENT);
        let (Some(parent), Some(name)) = (self.0.parent(), self.0.file_name()) else { return Err(gone()) };
        Self(parent.to_owned()).stat(name)?.ok_or_else(gone)
    }

    /// Opens a directory in this one; not by way of a link.
    pub fn open_child(&self, name: &OsStr) -> io::Result<Self> {
        match self.stat(name)?.map(|stat| stat.kind) {
            Some(Kind::Directory) => Ok(Self(self.0.join(name))),
            Some(_) => Err(io::Error::from_raw_os_error(ENOTDIR)),
            None => Err(io::Error::from_raw_os_error(ENOENT)),
        }
    }

    /// Opens a directory in this one. A volume that is mounted there looks like a link.
    pub fn open_own_child(&self, name: &OsStr) -> io::Result<Self> {
        self.open_child(name)
    }

    /// The directory that this one is in.
    pub fn open_parent(&self) -> io::Result<Self> {
        Ok(Self(self.0.parent().unwrap_or(&self.0).to_owned()))
    }

    /// The same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// The directory for calls that take a file. While that is open, no sweeper takes it for an orphan.
    pub fn as_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(&self.0).map_err(one_number)
    }

    /// Opens a file to have it flushed.
    pub fn open_to_flush(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        // A handle that is open for reading cannot be flushed; a read-only file opens for nothing else.
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(one_number)
    }

    /// Makes a directory; rights come of the one that it is in.
    pub fn make_dir_with(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        self.make_dir(name)
    }

    /// Makes a symbolic link, which knows here what it leads to.
    pub fn make_link(&self, target: &Path, name: &OsStr, to_directory: bool) -> io::Result<()> {
        let path = self.0.join(name);
        match to_directory {
            true => std::os::windows::fs::symlink_dir(target, path),
            false => std::os::windows::fs::symlink_file(target, path),
        }
        .map_err(one_number)
    }

    /// Whether a link was made as one to a directory.
    pub fn links_to_directory(&self, name: &OsStr) -> bool {
        use std::os::windows::fs::FileTypeExt;

        std::fs::symlink_metadata(self.0.join(name)).is_ok_and(|found| found.file_type().is_symlink_dir())
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        let path = self.0.join(name);
        change_directory(|| std::fs::remove_dir(&path), false).map_err(one_number)
    }

    /// There is no such step.
    pub fn exchange(&self, _name: &OsStr, _other_dir: &Self, _other: &OsStr) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(NOT_SUPPORTED))
    }

    /// Renames a directory to a name that must not be there.
    pub fn move_dir(&self, name: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        if to_dir.stat(to)?.is_some() {
            return Err(io::Error::from_raw_os_error(EEXIST));
        }
        let (from, to) = (self.0.join(name), to_dir.0.join(to));
        // A scanner that has a file in it open ends soon; a program may not.
        change_directory(|| std::fs::rename(&from, &to), true).map_err(one_number)
    }

    /// Nothing keeps an owner out.
    pub fn let_owner_in(&self) {}

    /// Nothing keeps an owner out.
    pub fn let_owner_into(&self, _name: &OsStr) {}

    /// The system refuses it to a user that has no right to remove it.
    pub fn may_sweep(&self, _stat: &Stat) -> bool {
        true
    }

    /// Whether `wanted` is this directory or one around it.
    pub fn is_within(&self, wanted: &FileId) -> io::Result<bool> {
        for around in self.0.ancestors() {
            if Self(around.to_owned()).id()? == *wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Makes the content of `to`, an empty file, that of `from`. `go_on` is asked between pieces.
pub fn copy_content(from: &File, mut to: &File, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    use std::io::Read;

    const PIECE: u64 = 16 << 20;
    while go_on() {
        if io::copy(&mut from.take(PIECE), &mut to)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Errors of an exchange where there is no such operation.
pub fn cannot_exchange(errno: i32) -> bool {
    matches!(errno, NOT_SUPPORTED | EXDEV)
}
