//! A JSON file that any number of processes read, change and replace.

mod aside;
mod backup;
pub(crate) mod cache;
pub mod commit_job;
pub mod document;
pub mod file;
pub mod format;
mod generations;
pub mod group;
pub mod hold;
pub mod hold_job;
pub mod job;
pub mod json;
pub mod layout;
pub mod look;
pub mod mend_job;
pub mod number;
pub mod options;
pub mod read_job;
pub mod restore_job;
pub(crate) mod same;
pub(crate) mod seek;
mod snapshot;
mod source;
pub mod store;
pub mod text;
pub(crate) mod tokens;
