//! What there is one of in a process.

pub(crate) mod budget;
pub mod buffer_pool;
pub(crate) mod deferred_close;
pub(crate) mod parallel;
pub mod queue;
pub(crate) mod thread;
