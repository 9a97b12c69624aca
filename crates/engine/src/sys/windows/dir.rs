//! A directory and the calls relative to it.

use std::collections::hash_map::DefaultHasher;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::errno::{CUSTOMER, EEXIST, EINVAL, ENOENT, SHARING_VIOLATION, told_apart};
use super::held::replace;
use super::identity::{Access, FileId};
use super::name::is_reserved;
use crate::sys::stat::{FileSystem, Kind, Obstacle, Seen, Stat, Version};

pub(super) const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// A directory.
#[derive(Debug)]
pub struct Dir(pub(super) PathBuf);

fn id(handle: &same_file::Handle) -> FileId {
    let mut hasher = DefaultHasher::new();
    handle.hash(&mut hasher);
    FileId(hasher.finish())
}

/// To be asked right after a call.
pub(super) fn one_number(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(3) => io::Error::from_raw_os_error(ENOENT),
        Some(183) => io::Error::from_raw_os_error(EEXIST),
        _ => told_apart(error),
    }
}

fn version(metadata: &std::fs::Metadata, id: FileId) -> Version {
    let modified = i128::from(metadata.last_write_time()) * 100;
    Version { id, size: metadata.len(), modified, changed: modified, links: 1 }
}

pub(super) fn kind(metadata: &std::fs::Metadata) -> Kind {
    match metadata.file_type() {
        kind if kind.is_symlink() => Kind::Symlink,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        _ => Kind::Other("of an unknown type"),
    }
}

