//! How many descriptors the batches of this process keep between two steps: some, and not those that
//! everybody else needs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::sys;

/// At most this many, and at most a quarter of what the process may have.
const MOST: u64 = 4096;

static KEPT: AtomicU64 = AtomicU64::new(0);

/// The right to keep one descriptor, until it is dropped.
#[derive(Debug)]
pub struct Slot(());

impl Slot {
    /// `None`: there are enough.
    pub fn take() -> Option<Self> {
        Self::take_of(MOST.min(sys::descriptor_limit() / 4))
    }

    /// For a file that can be kept in no other way. `None`: others would be left without.
    pub fn insist() -> Option<Self> {
        Self::take_of(sys::descriptor_limit() / 4 * 3)
    }

    fn take_of(most: u64) -> Option<Self> {
        KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| (kept < most).then_some(kept + 1))
            .ok()
            .map(|_| Self(()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}
