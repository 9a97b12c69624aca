//! The trait of the protocol over the crate `object_store`.

mod bucket;
mod connect;
mod given;
mod profile;
mod program;
mod reply;
mod sas;
mod target;
mod temporary;
mod wire;

pub use bucket::{Bucket, epoch};
pub use connect::connect;
pub use target::{Scheme, Target};
#[cfg(test)]
pub use wire::digest;
