//! An index update on the JavaScript thread.

mod apply;
pub mod call;
pub mod group;
pub mod json;
pub mod lost;
