//! Taking the locks of several indexes, to keep them over several steps.
//!
//! The turns are taken all at once, and then the locks in one order for all, that of transactions: so no two calls of
//! whatever processes wait for each other. What a call keeps while it waits is turns and locks, but no directory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::IndexFile;
use crate::index::hold::Hold;
use crate::job::{After, Job, Step};
use crate::lock::backoff::Backoff;
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::index_lock::FileLock;
use crate::lock::order;
use crate::lock::share;
use crate::lock::wait::{Look, look};
use crate::process::{DescriptorBudget, Gathering, Inside, Key, Places, Slot, Ticket, Turn};
use crate::stats;
use crate::sys;
use crate::transaction::pending;

/// The indexes that are held. Updates keep as many descriptors for their own locks, or held ones could stop them all.
pub(super) static HELD: DescriptorBudget = DescriptorBudget::one_in(16);

/// How long to wait until the next look at what another call is to give back, or to recover.
const PAUSE: Duration = Duration::from_millis(5);

/// How to take the locks.
pub struct HoldOptions {
    /// Make missing directories.
    pub mkdir: bool,
    /// The indexes may be on a network file system.
    pub network: bool,
    /// They may be overwritten in place.
    pub in_place: bool,
    /// From when the call has joined the queues of all.
    pub timeout: Duration,
    /// The caller's.
    pub cancel: Cancel,
}

/// Takes the locks of all, or of none.
pub struct HoldJob {
    paths: Vec<PathBuf>,
    options: HoldOptions,
    /// What the call is made inside of.
    inside: Inside,
    since: Instant,
    stage: Stage,
}

enum Stage {
    Called(Ticket),
    Locking(Locking),
    /// All are locked.
    Held(Vec<Hold>, Backoff),
    /// What is waited for is with the future.
    Waiting,
}

/// On the way from the turns to the locks.
struct Locking {
    /// From the last to the first, which is the next to be locked.
    to_lock: Vec<(usize, PathBuf, Arc<Turn>)>,
    held: Vec<(usize, IndexFile)>,
    /// No transaction is to be over first. That is waited for with no lock, because it may be waiting for one.
    is_clear: bool,
    /// Calls that wait for a turn have none, or they would keep it from those that can go on.
    shares: Shares,
    backoff: Backoff,
}

/// What this process may hold of locks, for all indexes of a call. It holds none before it has all of it: who holds some of its locks and
/// waits for the right to another one would keep this right from those who wait for one of these locks.
#[derive(Default)]
struct Shares {
    held: Option<Vec<Slot>>,
    gathering: Option<Gathering>,
    locks: Option<Vec<Slot>>,
}

impl Shares {
    /// Whether there is enough for so many.
    fn suffice(&mut self, count: usize) -> bool {
        self.held = self.held.take().or_else(|| HELD.take_all(count));
        if self.held.is_some() && self.locks.is_none() {
            self.locks = self.gathering.get_or_insert_with(|| share::gather(count)).try_all();
        }
        self.locks.is_some()
    }
}

/// An index whose turn is waited for.
struct Found {
    key: Key,
    path: PathBuf,
}

impl HoldJob {
    /// `ticket`: its place in the order of calls.
    pub fn new(paths: Vec<PathBuf>, options: HoldOptions, ticket: Ticket) -> Self {
        let inside = ticket.made_inside();
        Self { paths, options, inside, since: Instant::now(), stage: Stage::Called(ticket) }
    }

    /// Follows all paths.
    ///
    /// # Errors
    /// [`ErrorKind::Duplicate`], [`ErrorKind::NetworkFs`]; those of following a path. All of an entry, if there are several.
    fn find(&self, ticket: &Ticket) -> Result<Vec<Target>> {
        let mut targets: Vec<Target> = Vec::new();
        let mut known: HashMap<Key, Vec<usize>> = HashMap::new();
        for (at, path) in self.paths.iter().enumerate() {
            let how = Resolve { mkdir: self.options.mkdir, exclusive: false };
            let found = ticket.follow(path, || Target::resolve(path, how)?.to_write()).and_then(|target| {
                match &target.dir.file_system().network {
                    Some(name) if !self.options.network => {
                        return Err(ErrorKind::NetworkFs { name: name.clone() }.into());
                    }
                    _ => {}
                }
                // With one key are names that may be one.
                for first in known.get(&target.key()).into_iter().flatten() {
                    if targets[*first].name == target.name || targets[*first].is_same(&target)? {
                        return Err(ErrorKind::Duplicate { first: *first }.into());
                    }
                }
                Ok(target)
            });
            let target = found.map_err(|error| self.of(at, error))?;
            known.entry(target.key()).or_default().push(at);
            targets.push(target);
        }
        Ok(targets)
    }

