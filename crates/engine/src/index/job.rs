//! The two halves of an index update that run on workers: up to the call of the user's function, and
//! from its result on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind};
use crate::index::file::{IndexFile, Opening, Snapshot, UpdateOptions};
use crate::index::group::Written;
use crate::index::layout::Layout;
use crate::job::{After, Job, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::index_lock::FileLock;
use crate::lock::wait::{self, Wait, Waited};
use crate::process::{CallId, Called, Inside, Key, Ticket};
use crate::stats;
use crate::transaction::pending::{self, Look};
use crate::write::{Receipt, Settled};

/// An index in our hands, and what it says.
pub struct Opened {
    pub(super) index: IndexFile,
    /// `None` without a file.
    pub snapshot: Option<Snapshot>,
    /// From the call until the index was ours.
    pub waited: Duration,
    origin: Origin,
}

/// How long to wait until the next look at a transaction that is to be recovered first.
const PAUSE: Duration = Duration::from_millis(1);

/// From the call to the parsed index.
pub struct OpenJob {
    id: CallId,
    stage: Stage,
    origin: Origin,
    since: Instant,
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
}

impl Origin {
    fn resolve(&self) -> Result<Target, Error> {
        let target = Target::resolve(&self.path, Resolve { mkdir: self.options.mkdir, exclusive: false })?;
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
        let origin = Origin { path, options, timeout, inside: ticket.made_inside() };
        Self { id, stage: Stage::Called(ticket), origin, since, cancel }
    }

    /// Looks again at a transaction that is to be recovered first.
    fn look_later(mut self, real: PathBuf) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            let waited = self.since.elapsed();
            if waited >= self.origin.timeout {
                return After::Done(Err(Timeout::ask(waited, Blocker::Lock, &real).await.into()));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.cancel.cancelled() => return After::Done(Err(ErrorKind::Aborted.into())),
            }
            self.stage = Stage::Called(Ticket::take().inside(self.origin.inside.clone()));
            After::Run(self)
        }))
    }

    fn followed(&self) -> Result<Come, Error> {
        stats::waited(self.since.elapsed());
        Ok(Come::Follower)
    }

    fn wait(mut self, real: PathBuf, wait: Wait) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            self.stage = match wait::open(
                &real,
                wait,
                FileLock::of_update(self.origin.options.commit.in_place),
                self.origin.timeout,
                &self.cancel,
            )
            .await
            {
                Ok(Waited::Open(index)) => Stage::Open(index, self.since.elapsed()),
                Ok(Waited::Elsewhere) => Stage::Called(Ticket::take().inside(self.origin.inside.clone())),
                Ok(Waited::Follower) => return After::Done(self.followed()),
                Err(error) => return After::Done(Err(error)),
            };
            After::Run(self)
        }))
    }
}

impl Job for OpenJob {
    type Output = Come;

