//! An open `AtomicFile`, on the JavaScript thread: its methods.
//!
//! Writes are gathered and go to a worker in one piece, so that a thousand small ones cost little more than
//! their bytes; a write is answered as soon as there is room for more. So a failure may come to light
//! later than at its write. Therefore it is sticky: no method succeeds after it, the commit least of all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::Error;
use engine::process::Key;
use engine::write::writer_job::{Commit, OpenFile, Wait};
use engine::write::{Options, Receipt, Writer};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::task;
use crate::js::value::thrown::{abort, internal, invalid_state};
use crate::js::value::{Encoding, Result, Signal, Wakeup, promise, raw};

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// All has been written.
    Ended,
    Committing,
    Committed,
    Aborted,
}

/// The arguments of `open`.
pub struct OpenArgs {
    /// What the caller calls the file.
    pub shown: String,
    /// Absolute.
    pub path: std::path::PathBuf,
    pub options: Options,
    pub mkdir: bool,
    /// For strings that come without one.
    pub encoding: Encoding,
    pub signal: Signal,
    /// Makes the caller's result of a commit.
    pub answer: fn(&Env, Receipt) -> Result<'_, Unknown<'_>>,
}

/// An open file.
pub struct File {
    pub(super) shown: String,
    pub(super) encoding: Encoding,
    pub(super) answer: fn(&Env, Receipt) -> Result<'_, Unknown<'_>>,
    pub(super) key: Key,
    pub(super) signal: Signal,
    pub(super) cancel: Cancel,
    pub(super) phase: Cell<Phase>,
    /// `None` while a job has it, and after the end.
    pub(super) writer: RefCell<Option<Writer>>,
    pub(super) busy: Cell<bool>,
    pub(super) pending: RefCell<Vec<Data>>,
    /// Bytes that are pending or being written.
    pub(super) held: Cell<usize>,
    pub(super) failure: RefCell<Option<Rc<Error>>>,
    pub(super) waiting: RefCell<Vec<Wakeup>>,
    /// Whether it was asked for as a stream.
    pub(super) streamed: Cell<bool>,
}

/// Opens a file; the promise is for what `wrap` makes of it.
pub fn open<'env>(
    env: &'env Env,
    args: OpenArgs,
    wrap: fn(&Env, Rc<File>) -> Result<'_, Unknown<'_>>,
) -> Result<'env, Unknown<'env>> {
    let OpenArgs { shown, path, options, mkdir, encoding, signal, answer } = args;
    let cancel = if signal.is_given() { signal.cancel() } else { Cancel::new() };
    let job = OpenFile { path, options, mkdir, cancel: cancel.clone() };
    task::start(env, job, move |env, opened| {
        let writer = match opened {
            Ok(writer) => writer,
            Err(failure) => {
                signal.detach(env)?;
                return Err(from_engine(env, &failure, &shown, || signal.reason(env)));
            }
        };
        let file = Rc::new(File {
            shown,
            encoding,
            answer,
            key: writer.key(),
            signal,
            cancel,
            phase: Cell::new(Phase::Open),
            writer: RefCell::new(Some(writer)),
            busy: Cell::new(false),
            pending: RefCell::default(),
            held: Cell::new(0),
            failure: RefCell::default(),
            waiting: RefCell::default(),
            streamed: Cell::new(false),
        });
        if file.cancel.is_cancelled() {
            let given_up = file.give_up(env)?;
            return promise::then(env, &given_up, move |env, _| Err(abort(env, file.signal.reason(env))));
        }
        file.heed();
        wrap(env, file)
    })
}

