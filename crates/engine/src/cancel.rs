//! Cancellation. The engine checks it between two steps, and never after the rename.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::error::{ErrorKind, Result};

/// Shared by the caller, which cancels, and the work, which checks. The default one is never cancelled.
///
/// ```
/// use pipeline_atomic_engine::cancel::Cancel;
///
/// let cancel = Cancel::new();
/// assert!(cancel.check().is_ok());
/// cancel.clone().cancel();
/// assert_eq!(cancel.check().unwrap_err().code(), "ABORT_ERR");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Option<Arc<State>>);

#[derive(Debug, Default)]
struct State {
    cancelled: AtomicBool,
    changed: Notify,
}

impl Cancel {
    /// One that can be cancelled.
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Asks the work to stop. Calls after the first have no effect.
    pub fn cancel(&self) {
        if let Some(state) = &self.0 {
            state.cancelled.store(true, Ordering::Release);
            state.changed.notify_waiters();
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.cancelled.load(Ordering::Acquire))
    }

    /// # Errors
    /// [`ErrorKind::Aborted`] when cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(ErrorKind::Aborted.into()) } else { Ok(()) }
    }

    /// Waits for so long.
    ///
    /// # Errors
    /// [`ErrorKind::Aborted`] as soon as it is cancelled.
    pub(crate) async fn sleep(&self, pause: Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.cancelled() => Err(ErrorKind::Aborted.into()),
        }
    }

    /// Resolves when cancelled.
    pub async fn cancelled(&self) {
        let Some(state) = &self.0 else {
            return std::future::pending().await;
        };
        // Registered before the flag is read, or a cancel in between would be missed.
        let changed = state.changed.notified();
        if !state.cancelled.load(Ordering::Acquire) {
            changed.await;
        }
    }
}
