//! One call of `atomicWriteAll`: pulls entries as long as there is room, and has wave after wave of them
//! staged; when there are no more, all get their names.
//!
//! At most one wave is with a worker and one with us. A wave goes as soon as nothing is running, however small
//! it is: what a slow iterator has given already does not wait for what it may give later. The user's code
//! (the iterator, its values' getters, `onProgress`) may call anything meanwhile, so nothing is borrowed then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::batch::Batch;
use engine::batch::job::{Discard, FinishJob, Given, WaveJob};
use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::write::commit::{Options, Receipt};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::task;
use crate::js::value::args::FilePath;
use crate::js::value::iteration::{Iteration, Next};
use crate::js::value::promise::{self, Wakeup};
use crate::js::value::raw::{self, Kept};
use crate::js::value::signal::Signal;
use crate::js::value::thrown::{Result, Thrown, internal};

/// A wave is full with this many entries,
const MOST: usize = 256;
/// or with this much data.
const LARGEST: usize = 16 << 20;
/// Nor is it pulled for longer than this in one go: others want the event loop too.
const LONGEST: Duration = Duration::from_millis(8);

/// What a call was given.
pub struct Call {
    /// The entries.
    pub entries: Iteration,
    /// Makes an entry, the one at that position, of what the iterator gave.
    pub parse: Parse,
    /// To be told how many are staged, and of how many, if that is known.
    pub progress: Option<Progress>,
    /// The caller's.
    pub signal: Signal,
    /// Makes the caller's result.
    pub answer: fn(&Env, Vec<Receipt>) -> Result<'_, Unknown<'_>>,
}

/// From what an iterator gave, and its position, to an entry.
pub type Parse = Box<dyn for<'env> Fn(&'env Env, usize, &Unknown<'_>) -> Result<'env, Pulled>>;

/// Whom to tell how far it is.
pub struct Progress {
    /// The caller's function.
    pub function: Kept,
    /// How many entries there are.
    pub total: Option<f64>,
}

/// An entry.
pub struct Pulled {
    /// Where.
    pub path: FilePath,
    /// What.
    pub data: Data,
    /// How.
    pub options: Options,
    /// Make missing directories.
    pub mkdir: bool,
}

/// A call in flight.
struct Driver {
    call: Call,
    state: RefCell<State>,
    /// Rings when all is over.
    over: Wakeup,
}

#[derive(Default)]
struct State {
    /// The iterator is at work, or its promise is awaited.
    pulling: bool,
    /// There are no more entries.
    exhausted: bool,
    /// The iterator was told to stop, and has not done so yet.
    closing: bool,
    /// A worker has the batch.
    running: bool,
    batch: Option<Batch>,
    wave: Vec<Given>,
    size: usize,
    /// What the caller calls the files, by position.
    shown: Vec<String>,
    known: HashMap<PathBuf, usize>,
    outcome: Option<std::result::Result<Vec<Receipt>, Ending>>,
}

/// Why there is no result.
enum Ending {
    Engine(Error),
    /// In an array: it may be a primitive, which cannot be kept by itself.
    Thrown(Kept),
    /// What was thrown could not be kept.
    Lost,
}

/// Starts the call.
pub fn start<'env>(env: &'env Env, call: Call) -> Result<'env, Unknown<'env>> {
    let state = RefCell::new(State { batch: Some(Batch::default()), ..State::default() });
    let driver = Rc::new(Driver { call, state, over: Wakeup::default() });
    // A reaction of the caller's own: there V8 knows the caller's stack.
    let over = driver.over.wait(env)?;
    let settled = driver.clone();
    let answer = promise::then(env, &over, move |env, _| settled.settle(env))?;
    driver.go_on(env);
    Ok(answer)
}

