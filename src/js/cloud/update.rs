//! An index that is an object in a store: the peer reads and replaces it, and a group of updates is committed as one of a file
//! is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::index::file::UpdateOptions;
use engine::index::group::Written;
use engine::index::store::{PrepareJob, Prepared, QueueJob, ReadJob};
use engine::index::text::Text;
use engine::lock::holder::Timeout;
use engine::process::{CallId, Called, Key, Ticket, Turn};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::cloud::commit::{Commit, Object, Reply, text_of};
use crate::js::cloud::script;
use crate::js::index::call::{Call, Command, Request};
use crate::js::index::group::Group;
use crate::js::index::held::{Done, Doubt, Held, Next, Now, Outcome, Patience, Replace, Replaced, failed};
use crate::js::task;
use crate::js::value::thrown::{self, Result, Thrown, abort, type_error};
use crate::js::value::{Kept, KeptAny, Signal, data, raw};

/// An object of which it is this call's turn.
struct ObjectIndex {
    object: Rc<Object>,
    commit: Rc<Commit>,
    turn: Turn,
    text: Option<Text>,
    waited: Duration,
    /// How often another version was there.
    conflicts: u32,
}

/// An object that could not be read.
struct Unread {
    index: ObjectIndex,
    outcome: Outcome,
    is_late: bool,
}

/// Starts a call for `object`, which is willing to wait for `timeout`.
pub fn start<'env>(
    env: &'env Env,
    mut request: Request,
    object: Object,
    timeout: Duration,
) -> Result<'env, Unknown<'env>> {
    // One that has no word for its options shares its commit with no other.
    request.store = object.sameness(env)?.unwrap_or_else(|| request.id.to_string());
    let commit = object.open(env, request.deadline)?;
    let ticket = Ticket::take().inside(request.inside.clone());
    let job =
        QueueJob::new(request.id, Key::Object(commit.key(env)?), ticket, timeout, request.signal.cancel());
    let call = Call::new(request);
    let promise = call.next_command(env)?;
    task::run(env, job, move |env, called| match called {
        Ok(Called::Turn(turn)) => lead(env, call, object, commit, turn),
        Ok(Called::Follower) => {}
        Err(failure) => call.refuse(env, failure),
    })?;
    Ok(promise)
}

fn lead(env: &Env, call: Rc<Call>, object: Object, commit: Commit, turn: Turn) {
    let waited = call.request.since.elapsed();
    let index = ObjectIndex {
        object: Rc::new(object),
        commit: Rc::new(commit),
        turn,
        text: None,
        waited,
        conflicts: 0,
    };
    let options = call.request.options.clone();
    let reader = call.clone();
    index.read(env, options, Some(&reader.request.signal), move |env, read| match read {
        Ok(index) => Group::lead(env, &call, Box::new(index)),
        Err(Unread { index, outcome, .. }) => {
            // The turn is given back first.
            drop(index);
            call.send(env, Command::Settle(outcome, 1));
        }
    });
}

impl ObjectIndex {
    /// Reads what is there now, and checks it.
    fn read(
        self,
        env: &Env,
        options: UpdateOptions,
        signal: Option<&Signal>,
        done: impl FnOnce(&Env, std::result::Result<Self, Unread>) + 'static,
    ) {
        let commit = self.commit.clone();
        commit.read(env, signal, move |env, read| {
            let text = read.and_then(|text| match raw::type_of(&text) {
                ValueType::Undefined | ValueType::Null => Ok(None),
                _ => data::text(env, &text).map(Some),
            });
            match text {
                Ok(text) => {
                    // Fails only in an environment that is ending.
                    drop(task::run(env, ReadJob::new(text, options), move |env, text| match text {
                        Ok(text) => done(env, Ok(Self { text, ..self })),
                        Err(error) => {
                            let outcome = failed(error);
                            done(env, Err(Unread { index: self, outcome, is_late: false }));
                        }
                    }));
                }
                Err(error) => {
                    let (outcome, is_late) = (thrown_by_peer(env, &error), is_late(env, &error));
                    done(env, Err(Unread { index: self, outcome, is_late }));
                }
            }
        });
    }

    /// When the time of this commit is over, if that of the calls is not.
    fn ends_before(&self, how: &Replace) -> Option<Instant> {
        let have_more = |end| how.until.is_none_or(|until| until > Instant::now().max(end));
        self.commit.until().filter(|end| have_more(*end))
    }

