//! An index update on the JavaScript thread.

pub mod apply;
pub mod call;
mod group;
mod members;
mod stringify;
