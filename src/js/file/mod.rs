//! An open file on the JavaScript thread.

pub mod handle;
mod outbox;
pub mod writable;