    /// Reads with a commit of its own, for the calls that are still to run.
    fn begin_again(
        mut self,
        env: &Env,
        how: &Replace,
        done: impl FnOnce(&Env, std::result::Result<Box<dyn Held>, Outcome>) + 'static,
    ) {
        match self.object.open(env, how.until) {
            Ok(commit) => {
                self.commit = Rc::new(commit);
                self.read(env, how.options.clone(), None, |env, read| match read {
                    Ok(index) => done(env, Ok(Box::new(index))),
                    Err(Unread { index, outcome, .. }) => {
                        drop(index);
                        done(env, Err(outcome));
                    }
                });
            }
            Err(error) => done(env, Err(thrown_by_peer(env, &error))),
        }
    }

    /// What was to be written is settled; the index is needed again if other calls are still to run.
    fn settle(self, env: &Env, written: Written<Outcome>, how: &Replace, done: Done) {
        if how.keep {
            self.begin_again(env, how, |env, held| {
                done(env, Replaced { written, held: held.map(Now::Held) })
            });
        } else {
            drop(self);
            // The caller does not look at it.
            let held = Err(failed(Error::from(ErrorKind::Panic("an index was lost".into()))));
            done(env, Replaced { written, held });
        }
    }

    fn prepared(mut self, env: &Env, prepared: Prepared, how: Replace, done: Done) {
        let Prepared { old, next } = prepared;
        let bytes = old.as_ref().map_or(0, Text::size);
        self.text = old;
        match next {
            Ok(Some(next)) => self.write(env, next, how, done),
            Ok(None) => {
                let written = match self.unchanged(env, bytes) {
                    Ok(outcome) => Written::Done(outcome),
                    Err(error) => Written::Failed(thrown_by_peer(env, &error)),
                };
                self.settle(env, written, &how, done);
            }
            // What was read is as good as before.
            Err(error) if error.is_texts_fault() => {
                let written = Written::Invalid(failed(error));
                done(env, Replaced { written, held: Ok(Now::Held(Box::new(self))) });
            }
            Err(error) => self.settle(env, Written::Failed(failed(error)), &how, done),
        }
    }

    fn write(mut self, env: &Env, next: String, how: Replace, done: Done) {
        let (commit, bytes) = (self.commit.clone(), next.len());
        let sole = how.sole.clone();
        let signal = sole.as_ref().map(|call| &call.request.signal);
        commit.replace(env, &next, how.times, signal, move |env, replied| match replied {
            Ok(Reply::Done(reply)) => {
                let outcome = answer(reply, true, bytes);
                self.settle(env, Written::Done(outcome), &how, done);
            }
            Ok(Reply::Changed) => {
                self.conflicts += 1;
                let written = Written::Changed;
                let is_aborted =
                    how.sole.as_ref().is_some_and(|call| call.request.signal.cancel().is_cancelled());
                if is_aborted && how.keep {
                    // The abort has reached the commit as well, and the others are to go on.
                    return self.begin_again(env, &how, |env, held| {
                        done(env, Replaced { written, held: held.map(Now::Held) })
                    });
                }
                let alone = how.sole.as_ref().filter(|_| !how.keep);
                let signal = alone.cloned();
                let signal = signal.as_ref().map(|call| &call.request.signal);
                self.read(env, how.options.clone(), signal, move |env, read| match read {
                    Ok(index) => done(env, Replaced { written, held: Ok(Now::Held(Box::new(index))) }),
                    Err(unread) => unread.settle(env, &how, done),
                });
            }
            Err(error) => {
                let outcome = thrown_by_peer(env, &error);
                match self.ends_before(&how) {
                    Some(end) if is_late(env, &error) => self.go_on(env, outcome, end, &how, done),
                    _ => self.settle(env, Written::Failed(outcome), &how, done),
                }
            }
        });
    }

    /// The time of this commit is up, and not that of all its calls: those go on with another one.
    fn go_on(self, env: &Env, late: Outcome, end: Instant, how: &Replace, done: Done) {
        let written = Written::Late(late, end);
        self.begin_again(env, how, |env, held| done(env, Replaced { written, held: held.map(Now::Held) }));
    }

    /// The functions have changed nothing.
    fn unchanged<'env>(&self, env: &'env Env, bytes: usize) -> Result<'env, Outcome> {
        let reply = raw::object(env)?;
        raw::define(env, &reply, c"durable", &raw::to_js(env, true)?)?;
        // It was read in whole.
        raw::define(env, &reply, c"verified", &raw::to_js(env, "readback")?)?;
        raw::define(env, &reply, c"version", &self.commit.version(env)?)?;
        raw::define(env, &reply, c"attempts", &raw::to_js(env, self.conflicts)?)?;
        raw::define(env, &reply, c"conflicts", &raw::to_js(env, self.conflicts)?)?;
        raw::define(env, &reply, c"recovered", &raw::to_js(env, false)?)?;
        Ok(answer(Kept::new(env, &reply)?, false, bytes))
    }
}

