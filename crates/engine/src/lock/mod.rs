//! The lock of an index among processes, and waiting for it without a thread.
//!
//! ```
//! use pipeline_atomic_engine::dir::target::{Resolve, Target};
//! use pipeline_atomic_engine::lock::sidecar::Lock;
//!
//! let dir = tempfile::tempdir()?;
//! let index = dir.path().join("index.json");
//! let target = Target::resolve(&index, Resolve { mkdir: true, exclusive: false })?;
//! let held = Lock::try_acquire(&target)?.expect("no other process has it");
//! assert!(dir.path().join(".index.json.lock").exists());
//! assert!(Lock::try_acquire(&target)?.is_none());
//! drop(held);
//! assert_eq!(dir.path().read_dir()?.count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod holder;
pub mod index_lock;
pub mod sidecar;
pub mod wait;
