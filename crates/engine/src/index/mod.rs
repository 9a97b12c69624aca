//! A JSON file that any number of processes read, change and replace.

mod cache;
pub mod file;
pub mod job;
pub mod json;
