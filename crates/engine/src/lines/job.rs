//! An append on its way through workers: resolve the path, wait for turn and lock, append with all that wait for the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{ErrorKind, Result};
use crate::index::file::{IndexFile, Opening};
use crate::job::{After, Job, Step};
use crate::lines::append::{Done, append};
use crate::lines::bunch::Bunch;
pub use crate::lines::group::Outcome;
use crate::lines::group::{Group, Seat, Told, Wish};
use crate::lines::options::{AppendOptions, Torn};

use crate::lock::index_lock::FileLock;
use crate::lock::wait::{Again, Wait, Waited, Waiter};
use crate::lock::wait_time::WaitTime;
use crate::process::{Called, Inside, Ticket};
use crate::transaction::pending::{self, Look};

/// How often lines are appended anew because the directory was replaced meanwhile.
const MAX_MOVES: u32 = 64;

/// One append, for all calls that share it.
pub struct AppendJob {
    stage: Stage,
    origin: Origin,
}

/// Where the caller's path is to be followed from, and how.
struct Origin {
    path: PathBuf,
    mkdir: bool,
    network: bool,
    wait_time: WaitTime,
    /// What the call is made inside of.
    inside: Inside,
    moves: u32,
    /// What was set aside by now, in the directory that the lines go to.
    torn: Option<Torn>,
}

enum Stage {
    /// More calls may come, and their texts are to be encoded.
    Given(Ticket, Bunch, Arc<AppendOptions>, Cancel),
    Called(Ticket, Wish),
    /// It has turn and lock.
    Ready(IndexFile, Group),
    /// The directory is not at its place any more; the lines may be in it.
    Moved(Option<(IndexFile, Option<Done>)>, Group),
}

impl AppendJob {
    /// For calls of which the first has its rank among all of this process.
    pub fn new(path: PathBuf, bunch: Bunch, options: AppendOptions, ticket: Ticket, cancel: Cancel) -> Self {
        let AppendOptions { mkdir, network, timeout, .. } = options;
        let wait_time = WaitTime::new(Instant::now(), timeout);
        let origin =
            Origin { path, mkdir, network, wait_time, inside: ticket.made_inside(), moves: 0, torn: None };
        // How long each waits is no difference between calls that are made together.
        let options = Arc::new(AppendOptions { timeout: Duration::ZERO, ..options });
        Self { stage: Stage::Given(ticket, bunch, options, cancel), origin }
    }
}

impl Job for AppendJob {
    type Output = Outcome;

    fn run(self) -> Step<Self> {
        let Self { stage, origin } = self;
        match stage {
            Stage::Given(ticket, bunch, options, cancel) => match bunch.close() {
                Ok(lines) => origin.enqueue(ticket, Wish { lines, options, cancel }),
                Err(error) => Step::Done(Err(error)),
            },
            Stage::Called(ticket, wish) => origin.enqueue(ticket, wish),
            Stage::Ready(file, group) => origin.lead(file, group),
            Stage::Moved(old, group) => origin.follow(old, group),
        }
    }
}

impl Origin {
    fn at(self, stage: Stage) -> AppendJob {
        AppendJob { stage, origin: self }
    }

    fn ticket(&self) -> Ticket {
        Ticket::take().inside(self.inside.clone())
    }

    fn resolve(&self) -> Result<Target> {
        let target =
            Target::resolve(&self.path, Resolve { mkdir: self.mkdir, exclusive: false })?.to_write()?;
        match &target.dir.file_system().network {
            Some(name) if !self.network => Err(ErrorKind::NetworkFs { name: name.clone() }.into()),
            _ => Ok(target),
        }
    }

