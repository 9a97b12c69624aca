//! Open directories: what a path means, flushing entries, temp names and sweeping them.

pub(crate) mod directory;
pub(crate) mod flush;
pub(crate) mod made;
pub(crate) mod names;
pub(crate) mod orphan;
pub(crate) mod place;
pub(crate) mod spelling;
pub(crate) mod sweep;
pub mod target;

pub(crate) use directory::Directory;
pub(crate) use flush::Failed;
pub(crate) use place::Place;
pub(crate) use spelling::fold;
pub use target::{Resolve, Target};
