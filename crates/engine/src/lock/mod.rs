//! The lock of an index among processes, and waiting for it without a thread.

pub mod sidecar;
pub mod wait;
