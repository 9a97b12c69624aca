//! The reason for an error of the system, or the way out, where its own words send people the wrong way.

use crate::sys::Obstacle;

/// What to say after the system's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The file itself may be written, but a new one cannot be made beside it.
    MakesFile,
    /// The lock file cannot be made.
    MakesLock,
    /// Something is mounted at the very name.
    MountPoint,
    /// `chattr +i` or `+a`.
    Immutable,
    /// Another user's file in a sticky directory.
    Sticky,
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
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::MakesFile => "this user may not make files in its directory, and the new one is made there",
            Self::MakesLock => "this user may not make files in its directory, and the lock is made there",
            Self::MountPoint => "it is a mount point, which cannot be replaced: mount its directory instead",
            Self::Immutable => {
                "it, or its directory, has the attribute immutable or append-only: see chattr(1)"
            }
            Self::Sticky => {
                "it is another user's, and its directory is sticky: only its owner may replace it"
            }
        }
    }
}
