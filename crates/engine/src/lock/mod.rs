//! The lock of an index among processes, and waiting for it without a thread.
//!
//! ```
//! use pipeline_atomic_engine::dir::target::{Resolve, Target};
//! use pipeline_atomic_engine::lock::sidecar::{Lock, Taking, Tried};
//!
//! let dir = tempfile::tempdir()?;
//! let index = dir.path().join("index.json");
//! let target = Target::resolve(&index, Resolve { mkdir: true, exclusive: false })?;
//! let Tried::Ours(held) = Lock::try_acquire(&target, Taking::Fairly)? else { panic!("another process has it") };
//! assert!(dir.path().join(".index.json.lock").exists());
//! assert!(matches!(Lock::try_acquire(&target, Taking::Fairly)?, Tried::Busy));
//! drop(held);
//! assert_eq!(dir.path().read_dir()?.count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod backoff;
mod foreign;
pub mod holder;
pub mod index_lock;
pub mod left;
pub(crate) mod order;
pub(crate) mod outliving;
pub(crate) mod share;
pub mod sidecar;
pub mod wait;
pub(crate) mod wait_time;