    fn run(mut self) -> Step<Self> {
        if let Err(error) = self.cancel.check() {
            return Step::Done(Err(error));
        }
        let (index, waited) = match self.stage {
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
                match pending::look(&target.dir) {
                    Ok(Look::Clear) => {}
                    Ok(Look::Busy) => {
                        // Others do not wait for its place in the order of calls meanwhile.
                        drop(ticket);
                        self.stage = Stage::Waiting;
                        return self.look_later(target.real_path());
                    }
                    Err(error) => {
                        self.stage = Stage::Called(ticket);
                        return Step::Again(self, error);
                    }
                }
                let mut place = ticket.join_as_follower(target.key(), target.name.clone(), self.id);
                self.stage = Stage::Waiting;
                let turn = match place.try_called() {
                    Some(Called::Turn(turn)) => turn,
                    Some(Called::Follower) => return Step::Done(self.followed()),
                    None => return self.wait(target.real_path(), Wait::Turn(place)),
                };
                match IndexFile::try_open(
                    target,
                    turn,
                    FileLock::of_update(self.origin.options.commit.in_place),
                ) {
                    Ok(Opening::Open(index)) => (index, self.since.elapsed()),
                    Ok(Opening::Busy(target, turn)) => {
                        return self.wait(target.real_path(), Wait::Lock(turn));
                    }
                    Err(error) => return Step::Done(Err(error)),
                }
            }
        };
        match Opened::read(index, waited, self.origin).map_err(|failed| *failed) {
            Ok(opened) => {
                stats::waited(waited);
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

    /// Takes the next call along as a follower, if it is `wanted`.
    pub fn take_follower(&self, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        self.index.take_follower(wanted)
    }

    pub(super) fn read(
        index: IndexFile,
        waited: Duration,
        origin: Origin,
    ) -> Result<Self, Box<(IndexFile, Origin, Error)>> {
        match index.read(&origin.options) {
            Ok(snapshot) => Ok(Self { index, snapshot, waited, origin }),
            Err(error) => Err(Box::new((index, origin, error))),
        }
    }
}

/// From the new text to the disk.
pub struct CommitJob {
    stage: Committing,
    how: Commit,
}

struct Commit {
    options: UpdateOptions,
    keep: bool,
    cancel: Cancel,
}

enum Committing {
    Replace(Box<Opened>, Text),
    /// The directory is not at its place any more. `None`: and the index in it was given up.
    Moved(Origin, Duration, Option<(IndexFile, Receipt)>),
    /// The index that is there now is ours.
    Reopened(IndexFile, Origin, Duration),
}

enum Text {
    Given(Data),
    Encoded(Vec<u8>),
}

/// What came of a commit.
pub struct Committed {
    /// Of the write.
    pub written: Written<Outcome>,
    /// The index as it is now, if it is still to be changed.
    pub opened: std::result::Result<Opened, Outcome>,
}

/// What the calls are told that share a commit.
pub type Outcome = Arc<std::result::Result<Receipt, Error>>;

impl CommitJob {
    /// `text`, which is laid out here as far as `JSON.stringify` could not, is to replace the snapshot in `opened`.
    /// `keep`: the index is needed after that as well.
    pub fn new(opened: Opened, text: Data, options: UpdateOptions, keep: bool, cancel: Cancel) -> Self {
        let how = Commit { options, keep, cancel };
        Self { stage: Committing::Replace(Box::new(opened), Text::Given(text)), how }
    }
}

impl Commit {
    fn at(self, stage: Committing) -> CommitJob {
        CommitJob { stage, how: self }
    }

    fn replace(self, mut opened: Box<Opened>, text: Text) -> Step<CommitJob> {
        let layout = opened.layout();
        let text = match text {
            // Only a raw value can have one, and then JSON has no bytes for it.
            Text::Given(data) => data
                .into_bytes()
                .map(|text| layout.apply(text, self.options.space.as_ref()))
                .map_err(|_| ErrorKind::InvalidJson { reason: "a lone surrogate".to_owned() }.into()),
            Text::Encoded(text) => Ok(text),
        };
        let Opened { index, snapshot, .. } = &mut *opened;
        let settled = match text {
            Err(failure) => Err(failure),
            Ok(mut text) => match index.replace(&mut text, snapshot, &self.options, &self.cancel) {
                Err(error) if error.is_transient() => {
                    return Step::Again(self.at(Committing::Replace(opened, Text::Encoded(text))), error);
                }
                settled => settled,
            },
        };
        let Opened { index, waited, origin, .. } = *opened;
        let written = match settled {
            Ok(Some(Settled::InPlace(receipt))) => Written::Done(Arc::new(Ok(receipt))),
            // The lock of another index is none of the one that has it.
            Ok(Some(Settled::Moved(_))) if index.is_lent() => Written::Failed(Arc::new(Err(moved()))),
            Ok(Some(Settled::Moved(receipt))) => return self.follow(origin, waited, Some((index, receipt))),
            Ok(None) => Written::Changed,
            Err(failure) if failure.is_texts_fault() => Written::Invalid(Arc::new(Err(failure))),
            Err(failure) => Written::Failed(Arc::new(Err(failure))),
        };
        self.done(index, origin, waited, written)
    }

    /// Takes the index that the caller's path means now in the place of one that is in an old directory: what was written
    /// there counts for nothing, and the functions run again.
    fn follow(self, origin: Origin, waited: Duration, old: Option<(IndexFile, Receipt)>) -> Step<CommitJob> {
        let target = match origin.resolve() {
            Ok(target) => target,
            Err(error) if error.is_transient() => {
                return Step::Again(self.at(Committing::Moved(origin, waited, old)), error);
            }
            Err(error) => return Step::Done(Err(error)),
        };
        let old = match old {
            // It was moved, and so was a link on the caller's path, which leads there again.
            Some((index, receipt)) if *index.key() == target.key() => {
                return self.done(index, origin, waited, Written::Done(Arc::new(Ok(receipt))));
            }
            old => old,
        };
        // Before the turn is passed on, and so before all calls that wait for it.
        let place = Ticket::take().inside(origin.inside.clone()).join(target.key());
        drop(old);
        let real = target.real_path();
        Step::Wait(Box::pin(async move {
            let Origin { options, timeout, .. } = &origin;
            let reopened = wait::reopen(
                place,
                &real,
                FileLock::of_update(options.commit.in_place),
                *timeout,
                &self.cancel,
            )
            .await;
            let stage = match reopened {
                Ok(Waited::Open(index)) => Committing::Reopened(index, origin, waited),
                Ok(_) => Committing::Moved(origin, waited, None),
                Err(error) => return After::Done(Err(error)),
            };
            After::Run(self.at(stage))
        }))
    }

    fn done(
        self,
        index: IndexFile,
        origin: Origin,
        waited: Duration,
        written: Written<Outcome>,
    ) -> Step<CommitJob> {
        let opened = if self.keep || matches!(written, Written::Changed | Written::Invalid(_)) {
            Opened::read(index, waited, origin).map_err(|failed| failed.2)
        } else {
            // The caller does not look at it.
            Err(ErrorKind::Panic("an index was lost".into()).into())
        };
        let opened = opened.map_err(|failure| Arc::new(Err(failure)));
        Step::Done(Ok(Committed { written, opened }))
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        match stage {
            Committing::Replace(opened, text) => how.replace(opened, text),
            Committing::Moved(origin, waited, old) => how.follow(origin, waited, old),
            Committing::Reopened(index, origin, waited) => how.done(index, origin, waited, Written::Changed),
        }
    }
}

impl From<Error> for Committed {
    /// The job itself has failed, and the index is gone.
    fn from(error: Error) -> Self {
        let outcome = Arc::new(Err(error));
        Self { written: Written::Failed(outcome.clone()), opened: Err(outcome) }
    }
}
