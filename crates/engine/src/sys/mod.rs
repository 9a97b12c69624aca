//! The operating system, as the engine needs it: the only place that knows platforms. It imports nothing of the rest.
//!
//! Everything works on an open directory and a name in it, so that a directory that is renamed or
//! replaced meanwhile is still the one that the caller's path meant.

mod bytes;
mod call;
mod errno;
mod stat;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use bytes::{BLOCK, Json, places};
pub use call::CallError;
pub use errno::{describe, node_errno};
pub use stat::{FileSystem, Kind, Obstacle, Seen, Stat, Version};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
