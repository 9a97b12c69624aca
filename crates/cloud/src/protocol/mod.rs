//! How one object changes exactly once, whatever gets lost on the way.
//!
//! A [`Commit`] replaces the version that it has read, under a condition. Its id stands in the object's metadata among
//! those of the last commits, so after a lost reply the next look tells whether the try has landed.

mod clock;
mod commit;
mod error;
mod limits;
pub mod patch;
mod probe;
mod release;
mod signature;
mod store;
mod write;

pub use commit::{Commit, Done, Doubt, Verified};
pub use error::*;
pub use limits::Limits;
pub use probe::probe;
pub use release::{Published, Release, Staging, list_all, read_release};
pub use signature::Signature;
pub use store::*;
pub use write::*;

#[cfg(test)]
mod tests;
