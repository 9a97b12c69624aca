//! The trait of the protocol over the crate `object_store`.

mod bucket;
mod connect;
mod container;
mod given;
mod near;
mod profile;
mod program;
mod reply;
mod role;
mod sas;
mod service;
mod sign_on;
mod sign_on_session;
mod sign_on_token;
mod target;
mod temporary;
mod wire;

pub use bucket::{Bucket, epoch};
pub use connect::connect;
pub use target::{Scheme, Target};
#[cfg(test)]
pub use wire::digest;
