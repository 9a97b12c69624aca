//! One patch from the call to the disk, if it is alone: a worker that has read the index writes it too. The thread that has called would only pass it on
//! from one worker to the next one, which costs it as much as the whole of a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::Result;
use crate::index::commit_job::{CommitJob, Committed};
use crate::index::document::Operations;
use crate::index::file::UpdateOptions;
use crate::index::job::{Come, OpenJob, Opened};
use crate::job::{After, Job, Step};

/// What a call has come to on a worker.
pub enum Begun {
    /// The index, or another call that has it.
    Come(Come),
    /// It was written, or was to be; and how long the call had waited for the index.
    Written(Box<Committed>, Duration),
}

impl From<Come> for Begun {
    fn from(come: Come) -> Self {
        Self::Come(come)
    }
}

/// Writes a patch at once, unless other calls could share the commit, or it is none of a text.
pub struct PatchJob {
    stage: Stage,
    how: How,
}

struct How {
    patch: Operations,
    options: UpdateOptions,
    has_others: Arc<AtomicBool>,
    cancel: Cancel,
}

enum Stage {
    Open(OpenJob),
    Commit(CommitJob, Duration),
}

impl PatchJob {
    /// `has_others` becomes true as soon as its thread has other patches of this index, which are on their way to the queue.
    pub fn new(
        open: OpenJob,
        patch: Operations,
        options: UpdateOptions,
        has_others: Arc<AtomicBool>,
        cancel: Cancel,
    ) -> Self {
        Self { stage: Stage::Open(open), how: How { patch, options, has_others, cancel } }
    }
}

impl How {
    fn opened(self, opened: Box<Opened>) -> Step<PatchJob> {
        match self.commit(opened) {
            Ok((commit, waited, how)) => how.committed(commit.run(), waited),
            Err(opened) => Step::Done(Ok(Come::Open(opened).into())),
        }
    }

    /// `Err`: the functions of the caller's thread go on with it.
    fn commit(
        self,
        mut opened: Box<Opened>,
    ) -> std::result::Result<(CommitJob, Duration, Self), Box<Opened>> {
        if self.has_others.load(Ordering::Relaxed) || opened.is_wanted() {
            return Err(opened);
        }
        let patchable = opened.snapshot.as_mut().filter(|snapshot| snapshot.is_patchable());
        let Some(text) = patchable.map(|snapshot| &mut snapshot.text) else { return Err(opened) };
        let mut document = text.take_document();
        if document.apply(&self.patch, self.options.numbers).is_err() {
            text.put_back(document);
            return Err(opened);
        }
        let (waited, options, cancel) = (opened.waited, self.options.clone(), self.cancel.clone());
        Ok((CommitJob::patched(*opened, document, options, false, cancel), waited, self))
    }

    fn committed(self, step: Step<CommitJob>, waited: Duration) -> Step<PatchJob> {
        let told = move |committed| Begun::Written(Box::new(committed), waited);
        match step {
            Step::Done(committed) => Step::Done(committed.map(told)),
            Step::Again(commit, error) => {
                Step::Again(PatchJob { stage: Stage::Commit(commit, waited), how: self }, error)
            }
            Step::Wait(waiting) => Step::Wait(Box::pin(async move {
                match waiting.await {
                    After::Run(commit) => {
                        After::Run(PatchJob { stage: Stage::Commit(commit, waited), how: self })
                    }
                    After::Done(committed) => After::Done(committed.map(told)),
                }
            })),
        }
    }

    fn came(self, came: Result<Come>) -> Step<PatchJob> {
        match came {
            Ok(Come::Open(opened)) => self.opened(opened),
            came => Step::Done(came.map(Begun::from)),
        }
    }
}

impl Job for PatchJob {
    type Output = Begun;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        let open = match stage {
            Stage::Open(open) => open,
            Stage::Commit(commit, waited) => return how.committed(commit.run(), waited),
        };
        match open.run() {
            Step::Done(came) => how.came(came),
            Step::Again(open, error) => Step::Again(Self { stage: Stage::Open(open), how }, error),
            Step::Wait(waiting) => Step::Wait(Box::pin(async move {
                match waiting.await {
                    After::Run(open) => After::Run(Self { stage: Stage::Open(open), how }),
                    // Not here: what follows is for a worker.
                    After::Done(came) => After::Done(came.map(Begun::from)),
                }
            })),
        }
    }
}
