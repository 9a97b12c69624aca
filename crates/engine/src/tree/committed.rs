//! A new tree that is in its place, and an old one that may have to be removed.

use std::fs::File;

use crate::error::Result;
use crate::process::spawn_or_skip;
use crate::sys;
use crate::tree::at::At;
use crate::tree::options::TreeReceipt;
use crate::walk::remove::remove;

/// The new tree is in its place; the old one may have to be removed yet. Dropped before [`Committed::clear`], it is
/// removed by a thread of its own.
#[derive(Debug)]
#[must_use = "the old tree is still there"]
pub struct Committed {
    pub(crate) receipt: TreeReceipt,
    pub(crate) doomed: Option<At>,
    /// The old trees, locked since before the swap, so that no sweeper removes one before its time.
    pub(crate) held: Vec<File>,
}

impl Committed {
    /// Whether there is an old tree to remove.
    pub fn has_leftover(&self) -> bool {
        self.doomed.is_some()
    }

    /// Removes the old tree. Should that fail, the receipt says so: the new one is in its place all the same.
    pub fn clear(mut self) -> TreeReceipt {
        if let Some(at) = self.doomed.take()
            && let Err(error) = clear_away(&at)
        {
            self.receipt.previous.get_or_insert_with(|| at.path());
            self.receipt.leftover = Some(error);
        }
        std::mem::take(&mut self.receipt)
    }
}

/// The Node.js worker that owned the call was terminated, and this may be its thread; without another thread a sweep
/// removes the tree later.
impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(at) = self.doomed.take() {
            let held = std::mem::take(&mut self.held);
            spawn_or_skip("atomic-tree", move || {
                drop(clear_away(&at));
                drop(held);
            });
        }
    }
}

fn clear_away(at: &At) -> Result<()> {
    // Against sweepers, which would do the same. (The old tree is locked by `held` already.)
    let held = at.dir.open_own_child(&at.name).and_then(|dir| dir.as_file());
    let _held = held.ok().filter(sys::hold);
    remove(&at.dir, &at.name, &at.path())
}