impl File {
    /// Appends `data`; the promise is fulfilled when there is room for more.
    pub fn write<'env>(
        self: &Rc<Self>,
        env: &'env Env,
        data: &Unknown<'_>,
        encoding: Option<&Unknown<'_>>,
    ) -> Result<'env, Unknown<'env>> {
        if let Err(failed) = self.check(env) {
            return handled(env, promise::of(env, Err(failed))?);
        }
        self.expect(env, &[Phase::Open])?;
        let data = match encoding {
            Some(encoding) => Encoding::parse(env, Some(encoding))?.copy(env, data)?,
            None => self.encoding.copy(env, data)?,
        };
        data.check().map_err(|error| from_engine(env, &error, &self.shown, || None))?;
        self.gather(env, data)?;
        if self.has_room() {
            return promise::of(env, Ok(raw::undefined(env)));
        }
        let file = self.clone();
        let room = promise::then(env, &self.until(env, Self::has_room)?, move |env, _| {
            file.check(env)?;
            if file.phase.get() == Phase::Aborted {
                return Err(abort(env, None));
            }
            Ok(raw::undefined(env))
        })?;
        handled(env, room)
    }

    /// No more writes. The promise is fulfilled when all are done.
    pub fn end<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.check(env)?;
        self.expect(env, &[Phase::Open, Phase::Ended])?;
        self.phase.set(Phase::Ended);
        let file = self.clone();
        promise::then(env, &self.written(env)?, move |env, _| {
            file.check(env)?;
            Ok(raw::undefined(env))
        })
    }

    /// Notes that there is a stream, which may hold back what was written to it.
    pub fn streams(&self) {
        self.streamed.set(true);
    }

    /// Whether there is a stream that has not been closed.
    pub fn is_streaming(&self) -> bool {
        self.streamed.get() && self.phase.get() == Phase::Open
    }

    /// Puts the file under its name.
    pub fn commit<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.check(env)?;
        self.expect(env, &[Phase::Open, Phase::Ended])?;
        self.phase.set(Phase::Committing);
        // Calls after this one that mean the same file come after it.
        let place = inside::ticket(env).join(self.key.clone());
        let file = self.clone();
        promise::then(env, &self.written(env)?, move |env, _| {
            file.check(env)?;
            let Some(writer) = file.writer.take() else {
                return Err(internal(env, "a file without a writer was to be committed"));
            };
            let job = Commit { writer, wait: Wait::InQueue(place), cancel: file.cancel.clone() };
            task::start(env, job, move |env, outcome| file.committed(env, outcome))
        })
    }

    fn committed<'env>(
        &self,
        env: &'env Env,
        outcome: std::result::Result<Receipt, Error>,
    ) -> Result<'env, Unknown<'env>> {
        match outcome {
            Ok(receipt) => {
                self.phase.set(Phase::Committed);
                self.wake(env);
                self.signal.detach(env)?;
                (self.answer)(env, receipt)
            }
            Err(failure) => {
                let error = from_engine(env, &failure, &self.shown, || self.signal.reason(env));
                self.fail(env, failure)?;
                Err(error)
            }
        }
    }

    /// Gives the file up: nothing of it is left when the promise is fulfilled.
    pub fn abort<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        match self.phase.get() {
            Phase::Open | Phase::Ended => return self.give_up(env),
            Phase::Committing => self.cancel.cancel(),
            Phase::Committed | Phase::Aborted => {}
        }
        let file = self.clone();
        promise::then(env, &self.settled(env)?, move |env, _| {
            // It was too late, and a caller that counts on the old file has to know.
            file.expect(env, &[Phase::Aborted])?;
            Ok(raw::undefined(env))
        })
    }

    /// Gives the file up unless it is committed, or about to be.
    pub fn dispose<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        match self.phase.get() {
            Phase::Open | Phase::Ended => self.give_up(env),
            Phase::Committing | Phase::Committed | Phase::Aborted => self.settled(env),
        }
    }

    /// Fails with what went wrong, if something did.
    fn check<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, ()> {
        self.look_at_signal(env)?;
        let failure = self.failure.borrow().clone();
        failure.map_or(Ok(()), |failure| {
            Err(from_engine(env, &failure, &self.shown, || self.signal.reason(env)))
        })
    }

    /// Refuses a method that is not allowed in this phase.
    fn expect<'env>(&self, env: &'env Env, phases: &[Phase]) -> Result<'env, ()> {
        let phase = self.phase.get();
        if phases.contains(&phase) {
            return Ok(());
        }
        Err(invalid_state(
            env,
            match phase {
                Phase::Open | Phase::Ended => "the file was ended, nothing can be written to it any more",
                Phase::Committing => "the file is being committed",
                Phase::Committed => "the file was committed",
                Phase::Aborted => "the file was aborted",
            },
        ))
    }
}

/// A caller that does not await a write gets its failure from the commit; it must not end the process as unhandled.
fn handled<'env>(env: &'env Env, promise: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    promise::catch(env, &promise, |env, _| Ok(raw::undefined(env)))?;
    Ok(promise)
}
