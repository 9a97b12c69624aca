//! What a directory says about a name, and which state of a file that is.

use std::ffi::OsString;

#[cfg(unix)]
pub use super::unix::identity::{Access, FileId};
#[cfg(windows)]
pub use super::windows::identity::{Access, FileId};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else, in words.
    Other(&'static str),
}

/// A name in a directory and what it stands for, if the directory itself knows.
pub type Entry = (OsString, Option<Kind>);

/// What an open directory says about itself.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which one it is.
    pub id: FileId,
    /// The number of the mount that it is seen by, where that is known.
    pub mount: Option<u64>,
    /// It is append-only: names can be made in it, and neither changed nor removed. (Linux; elsewhere that is not known.)
    pub keeps_names: bool,
}

/// What keeps a file from being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Something is mounted at the name.
    MountPoint,
    /// The file or its directory is immutable or append-only.
    Immutable,
    /// Another user's file in a sticky directory.
    Sticky,
}

/// What kind of file system a directory is on.
#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    /// What was flushed can outlive a power cut: it is not in memory, nor an overlay that was mounted `volatile`, and
    /// fsync(2) is one here.
    pub is_durable: bool,
    /// A file may be another one after it was renamed or linked: an overlay copies it up.
    pub copies_up: bool,
    /// A change of a file or a directory that comes after a stat(2) always shows in its times, however soon.
    pub tells_changes: bool,
    /// Links are what a process has open, and their text is only a description of it.
    pub has_magic_links: bool,
    /// What it is called, if other machines may change it, and this one does not hear of that at once.
    pub network: Option<String>,
    /// Others than the processes of this system may change it, and need not see its locks, though it is no network as far as is known:
    /// a folder of a virtual machine's host. Indexes are not refused there.
    pub is_shared: bool,
}

/// Tells one state of a file from another: which file it is, its length, its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which file.
    pub id: FileId,
    /// In bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub modified: i128,
    /// Last change of anything, in nanoseconds since 1970.
    pub changed: i128,
    /// How many names the file has. One more or less is a change of the file, but not of its content.
    pub links: u64,
}

impl Version {
    /// Whether nothing speaks against it that the content is that of `earlier`.
    pub fn has_content_of(&self, earlier: &Self) -> bool {
        self.id == earlier.id
            && self.size == earlier.size
            && self.modified == earlier.modified
            && (self.changed == earlier.changed || self.links != earlier.links)
    }
}

/// What the directory says about a name.
#[derive(Clone, Debug)]
pub struct Stat {
    /// What the name stands for.
    pub kind: Kind,
    /// Which state of it this is.
    pub version: Version,
    /// Owner and permissions, where the platform has them.
    pub access: Access,
}
