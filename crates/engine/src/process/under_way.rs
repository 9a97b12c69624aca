//! How many short writes are under way in this process: called, and not over.
//!
//! Those that share something wait a little for others to share it, as long as there are enough to keep the workers busy. A write
//! that waits for its turn is none of them: what it waits for may hang.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::process::lock;

// In one order with the limits: a thread that is about to wait and a write that is over see each other.
static WRITES: AtomicUsize = AtomicUsize::new(0);

static WAITING: Mutex<Vec<Arc<Waiting>>> = Mutex::new(Vec::new());

/// How many there are.
pub fn writes() -> usize {
    WRITES.load(Ordering::SeqCst)
}

/// Counts a write until it is dropped.
#[derive(Debug)]
pub struct UnderWay(());

impl UnderWay {
    /// From now on.
    pub fn begin() -> Self {
        WRITES.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let left = WRITES.fetch_sub(1, Ordering::SeqCst) - 1;
        for waiting in &*lock(&WAITING) {
            if left < waiting.limit.load(Ordering::SeqCst) {
                waiting.thread.unpark();
            }
        }
    }
}

/// A thread that waits for writes to come, and is told when fewer than its limit are under way.
#[derive(Debug)]
pub struct Waiting {
    thread: Thread,
    limit: AtomicUsize,
}

impl Waiting {
    /// This thread, until [`Waiting::end`].
    pub fn begin(limit: usize) -> Arc<Self> {
        let waiting = Arc::new(Self { thread: thread::current(), limit: limit.into() });
        lock(&WAITING).push(waiting.clone());
        waiting
    }

    /// From now on.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Has it look.
    pub fn wake(&self) {
        self.thread.unpark();
    }

    /// On that thread: until it is told, for `time` at most.
    pub fn wait(&self, time: Duration) {
        thread::park_timeout(time);
    }

    /// It waits no more.
    pub fn end(&self) {
        lock(&WAITING).retain(|other| !std::ptr::eq(&**other, self));
    }
}
