//! To a worker and back.

mod any_job;
mod drive;
mod eager;
mod mailbox;
mod short;
mod work;

pub use drive::{Outcome, Timer, after, answer, later, run, run_telling, start};
