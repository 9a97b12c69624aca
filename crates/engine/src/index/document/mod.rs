//! An index as text that is looked into, and changed, without parsing all of it.

mod find;
mod pointer;
mod scan;
mod string;

pub use find::{Found, Keys, children, find, keys};
pub use pointer::{Invalid, Pointer};
pub use scan::{Child, Children};
pub use string::literal;
