//! Taking the locks of transactions.

use std::time::{Duration, Instant};

use super::find::transient;
use crate::cancel::Cancel;
use crate::error::{Advice, Error, ErrorKind, Result};
use crate::index::document::Operations;
use crate::index::file::{Snapshot, UpdateOptions};
use crate::index::text::Text;
use crate::job::{Job, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::share;
use crate::lock::sidecar::Taking;
use crate::process::{Gathering, Inside, Ticket, Turn};
use crate::stats;
use crate::steps;
use crate::sys;
use crate::transaction::recover::{self, Attempt};
use crate::transaction::session::{Seen, Session, Waiting};

/// Takes the turns of all files and the locks of the indexes, and reads these.
pub struct LockJob {
    session: Session,
    how: Lock,
    stage: Locking,
}

struct Lock {
    indexes: Vec<ToUpdate>,
    /// Files that were read before.
    seen: Vec<(usize, Seen)>,
    /// What the call is made inside of.
    inside: Inside,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

/// An index that is to be updated.
pub struct ToUpdate {
    /// Its position.
    pub at: usize,
    /// How it is read.
    pub options: UpdateOptions,
    /// What is to be applied to the text first.
    pub patch: Option<Operations>,
    /// The text that functions were given ahead of the locks.
    pub expected: Option<Text>,
}

enum Locking {
    Turns(Ticket),
    /// What this process may hold of locks. It holds none meanwhile, so that nobody who has some waits for another such.
    Slots(Gathering, Waiting),
    Locks(Vec<usize>, Waiting, bool),
}

/// What a transaction works on.
pub struct Locked {
    /// With all locks.
    pub session: Session,
    /// As the indexes.
    pub indexes: Vec<Result<Option<Snapshot>>>,
    /// The files among those that were read before which are not what they were.
    pub stale: Vec<usize>,
    /// Each index has the text that was expected of it.
    pub is_expected: bool,
    /// The name of an index has become a link since its path was followed: the lock is not that of the file to which it leads.
    pub is_linked: bool,
    /// From the call on.
    pub waited: Duration,
}

impl LockJob {
    /// For a group of transactions. The session holds nothing yet. Of an index that patches of its text come to, what the first of them needs
    /// is taken apart here.
    pub fn new(
        session: Session,
        indexes: Vec<ToUpdate>,
        seen: Vec<(usize, Seen)>,
        inside: Inside,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        let ticket = Ticket::take().inside(inside.clone());
        let how = Lock { indexes, seen, inside, since: Instant::now(), timeout, cancel };
        Self { session, how, stage: Locking::Turns(ticket) }
    }
}

impl Job for LockJob {
    type Output = Locked;

    fn run(self) -> Step<Self> {
        let Self { mut session, how, stage } = self;
        match stage {
            Locking::Turns(ticket) => {
                if !share::may_hold(how.indexes.len()) {
                    return Step::Done(Err(Error::raw("flock", sys::EMFILE).advise(Advice::ManyIndexes)));
                }
                // What is pending is recovered with nothing held.
                match recover::attempt_or_tell(&session.root) {
                    Err(error) if error.is_transient() => {
                        return Step::Again(Self { session, how, stage: Locking::Turns(ticket) }, error);
                    }
                    Err(error) => return Step::Done(Err(error)),
                    Ok(Attempt::Done(recovered)) => session.note(recovered),
                    Ok(Attempt::Live) => {}
                    Ok(Attempt::Held) => {
                        return Step::Wait(Box::pin(async move {
                            // Others do not wait for its place in the order of calls meanwhile.
                            drop(ticket);
                            let left = how.timeout.saturating_sub(how.since.elapsed());
                            let mut waiting = Waiting::new(Instant::now(), left);
                            let paused =
                                waiting.pause(Blocker::Lock, &session.root.lock_path(), &how.cancel).await;
                            let again = Ticket::take().inside(how.inside.clone());
                            paused.map(|()| Self { session, how, stage: Locking::Turns(again) }).into()
                        }));
                    }
                }
                // As a rule nobody has the files, and the worker goes on.
                let places = match ticket.join_all(session.keys()).try_turns() {
                    Ok(turns) => return how.with_turns(session, turns).run(),
                    Err(places) => places,
                };
                Step::Wait(Box::pin(async move {
                    let turns = tokio::select! {
                        turns = places.turns() => turns.map_err(|(_, error)| error),
                        () = how.cancel.cancelled() => Err(ErrorKind::Aborted.into()),
                        () = tokio::time::sleep(how.timeout) => {
                            Err(Timeout::new(how.timeout, Blocker::EarlierCall, None, &session.root.path).into())
                        }
                    };
                    turns.map(|turns| how.with_turns(session, turns)).into()
                }))
            }
            Locking::Slots(mut gathering, waiting) => match gathering.try_all() {
                Some(slots) => {
                    session.slots = slots;
                    let indexes = how.indexes.iter().map(|index| index.at).collect();
                    let is_last = how.timeout.is_zero();
                    Self { session, stage: Locking::Locks(indexes, waiting, is_last), how }.run()
                }
                None => {
                    let at = how.indexes.first().map(|index| index.at);
                    how.pause(session, waiting, Blocker::OwnLocks, at, |waiting| {
                        Locking::Slots(gathering, waiting)
                    })
                }
            },
            Locking::Locks(mut indexes, waiting, is_last) => {
                let during = steps::begin(steps::Step::Lock);
                let taking = if is_last { Taking::Now } else { Taking::Fairly };
                let locked = session.try_lock(&mut indexes, taking);
                drop(during);
                match locked {
                    Ok(true) => how.read(session),
                    Err(error) => Step::Done(Err(error)),
                    Ok(false) => {
                        let at = indexes.last().copied();
                        how.pause(session, waiting, Blocker::Lock, at, |waiting| {
                            Locking::Locks(indexes, waiting, false)
                        })
                    }
                }
            }
        }
    }
}

impl Lock {
    fn with_turns(self, mut session: Session, turns: Vec<Turn>) -> LockJob {
        session.turns = turns;
        let waiting = Waiting::new(self.since, self.timeout);
        let gathering = share::gather(self.indexes.len());
        LockJob { session, stage: Locking::Slots(gathering, waiting), how: self }
    }

    /// Comes back after a pause.
    fn pause(
        self,
        session: Session,
        mut waiting: Waiting,
        blocker: Blocker,
        at: Option<usize>,
        stage: impl FnOnce(Waiting) -> Locking + Send + 'static,
    ) -> Step<LockJob> {
        Step::Wait(Box::pin(async move {
            let _during = steps::begin(steps::Step::Lock);
            let index = at.map(|at| session.targets[at].real_path()).unwrap_or_default();
            let paused = waiting.pause(blocker, &index, &self.cancel).await;
            paused.map(|()| LockJob { session, how: self, stage: stage(waiting) }).into()
        }))
    }

    fn read(self, session: Session) -> Step<LockJob> {
        let mut indexes = Vec::new();
        let (mut is_expected, mut is_linked) = (true, false);
        for ToUpdate { at, options, patch, expected } in &self.indexes {
            match transient(session.read(*at, options)) {
                Ok(mut read) => {
                    is_linked |= read.as_ref().is_err_and(Error::is_link);
                    if let Some(expected) = expected {
                        is_expected &= matches!(&read, Ok(Some(now)) if now.is(expected));
                    }
                    if let (Ok(Some(Snapshot { text, fault: None, .. })), Some(patch)) = (&mut read, patch) {
                        text.prepare(patch.iter(), options.numbers);
                    }
                    indexes.push(read);
                }
                Err(error) => return again(session, self, error),
            }
        }
        let mut stale = Vec::new();
        for (at, seen) in &self.seen {
            match session.is_as_seen(*at, seen) {
                Ok(true) => {}
                Ok(false) => stale.push(*at),
                Err(error) if error.is_transient() => return again(session, self, error),
                Err(_) => stale.push(*at),
            }
        }
        let waited = self.since.elapsed();
        stats::waited(waited, 1);
        Step::Done(Ok(Locked { session, indexes, stale, is_expected, is_linked, waited }))
    }
}

fn again(session: Session, how: Lock, error: Error) -> Step<LockJob> {
    let waiting = Waiting::new(how.since, how.timeout);
    Step::Again(LockJob { session, stage: Locking::Locks(Vec::new(), waiting, false), how }, error)
}