impl Driver {
    fn go_on(self: &Rc<Self>, env: &Env) {
        let since = Instant::now();
        loop {
            self.pull(env, since);
            if !self.run(env) {
                return;
            }
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    /// Takes entries until the wave is full, or the iterator needs time.
    fn pull(self: &Rc<Self>, env: &Env, since: Instant) {
        loop {
            let begins = self.with(|state| {
                let begins = !state.pulling
                    && !state.exhausted
                    && state.outcome.is_none()
                    && state.wave.len() < MOST
                    && state.size < LARGEST
                    && (state.wave.is_empty() || since.elapsed() < LONGEST);
                state.pulling |= begins;
                begins
            });
            if !begins {
                return;
            }
            if self.call.signal.cancel().is_cancelled() {
                self.with(|state| state.pulling = false);
                return self.fail(env, Ending::Engine(ErrorKind::Aborted.into()), true);
            }
            let next = self.call.entries.next(env);
            if let Ok(Next::Later(promise)) = next {
                return self.wait(env, promise);
            }
            self.arrived(env, next);
        }
    }

    /// Goes on when the iterator has more, or the caller has enough.
    fn wait<'env>(self: &Rc<Self>, env: &'env Env, promise: Unknown<'env>) {
        let signal = &self.call.signal;
        let promise = if signal.is_given() { signal.race(env, promise) } else { Ok(promise) };
        let (come, failed) = (self.clone(), self.clone());
        let waiting = promise
            .and_then(|promise| {
                promise::then(env, &promise, move |env, with| {
                    if come.call.signal.cancel().is_cancelled() {
                        come.fail(env, Ending::Engine(ErrorKind::Aborted.into()), true);
                    } else {
                        let next = come.call.entries.settled(env, with);
                        come.arrived(env, next);
                    }
                    come.go_on(env);
                    Ok(raw::undefined(env))
                })
            })
            .and_then(|promise| {
                promise::catch(env, &promise, move |env, reason| {
                    let close = failed.call.entries.is_open_after_rejection();
                    failed.with(|state| state.pulling = false);
                    failed.fail(env, thrown(env, &reason), close);
                    failed.go_on(env);
                    Ok(raw::undefined(env))
                })
            });
        if let Err(Thrown(error)) = waiting {
            self.with(|state| state.pulling = false);
            self.fail(env, thrown(env, &error), true);
        }
    }

    /// A step of the iterator is done.
    fn arrived<'env>(self: &Rc<Self>, env: &'env Env, next: Result<'env, Next<'env>>) {
        self.with(|state| state.pulling = false);
        match next {
            Ok(Next::Value(entry)) => {
                let at = self.with(|state| state.shown.len());
                match (self.call.parse)(env, at, &entry) {
                    Ok(pulled) => self.take(env, pulled),
                    Err(Thrown(error)) => self.fail(env, thrown(env, &error), true),
                }
            }
            Ok(Next::Done) => self.with(|state| state.exhausted = true),
            Ok(Next::Later(_)) => {}
            Err(Thrown(error)) => {
                self.with(|state| state.exhausted = true);
                self.fail(env, thrown(env, &error), false);
            }
        }
    }

    fn take(self: &Rc<Self>, env: &Env, pulled: Pulled) {
        let Pulled { path, data, options, mkdir } = pulled;
        let duplicate = self.with(|state| {
            let at = state.shown.len();
            state.shown.push(path.shown);
            if let Some(first) = state.known.insert(path.absolute.clone(), at) {
                return Some(Error::from(ErrorKind::Duplicate { first }).of_entry(at));
            }
            if state.outcome.is_none() {
                state.size += data.size();
                state.wave.push(Given { path: path.absolute, data, options, mkdir });
            }
            None
        });
        if let Some(error) = duplicate {
            self.fail(env, Ending::Engine(error), true);
        }
    }

    /// Nothing more is pulled or staged, and nothing is renamed.
    fn fail(self: &Rc<Self>, env: &Env, ending: Ending, close: bool) {
        let (first, open, pulling) = self.with(|state| {
            let first = state.outcome.is_none();
            if first {
                state.outcome = Some(Err(ending));
                state.wave = Vec::new();
            }
            (first, first && close && !std::mem::replace(&mut state.exhausted, true), state.pulling)
        });
        if !first || !open {
            return;
        }
        // Like `for await`, the caller waits for the iterator to be closed; but not while it is at work on a
        // step, which it would have to end first.
        if let Some(closed) = self.call.entries.close(env)
            && !pulling
        {
            self.with(|state| state.closing = true);
            let driver = self.clone();
            let waiting = promise::then(env, &closed, move |env, _| {
                driver.with(|state| state.closing = false);
                driver.go_on(env);
                Ok(raw::undefined(env))
            });
            if waiting.is_err() {
                self.with(|state| state.closing = false);
            }
        }
    }

