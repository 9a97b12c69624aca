//! The parts of a transaction that run on workers: finding its files, taking their locks, the commit; all of these at once; and recovery.

mod at_once;
mod commit;
mod find;
mod lock;
mod recover;

pub use at_once::{AtOnce, AtOnceJob, Finding, ToWrite};
pub use commit::{CommitJob, Committed, Next, Wanted, What};
pub use find::{Find, FindJob, Found};
pub use lock::{LockJob, Locked, ToUpdate};
pub use recover::RecoverJob;