    fn enqueue(self, ticket: Ticket, wish: Wish) -> Step<AppendJob> {
        if let Err(error) = wish.cancel.check() {
            return Step::Done(Err(error));
        }
        let target = match ticket.follow(&self.path, || self.resolve()) {
            Ok(target) => target,
            Err(error) if error.is_transient() => {
                return Step::Again(self.at(Stage::Called(ticket, wish)), error);
            }
            Err(error) => return Step::Done(Err(error)),
        };
        let is_clear = match pending::look(&target.dir) {
            Ok(look) => look == Look::Clear,
            Err(error) => return Step::Again(self.at(Stage::Called(ticket, wish)), error),
        };
        let cancel = wish.cancel.clone();
        let seat = Seat::take(wish);
        let mut place = ticket.join_as_follower(target.key(), target.name.clone(), seat.id);
        // It looks again with its turn: so it keeps its place in the order of calls, and holds up none of other files.
        if !is_clear {
            return self.wait(seat, cancel, target.real_path(), Wait::Turn(place));
        }
        let turn = match place.try_called() {
            Some(Called::Turn(turn)) => turn,
            Some(Called::Follower) => return Step::Wait(Box::pin(self.told(seat))),
            None => return self.wait(seat, cancel, target.real_path(), Wait::Turn(place)),
        };
        match IndexFile::try_open(target, turn, FileLock::AsWell) {
            Ok(Opening::Open(file)) => match seat.leave() {
                Ok(wish) => self.lead(file, Group::of(wish)),
                Err(error) => Step::Done(Err(error)),
            },
            Ok(Opening::Busy(target, turn)) => self.wait(seat, cancel, target.real_path(), Wait::Lock(turn)),
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn wait(self, seat: Seat, cancel: Cancel, real: PathBuf, wait: Wait) -> Step<AppendJob> {
        Step::Wait(Box::pin(async move {
            let waiter = Waiter {
                path: &real,
                own: FileLock::AsWell,
                since: Instant::now(),
                timeout: self.wait_time.left(),
                cancel: &cancel,
            };
            match waiter.open(wait).await {
                Ok(Waited::Open(file)) => {
                    seat.leave().map(|wish| self.at(Stage::Ready(file, Group::of(wish)))).into()
                }
                Ok(Waited::Elsewhere) => seat.leave().and_then(|wish| self.elsewhere(wish)).into(),
                Ok(Waited::Follower) => self.told(seat).await,
                Err(error) => After::Done(Err(self.wait_time.told(error))),
            }
        }))
    }

    /// The directory was replaced while the call has waited.
    fn elsewhere(mut self, wish: Wish) -> Result<AppendJob> {
        self.wait_time.elsewhere(&self.path)?;
        let ticket = self.ticket();
        Ok(self.at(Stage::Called(ticket, wish)))
    }

    /// Waits for the call that has taken this one along.
    async fn told(self, seat: Seat) -> After<AppendJob> {
        match seat.told().await {
            Ok(Told::Done(outcome)) => After::Done(Ok(outcome)),
            Ok(Told::Again(wish)) => {
                let ticket = self.ticket();
                After::Run(self.at(Stage::Called(ticket, wish)))
            }
            Err(error) => After::Done(Err(error)),
        }
    }

    fn lead(mut self, file: IndexFile, mut group: Group) -> Step<AppendJob> {
        // After a move the others have been written once already, and go on.
        if self.moves == 0
            && let Err(error) = group.cancel().check()
        {
            return Step::Done(Err(error));
        }
        group.gather(&file);
        group.begun = true;
        let torn = &mut self.torn;
        let work = || append(file.target(), &group.text()?, group.options(), torn);
        let done = match group.measure(work) {
            Err(error) if error.is_transient() => {
                group.begun = false;
                return Step::Again(self.at(Stage::Ready(file, group)), error);
            }
            done => done,
        };
        if let Some(torn) = &mut self.torn
            && let Some(name) = torn.path.file_name()
        {
            torn.path = file.target().named(name.to_owned()).path_beside(&self.path);
        }
        let is_gone = file.target().is_moved();
        match done {
            Ok(done) if is_gone => self.follow(Some((file, Some(done))), group),
            // The directory is gone, and with it what was missing.
            Err(error) if is_gone && !error.committed() && self.moves < MAX_MOVES => {
                drop(error);
                self.follow(Some((file, None)), group)
            }
            done => {
                // The lock is free before a caller hears of it.
                drop(file);
                self.over(group, done)
            }
        }
    }

    /// Appends once more, to the file that the caller's path means now: the other one is in an old directory, where nobody
    /// reads it.
    fn follow(mut self, old: Option<(IndexFile, Option<Done>)>, mut group: Group) -> Step<AppendJob> {
        group.begun = false;
        let target = match self.resolve() {
            Ok(target) => target,
            Err(error) if error.is_transient() => {
                return Step::Again(self.at(Stage::Moved(old, group)), error);
            }
            Err(error) => return self.over(group, Err(error)),
        };
        let old = match old {
            // It was moved, and so was a link on the caller's path, which leads there again.
            Some((file, Some(done))) if *file.key() == target.key() => {
                drop(file);
                return self.over(group, Ok(done));
            }
            old => old,
        };
        if self.moves >= MAX_MOVES {
            return self.over(group, Err(moved()));
        }
        self.moves += 1;
        self.torn = None;
        // Before the turn is passed on, and so before all calls that wait for it.
        let again = Again::Turn(self.ticket().join(target.key()));
        drop(old);
        let real = target.real_path();
        Step::Wait(Box::pin(async move {
            let waiter = Waiter {
                path: &real,
                own: FileLock::AsWell,
                since: Instant::now(),
                timeout: self.wait_time.timeout,
                cancel: &Cancel::default(),
            };
            let stage = match waiter.reopen(again).await {
                Ok(Waited::Open(file)) => Stage::Ready(file, group),
                Ok(_) => Stage::Moved(None, group),
                Err(error) => return After::Done(Ok(group.settle(Err(error), None))),
            };
            After::Run(self.at(stage))
        }))
    }

    fn over(self, group: Group, done: Result<Done>) -> Step<AppendJob> {
        Step::Done(Ok(group.settle(done, self.torn)))
    }
}
