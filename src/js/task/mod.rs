//! To a worker and back.

mod drive;
mod mailbox;
mod work;

pub use drive::{answer, later, run, start};
