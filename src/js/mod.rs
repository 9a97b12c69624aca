//! The N-API boundary: arguments, promises, errors, signals. Nothing else knows JavaScript.

pub mod args;
pub mod batch;
pub mod batch_job;
pub mod build;
pub mod call;
pub mod data;
pub mod directory_job;
pub mod error;
pub mod file;
pub mod file_job;
mod file_work;
pub mod group;
pub mod index_job;
pub mod iteration;
pub mod mailbox;
pub mod members;
pub mod memory;
pub mod promise;
pub mod signal;
pub mod stringify;
pub mod task;
pub mod update;
pub mod value;
pub mod work;
pub mod writable;
