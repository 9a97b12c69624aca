//! The two halves of an index update that run on workers: up to the call of the user's function, and
//! from its result on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind};
use crate::index::file::{IndexFile, Opening, Snapshot, UpdateOptions};
use crate::index::group::Written;
use crate::index::layout::Layout;
use crate::job::{After, Job, Step};
use crate::lock::wait::{self, Wait, Waited};
use crate::process::{CallId, Called, Ticket};
use crate::write::Receipt;

/// An index in our hands, and what it says.
pub struct Opened {
    index: IndexFile,
    /// `None` without a file.
    pub snapshot: Option<Snapshot>,
    /// From the call until the index was ours.
    pub waited: Duration,
}

/// From the call to the parsed index.
pub struct OpenJob {
    id: CallId,
    stage: Stage,
    options: UpdateOptions,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

/// How a call comes to its index.
pub enum Come {
    /// It has it.
    Open(Box<Opened>),
    /// Another call has it, and runs this one's function too.
    Follower,
}

enum Stage {
    Called(PathBuf, Ticket),
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
        Self { id, stage: Stage::Called(path, ticket), options, since, timeout, cancel }
    }

    fn wait(mut self, path: PathBuf, real: PathBuf, wait: Wait) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            self.stage =
                match wait::open(&real, wait, self.options.commit.in_place, self.timeout, &self.cancel).await
                {
                    Ok(Waited::Open(index)) => Stage::Open(index, self.since.elapsed()),
                    Ok(Waited::Elsewhere) => Stage::Called(path, Ticket::take()),
                    Ok(Waited::Follower) => return After::Done(Ok(Come::Follower)),
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
            Stage::Called(path, ticket) => {
                let target =
                    match Target::resolve(&path, Resolve { mkdir: self.options.mkdir, exclusive: false }) {
                        Ok(target) => target,
                        Err(error) if error.is_transient() => {
                            self.stage = Stage::Called(path, ticket);
                            return Step::Again(self, error);
                        }
                        Err(error) => return Step::Done(Err(error)),
                    };
                let mut place = ticket.join_as_follower(target.key(), target.name.clone(), self.id);
                self.stage = Stage::Waiting;
                let turn = match place.try_called() {
                    Some(Called::Turn(turn)) => turn,
                    Some(Called::Follower) => return Step::Done(Ok(Come::Follower)),
                    None => return self.wait(path, target.real_path(), Wait::Turn(place)),
                };
                match IndexFile::try_open(target, turn, self.options.commit.in_place) {
                    Ok(Opening::Open(index)) => (index, self.since.elapsed()),
                    Ok(Opening::Busy(target, turn)) => {
                        return self.wait(path, target.real_path(), Wait::Lock(turn));
                    }
                    Err(error) => return Step::Done(Err(error)),
                }
            }
        };
        match Opened::read(index, waited, &self.options).map_err(|failed| *failed) {
            Ok(opened) => Step::Done(Ok(Come::Open(Box::new(opened)))),
            Err((index, error)) if error.is_transient() => {
                self.stage = Stage::Open(index, waited);
                Step::Again(self, error)
            }
            Err((_, error)) => Step::Done(Err(error)),
        }
    }
}

impl Opened {
    /// How the next text is to be laid out.
    pub fn layout(&self) -> Layout {
        self.snapshot.as_ref().map(|snapshot| snapshot.layout.clone()).unwrap_or_default()
    }

    /// Takes the next call along as a follower, if it is `wanted`.
    pub fn take_follower(&self, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        self.index.take_follower(wanted)
    }

    fn read(
        index: IndexFile,
        waited: Duration,
        options: &UpdateOptions,
    ) -> Result<Self, Box<(IndexFile, Error)>> {
        match index.read(options) {
            Ok(snapshot) => Ok(Self { index, snapshot, waited }),
            Err(error) => Err(Box::new((index, error))),
        }
    }
}

/// From the new text to the disk.
pub struct CommitJob {
    opened: Opened,
    text: Text,
    options: UpdateOptions,
    keep: bool,
    cancel: Cancel,
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
    /// `text`, which is laid out here as far as `JSON.stringify` could not, is to replace the snapshot in `opened`. `keep`: the index is needed after that as well.
    pub fn new(opened: Opened, text: Data, options: UpdateOptions, keep: bool, cancel: Cancel) -> Self {
        Self { opened, text: Text::Given(text), options, keep, cancel }
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(mut self) -> Step<Self> {
        let layout = self.opened.layout();
        let Opened { index, snapshot, .. } = &mut self.opened;
        let text = match self.text {
            // Only a raw value can have one, and then JSON has no bytes for it.
            Text::Given(data) => data
                .into_bytes()
                .map(|text| layout.apply(text, self.options.space.as_ref()))
                .map_err(|_| ErrorKind::InvalidJson { reason: "a lone surrogate".to_owned() }.into()),
            Text::Encoded(text) => Ok(text),
        };
        let receipt = match text {
            Err(failure) => Err(failure),
            Ok(mut text) => match index.replace(&mut text, snapshot, &self.options, &self.cancel) {
                Err(error) if error.is_transient() => {
                    self.text = Text::Encoded(text);
                    return Step::Again(self, error);
                }
                receipt => receipt,
            },
        };
        let written = match receipt {
            Ok(Some(receipt)) => Written::Done(Arc::new(Ok(receipt))),
            Ok(None) => Written::Changed,
            Err(failure) if failure.is_texts_fault() => Written::Invalid(Arc::new(Err(failure))),
            Err(failure) => Written::Failed(Arc::new(Err(failure))),
        };
        let opened = if self.keep || matches!(written, Written::Changed | Written::Invalid(_)) {
            let Opened { index, waited, .. } = self.opened;
            Opened::read(index, waited, &self.options).map_err(|failed| failed.1)
        } else {
            // The caller does not look at it.
            Err(ErrorKind::Panic("an index was lost".into()).into())
        };
        let opened = opened.map_err(|failure| Arc::new(Err(failure)));
        Step::Done(Ok(Committed { written, opened }))
    }
}

impl From<Error> for Committed {
    /// The job itself has failed, and the index is gone.
    fn from(error: Error) -> Self {
        let outcome = Arc::new(Err(error));
        Self { written: Written::Failed(outcome.clone()), opened: Err(outcome) }
    }
}
