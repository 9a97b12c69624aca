//! The N-API boundary: arguments, promises, errors, signals. Nothing else knows JavaScript.

pub mod batch;
pub mod cloud;
pub mod directory;
pub mod error;
pub mod file;
pub mod index;
pub mod inside;
pub mod lines;
pub mod steps;
pub mod task;
pub mod transaction;
pub mod value;
pub mod watch;
