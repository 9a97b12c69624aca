//! Indexes that stay locked over several steps: they are read, something is computed, and they are written.
//!
//! The lock and the turn are those of an update, so nothing that respects them comes between. Calls on a held index queue
//! for a key of its own: they run in their order, and updates share a commit, as if each had come to the index by its
//! path. Nothing waits in a thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::error::{Advice, Error, ErrorKind};
use crate::index::file::{IndexFile, UpdateOptions};
use crate::index::job::{Come, Opened, Origin};
use crate::job::{After, Job, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::outliving::Outliving;
use crate::lock::wait;
use crate::process::{CallId, Called, FollowerPlace, Key, Place, Slot, Ticket};
use crate::write::committing::Committing;

/// An index that is locked until this is dropped.
#[derive(Debug)]
pub struct Hold {
    index: IndexFile,
    /// What calls on it queue for.
    line: Key,
    _slot: Slot,
    _outliving: Outliving,
}

impl Hold {
    pub(super) fn new(index: IndexFile, slot: Slot) -> Self {
        static ISSUED: AtomicU64 = AtomicU64::new(0);
        let number = ISSUED.fetch_add(1, Ordering::Relaxed);
        let outliving = Outliving::new(index.key().clone());
        Self { index, line: Key::Object(format!("lock {number}")), _slot: slot, _outliving: outliving }
    }

    /// Which file it is.
    pub fn key(&self) -> &Key {
        self.index.key()
    }

    /// Whether a blocking call that has found the index free still writes it: that ends before anything is done under the lock. No
    /// other such call begins.
    pub(super) fn is_being_written(&self) -> bool {
        Committing::is_under_way(self.key())
    }

    /// What calls on it queue for.
    pub fn line(&self) -> &Key {
        &self.line
    }

    pub(super) fn path(&self) -> &Path {
        self.index.path()
    }
}

/// From a call on a held index to what it says.
pub struct EnterJob {
    hold: Arc<Hold>,
    stage: Entering,
    origin: Origin,
    since: Instant,
    cancel: Cancel,
}

enum Entering {
    InLine(FollowerPlace),
    Entered(IndexFile, Duration),
    /// What is waited for is with the future.
    Waiting,
}

impl EnterJob {
    /// For the call `id`, made at `since`, whose place in the order of calls is that of `ticket`.
    pub fn new(
        hold: Arc<Hold>,
        id: CallId,
        options: UpdateOptions,
        ticket: Ticket,
        since: Instant,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        let origin = Origin {
            path: hold.path().to_owned(),
            options,
            timeout,
            inside: ticket.made_inside(),
            patches: Vec::new(),
        };
        let place = ticket.join_as_follower(hold.line.clone(), hold.index.name().to_owned(), id);
        Self { hold, stage: Entering::InLine(place), origin, since, cancel }
    }

    fn wait(mut self, place: FollowerPlace) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            let (mut since, timeout) = (self.since, self.origin.timeout);
            match wait::enqueue(place, timeout, &self.cancel, &mut since).await {
                Ok(Some(Called::Turn(turn))) => {
                    self.stage = Entering::Entered(self.hold.index.lend(turn), self.since.elapsed());
                    After::Run(self)
                }
                Ok(Some(Called::Follower)) => After::Done(Ok(Come::Follower)),
                Ok(None) => {
                    let timeout = Timeout::ask(since.elapsed(), Blocker::EarlierCall, self.hold.path()).await;
                    After::Done(Err(timeout.into()))
                }
                Err(error) => After::Done(Err(error)),
            }
        }))
    }
}

impl Job for EnterJob {
    type Output = Come;

    fn run(mut self) -> Step<Self> {
        let (index, waited) = match std::mem::replace(&mut self.stage, Entering::Waiting) {
            Entering::InLine(mut place) => match place.try_called() {
                Some(Called::Turn(turn)) => (self.hold.index.lend(turn), self.since.elapsed()),
                Some(Called::Follower) => return Step::Done(Ok(Come::Follower)),
                None => return self.wait(place),
            },
            Entering::Entered(index, waited) => (index, waited),
            Entering::Waiting => {
                return Step::Done(Err(ErrorKind::Panic("a call ran while it waited".into()).into()));
            }
        };
        if let Err(error) = self.cancel.check().and_then(|()| index.check_place()) {
            return Step::Done(Err(error));
        }
        match Opened::read(index, waited, self.origin).map_err(|failed| *failed) {
            Ok(opened) => Step::Done(Ok(Come::Open(Box::new(opened)))),
            Err((index, origin, error)) if error.is_transient() => {
                self.stage = Entering::Entered(index, waited);
                self.origin = origin;
                Step::Again(self, error)
            }
            Err((_, _, error)) if error.is_link() => Step::Done(Err(error.advise(Advice::Linked))),
            Err((_, _, error)) => Step::Done(Err(error)),
        }
    }
}

/// Lets go of a held index, when its turn comes.
pub struct ReleaseJob {
    /// `None`: only the calls have it that were made before.
    hold: Option<Arc<Hold>>,
    /// `None`: the turn has come.
    place: Option<Place>,
}

impl ReleaseJob {
    /// After the calls in `line` that have been made before.
    pub fn new(hold: Option<Arc<Hold>>, line: Key, ticket: Ticket) -> Self {
        Self { hold, place: Some(ticket.join(line)) }
    }
}

impl Job for ReleaseJob {
    /// The index, if it is not let go of, and why.
    type Output = Option<(Option<Arc<Hold>>, Error)>;

    fn run(self) -> Step<Self> {
        let Self { hold, place } = self;
        let Some(mut place) = place else {
            drop(hold);
            return Step::Done(Ok(None));
        };
        let turn = place.try_turn();
        if turn.is_some() {
            drop(hold);
            return Step::Done(Ok(None));
        }
        Step::Wait(Box::pin(async move {
            match place.turn().await {
                // The lock is a file, so it is let go on a worker. No call comes after this one.
                Ok(_) => After::Run(Self { hold, place: None }),
                Err(error) => After::Done(Ok(Some((hold, error)))),
            }
        }))
    }
}
