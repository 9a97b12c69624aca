//! One file, from bytes to its name.
//!
//! [`commit`] replaces a file by bytes that are at hand, [`writer`] by bytes that come piece by piece:
//!
//! ```
//! use pipeline_atomic_engine::cancel::Cancel;
//! use pipeline_atomic_engine::write::{options::Options, writer::Writer};
//!
//! let dir = tempfile::tempdir()?;
//! let (path, cancel) = (dir.path().join("page.html"), Cancel::default());
//! let mut writer = Writer::open(&path, Options::default(), true, &cancel)?;
//! writer.write(b"<p>", &cancel)?;
//! assert!(!path.exists());
//! let receipt = writer.publish(&cancel)?.flush()?;
//! assert_eq!((receipt.bytes, std::fs::read(&path)?), (3, b"<p>".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod commit;
pub(crate) mod committing;
pub mod digest;
pub(crate) mod finish;
pub(crate) mod in_place;
pub mod job;
pub mod now;
pub mod options;
pub(crate) mod overtake;
pub mod published;
pub mod remove_job;
pub(crate) mod staged;
pub(crate) mod temp_name;
pub(crate) mod unchanged;
pub mod verify;
pub mod writer;
pub mod writer_job;

pub use digest::{Digest, Running};
pub(crate) use finish::Finished;
pub use options::{Options, Receipt};
pub use published::{Published, Settled};
pub(crate) use staged::{Attempt, Detached, Staged};
pub(crate) use temp_name::TempName;
pub(crate) use unchanged::Unchanged;
pub use verify::{Content, Level};
pub use writer::Writer;
