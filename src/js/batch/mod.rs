//! A batch on the JavaScript thread.

pub mod driver;
mod pull;
