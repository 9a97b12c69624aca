//! A removal on its way through workers: resolve the path, wait for the turn among the writes of the file, unlink, flush the
//! directory.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cancel::Cancel;
use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{ErrorKind, Named, Result};
use crate::job::{After, Job, Step};
use crate::process::{Inside, Ticket, Turn};
use crate::sys;
use crate::transaction::pending;
use crate::write::job::MAX_MOVES;
use crate::write::options::Receipt;
use crate::write::published::{Published, Settled};

/// One removal.
pub struct RemoveJob {
    stage: Stage,
    how: How,
}

struct How {
    path: PathBuf,
    flush: bool,
    cancel: Cancel,
    /// What the call is made inside of.
    inside: Inside,
    since: Instant,
    /// How often the directory was replaced meanwhile.
    moves: u32,
    /// There was a file in one of them.
    has_removed: bool,
}

enum Stage {
    Called(Ticket),
    /// It is our turn, for the file at the path without links.
    Ready(PathBuf, Turn),
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Removed {
    /// There was a file.
    pub removed: bool,
    /// It does not come back after a power cut.
    pub durable: bool,
}

impl RemoveJob {
    /// For a call that has its rank among all of this process. `flush`: the directory is flushed after it.
    pub fn new(path: PathBuf, ticket: Ticket, flush: bool, cancel: Cancel) -> Self {
        let inside = ticket.made_inside();
        let how = How { path, flush, cancel, inside, since: Instant::now(), moves: 0, has_removed: false };
        Self { stage: Stage::Called(ticket), how }
    }
}

impl Job for RemoveJob {
    type Output = Removed;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        if let Err(error) = how.cancel.check() {
            return Step::Done(Err(error));
        }
        let resolve = |path: &Path| Target::resolve(path, Resolve { mkdir: false, exclusive: false });
        let found = match &stage {
            Stage::Called(ticket) => ticket.follow(&how.path, || resolve(&how.path)),
            Stage::Ready(real, turn) => match resolve(real) {
                Ok(target) if target.key() == *turn.key() => Ok(target),
                _ => resolve(&how.path),
            },
        };
        let target = match found {
            Ok(target) => target,
            Err(error) if error.is_transient() => return Step::Again(Self { stage, how }, error),
            // Not even its directory is there.
            Err(error) if error.errno_of("open") == Some(sys::ENOENT) => return how.missing(),
            Err(error) => return Step::Done(Err(error)),
        };
        let is_clear = match pending::is_in_the_way(&target.dir, how.since) {
            Ok(is_in_the_way) => !is_in_the_way,
            Err(error) => return Step::Again(Self { stage, how }, error),
        };
        match stage {
            // If it is to look again, then with its turn: so it keeps its place in the order of calls, and holds up none of other files.
            Stage::Called(ticket) => how.enqueue(&target, ticket, is_clear),
            stage if !is_clear => how.pause(stage),
            Stage::Ready(_, turn) if *turn.key() == target.key() => how.unlink(&target, turn),
            Stage::Ready(..) => {
                let ticket = how.ticket();
                how.enqueue(&target, ticket, true)
            }
        }
    }
}

impl How {
    fn ticket(&self) -> Ticket {
        Ticket::take().inside(self.inside.clone())
    }

    /// Looks again at a transaction that is to be recovered first.
    fn pause(self, stage: Stage) -> Step<RemoveJob> {
        Step::Wait(Box::pin(async move {
            tokio::time::sleep(pending::PAUSE).await;
            After::Run(RemoveJob { stage, how: self })
        }))
    }

    /// `is_clear`: it may remove the file at once if that is free.
    fn enqueue(self, target: &Target, ticket: Ticket, is_clear: bool) -> Step<RemoveJob> {
        let mut place = ticket.join(target.key());
        if is_clear && let Some(turn) = place.try_turn() {
            return self.unlink(target, turn);
        }
        let real = target.real_path();
        Step::Wait(Box::pin(async move {
            tokio::select! {
                turn = place.turn() => {
                    turn.map(|turn| RemoveJob { stage: Stage::Ready(real, turn), how: self }).into()
                }
                () = self.cancel.cancelled() => After::Done(Err(ErrorKind::Aborted.into())),
            }
        }))
    }

    fn unlink(mut self, target: &Target, turn: Turn) -> Step<RemoveJob> {
        match unlink(target, self.flush) {
            Ok(Some(Settled::InPlace(receipt))) => {
                Step::Done(Ok(Removed { removed: true, durable: receipt.durable }))
            }
            Ok(Some(Settled::Moved(_))) => {
                self.has_removed = true;
                self.again(turn)
            }
            Ok(None) if target.is_moved() => self.again(turn),
            Ok(None) => self.missing(),
            Err(error) if error.errno_of("unlink").is_some_and(sys::is_transient) => {
                let stage = Stage::Ready(target.real_path(), turn);
                Step::Again(RemoveJob { stage, how: self }, error)
            }
            Err(error) => Step::Done(Err(error)),
        }
    }

    /// The directory is not at its place any more; there may be a file in the new one.
    fn again(mut self, turn: Turn) -> Step<RemoveJob> {
        if self.moves >= MAX_MOVES {
            return Step::Done(Err(moved()));
        }
        self.moves += 1;
        let next = RemoveJob { stage: Stage::Called(self.ticket()), how: self };
        drop(turn);
        next.run()
    }

    /// There is no file; but one was removed, if a directory was replaced after that. Another program may have removed it, and
    /// not have flushed that.
    fn missing(self) -> Step<RemoveJob> {
        Step::Done(Ok(Removed { removed: self.has_removed, durable: false }))
    }
}

/// `None`: there is no file.
fn unlink(target: &Target, flush: bool) -> Result<Option<Settled>> {
    if target.existing()?.is_none() {
        return Ok(None);
    }
    let before = flush.then(|| target.dir.failed_flushes());
    match target.dir.unlink(&target.name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
        unlinked => unlinked.named("unlink").map_err(|error| target.explain(error))?,
    }
    let receipt = Receipt { written: false, bytes: 0, durable: flush, verified: None, atomic: true };
    Published::new(receipt, target, before, None).settle().map(Some)
}
