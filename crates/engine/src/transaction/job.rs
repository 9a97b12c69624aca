//! The parts of a transaction that run on workers: finding its files, taking their locks, the commit; and recovery.

mod commit;
mod find;
mod lock;
mod recover;

pub use commit::{CommitJob, Committed, Next, Wanted, What};
pub use find::{Find, FindJob, Found};
pub use lock::{LockJob, Locked, ToUpdate};
pub use recover::RecoverJob;
