//! To a worker and back.

mod drive;
mod mailbox;
mod work;

pub use drive::{Timer, after, answer, later, run, start};
