//! The half of an index update up to the call of the user's function.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind};
use crate::index::document::Operations;
use crate::index::file::{IndexFile, Opening, Snapshot, UpdateOptions};
use crate::index::layout::Layout;
use crate::job::{After, Job, Step};
use crate::lock::index_lock::FileLock;
use crate::lock::wait::{Wait, Waited, Waiter};
use crate::lock::wait_time::WaitTime;
use crate::process::{CallId, Called, Inside, Key, Ticket};
use crate::stats;
use crate::transaction::pending::{self, Look};

/// An index in our hands, and what it says.
pub struct Opened {
    pub(super) index: IndexFile,
    /// `None` without a file.
    pub snapshot: Option<Snapshot>,
    /// From the call until the index was ours.
    pub waited: Duration,
    pub(super) origin: Origin,
}

/// From the call to the parsed index.
pub struct OpenJob {
    id: CallId,
    stage: Stage,
    origin: Origin,
    wait_time: WaitTime,
    cancel: Cancel,
}

/// How a call comes to its index.
pub enum Come {
    /// It has it.
    Open(Box<Opened>),
    /// Another call has it, and runs this one's function too.
    Follower,
}

/// Where the caller's path is to be followed from, and how.
pub(super) struct Origin {
    pub path: PathBuf,
    pub options: UpdateOptions,
    pub timeout: Duration,
    /// What the call is made inside of.
    pub inside: Inside,
    /// What its patches are made of.
    pub patches: Vec<Operations>,
}

impl Origin {
    /// How many calls it is.
    fn calls(&self) -> usize {
        self.patches.len().max(1)
    }

    pub(super) fn resolve(&self) -> Result<Target, Error> {
        let target = Target::resolve(&self.path, Resolve { mkdir: self.options.mkdir, exclusive: false })?
            .to_write()?;
        match &target.dir.file_system().network {
            Some(name) if !self.options.network => Err(ErrorKind::NetworkFs { name: name.clone() }.into()),
            _ => Ok(target),
        }
    }
}

enum Stage {
    Called(Ticket),
    Open(IndexFile, Duration),
    /// What is waited for is with the future.
    Waiting,
}

impl OpenJob {
    /// For the call `id`, made at `since`.
    pub fn new(
        id: CallId,
        path: PathBuf,
        options: UpdateOptions,
        ticket: Ticket,
        since: Instant,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        let origin = Origin { path, options, timeout, inside: ticket.made_inside(), patches: Vec::new() };
        Self { id, stage: Stage::Called(ticket), origin, wait_time: WaitTime::new(since, timeout), cancel }
    }

    /// For a call that is made of patches: what they need of the text is taken apart on the worker that reads it.
    #[must_use]
    pub fn of_patches(mut self, patches: Vec<Operations>) -> Self {
        self.origin.patches = patches;
        self
    }

    fn wait(mut self, real: PathBuf, wait: Wait) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            let waiter = Waiter {
                path: &real,
                own: FileLock::of_update(self.origin.options.commit.in_place),
                since: Instant::now(),
                timeout: self.wait_time.left(),
                cancel: &self.cancel,
            };
            match waiter.open(wait).await {
                Ok(Waited::Open(index)) => {
                    self.stage = Stage::Open(index, self.wait_time.since.elapsed());
                    After::Run(self)
                }
                Ok(Waited::Elsewhere) => self.again().into(),
                Ok(Waited::Follower) => After::Done(Ok(Come::Follower)),
                Err(error) => After::Done(Err(self.wait_time.told(error))),
            }
        }))
    }

    /// The path leads elsewhere by now.
    fn again(mut self) -> Result<Self, Error> {
        self.wait_time.elsewhere(&self.origin.path)?;
        self.stage = Stage::Called(Ticket::take().inside(self.origin.inside.clone()));
        Ok(self)
    }
}

impl Job for OpenJob {
    type Output = Come;