impl Unread {
    /// What was to be replaced is another by now, and is not known.
    fn settle(self, env: &Env, how: &Replace, done: Done) {
        let Self { index, outcome, is_late } = self;
        match index.ends_before(how) {
            Some(end) if is_late => index.go_on(env, outcome, end, how, done),
            _ => {
                drop(index);
                done(env, Replaced { written: Written::Changed, held: Err(outcome) });
            }
        }
    }
}

impl Held for ObjectIndex {
    fn text(&self) -> Option<&Text> {
        self.text.as_ref()
    }

    fn keys(&self) -> Arc<[Key]> {
        Arc::new([self.turn.key().clone()])
    }

    fn waited(&self) -> Duration {
        self.waited
    }

    fn take_follower(&self, wanted: &dyn Fn(CallId) -> bool) -> Option<CallId> {
        self.turn.take_follower("".as_ref(), wanted)
    }

    fn patience(&self) -> Patience {
        Box::new(|waited, changed| match changed {
            true => ErrorKind::Contended { waited }.into(),
            false => Timeout::of_object(waited).into(),
        })
    }

    /// It is compared with the next one, and there is no file to read it from.
    fn forget(&mut self) {}

    fn nothing(&self, env: &Env) -> Outcome {
        self.unchanged(env, 0).unwrap_or_else(|error| thrown_by_peer(env, &error))
    }

    fn doubt(&self) -> Option<Doubt> {
        let commit = self.commit.clone();
        Some(Box::new(move |env| match commit.doubt(env) {
            Ok(doubt) => doubt.map(|doubt| thrown_by_peer(env, &doubt)),
            Err(error) => Some(thrown_by_peer(env, &error)),
        }))
    }

    fn replace(mut self: Box<Self>, env: &Env, next: Next, how: Replace, done: Done) {
        let next = match next {
            Next::Text(text) => text,
            Next::Patched(document) => match document.advance() {
                Ok((next, _)) => Data::Bytes(next.into_parts().0.into_bytes()),
                Err(_) => return self.settle(env, Written::Failed(failed(Error::no_memory())), &how, done),
            },
            Next::Edited(..) => {
                let bug = Error::from(ErrorKind::Panic("the value of an object was kept".into()));
                return self.settle(env, Written::Failed(failed(bug)), &how, done);
            }
        };
        let cancel = how.sole.as_ref().map(|call| call.request.signal.cancel()).unwrap_or_default();
        let job = PrepareJob::new(self.text.take(), next, how.options.clone(), cancel);
        // Fails only in an environment that is ending.
        drop(task::run(env, job, move |env, prepared| match prepared {
            Ok(prepared) => self.prepared(env, prepared, how, done),
            Err(error) => self.settle(env, Written::Failed(failed(error)), &how, done),
        }));
    }

    fn release(self: Box<Self>, env: &Env, done: Box<dyn FnOnce(&Env)>) {
        drop(self);
        done(env);
    }
}

/// Makes the results of the calls that share a commit, of which this is the peer's reply.
fn answer(reply: Kept, written: bool, bytes: usize) -> Outcome {
    Rc::new(move |env, call, batch| {
        let waited = call.waited.get().as_secs_f64() * 1000.0;
        let facts = [
            reply.get(env)?,
            raw::to_js(env, written)?,
            raw::to_js(env, bytes as f64)?,
            raw::to_js(env, waited)?,
            raw::to_js(env, batch as f64)?,
        ];
        let result = script::call(env, c"result", &facts)?;
        if call.request.is_patch {
            raw::define(env, &result, c"applied", &raw::to_js(env, true)?)?;
        }
        Ok(result)
    })
}

/// Whether the peer has written nothing for want of time, or of tries.
fn is_late(env: &Env, error: &Thrown<'_>) -> bool {
    matches!(text_of(env, error, c"code").as_str(), "ERR_ATOMIC_CONTENDED" | "ETIMEDOUT")
}

/// Each call is told in an error of its own, made where V8 knows its caller.
fn thrown_by_peer(env: &Env, error: &Thrown<'_>) -> Outcome {
    let kept = KeptAny::new(env, &error.0);
    let Ok(kept) = kept else { return failed(Error::from(ErrorKind::Panic("an error was lost".into()))) };
    Rc::new(move |env, call, _| {
        let error = Thrown(kept.get(env)?);
        let text = |name| text_of(env, &error, name);
        let signal = &call.request.signal;
        if text(c"name") == "AbortError" && signal.cancel().is_cancelled() {
            return Err(abort(env, signal.reason(env)));
        }
        if !raw::is_error(env, &error.0) {
            return Err(error);
        }
        let own = match text(c"name") == "TypeError" {
            true => type_error(env, &text(c"code"), &text(c"message")),
            false => thrown::error(env, &text(c"message")),
        };
        Err(Thrown(script::call(env, c"describe", &[own.0, error.0])?))
    })
}
