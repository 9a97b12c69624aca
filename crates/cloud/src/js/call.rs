//! The limits of one call of JavaScript.

use std::time::Duration;

use napi_derive::napi;
use tokio::sync::watch;

use crate::protocol::Limits;

/// Of milliseconds; `Infinity` is one too.
pub(super) fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX)
}

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
        let (limits, abort) = Limits::new(duration(timeout_ms), tries);
        Self { limits, abort }
    }

    /// The caller's signal.
    #[napi]
    pub fn abort(&self) {
        self.abort.send_replace(true);
    }
}
