//! The reason for an error of the system, or the way out, where its own words send people the wrong way.

use std::io;

use crate::sys::Obstacle;

/// What to say after the system's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The file itself may be written, but a new one cannot be made beside it.
    MakesFile,
    /// The lock file cannot be made.
    MakesLock,
    /// The file may be on a file system that can be written, its directory is on one that cannot.
    ReadOnly,
    /// Something is mounted at the very name.
    MountPoint,
    /// The same, for a directory.
    MountedDirectory,
    /// `chattr +i` or `+a`.
    Immutable,
    /// Another user's file in a sticky directory.
    Sticky,
    /// It was being overwritten in place.
    Overwritten,
    /// A part of what was appended may be in the file.
    Appended,
    /// The directory was replaced or moved while a file in it was written.
    Moved,
    /// The lock that was lost is the caller's own.
    TakeAgain,
    /// The lock that was lost was taken for this call.
    Repeat,
    /// The name of an index has become a symbolic link after its lock was taken.
    Linked,
    /// Another program has changed or replaced a file of lines each time.
    Restless,
    /// Windows: another handle of the file is open.
    Held,
    /// Windows takes the name for a device, a stream of another file, or another name.
    Reserved,
    /// A file of another program is where the lock belongs.
    NoLock,
    /// It has a name that only our own unfinished files have.
    Swept,
    /// There is no memory for all of it.
    NoMemory,
    /// A file that the transactions of a root lock was removed.
    NoRootLock,
    /// One transaction updates more indexes than this process may lock at once.
    ManyIndexes,
    /// A transaction is to be recovered that has updated more indexes than this process may open.
    ManyToRecover,
}

impl From<Obstacle> for Advice {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::MountPoint => Self::MountPoint,
            Obstacle::Immutable => Self::Immutable,
            Obstacle::Sticky => Self::Sticky,
        }
    }
}

impl Advice {
    /// For a file that could not be made for this reason.
    pub(crate) fn of_making(self, error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Some(self),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            _ => None,
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::MakesFile => "this user may not make files in its directory, and the new one is made there",
            Self::MakesLock => "this user may not make files in its directory, and the lock is made there",
            Self::ReadOnly => {
                "its directory is on a read-only file system, and a new file has to be made there"
            }
            Self::Overwritten => {
                "the file was being overwritten in place, and may hold a part of the new content"
            }
            Self::Appended => {
                "and what was appended could not be taken back: the file may end in a part of it, which the next append sets aside"
            }
            Self::MountPoint => {
                "it is a mount point, which can be neither replaced nor removed: mount its directory instead"
            }
            Self::MountedDirectory => {
                "it is a mount point, which cannot be replaced: use a directory below it, or mount its parent instead"
            }
            Self::Immutable => {
                "it, or its directory, has the attribute immutable or append-only: see chattr(1)"
            }
            Self::Sticky => {
                "it is another user's, and its directory is sticky: only its owner may replace or remove it"
            }
            Self::NoRootLock => {
                "another program has removed it, and nobody can tell whether a transaction is at work: end all that use this root, and \
                 make it again, empty"
            }
            Self::ManyIndexes => {
                "the indexes of one transaction may take an eighth of the descriptors that this process may have: raise that limit \
                 (ulimit -n), or update fewer in one"
            }
            Self::ManyToRecover => {
                "the transaction that is to be recovered has updated more indexes than three quarters of the descriptors that this \
                 process may have: raise that limit (ulimit -n)"
            }
            Self::Held => {
                "another program has the file open, and had it when the last of several tries was made: close it there, and repeat the call"
            }
            Self::Reserved => {
                "on Windows this name means a device, a stream of another file or a name without its last character, or holds \
                 a character that names cannot have: use another name"
            }
            Self::NoLock => {
                "it is another program's, as its size or its text says, and the lock would have its name: move one of the two files, or, if no program knows this file, remove it"
            }
            Self::Swept => {
                "what has such a name is removed, as left behind by a process that was killed: use another name"
            }
            Self::NoMemory => {
                "there is no memory for all of it at once: let the process have more, or spread it over several files"
            }
            Self::Moved => "its directory was replaced or moved meanwhile: repeat the call",
            Self::TakeAgain => {
                "release the lock, take it again, and begin again with what the index says then"
            }
            Self::Repeat => "repeat the call",
            Self::Linked => {
                "it has become a symbolic link since the lock was taken: release the lock, and take that of the file to which it leads"
            }
            Self::Restless => {
                "another program replaced the file or appended to it during each of 64 attempts, and the lines are not in it: \
                 repeat the call when that program rests, or let it append by appendLines too"
            }
        }
    }
}
