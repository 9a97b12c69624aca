//! Files that are never half there, JSON indexes that never lose an update, directories replaced at once.
//!
//! The promise: when a write is acknowledged, its bytes are on disk, were read back, and stand under
//! their final name; whatever happens before, the old file is still there, byte for byte.
//!
//! - [`mod@write`] replaces one file; [`write::commit`] is the protocol.
//! - [`index`] is a JSON file that any number of processes change at once, on top of [`lock`].
//! - [`lines`] appends to files of lines, and reads them.
//! - [`batch`] writes many files behind one barrier, [`tree`] replaces whole directories, [`transaction`] changes several
//!   files together, over a crash too.
//! - [`mod@sweep`] finds and removes what killed processes have left; [`inspect`] finds out what a file system keeps.
//! - [`dir`], `walk` and [`process`] are what these share: open directories, going through trees, and what
//!   there is one of in a process (the queue of calls, descriptors, kept memory).
//! - [`stats`] counts what this process does, [`steps`] measures what one call does.
//! - [`job`] is a piece of work that may have to wait; [`blocking`] has the whole protocol in one call.
//!
//! Only `sys` knows platforms, and it imports nothing of the rest.

pub mod batch;
pub mod blocking;
pub mod cancel;
pub mod data;
pub mod dir;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod index;
pub mod inspect;
pub mod job;
pub mod lines;
pub mod lock;
mod mutant;
pub mod process;
pub mod stats;
pub mod steps;
pub mod sweep;
mod sys;
pub mod transaction;
pub mod tree;
mod walk;
pub mod write;

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
