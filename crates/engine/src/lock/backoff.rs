//! How long a call that waits for a lock waits until it looks again: nobody tells it that the lock is free.

use std::time::{Duration, Instant};

/// The first pause of a waiter; each one after it is half as long again.
pub(super) const FIRST_WAIT: Duration = Duration::from_micros(500);
/// The longest pause: a release is noticed after this at the latest.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(3);
/// A call that does not wait looks again for so long: whoever only looks whether a lock is free has it for an instant.
const GLANCE: Duration = Duration::from_millis(1);

/// How long to wait until the next attempt.
pub struct Backoff {
    next: Duration,
    since: Instant,
    timeout: Duration,
}

impl Backoff {
    /// For a call that has waited since `since`, and waits for `timeout` in all.
    pub fn new(since: Instant, timeout: Duration) -> Self {
        let timeout = if timeout.is_zero() { GLANCE } else { timeout };
        Self { next: FIRST_WAIT, since, timeout }
    }

    /// The next pause.
    ///
    /// # Errors
    /// How long the call has waited, when the time is up.
    pub fn pause(&mut self) -> std::result::Result<Duration, Duration> {
        let waited = self.since.elapsed();
        if waited >= self.timeout {
            return Err(waited);
        }
        // Jitter, or processes that started together would retry in lockstep.
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0).min(self.timeout - waited);
        self.next = (self.next * 3 / 2).min(LONGEST_WAIT);
        Ok(pause)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_looks_again_soon_however_long_it_has_waited() {
        let mut wait = Backoff::new(Instant::now(), Duration::from_secs(3600));
        let pauses: Vec<_> = (0..100).map(|_| wait.pause().unwrap()).collect();
        assert!(pauses[0] <= FIRST_WAIT);
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(3)));
        // But it does not keep the processor busy.
        assert!(pauses[10..].iter().all(|pause| *pause >= LONGEST_WAIT / 2));
    }

    #[test]
    fn a_call_that_does_not_wait_looks_again_at_once() {
        let mut wait = Backoff::new(Instant::now(), Duration::ZERO);
        assert!(wait.pause().unwrap() <= GLANCE);
        std::thread::sleep(GLANCE);
        assert!(wait.pause().is_err());
    }
}