    /// An error of one index.
    fn of(&self, at: usize, error: Error) -> Error {
        if self.paths.len() > 1 { error.of_entry(at) } else { error }
    }

    /// Begins again a little later, with a new place in the order of calls.
    fn begin_again(self) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            let (waited, timeout) = (self.since.elapsed(), self.options.timeout);
            if waited >= timeout {
                let path = self.paths.first().cloned().unwrap_or_default();
                return After::Done(Err(Timeout::ask(waited, Blocker::Lock, &path).await.into()));
            }
            let paused = self.options.cancel.sleep(PAUSE.min(timeout - waited)).await;
            paused
                .map(|()| {
                    let ticket = Ticket::take().inside(self.inside.clone());
                    Self { stage: Stage::Called(ticket), ..self }
                })
                .into()
        }))
    }

    fn called(mut self, ticket: Ticket) -> Step<Self> {
        if self.paths.len() > HELD.most() {
            return Step::Done(Err(Error::raw("flock", sys::EMFILE)));
        }
        let targets = match self.find(&ticket) {
            Ok(targets) => targets,
            Err(error) if error.is_transient() => {
                self.stage = Stage::Called(ticket);
                return Step::Again(self, error);
            }
            Err(error) => return Step::Done(Err(error)),
        };
        let is_clear = targets.iter().all(is_clear);
        let mut order: Vec<_> = (0..targets.len()).collect();
        order::sort(&mut order, &|at| targets[at].lock_order());
        let mut keys: Vec<_> = targets.iter().map(Target::key).collect();
        keys.sort();
        keys.dedup();
        let found = targets.iter().map(|target| Found { key: target.key(), path: target.real_path() });
        let found: Vec<_> = found.collect();
        drop(targets);
        let places = match ticket.join_all(keys.iter().cloned()).try_turns() {
            Ok(turns) => return self.with_turns(turns, Instant::now(), order, found, is_clear).run(),
            Err(places) => places,
        };
        Step::Wait(Box::pin(async move {
            let turns = self.wait_for_turns(places, &keys, &found).await;
            turns.map(|(turns, since)| self.with_turns(turns, since, order, found, is_clear)).into()
        }))
    }

    /// The turns, and since when the call has waited for these indexes, and not for other calls' paths.
    async fn wait_for_turns(
        &self,
        mut places: Places,
        keys: &[Key],
        found: &[Found],
    ) -> Result<(Vec<Turn>, Instant)> {
        let HoldOptions { timeout, cancel, .. } = &self.options;
        tokio::select! {
            () = places.joined() => {}
            () = cancel.cancelled() => return Err(ErrorKind::Aborted.into()),
        }
        let since = Instant::now();
        tokio::select! {
            // Turns that have come are taken, however short the timeout.
            biased;
            turns = places.turns() => match turns {
                Ok(turns) => Ok((turns, since)),
                Err((key, error)) => {
                    let of_key = |found: &Found| found.key == keys[key];
                    Err(self.of(found.iter().position(of_key).unwrap_or_default(), error))
                }
            },
            () = cancel.cancelled() => Err(ErrorKind::Aborted.into()),
            () = tokio::time::sleep(*timeout) => {
                let path = found.first().map(|found| found.path.clone()).unwrap_or_default();
                Err(Timeout::ask(since.elapsed(), Blocker::EarlierCall, &path).await.into())
            }
        }
    }

    fn with_turns(
        mut self,
        turns: Vec<Turn>,
        since: Instant,
        order: Vec<usize>,
        found: Vec<Found>,
        is_clear: bool,
    ) -> Self {
        let turns: HashMap<_, _> =
            turns.into_iter().map(|turn| (turn.key().clone(), Arc::new(turn))).collect();
        let wanted = order.into_iter().rev().filter_map(|at| {
            let Found { key, path } = &found[at];
            Some((at, path.clone(), turns.get(key)?.clone()))
        });
        let backoff = Backoff::new(since, self.options.timeout);
        self.stage = Stage::Locking(Locking {
            to_lock: wanted.collect(),
            held: Vec::new(),
            is_clear,
            shares: Shares::default(),
            backoff,
        });
        self
    }

    fn lock(self, mut locking: Locking) -> Step<Self> {
        while let Some((at, path, turn)) = locking.to_lock.last() {
            let at = *at;
            let pause = locking.backoff.pause();
            locking.is_clear = locking.is_clear || locking.look();
            let may_lock = locking.is_clear && locking.shares.suffice(self.paths.len());
            let looked = match &mut locking.shares.locks {
                Some(slots) if may_lock => {
                    let mut slot = slots.pop();
                    let own = FileLock::of_update(self.options.in_place);
                    let looked = look(path, turn, own, pause.is_ok(), &mut slot);
                    slots.extend(slot);
                    looked
                }
                _ => Ok(Look::Busy),
            };
            let obstacle = match looked {
                Ok(Look::Ours(lock, target)) => {
                    locking.held.push((at, IndexFile::new(lock, turn.clone(), target)));
                    locking.to_lock.pop();
                    continue;
                }
                Ok(Look::Elsewhere) => {
                    drop(locking);
                    return self.begin_again();
                }
                Ok(Look::Busy) => None,
                Err(error) if error.is_transient() => Some(error),
                Err(error) => return Step::Done(Err(self.of(at, error))),
            };
            let pause = match (pause, obstacle) {
                (Ok(pause), _) => pause,
                // A lack of descriptors was in the way, and not the lock.
                (Err(_), Some(error)) => return Step::Done(Err(self.of(at, error))),
                (Err(waited), None) => {
                    let path = path.clone();
                    let blocker =
                        if may_lock || !locking.is_clear { Blocker::Lock } else { Blocker::OwnLocks };
                    return Step::Wait(Box::pin(async move {
                        let timeout = Timeout::ask(waited, blocker, &path).await;
                        After::Done(Err(self.of(at, timeout.into())))
                    }));
                }
            };
            return Step::Wait(Box::pin(async move {
                let paused = self.options.cancel.sleep(pause).await;
                paused.map(|()| Self { stage: Stage::Locking(locking), ..self }).into()
            }));
        }
        let mut holds: Vec<Option<Hold>> = self.paths.iter().map(|_| None).collect();
        for ((at, index), slot) in locking.held.into_iter().zip(locking.shares.held.into_iter().flatten()) {
            holds[at] = Some(Hold::new(index, slot));
        }
        self.held(holds.into_iter().flatten().collect(), locking.backoff)
    }

    /// Waits for blocking calls that are in the midst of writing one of the indexes.
    fn held(self, holds: Vec<Hold>, mut backoff: Backoff) -> Step<Self> {
        let Some(at) = holds.iter().position(Hold::is_being_written) else {
            stats::waited(self.since.elapsed(), 1);
            return Step::Done(Ok(holds));
        };
        match backoff.pause() {
            Ok(pause) => Step::Wait(Box::pin(async move {
                let paused = self.options.cancel.sleep(pause).await;
                paused.map(|()| Self { stage: Stage::Held(holds, backoff), ..self }).into()
            })),
            Err(waited) => {
                let path = holds[at].path().to_owned();
                drop(holds);
                Step::Wait(Box::pin(async move {
                    let timeout = Timeout::ask(waited, Blocker::EarlierCall, &path).await;
                    After::Done(Err(self.of(at, timeout.into())))
                }))
            }
        }
    }
}

impl Locking {
    /// Whether no transaction is in the way of any index any more.
    fn look(&self) -> bool {
        self.to_lock.iter().all(|(_, path, _)| {
            // What cannot be found is for the look at its lock to say.
            let found = Target::resolve(path, Resolve { mkdir: false, exclusive: false });
            found.is_err() || found.is_ok_and(|target| is_clear(&target))
        })
    }
}

fn is_clear(target: &Target) -> bool {
    matches!(pending::look(&target.dir), Ok(pending::Look::Clear))
}

impl Job for HoldJob {
    type Output = Vec<Hold>;

    fn run(self) -> Step<Self> {
        if let Err(error) = self.options.cancel.check() {
            return Step::Done(Err(error));
        }
        let Self { paths, options, inside, since, stage } = self;
        let rest = |stage| Self { paths, options, inside, since, stage };
        match stage {
            Stage::Called(ticket) => rest(Stage::Waiting).called(ticket),
            Stage::Locking(locking) => rest(Stage::Waiting).lock(locking),
            Stage::Held(holds, backoff) => rest(Stage::Waiting).held(holds, backoff),
            Stage::Waiting => Step::Done(Err(ErrorKind::Panic("a call ran while it waited".into()).into())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
