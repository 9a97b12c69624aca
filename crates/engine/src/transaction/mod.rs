//! Several files change together, or none does, also over a crash.
//!
//! `root` is the directory that they are below, with its journal (`journal` has the format). [`session`] finds the files of a
//! transaction and takes their locks, `commit` is the protocol, [`recover`] completes or drops what was interrupted,
//! [`snapshot`] reads several files as of one moment. `docs/transactions.md` says why each step is where it is.

mod away;
pub(crate) mod commit;
mod decision;
pub(crate) mod item;
pub mod job;
pub(crate) mod journal;
mod known;
pub mod pending;
mod place;
pub mod recover;
pub(crate) mod root;
pub mod session;
pub mod snapshot;
pub(crate) mod staged;
