//! Lines: what a caller gives to be appended as text, and what was read as an async iterable.

mod callers;
mod natives;
mod script;

pub use callers::append;
pub use script::{failing, joined, read};