    /// Gives a worker what there is to do. `false`: nothing, or it is at work.
    fn run(self: &Rc<Self>, env: &Env) -> bool {
        enum Work {
            Stage(Batch, Vec<Given>),
            Finish(Batch),
            Discard(Batch),
            End,
        }
        let work = self.with(|state| {
            if state.running || state.closing {
                return None;
            }
            let work = match (&state.outcome, state.batch.take()) {
                (Some(Err(_)), Some(batch)) if !batch.is_empty() => Work::Discard(batch),
                (Some(_), _) => Work::End,
                (None, None) => return None,
                (None, Some(batch)) if !state.wave.is_empty() => {
                    state.size = 0;
                    Work::Stage(batch, std::mem::take(&mut state.wave))
                }
                (None, Some(batch)) if state.exhausted && !state.pulling => {
                    if batch.is_empty() {
                        state.outcome = Some(Ok(Vec::new()));
                        Work::End
                    } else {
                        Work::Finish(batch)
                    }
                }
                (None, batch) => {
                    state.batch = batch;
                    return None;
                }
            };
            state.running = true;
            Some(work)
        });
        let driver = self.clone();
        let cancel = self.call.signal.cancel();
        let started = match work {
            None => return false,
            Some(Work::End) => {
                self.over.wake(env);
                return false;
            }
            Some(Work::Stage(batch, wave)) => {
                task::start(env, WaveJob::new(batch, wave, cancel), move |env, outcome| {
                    driver.staged(env, outcome);
                    Ok(raw::undefined(env))
                })
            }
            Some(Work::Finish(batch)) => {
                task::start(env, FinishJob::new(batch, cancel), move |env, outcome| {
                    driver.with(|state| state.outcome = Some(outcome.map_err(Ending::Engine)));
                    driver.over.wake(env);
                    Ok(raw::undefined(env))
                })
            }
            Some(Work::Discard(batch)) => task::start(env, Discard(batch), move |env, _| {
                driver.over.wake(env);
                Ok(raw::undefined(env))
            }),
        };
        // It fails only in an environment that is ending.
        started.is_ok()
    }

    fn staged(self: &Rc<Self>, env: &Env, outcome: std::result::Result<Batch, Error>) {
        self.with(|state| state.running = false);
        match outcome {
            Ok(batch) => {
                let done = batch.len();
                let goes_on = self.with(|state| {
                    state.batch = Some(batch);
                    state.outcome.is_none()
                });
                if goes_on && let Err(Thrown(error)) = self.tell(env, done) {
                    self.fail(env, thrown(env, &error), true);
                }
            }
            Err(failure) => self.fail(env, Ending::Engine(failure), true),
        }
        self.go_on(env);
    }

    fn tell<'env>(&self, env: &'env Env, done: usize) -> Result<'env, ()> {
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
            Some(Err(Ending::Engine(failure))) => {
                let shown =
                    failure.entry().and_then(|entry| self.with(|state| state.shown.get(entry).cloned()));
                Err(from_engine(env, &failure, &shown.unwrap_or_default(), self.call.signal.reason(env)))
            }
            Some(Err(Ending::Thrown(error))) => {
                let first = raw::to_js(env, "0")?;
                Err(Thrown(raw::element(env, &error.get(env)?, &first)?))
            }
            Some(Err(Ending::Lost)) | None => Err(internal(env, "a batch without an outcome")),
        }
    }
}

fn thrown(env: &Env, error: &Unknown<'_>) -> Ending {
    match raw::array(env, &[*error]).and_then(|array| Kept::new(env, &array)) {
        Ok(kept) => Ending::Thrown(kept),
        Err(_) => Ending::Lost,
    }
}
