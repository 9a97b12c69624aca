//! Waiting for an index, without a thread: first for the turn in this process, then for the lock.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::IndexFile;
use crate::lock::backoff::Backoff;
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::index_lock::{FileLock, IndexLock};
use crate::lock::share;
use crate::lock::sidecar::Taking;
use crate::process::{Called, FollowerPlace, Place, Slot, Turn};
use crate::steps::{self, Step};
use crate::transaction::pending;

/// A call that waits for its index.
pub struct Waiter<'a> {
    /// Where that is.
    pub path: &'a Path,
    /// The lock that it takes for itself.
    pub own: FileLock,
    /// When its wait has begun.
    pub since: Instant,
    /// How long it waits from then on.
    pub timeout: Duration,
    /// Ends the wait.
    pub cancel: &'a Cancel,
}

impl Waiter<'_> {
    /// Waits for the turn and for the lock, without a thread, and without keeping the directory open.
    ///
    /// # Errors
    /// [`ErrorKind::LockTimeout`] when its time is over; [`ErrorKind::Aborted`]; those of
    /// [`IndexLock::try_acquire`].
    pub async fn open(mut self, wait: Wait) -> Result<Waited> {
        let turn = match wait {
            Wait::Lock(turn) => turn,
            Wait::Turn(place) => match enqueue(place, self.timeout, self.cancel, &mut self.since).await? {
                Some(Called::Turn(turn)) => turn,
                Some(Called::Follower) => return Ok(Waited::Follower),
                None => return Err(self.timed_out(self.since.elapsed(), Blocker::EarlierCall).await),
            },
        };
        self.lock(turn).await
    }

    /// As [`Waiter::open`], for calls that have had an index and that no other may take along.
    ///
    /// # Errors
    /// As [`Waiter::open`].
    pub async fn reopen(self, again: Again) -> Result<Waited> {
        let turn = match again {
            Again::Lock(turn) => turn,
            Again::Turn(mut place) => tokio::select! {
                biased;
                turn = place.turn() => turn?,
                () = self.cancel.cancelled() => return Err(ErrorKind::Aborted.into()),
                () = tokio::time::sleep(self.timeout.saturating_sub(self.since.elapsed())) => {
                    return Err(self.timed_out(self.since.elapsed(), Blocker::EarlierCall).await);
                }
            },
        };
        self.lock(turn).await
    }

    async fn lock(self, turn: Turn) -> Result<Waited> {
        let _during = steps::begin(Step::Lock);
        let mut wait = Backoff::new(self.since, self.timeout);
        loop {
            let pause = wait.pause();
            let obstacle = match look(self.path, &turn, self.own, pause.is_ok(), &mut None) {
                Ok(Look::Ours(lock, target)) => return Ok(Waited::Open(IndexFile::new(lock, turn, target))),
                Ok(Look::Elsewhere) => return Ok(Waited::Elsewhere),
                Ok(Look::Busy) => None,
                Err(error) if error.is_transient() => Some(error),
                Err(error) => return Err(error),
            };
            let pause = match (pause, obstacle) {
                (Ok(pause), _) => pause,
                // A lack of descriptors was in the way, and not the lock.
                (Err(_), Some(error)) => return Err(error),
                (Err(waited), None) => return Err(self.timed_out(waited, share::blocker()).await),
            };
            self.cancel.sleep(pause).await?;
        }
    }

    async fn timed_out(&self, waited: Duration, blocker: Blocker) -> Error {
        Timeout::ask(waited, blocker, self.path).await.into()
    }
}

