//! The mutex of code whose interleavings are explored: the standard one, or that of crate shuttle, which runs a test again and again
//! and switches threads at each lock. How to run these: docs/design.md, "Interleavings".

#[cfg(not(all(test, shuttle)))]
pub use std::sync::{Mutex, MutexGuard};

#[cfg(all(test, shuttle))]
pub use shuttle::sync::{Mutex, MutexGuard};

/// As [`crate::process::lock`], for these.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Between two system calls that processes make against each other: an exploration switches threads here, as a scheduler may.
pub fn between_calls() {
    #[cfg(all(test, shuttle))]
    shuttle::sync::atomic::AtomicBool::new(false).load(shuttle::sync::atomic::Ordering::SeqCst);
}
