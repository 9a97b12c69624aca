//! A new tree that has its place, and an old one that may have to go.

use super::Receipt;
use super::remove::remove;
use super::staging::At;
use crate::engine::sys;

/// The new tree is in its place; the old one may have to be removed yet.
#[derive(Debug)]
#[must_use = "the old tree is still there"]
pub struct Committed {
    pub(super) receipt: Receipt,
    pub(super) doomed: Option<At>,
}

impl Committed {
    /// Whether there is an old tree to be removed.
    pub fn has_leftover(&self) -> bool {
        self.doomed.is_some()
    }

    /// Removes the old tree. Should that fail, the receipt says so: the new one is in its place all the same.
    pub fn clear(self) -> Receipt {
        let Self { mut receipt, doomed } = self;
        let Some(at) = doomed else { return receipt };
        // Against sweepers, who would do the same.
        let held = at.dir.open_own_child(&at.name).and_then(|dir| dir.as_file());
        let _held = held.ok().filter(sys::hold);
        let path = at.path();
        if let Err(error) = remove(&at.dir, &at.name, &path) {
            receipt.leftover = Some(error);
            receipt.previous.get_or_insert(path);
        }
        receipt
    }
}
