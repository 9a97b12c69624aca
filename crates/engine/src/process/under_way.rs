//! How many writes are under way in this process: called, and not over.
//!
//! Those that share something wait a little for others to share it, as long as there are enough to keep the workers busy.

use std::sync::atomic::{AtomicUsize, Ordering};

static WRITES: AtomicUsize = AtomicUsize::new(0);

/// How many there are.
pub fn writes() -> usize {
    WRITES.load(Ordering::Relaxed)
}

/// Counts a write until it is dropped.
#[derive(Debug)]
pub struct UnderWay(());

impl UnderWay {
    /// From now on.
    pub fn begin() -> Self {
        WRITES.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        WRITES.fetch_sub(1, Ordering::Relaxed);
    }
}
