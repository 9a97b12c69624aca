//! How long a call may take: its deadline, its number of tries, and the caller's signal.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Failure, Reply};

/// Full jitter up to this much before the second try, twice as much before each next one. A higher end starves those
/// that wait for it: with 5 s the slowest of ten machines took 33 s for what takes 6 s with 200 ms.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// The limits of one call. Clones share them.
#[derive(Clone, Debug)]
pub struct Limits {
    deadline: Instant,
    total: Duration,
    tries: std::sync::Arc<AtomicU32>,
    abort: watch::Receiver<bool>,
}

/// Far enough for everybody, and near enough for the arithmetic of any clock.
fn from_now(timeout: Duration) -> (Instant, Duration) {
    let total = timeout.min(Duration::from_secs(10 * 365 * 86400));
    (Instant::now() + total, total)
}

/// Why a call has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The caller's signal.
    Aborted,
    /// Time or tries are used up.
    Used,
}

impl Limits {
    /// From now on. The sender aborts the call with `true`.
    pub fn new(timeout: Duration, tries: u32) -> (Self, watch::Sender<bool>) {
        let (sender, abort) = watch::channel(false);
        let (deadline, total) = from_now(timeout);
        (Self { deadline, total, tries: std::sync::Arc::new(tries.into()), abort }, sender)
    }

    /// The same tries and signal, with another time from now on.
    pub fn lasting(&self, timeout: Duration) -> Self {
        let (deadline, total) = from_now(timeout);
        Self { deadline, total, ..self.clone() }
    }

    /// The same time and tries, without the signal.
    pub fn without_abort(&self) -> Self {
        Self { abort: watch::channel(false).1, ..self.clone() }
    }

    /// The same time and signal, and as many tries as they allow.
    pub fn with_any_tries(&self) -> Self {
        Self { tries: std::sync::Arc::new(u32::MAX.into()), ..self.clone() }
    }

    /// Takes one of the tries.
    pub fn take_try(&self) -> Result<(), Stop> {
        if *self.abort.borrow() {
            return Err(Stop::Aborted);
        }
        let left = self.tries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() || Instant::now() >= self.deadline { Err(Stop::Used) } else { Ok(()) }
    }

    /// Takes one of the tries for a request that has failed: those of a call that makes many are not counted otherwise.
    pub fn take_failure(&self) -> Result<(), Stop> {
        self.take_try()?;
        if self.tries.load(Ordering::Relaxed) == 0 { Err(Stop::Used) } else { Ok(()) }
    }

    /// As [`Self::take_try`], for a write. None begins in the last tenth of the time: that is for looking what has become
    /// of the one before, and a write that is cut off would be in doubt.
    pub fn take_write(&self) -> Result<(), Stop> {
        self.take_try()?;
        if self.left() < self.total / 10 { Err(Stop::Used) } else { Ok(()) }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// One request. It gets half of the time that is left, so that after a server that hangs there is time to look
    /// what has become of it.
    pub async fn request<T>(
        &self,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Result<T, Failure>, Stop> {
        let left = self.left();
        if left.is_zero() {
            return Err(Stop::Used);
        }
        tokio::select! {
            biased;
            () = self.aborted() => Err(Stop::Aborted),
            done = timeout((left / 2).max(Duration::from_millis(10)), request) => Ok(done.unwrap_or_else(|_| {
                let text = format!("no answer within {} ms", (left / 2).as_millis());
                Err(Failure::Unsure(Reply { text, ..Reply::default() }))
            })),
        }
    }

    /// Waits for something else than the store.
    pub async fn wait<T>(&self, other: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.aborted() => Err(Stop::Aborted),
            done = timeout(self.left(), other) => done.map_err(|_| Stop::Used),
        }
    }

    /// The pause before the `n`th try, counted from 1; none is left out near the deadline, but the deadline ends it.
    pub async fn pause(&self, n: u32) -> Result<(), Stop> {
        self.linger(PAUSE.0.saturating_mul(1 << n.saturating_sub(1).min(10)).min(PAUSE.1)).await
    }

    /// A pause of random length, up to `most`.
    pub async fn linger(&self, most: Duration) -> Result<(), Stop> {
        let until = Instant::now() + most.mul_f64(fastrand::f64());
        tokio::select! {
            biased;
            () = self.aborted() => Err(Stop::Aborted),
            () = sleep(until.min(self.deadline).saturating_duration_since(Instant::now())) => {
                if until < self.deadline { Ok(()) } else { Err(Stop::Used) }
            }
        }
    }

    async fn aborted(&self) {
        let mut abort = self.abort.clone();
        // A sender that is gone cannot abort any more.
        if abort.wait_for(|aborted| *aborted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
