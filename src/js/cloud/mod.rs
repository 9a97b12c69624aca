//! Objects in stores: the package that knows how to reach them is an optional peer, which is loaded at its first use.

mod commit;
pub mod entries;
pub mod peer;
pub mod script;
pub mod update;

pub use commit::Object;
