//! How long a call waits for its lock, although its path may lead elsewhere each time that it looks.

use std::mem;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::lock::holder::{Blocker, Timeout};

/// The time of a call.
pub struct WaitTime {
    /// When it has begun.
    pub since: Instant,
    /// How long it is.
    pub timeout: Duration,
    /// The path has led elsewhere.
    has_moved: bool,
    /// The time was over when the path was followed last.
    is_last: bool,
}

impl WaitTime {
    /// For a call that was made then, and waits for so long.
    pub fn new(since: Instant, timeout: Duration) -> Self {
        Self { since, timeout, has_moved: false, is_last: false }
    }

    /// How long to wait for what the path leads to now. All of the time at first, as it counts from the call's place in the queue.
    pub fn left(&self) -> Duration {
        if self.has_moved { self.timeout.saturating_sub(self.since.elapsed()) } else { self.timeout }
    }

    /// An error of that wait, which tells all of the time.
    pub fn told(&self, error: Error) -> Error {
        if self.has_moved { error.waited(self.since.elapsed()) } else { error }
    }

    /// The path leads elsewhere by now, and is to be followed again: after the call's time once, as a lock is looked at once more then,
    /// and no more, as it may lead elsewhere each time.
    ///
    /// # Errors
    /// [`LockTimeout`](crate::error::ErrorKind::LockTimeout).
    pub fn elsewhere(&mut self, path: &Path) -> Result<()> {
        let waited = self.since.elapsed();
        self.has_moved = true;
        if mem::replace(&mut self.is_last, waited >= self.timeout) {
            return Err(Timeout::new(waited, Blocker::Changes, None, path).into());
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_elsewhere_each_time_is_followed_once_more_after_the_time_that_is_left() {
        let (minute, path) = (Duration::from_secs(60), Path::new("index"));
        let mut wait_time = WaitTime::new(Instant::now(), 2 * minute);
        assert_eq!(wait_time.left(), 2 * minute, "from its place in the queue");
        wait_time.elsewhere(path).unwrap();
        assert!(wait_time.left() <= 2 * minute && wait_time.left() > minute);
        wait_time.timeout = Duration::ZERO;
        assert_eq!(wait_time.left(), Duration::ZERO);
        wait_time.since -= minute;
        let of_wait = Timeout::new(Duration::from_secs(1), Blocker::EarlierCall, None, path);
        let said = wait_time.told(of_wait.into()).to_string();
        assert!(said.contains("after 600") && said.contains(" ms"), "{said}");
        wait_time.elsewhere(path).unwrap();
        assert_eq!(wait_time.elsewhere(path).unwrap_err().code(), "ERR_ATOMIC_LOCK_TIMEOUT");
    }
}
