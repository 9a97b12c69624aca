//! What an open file does between the calls: jobs for the gathered writes, one at a time; all that wait for
//! one look again when it has ended.

use std::rc::{Rc, Weak};

use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::write::writer_job::{Append, Discard};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::file::handle::{File, Phase};
use crate::js::task;
use crate::js::value::{Result, Wakeup, promise, raw};

/// Less than this is not worth a job, unless a caller waits for it.
const WORTH_A_JOB: usize = 64 << 10;
/// A write waits while more than this is still to be written.
const ROOM: usize = 1 << 20;
/// What it takes to keep a piece besides its bytes: a million pieces of one byte are more than a megabyte.
const PIECE: usize = 64;

impl File {
    /// Keeps `data` for the next job.
    pub(super) fn gather<'env>(self: &Rc<Self>, env: &'env Env, data: Data) -> Result<'env, ()> {
        self.held.set(self.held.get() + data.size() + PIECE);
        self.pending.borrow_mut().push(data);
        if self.held.get() >= WORTH_A_JOB { self.append(env) } else { Ok(()) }
    }

    /// Has a worker write what is pending, if none does.
    fn append<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, ()> {
        if self.busy.get() || self.pending.borrow().is_empty() {
            return Ok(());
        }
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let pieces = self.pending.take();
        let size: usize = pieces.iter().map(|piece| piece.size() + PIECE).sum();
        self.busy.set(true);
        let file = self.clone();
        let job = Append { writer, pieces, cancel: self.cancel.clone() };
        task::answer(env, job, move |env, outcome| {
            file.busy.set(false);
            file.held.set(file.held.get().saturating_sub(size));
            match outcome {
                Ok(writer) => drop(file.writer.replace(Some(writer))),
                // An abort that the caller asked for.
                Err(_) if file.phase.get() == Phase::Aborted => {}
                Err(failure) => file.fail(env, failure)?,
            }
            file.wake(env);
            Ok(raw::undefined(env))
        })?;
        Ok(())
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.held.get() <= ROOM
    }

    fn forget_pending(&self) {
        self.pending.take();
        self.held.set(0);
    }

    /// A promise for when nothing is left to be written, or it failed.
    pub(super) fn written<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.until(env, |file| !file.busy.get() && file.pending.borrow().is_empty())
    }

    /// A promise for when the file is committed, or nothing of it is left.
    pub(super) fn settled<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.until(env, |file| {
            file.phase.get() != Phase::Committing && !file.busy.get() && file.writer.borrow().is_none()
        })
    }

    /// A promise for when `over` holds. It changes only when a job has ended.
    pub(super) fn until<'env>(
        self: &Rc<Self>,
        env: &'env Env,
        over: fn(&Self) -> bool,
    ) -> Result<'env, Unknown<'env>> {
        if over(self) {
            return promise::of(env, Ok(raw::undefined(env)));
        }
        self.append(env)?;
        let bell = Wakeup::default();
        let rung = bell.wait(env)?;
        self.waiting.borrow_mut().push(bell);
        let file = self.clone();
        promise::then(env, &rung, move |env, _| file.until(env, over))
    }

    /// Lets all that wait look again.
    pub(super) fn wake(&self, env: &Env) {
        for bell in self.waiting.take() {
            bell.wake(env);
        }
    }
    /// The file has failed; every later method says so.
    pub(super) fn fail<'env>(&self, env: &'env Env, failure: Error) -> Result<'env, ()> {
        self.phase.set(if failure.committed() { Phase::Committed } else { Phase::Aborted });
        self.failure.replace(Some(Rc::new(failure)));
        self.forget_pending();
        self.wake(env);
        self.signal.detach(env)
    }

    /// Discards the file; the promise is fulfilled when nothing of it is left.
    pub(super) fn give_up<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.phase.set(Phase::Aborted);
        self.cancel.cancel();
        self.forget_pending();
        let file = self.clone();
        let gone = promise::then(env, &self.until(env, |file| !file.busy.get())?, move |env, _| {
            let Some(writer) = file.writer.take() else { return Ok(raw::undefined(env)) };
            file.busy.set(true);
            task::start(env, Discard(writer), move |env, _| {
                file.busy.set(false);
                file.wake(env);
                Ok(raw::undefined(env))
            })
        })?;
        self.signal.detach(env)?;
        Ok(gone)
    }

    /// Gives the file up when its signal is aborted.
    pub(super) fn heed(self: &Rc<Self>) {
        // Weakly: a signal may live on, and a file that is forgotten is to be collected.
        let file: Weak<Self> = Rc::downgrade(self);
        self.signal.on_abort(move |env| {
            if let Some(file) = file.upgrade() {
                // What fails here shows in the next method.
                drop(file.look_at_signal(env));
            }
        });
    }

    pub(super) fn look_at_signal<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, ()> {
        if self.cancel.is_cancelled() && matches!(self.phase.get(), Phase::Open | Phase::Ended) {
            self.failure.replace(Some(Rc::new(ErrorKind::Aborted.into())));
            self.give_up(env)?;
        }
        Ok(())
    }
}
