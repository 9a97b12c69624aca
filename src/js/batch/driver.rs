//! One call of `atomicWriteAll`: wave after wave of entries is staged by workers while the next is pulled; when
//! there are no more, all files get their names.
//!
//! At most one wave is with a worker and one is being pulled. A wave goes as soon as no worker is busy, however small
//! it is: entries that a slow iterator has given do not wait for those that it may give later. The user's code
//! (the iterator, its values' getters, `onProgress`) may call anything meanwhile, so nothing is borrowed then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use engine::batch::Batch;
use engine::batch::job::{EntryInput, FinishJob, WaveJob};
use engine::error::Error;
use engine::job::DropJob;
use engine::process::Inside;
use engine::steps::{self, Steps};
use engine::write::Receipt;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::cloud::entries;
use crate::js::error::from_engine;
use crate::js::task;
use crate::js::value::thrown::internal;
use crate::js::value::{CloudPath, Iteration, Kept, KeptAny, Result, Signal, Thrown, Wakeup, promise, raw};

/// The arguments of a call.
pub struct Call {
    /// The entries.
    pub entries: Iteration,
    /// Makes an entry of what the iterator gave.
    pub parse: Parse,
    /// Called with the number of staged entries.
    pub progress: Option<Progress>,
    /// What it is made inside of.
    pub inside: Inside,
    /// The caller's.
    pub signal: Signal,
    /// Makes the caller's result.
    pub answer: fn(&Env, Vec<Receipt>) -> Result<'_, Unknown<'_>>,
    /// The caller's options, for a store.
    pub options: KeptAny,
}

/// From an entry's position and what an iterator gave to the entry.
pub type Parse = Box<dyn for<'env> Fn(&'env Env, usize, &Unknown<'env>) -> Result<'env, Entry<'env>>>;

/// Where an entry is to be written.
pub enum Entry<'env> {
    /// To a file, as all others then.
    File(Pulled),
    /// To a store, as all others then.
    Object(CloudPath<'env>),
}

/// The caller's wish to be told how far the call is.
pub struct Progress {
    /// The caller's function.
    pub function: Kept,
    /// How many entries there are, if that is known.
    pub total: Option<f64>,
}

/// An entry, and what the caller calls its file.
pub struct Pulled {
    /// The caller's name.
    pub shown: String,
    /// For the worker.
    pub input: EntryInput,
}

/// A call in flight.
pub(super) struct Driver {
    pub(super) call: Call,
    state: RefCell<State>,
    /// If anyone wants to know them.
    steps: Option<Arc<Steps>>,
    /// Wakes the reaction that settles the call.
    over: Wakeup,
}

pub(super) struct State {
    pub(super) source: Source,
    worker: Worker,
    /// Entries that were pulled, and the size of their data.
    pub(super) wave: Vec<EntryInput>,
    pub(super) size: usize,
    /// What the caller calls the files, by position.
    pub(super) shown: Vec<String>,
    pub(super) known: HashMap<PathBuf, usize>,
    pub(super) outcome: Option<std::result::Result<Vec<Receipt>, Ending>>,
}

/// The iterator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The next entry may be asked for.
    Idle,
    /// It is at work, or its promise is awaited.
    Pulling,
    /// It was told to stop, and its answer is awaited.
    Closing,
    /// There are no more entries, or none is wanted.
    Over,
}

enum Worker {
    /// The batch is here.
    Idle(Batch),
    /// A job has the batch, or the last job has begun.
    Busy,
}

/// Why there is no result.
pub(super) enum Ending {
    Failed(Error),
    Thrown(KeptAny),
    /// The first entry is one of a store, known by this name.
    Elsewhere(KeptAny, String),
    /// What was thrown could not be kept.
    Lost,
}

enum Work {
    Stage(Batch, Vec<EntryInput>),
    Finish(Batch),
    Discard(Batch),
    End,
}

/// Starts the call.
pub fn start<'env>(env: &'env Env, call: Call) -> Result<'env, Unknown<'env>> {
    let state = RefCell::new(State {
        source: Source::Idle,
        worker: Worker::Idle(Batch::default()),
        wave: Vec::new(),
        size: 0,
        shown: Vec::new(),
        known: HashMap::new(),
        outcome: None,
    });
    let driver = Rc::new(Driver { call, state, steps: steps::take(), over: Wakeup::default() });
    // A reaction of the caller's own: there V8 knows the caller's stack.
    let over = driver.over.wait(env)?;
    let settled = driver.clone();
    let answer = promise::then(env, &over, move |env, _| settled.settle(env))?;
    driver.go_on(env);
    Ok(answer)
}