/// Waits in the queue until it is the call's turn; `None` after `timeout`. `since` becomes the beginning of its wait for this
/// index, and not for other calls' paths.
///
/// # Errors
/// [`ErrorKind::Aborted`], [`ErrorKind::Reentrant`].
pub async fn enqueue(
    mut place: FollowerPlace,
    timeout: Duration,
    cancel: &Cancel,
    since: &mut Instant,
) -> Result<Option<Called>> {
    let joined = tokio::select! {
        () = place.joined() => true,
        () = cancel.cancelled() => false,
    };
    *since = Instant::now();
    let gave_up = if joined {
        tokio::select! {
            // A turn that has come is taken, however short the timeout.
            biased;
            called = place.called() => match called {
                Ok(called) => return Ok(Some(called)),
                Err(error) => Some(error),
            },
            () = cancel.cancelled() => Some(ErrorKind::Aborted.into()),
            () = tokio::time::sleep(timeout) => None,
        }
    } else {
        Some(Error::from(ErrorKind::Aborted))
    };
    match (place.cancel(), gave_up) {
        // Another call runs this one's function already, and heeds its signal too.
        (Some(Called::Follower), _) => Ok(Some(Called::Follower)),
        (_, Some(error)) => Err(error),
        (_, None) => Ok(None),
    }
}

/// What a waiting call sees.
pub enum Look {
    /// It has the lock now.
    Ours(IndexLock, Target),
    /// Another process has it, or a transaction is to be over first.
    Busy,
    /// The directory was moved, or is gone: the next resolution makes it or reports it.
    Elsewhere,
}

/// Takes the lock for a call that has the turn, if it is free. It is left to others only while the call can wait, not at its
/// last look. `slot`: as [`IndexLock::try_with`] has it.
///
/// # Errors
/// Those of [`IndexLock::try_with`].
pub fn look(
    path: &Path,
    turn: &Turn,
    own: FileLock,
    can_wait: bool,
    slot: &mut Option<Slot>,
) -> Result<Look> {
    let target = match Target::resolve(path, Resolve { mkdir: false, exclusive: false }) {
        Ok(target) if target.key() == *turn.key() => target,
        Err(error) if error.is_transient() => return Err(error),
        _ => return Ok(Look::Elsewhere),
    };
    if pending::look(&target.dir)? == pending::Look::Busy {
        return Ok(Look::Busy);
    }
    let taking = if can_wait { Taking::Fairly } else { Taking::Now };
    Ok(match IndexLock::try_with(&target, own, taking, slot)? {
        Some(lock) => Look::Ours(lock, target),
        None => Look::Busy,
    })
}

/// What came of waiting for an index.
#[derive(Debug)]
pub enum Waited {
    /// It is ours.
    Open(IndexFile),
    /// The path means another file by now.
    Elsewhere,
    /// Another call does this one's work with its own.
    Follower,
}

/// What an update waits for.
#[derive(Debug)]
pub enum Wait {
    /// Its place in this process's queue; then for the lock.
    Turn(FollowerPlace),
    /// The lock; the turn has come.
    Lock(Turn),
}

/// What calls wait for that have had an index.
#[derive(Debug)]
pub enum Again {
    /// Their place in the queue of another one; then for its lock.
    Turn(Place),
    /// A new lock; the turn is that of both.
    Lock(Turn),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;
    use crate::process::inside::{Function, Inside};
    use crate::process::queue::tests::alone;
    use crate::process::{Key, Ticket};
    use crate::sys::FileId;

    /// Takes the next call along as soon as no future of the waiting call refers to this waker any more: between its
    /// decision to give up and its leaving the queue.
    struct TakesAlong<'a>(&'a Turn);

    impl Drop for TakesAlong<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.take_follower("index".as_ref(), |_| true), Some(2));
        }
    }

    impl Wake for TakesAlong<'static> {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_call_that_is_taken_along_while_it_is_refused_is_not_refused() {
        let _alone = alone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let key = Key::File(FileId::for_tests("taken along"), "index".into());
        let mut first = Ticket::take().join_as_follower(key.clone(), "index".into(), 1);
        let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
        let turn: &Turn = Box::leak(Box::new(turn));
        let function = Function::new(key.clone(), "index".into(), Inside::default());
        let ticket = Ticket::take().inside(function.inside());
        let second = ticket.join_as_follower(key, "index".into(), 2);

        let (cancel, mut since) = (Cancel::new(), Instant::now());
        let mut waiting = pin!(enqueue(second, Duration::from_secs(60), &cancel, &mut since));
        let waker = Waker::from(Arc::new(TakesAlong(turn)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        function.promised();
        let met = waiting.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(met, Poll::Ready(Ok(Some(Called::Follower)))), "{met:?}");
    }
}