    fn run(mut self) -> Step<Self> {
        if let Err(error) = self.cancel.check() {
            return Step::Done(Err(error));
        }
        let (index, waited) = match mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Open(index, waited) => (index, waited),
            Stage::Waiting => {
                return Step::Done(Err(ErrorKind::Panic("an update ran while it waited".into()).into()));
            }
            Stage::Called(ticket) => {
                let target = match ticket.follow(&self.origin.path, || self.origin.resolve()) {
                    Ok(target) => target,
                    Err(error) if error.is_transient() => {
                        self.stage = Stage::Called(ticket);
                        return Step::Again(self, error);
                    }
                    Err(error) => return Step::Done(Err(error)),
                };
                let is_clear = match pending::look(&target.dir) {
                    Ok(look) => look == Look::Clear,
                    Err(error) => {
                        self.stage = Stage::Called(ticket);
                        return Step::Again(self, error);
                    }
                };
                let ticket = ticket.counted(self.wait_time.since, self.origin.calls());
                let mut place = ticket.join_as_follower(target.key(), target.name.clone(), self.id);
                // It looks again with its turn: so it keeps its place in the order of calls, and holds up none of other files.
                if !is_clear {
                    return self.wait(target.real_path(), Wait::Turn(place));
                }
                let turn = match place.try_called() {
                    Some(Called::Turn(turn)) => turn,
                    Some(Called::Follower) => return Step::Done(Ok(Come::Follower)),
                    None => return self.wait(target.real_path(), Wait::Turn(place)),
                };
                let own = FileLock::of_update(self.origin.options.commit.in_place);
                match IndexFile::try_open(target, turn, own) {
                    Ok(Opening::Open(index)) => (index, self.wait_time.since.elapsed()),
                    Ok(Opening::Busy(target, turn)) => {
                        return self.wait(target.real_path(), Wait::Lock(turn));
                    }
                    Err(error) => return Step::Done(Err(error)),
                }
            }
        };
        match Opened::read(index, waited, self.origin).map_err(|failed| *failed) {
            // Without a file, it may be that its whole directory was replaced and removed.
            Ok(Opened { index, snapshot: None, origin, .. }) if index.is_moved() => {
                self.origin = origin;
                let again = self.again();
                // Not before this call has its next place, which is before those of all calls that wait for the turn.
                drop(index);
                again.map_or_else(|error| Step::Done(Err(error)), Job::run)
            }
            // It has become a link since its path was followed.
            Err((index, origin, error)) if index.is_linked(&error) => {
                self.origin = origin;
                let again = self.again();
                // Not before this call has its next place, which is before those of all calls that wait for the turn.
                drop(index);
                again.map_or_else(|error| Step::Done(Err(error)), Job::run)
            }
            Ok(opened) => {
                stats::waited(waited, opened.origin.calls());
                Step::Done(Ok(Come::Open(Box::new(opened))))
            }
            Err((index, origin, error)) if error.is_transient() => {
                self.stage = Stage::Open(index, waited);
                self.origin = origin;
                Step::Again(self, error)
            }
            Err((_, _, error)) => Step::Done(Err(error)),
        }
    }
}

impl Opened {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.index.path()
    }

    /// How the next text is to be laid out.
    pub fn layout(&self) -> Layout {
        self.snapshot.as_ref().map(|snapshot| snapshot.text.layout.clone()).unwrap_or_default()
    }

    /// What calls would wait for that are made while a function has it.
    pub fn keys(&self) -> Arc<[Key]> {
        self.index.keys()
    }

    /// Whether another call of this process waits for it.
    pub fn is_wanted(&self) -> bool {
        self.index.turn().is_wanted()
    }

    /// Takes the next call along as a follower, if it is `wanted`.
    pub fn take_follower(&self, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        self.index.turn().take_follower(self.index.name(), wanted)
    }

    pub(super) fn read(
        index: IndexFile,
        waited: Duration,
        origin: Origin,
    ) -> Result<Self, Box<(IndexFile, Origin, Error)>> {
        match index.read(&origin.options) {
            Ok(mut snapshot) => {
                if let Some(Snapshot { text, fault: None, .. }) = &mut snapshot
                    && !origin.patches.is_empty()
                {
                    text.prepare(origin.patches.iter().flat_map(|patch| &**patch), origin.options.numbers);
                }
                Ok(Self { index, snapshot, waited, origin })
            }
            Err(error) => Err(Box::new((index, origin, error))),
        }
    }
}
