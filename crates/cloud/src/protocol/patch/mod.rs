//! Patches of one index by many machines, which do not wait for each other.
//!
//! A writer puts its changes into an inbox, as objects of its own that never change; any process folds them into the
//! index. A ledger holds the number of the last delta of each session that is in the index, and the index's metadata
//! names the ledger that belongs to it: both change with one swap. Nobody holds a lock, and it does not matter which
//! process folds: of two at the same time one loses its swap.
//!
//! ```text
//! index.json.inbox/5f0c…-000000000001     a delta: the first one of a session
//! index.json.inbox/.ledger-91ab…          what is in the index
//! ```

mod fold;
mod listing;
mod session;
mod settle;
mod text;

pub use fold::Folded;
#[cfg(test)]
pub use fold::fold;
pub use session::{Inbox, Place};
pub use settle::Folder;
pub use text::Change;

/// The folder of the inbox of an index.
fn inbox(key: &str) -> String {
    format!("{key}.inbox/")
}

/// The key of a delta. All numbers have the same length, so that keys have the order of numbers.
fn delta(key: &str, (session, number): &Place) -> String {
    format!("{}{session}-{number:012}", inbox(key))
}
