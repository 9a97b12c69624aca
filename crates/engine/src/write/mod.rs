//! One file, from bytes to its name.

pub mod commit;
pub mod digest;
pub(crate) mod finish;
pub mod job;
pub mod published;
pub(crate) mod staged;
pub mod verify;
pub mod writer;
pub mod writer_job;