impl Driver {
    /// Pulls and starts jobs until both have to wait.
    pub(super) fn go_on(self: &Rc<Self>, env: &Env) {
        let since = Instant::now();
        loop {
            self.pull(env, since);
            let Some(work) = self.with(State::next_work) else { return };
            if !steps::scope(self.steps.as_ref(), || self.run(env, work)) {
                return;
            }
        }
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    /// No more entries are pulled or staged, and no file is renamed. `close`: the iterator is to be told.
    pub(super) fn fail(self: &Rc<Self>, env: &Env, ending: Ending, close: bool) {
        let source = self.with(|state| {
            if state.outcome.is_some() {
                return Source::Over;
            }
            state.outcome = Some(Err(ending));
            state.wave.clear();
            std::mem::replace(&mut state.source, Source::Over)
        });
        if !close || source == Source::Over {
            return;
        }
        // Like `for await`, the caller waits until the iterator is closed; but not while the iterator is at work on a
        // step, which it would have to end first.
        if let Some(closed) = self.call.entries.close(env)
            && source == Source::Idle
        {
            self.with(|state| state.source = Source::Closing);
            let driver = self.clone();
            let waiting = promise::then(env, &closed, move |env, _| {
                driver.with(|state| state.source = Source::Over);
                driver.go_on(env);
                Ok(raw::undefined(env))
            });
            if waiting.is_err() {
                self.with(|state| state.source = Source::Over);
            }
        }
    }

    /// Starts a job. `false`: there is nothing more to start.
    fn run(self: &Rc<Self>, env: &Env, work: Work) -> bool {
        let driver = self.clone();
        let cancel = self.call.signal.cancel();
        let started = match work {
            Work::End => {
                self.over.wake(env);
                return false;
            }
            Work::Stage(batch, wave) => {
                task::start(env, WaveJob::new(batch, wave, cancel), move |env, outcome| {
                    driver.staged(env, outcome);
                    Ok(raw::undefined(env))
                })
            }
            Work::Finish(batch) => task::start(
                env,
                FinishJob::new(batch, self.call.inside.clone(), cancel),
                move |env, outcome| {
                    driver.with(|state| state.outcome = Some(outcome.map_err(Ending::Failed)));
                    driver.over.wake(env);
                    Ok(raw::undefined(env))
                },
            ),
            Work::Discard(batch) => task::start(env, DropJob(batch), move |env, _| {
                driver.over.wake(env);
                Ok(raw::undefined(env))
            }),
        };
        // It fails only in an environment that is ending.
        started.is_ok()
    }

    fn staged(self: &Rc<Self>, env: &Env, outcome: std::result::Result<Batch, Error>) {
        match outcome {
            Ok(batch) => {
                let done = batch.len();
                let goes_on = self.with(|state| {
                    state.worker = Worker::Idle(batch);
                    state.outcome.is_none()
                });
                if goes_on && let Err(Thrown(error)) = self.report(env, done) {
                    self.fail(env, thrown(env, &error), true);
                }
            }
            Err(error) => {
                self.with(|state| state.worker = Worker::Idle(Batch::default()));
                self.fail(env, Ending::Failed(error), true);
            }
        }
        self.go_on(env);
    }

    fn report<'env>(&self, env: &'env Env, done: usize) -> Result<'env, ()> {
        let Some(Progress { function, total }) = &self.call.progress else { return Ok(()) };
        let mut args = vec![raw::to_js(env, done as f64)?];
        args.extend(total.map(|total| raw::to_js(env, total)).transpose()?);
        raw::call(env, &raw::undefined(env), &function.get(env)?, &args)?;
        Ok(())
    }

    fn settle<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.call.signal.detach(env)?;
        match self.with(|state| state.outcome.take()) {
            Some(Ok(receipts)) => (self.call.answer)(env, receipts),
            Some(Err(Ending::Failed(error))) => {
                let shown =
                    error.entry().and_then(|entry| self.with(|state| state.shown.get(entry).cloned()));
                Err(from_engine(env, &error, &shown.unwrap_or_default(), || self.call.signal.reason(env)))
            }
            Some(Err(Ending::Thrown(error))) => Err(Thrown(error.get(env)?)),
            Some(Err(Ending::Elsewhere(first, shown))) => {
                let Call { entries, options, .. } = &self.call;
                entries::write(env, entries, first.get(env)?, &shown, options.get(env)?)
            }
            Some(Err(Ending::Lost)) | None => Err(internal(env, "a batch without an outcome")),
        }
    }
}

impl State {
    /// What a worker is to do; it has the batch then. `None`: nothing, or a worker is busy.
    fn next_work(&mut self) -> Option<Work> {
        if self.source == Source::Closing {
            return None;
        }
        let Worker::Idle(batch) = std::mem::replace(&mut self.worker, Worker::Busy) else { return None };
        match (&self.outcome, self.source) {
            (Some(_), _) if batch.is_empty() => Some(Work::End),
            (Some(_), _) => Some(Work::Discard(batch)),
            (None, _) if !self.wave.is_empty() => {
                self.size = 0;
                Some(Work::Stage(batch, std::mem::take(&mut self.wave)))
            }
            (None, Source::Over) if batch.is_empty() => {
                self.outcome = Some(Ok(Vec::new()));
                Some(Work::End)
            }
            (None, Source::Over) => Some(Work::Finish(batch)),
            (None, _) => {
                self.worker = Worker::Idle(batch);
                None
            }
        }
    }
}

pub(super) fn thrown(env: &Env, error: &Unknown<'_>) -> Ending {
    KeptAny::new(env, error).map_or(Ending::Lost, Ending::Thrown)
}