impl Dir {
    /// Opens a directory by its path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize().map_err(one_number)?;
        match std::fs::metadata(&path).map_err(one_number)?.is_dir() {
            true => Ok(Self(path)),
            false => Err(io::Error::from_raw_os_error(CUSTOMER | 4052)),
        }
    }

    /// Opens a directory by a path that is relative to this one.
    pub fn open_in(&self, path: &Path) -> io::Result<Self> {
        Self::open(&self.0.join(path))
    }

    /// Where the directory is, links resolved.
    pub fn path(&self) -> io::Result<PathBuf> {
        Ok(self.0.clone())
    }

    /// Which directory this is.
    pub fn id(&self) -> io::Result<FileId> {
        Ok(id(&same_file::Handle::from_path(&self.0).map_err(one_number)?))
    }

    /// As [`Dir::id`]: nothing but a whole volume can be mounted.
    pub fn see(&self) -> io::Result<Seen> {
        Ok(Seen { id: self.id()?, mount: None, keeps_names: false })
    }

    /// What `name` stands for; a symbolic link is not followed.
    pub fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        let path = self.0.join(name);
        let metadata = match std::fs::symlink_metadata(&path).map_err(one_number) {
            Err(error) if error.raw_os_error() == Some(ENOENT) => return Ok(None),
            metadata => metadata?,
        };
        let kind = kind(&metadata);
        let id = match kind {
            Kind::Symlink => FileId(0),
            _ => match same_file::Handle::from_path(&path).map_err(one_number) {
                // It has been removed since.
                Err(error) if error.raw_os_error() == Some(ENOENT) => return Ok(None),
                handle => id(&handle?),
            },
        };
        let mode = if metadata.permissions().readonly() { 0o444 } else { 0o666 };
        Ok(Some(Stat { kind, version: version(&metadata, id), access: Access { mode } }))
    }

    /// Where the symbolic link `name` points to.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        std::fs::read_link(self.0.join(name)).map_err(one_number)
    }

    /// Makes a directory.
    pub fn make_dir(&self, name: &OsStr) -> io::Result<()> {
        if is_reserved(name) {
            return Err(io::Error::from_raw_os_error(EINVAL));
        }
        std::fs::create_dir(self.0.join(name)).map_err(one_number)
    }

    /// Opens a file for reading.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        File::open(self.0.join(name)).map_err(one_number)
    }

    /// What is known of the file system.
    pub fn file_system(&self) -> FileSystem {
        use std::path::{Component, Prefix};

        let network = match self.0.components().next() {
            Some(Component::Prefix(prefix)) => match prefix.kind() {
                Prefix::UNC(server, _) | Prefix::VerbatimUNC(server, _) => {
                    Some(format!("a share of {}", server.to_string_lossy()))
                }
                _ => None,
            },
            _ => None,
        };
        FileSystem { is_durable: network.is_none(), network, ..FileSystem::default() }
    }

    /// What the file system is called: not known here.
    #[allow(clippy::unused_self, reason = "as on other platforms")]
    pub fn mount(&self) -> Option<(String, String)> {
        None
    }

    /// Opens a file to be overwritten.
    pub fn open_to_overwrite(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.0.join(name)).map_err(one_number)
    }

    /// Opens a file to be appended to, and read. Not to append only: such a handle may not make a file shorter.
    pub fn open_to_append(&self, name: &OsStr) -> io::Result<File> {
        self.open_to_overwrite(name)
    }

    /// Makes a file to be appended to, which must not be there yet.
    pub fn create_to_append(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        self.create_new(name, mode)
    }

    /// What would stop a rename to `name`: not known here, and the rename fails.
    pub fn obstacle(&self, _name: &OsStr) -> Option<Obstacle> {
        None
    }

    /// Whether something is mounted at `name`. No file is a mount point here, and of a directory the rename tells.
    pub fn mounted(&self, _name: &OsStr) -> Option<bool> {
        Some(false)
    }

    /// Keeps what `name` stands for alive: not done here.
    pub fn keep(&self, _name: &OsStr) -> Option<File> {
        None
    }

    /// Opens a lock file, or makes it.
    pub fn open_lock(&self, name: &OsStr, create: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(create);
        options.open(self.0.join(name)).map_err(one_number)
    }

    /// Makes a file that must not be there yet.
    pub fn create_new(&self, name: &OsStr, _mode: u32) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name)).map_err(one_number)
    }

    /// Opens a temp file that no living writer has open.
    pub fn open_orphan(&self, name: &OsStr) -> io::Result<Option<File>> {
        // Refused while anybody else has it open, whatever they would share; then opened again, for a
        // handle that shares nothing could not be removed by name.
        let mut alone = OpenOptions::new();
        alone.read(true).share_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        let found = match alone.open(self.0.join(name)) {
            Ok(found) => found,
            Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => return Ok(None),
            Err(error) => return Err(one_number(error)),
        };
        let is_directory = found.metadata()?.is_dir();
        // It would refuse the second open as well.
        drop(found);
        if is_directory {
            Self(self.0.join(name)).as_file().map(Some)
        } else {
            self.open_file(name).map(Some)
        }
    }

    /// There are no files without a name.
    pub fn create_unnamed(&self, _mode: u32) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// There are no files without a name.
    pub fn link_unnamed(&self, _file: &File, _name: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A second name for the file `name`, in this or another directory.
    pub fn link(&self, name: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        std::fs::hard_link(self.0.join(name), to_dir.0.join(to)).map_err(one_number)
    }

    /// Puts `from` in the place of `to`, with POSIX semantics: a process that has `to` open keeps reading it.
    pub fn rename(&self, from: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        let (from, to) = (self.0.join(from), to_dir.0.join(to));
        replace(&to, || std::fs::rename(&from, &to)).map_err(one_number)
    }

    /// Renames `from` to `to`, which must not be there. `false`: this file system has no step that refuses a taken
    /// name, and nothing was done.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<bool> {
        match self.link(from, self, to) {
            Ok(()) => {
                // It has its name now, and a sweep finds the other one.
                drop(self.unlink(from));
                Ok(true)
            }
            Err(error) if error.raw_os_error().is_some_and(super::errno::cannot_link) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Dir::rename_new`], but never by a link: there is no such step here.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on other platforms")]
    pub fn rename_no_replace(&self, _from: &OsStr, _to: &OsStr) -> io::Result<bool> {
        Ok(false)
    }

    /// # Errors
    /// None: only the attempt tells here.
    pub fn check_changeable(&self) -> io::Result<()> {
        Ok(())
    }

    /// Removes a name.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        let path = self.0.join(name);
        replace(&path, || std::fs::remove_file(&path)).map_err(one_number)
    }

    /// Whether `name` still stands for the open `file`.
    pub fn is_same(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let open = same_file::Handle::from_file(file.try_clone()?)?;
        match same_file::Handle::from_path(self.0.join(name)).map_err(one_number) {
            Err(error) if error.raw_os_error() == Some(ENOENT) => Ok(false),
            named => Ok(named? == open),
        }
    }

    /// The state of an open file.
    pub fn stat_file(file: &File) -> io::Result<(Kind, Version)> {
        let metadata = file.metadata()?;
        let id = id(&same_file::Handle::from_file(file.try_clone()?)?);
        Ok((kind(&metadata), version(&metadata, id)))
    }

    /// The names in this directory.
    pub fn names(&self) -> io::Result<impl Iterator<Item = OsString>> {
        Ok(std::fs::read_dir(&self.0)?.filter_map(|entry| Some(entry.ok()?.file_name())))
    }

    /// Flushes the directory's entries; `false` for users who may not open it for writing.
    pub fn sync(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(&self.0) {
            Ok(directory) => directory.sync_all().map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

/// Which file or directory `path` means, links followed.
pub fn id_at(path: &Path) -> io::Result<FileId> {
    Ok(id(&same_file::Handle::from_path(path).map_err(one_number)?))
}
