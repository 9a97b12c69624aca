//! The limits of one call of JavaScript.

use std::time::Duration;

use napi_derive::napi;
use tokio::sync::watch;

use crate::protocol::Limits;

/// Deadline, tries and signal of one call.
#[napi]
pub struct Call {
    pub(super) limits: Limits,
    abort: watch::Sender<bool>,
}

#[napi]
impl Call {
    /// From now on.
    #[napi(constructor)]
    pub fn new(timeout_ms: f64, tries: u32) -> Self {
        let timeout = Duration::try_from_secs_f64(timeout_ms / 1e3).unwrap_or(Duration::MAX);
        let (limits, abort) = Limits::new(timeout, tries);
        Self { limits, abort }
    }

    /// The caller's signal.
    #[napi]
    pub fn abort(&self) {
        self.abort.send_replace(true);
    }
}
