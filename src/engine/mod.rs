//! The engine: plain Rust, no JavaScript.
//!
//! [`commit`] replaces a file so that every reader, at any time and after any crash, finds the old
//! bytes or the new ones; [`index`] puts a read-modify-write of a JSON file on top of it that any
//! number of processes can run at once; [`tree`] replaces whole directories.

mod base;
pub mod batch;
pub mod blocking;
pub mod cancel;
pub mod commit;
pub mod digest;
mod directory;
pub mod error;
mod finish;
mod flush;
pub mod index;
pub mod json;
pub mod lock;
pub mod memory;
mod mutant;
mod names;
pub mod published;
pub mod queue;
mod reap;
mod share;
mod staged;
mod sweep;
mod sys;
pub mod target;
pub mod tree;
pub mod verify;
pub mod waiting;
pub mod writer;
