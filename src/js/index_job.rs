//! The two halves of an index update that run on workers: up to the call of the user's function, and
//! from its result on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::data::Data;
use super::error::Failure;
use super::task::{Job, Step};
use crate::engine::cancel::Cancel;
use crate::engine::commit::Receipt;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::index::{IndexFile, Opening, Snapshot, UpdateOptions, Wait};
use crate::engine::json::{self, Layout};
use crate::engine::queue::Ticket;
use crate::engine::target::{Resolve, Target};

/// An index in our hands, and what it says.
pub struct Opened {
    index: IndexFile,
    /// `None` without a file.
    pub snapshot: Option<Snapshot>,
    /// How its text is laid out.
    pub layout: Layout,
    /// When the call was made.
    since: Instant,
    /// From then until the index was ours.
    pub waited: Duration,
}

/// From the call to the parsed index.
pub struct OpenJob {
    stage: Stage,
    mkdir: bool,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

enum Stage {
    Called(PathBuf, Ticket),
    Open(IndexFile, Duration),
    /// What is waited for is with the future.
    Waiting,
}

impl OpenJob {
    /// For a call made at `since`.
    pub fn new(
        path: PathBuf,
        mkdir: bool,
        ticket: Ticket,
        since: Instant,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        Self { stage: Stage::Called(path, ticket), mkdir, since, timeout, cancel }
    }

    fn wait(mut self, path: PathBuf, real: PathBuf, wait: Wait) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            self.stage = match IndexFile::open(&real, wait, self.timeout, &self.cancel).await? {
                Some(index) => Stage::Open(index, self.since.elapsed()),
                None => Stage::Called(path, Ticket::take()),
            };
            Ok(self)
        }))
    }
}

impl Job for OpenJob {
    type Output = Opened;

    fn run(mut self) -> Step<Self> {
        if let Err(error) = self.cancel.check() {
            return Step::Done(Err(error.into()));
        }
        let (index, waited) = match self.stage {
            Stage::Open(index, waited) => (index, waited),
            Stage::Waiting => {
                return Step::Done(Err(ErrorKind::Panic("an update ran while it waited".into()).into()));
            }
            Stage::Called(path, ticket) => {
                let target = match Target::resolve(&path, Resolve { mkdir: self.mkdir, exclusive: false }) {
                    Ok(target) => target,
                    Err(error) if error.is_passing() => {
                        self.stage = Stage::Called(path, ticket);
                        return Step::Again(self, error);
                    }
                    Err(error) => return Step::Done(Err(error.into())),
                };
                let mut place = ticket.join(target.key());
                self.stage = Stage::Waiting;
                let Some(turn) = place.try_turn() else {
                    return self.wait(path, target.real_path(), Wait::Turn(place));
                };
                match IndexFile::try_open(target, turn) {
                    Ok(Opening::Open(index)) => (index, self.since.elapsed()),
                    Ok(Opening::Busy(target, turn)) => {
                        return self.wait(path, target.real_path(), Wait::Lock(turn));
                    }
                    Err(error) => return Step::Done(Err(error.into())),
                }
            }
        };
        match Opened::read(index, self.since, waited).map_err(|failed| *failed) {
            Ok(opened) => Step::Done(Ok(opened)),
            Err((index, error)) if error.is_passing() => {
                self.stage = Stage::Open(index, waited);
                Step::Again(self, error)
            }
            Err((_, error)) => Step::Done(Err(error.into())),
        }
    }
}

impl Opened {
    fn read(index: IndexFile, since: Instant, waited: Duration) -> Result<Self, Box<(IndexFile, Error)>> {
        match index.read() {
            Ok(snapshot) => {
                let layout =
                    snapshot.as_ref().map(|snapshot| json::layout(&snapshot.text)).unwrap_or_default();
                Ok(Self { index, snapshot, layout, since, waited })
            }
            Err(error) => Err(Box::new((index, error))),
        }
    }
}

/// From the new text to the disk.
pub struct CommitJob {
    opened: Opened,
    text: Text,
    options: UpdateOptions,
    deadline: Option<Instant>,
    cancel: Cancel,
}

enum Text {
    Given(Data),
    Encoded(Vec<u8>),
}

/// What came of a commit.
pub enum Committed {
    /// The file holds the text.
    Written(Receipt),
    /// Somebody without the lock was faster: the index as it is now.
    Changed(Box<Opened>),
}

impl CommitJob {
    /// `text` is to replace the snapshot in `opened`.
    pub fn new(
        opened: Opened,
        text: Data,
        options: UpdateOptions,
        deadline: Option<Instant>,
        cancel: Cancel,
    ) -> Self {
        Self { opened, text: Text::Given(text), options, deadline, cancel }
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(mut self) -> Step<Self> {
        let text = match self.text {
            Text::Given(data) => match data.into_bytes() {
                Ok(text) => text,
                Err(failure) => return Step::Done(Err(failure)),
            },
            Text::Encoded(text) => text,
        };
        let Opened { index, snapshot, since, .. } = &self.opened;
        match index.replace(&text, snapshot.as_ref(), &self.options, &self.cancel) {
            Ok(Some(receipt)) => Step::Done(Ok(Committed::Written(receipt))),
            Ok(None) if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                Step::Done(Err(ErrorKind::LockTimeout { waited: since.elapsed() }.into()))
            }
            Ok(None) => {
                Step::Done(match Opened::read(self.opened.index, self.opened.since, self.opened.waited) {
                    Ok(opened) => Ok(Committed::Changed(Box::new(opened))),
                    Err(failed) => Err(failed.1.into()),
                })
            }
            Err(error) if error.is_passing() => {
                self.text = Text::Encoded(text);
                Step::Again(self, error)
            }
            Err(error) => Step::Done(Err(Failure::from(error))),
        }
    }
}

/// Gives an index back, on a worker: removing the lock file is I/O too.
pub struct Release(pub Opened);

impl Job for Release {
    type Output = ();

    fn run(self) -> Step<Self> {
        drop(self.0);
        Step::Done(Ok(()))
    }
}
