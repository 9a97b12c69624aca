//! skeleton
pub mod engine;
#[cfg(feature = "node")]
mod api;
#[cfg(feature = "node")]
mod js;
