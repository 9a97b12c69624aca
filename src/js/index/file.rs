//! An index that is a file: a job writes it, and another one gives its lock back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::index::commit_job::{self, CommitJob, Committed};
use engine::index::document::Document;
use engine::index::file::Snapshot;
use engine::index::group::Written;
use engine::index::job::Opened;
use engine::index::reopen_job;
use engine::index::text::Text;
use engine::job::DropJob;
use engine::lock::holder::{Blocker, Holder, Timeout};
use engine::process::{CallId, Key};
use engine::write::Receipt;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::call::Request;
use crate::js::index::held::{Done, Held, Lost, Next, Now, Outcome, Patience, Reheld, Replace, Replaced};
use crate::js::task;
use crate::js::value::Result;

/// Makes a caller's result, of how long it waited for the index, how many updates were written together, and whether its own was a patch.
pub type Answer =
    fn(&Env, receipt: Receipt, waited: Duration, batch: usize, is_patch: bool) -> Result<'_, Unknown<'_>>;

/// An index that is a file.
pub struct FileIndex {
    opened: Opened,
    answer: Answer,
    /// Since when it has been ours. Nothing is read on this thread to tell.
    since: SystemTime,
}

impl FileIndex {
    /// With what makes the results of its callers.
    pub fn new(opened: Opened, answer: Answer) -> Self {
        Self { opened, answer, since: SystemTime::now() }
    }

    /// What a worker has come to with the index; `since`: when that has been ours.
    pub fn replaced(Committed { written, now }: Committed, answer: Answer, since: SystemTime) -> Replaced {
        let tell = |outcome| Self::outcome(answer, outcome);
        let written = match written {
            Written::Done(outcome) => Written::Done(tell(outcome)),
            Written::Failed(outcome) => Written::Failed(tell(outcome)),
            Written::Invalid(outcome) => Written::Invalid(tell(outcome)),
            Written::Changed => Written::Changed,
            Written::Late(outcome, until) => Written::Late(tell(outcome), until),
        };
        let held = match now {
            commit_job::Now::Open(opened) => Ok(Now::Held(Box::new(Self { opened: *opened, answer, since }))),
            commit_job::Now::Lost(lost) => Ok(Now::Lost(Self::lost(*lost, answer))),
            commit_job::Now::Gone(outcome) => Err(tell(outcome)),
        };
        Replaced { written, held }
    }

    fn lost(lost: reopen_job::Lost, answer: Answer) -> Lost {
        let path = lost.path().to_owned();
        let patience: Patience =
            Box::new(move |waited, _| Timeout::new(waited, Blocker::Lock, None, &path).into());
        let wait = move |env: &Env, until, cancel, done: Reheld| {
            // Fails only in an environment that is ending.
            drop(task::run(env, lost.reopen(until, cancel), move |env, opened| {
                let held = opened.map(|opened| Box::new(Self::new(opened, answer)) as Box<dyn Held>);
                done(env, held.map_err(|failure| Self::outcome(answer, Arc::new(Err(failure)))));
            }));
        };
        Lost { patience, wait: Box::new(wait) }
    }

    /// Makes the results of calls by that of their commit.
    pub fn outcome(answer: Answer, outcome: commit_job::Outcome) -> Outcome {
        Rc::new(move |env, call, batch| match &*outcome {
            Ok(receipt) => answer(env, *receipt, call.waited.get(), batch, call.request.is_patch),
            Err(error) => {
                let Request { signal, since, inside, shown, .. } = &call.request;
                // Those that have waited together have not all waited equally long.
                let own = error.of_waiter(since.elapsed(), || inside.names());
                Err(from_engine(env, own.as_ref().unwrap_or(error), shown, || signal.reason(env)))
            }
        })
    }
}

impl Held for FileIndex {
    fn text(&self) -> Option<&Text> {
        self.opened.snapshot.as_ref().map(|snapshot| &snapshot.text)
    }

    fn keys(&self) -> Arc<[Key]> {
        self.opened.keys()
    }

    fn waited(&self) -> Duration {
        self.opened.waited
    }

    fn take_follower(&self, wanted: &dyn Fn(CallId) -> bool) -> Option<CallId> {
        self.opened.take_follower(wanted)
    }

    fn patience(&self) -> Patience {
        let (path, since) = (self.opened.path().to_owned(), self.since);
        Box::new(move |waited, changed| {
            let (blocker, holder) = match changed {
                true => (Blocker::Changes, None),
                false => (Blocker::EarlierCall, Some(Holder::since(since))),
            };
            Timeout::new(waited, blocker, holder, &path).into()
        })
    }

    fn take_document(&mut self) -> Option<Document> {
        let snapshot = self.opened.snapshot.as_mut().filter(|snapshot| snapshot.is_patchable())?;
        Some(snapshot.text.take_document())
    }

    fn put_back(&mut self, document: Document) {
        if let Some(snapshot) = &mut self.opened.snapshot {
            snapshot.text.put_back(document);
        }
    }

    fn forget(&mut self) {
        self.opened.snapshot.iter_mut().for_each(Snapshot::forget);
    }

    fn nothing(&self, _: &Env) -> Outcome {
        let receipt = Receipt { written: false, bytes: 0, durable: false, verified: None, atomic: true };
        Self::outcome(self.answer, Arc::new(Ok(receipt)))
    }

    fn replace(self: Box<Self>, env: &Env, next: Next, how: Replace, done: Done) {
        let Self { opened, answer, since } = *self;
        let cancel = how.sole.map(|call| call.request.signal.cancel()).unwrap_or_default();
        let job = match next {
            Next::Text(text) => CommitJob::new(opened, text, how.options, how.keep, cancel),
            Next::Patched(document) => CommitJob::patched(opened, document, how.options, how.keep, cancel),
            Next::Edited(document, edits) => {
                CommitJob::edited(opened, document, edits, how.options, how.keep, cancel)
            }
        };
        // Fails only in an environment that is ending.
        drop(task::run(env, job, move |env, committed| {
            done(env, Self::replaced(committed.unwrap_or_else(Committed::from), answer, since));
        }));
    }

    fn release(self: Box<Self>, env: &Env, done: Box<dyn FnOnce(&Env)>) {
        // Fails only in an environment that is ending.
        drop(task::run(env, DropJob(self.opened), move |env, _| done(env)));
    }
}
