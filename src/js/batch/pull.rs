//! The iterator's side of a batch: pulls entries until the wave is full, or the iterator needs time.

use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::error::{Error, ErrorKind};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::batch::driver::{Driver, Ending, Entry, Pulled, Source, thrown};
use crate::js::cloud::entries;
use crate::js::value::{KeptAny, Next, Result, Thrown, promise, raw};

/// A wave is full with this many entries,
const MOST: usize = 256;
/// or with this much data.
const LARGEST: usize = 16 << 20;
/// It is not pulled for longer than this in one go: other code wants the event loop too.
const LONGEST: Duration = Duration::from_millis(8);

impl Driver {
    /// Takes entries until the wave is full, or the iterator needs time.
    pub(super) fn pull(self: &Rc<Self>, env: &Env, since: Instant) {
        loop {
            let begins = self.with(|state| {
                let begins = state.source == Source::Idle
                    && state.wave.len() < MOST
                    && state.size < LARGEST
                    && (state.wave.is_empty() || since.elapsed() < LONGEST);
                if begins {
                    state.source = Source::Pulling;
                }
                begins
            });
            if !begins {
                return;
            }
            if self.call.signal.cancel().is_cancelled() {
                self.with(|state| state.source = Source::Idle);
                return self.fail(env, Ending::Failed(ErrorKind::Aborted.into()), true);
            }
            match self.call.entries.next(env) {
                Ok(Next::Later(promise)) => return self.wait(env, promise),
                next => self.arrived(env, next),
            }
        }
    }

    /// Goes on when the iterator has more, or the caller aborts.
    fn wait<'env>(self: &Rc<Self>, env: &'env Env, promise: Unknown<'env>) {
        let signal = &self.call.signal;
        let promise = if signal.is_given() { signal.race(env, promise) } else { Ok(promise) };
        let (driver, failed) = (self.clone(), self.clone());
        let waiting = promise
            .and_then(|promise| {
                promise::then(env, &promise, move |env, with| {
                    if driver.call.signal.cancel().is_cancelled() {
                        driver.fail(env, Ending::Failed(ErrorKind::Aborted.into()), true);
                    } else {
                        let next = driver.call.entries.settled(env, with);
                        driver.arrived(env, next);
                    }
                    driver.go_on(env);
                    Ok(raw::undefined(env))
                })
            })
            .and_then(|promise| {
                promise::catch(env, &promise, move |env, reason| {
                    let close = failed.call.entries.is_open_after_rejection();
                    failed.step_is_over();
                    failed.fail(env, thrown(env, &reason), close);
                    failed.go_on(env);
                    Ok(raw::undefined(env))
                })
            });
        if let Err(Thrown(error)) = waiting {
            self.step_is_over();
            self.fail(env, thrown(env, &error), true);
        }
    }

    /// The iterator is not at work any more. `false`: its result is not wanted any more either.
    fn step_is_over(&self) -> bool {
        self.with(|state| {
            let wanted = state.source == Source::Pulling;
            if wanted {
                state.source = Source::Idle;
            }
            wanted
        })
    }

    /// A step of the iterator is done.
    fn arrived<'env>(self: &Rc<Self>, env: &'env Env, next: Result<'env, Next<'env>>) {
        if !self.step_is_over() {
            return;
        }
        match next {
            Ok(Next::Value(entry)) => {
                let at = self.with(|state| state.shown.len());
                match (self.call.parse)(env, at, &entry) {
                    Ok(Entry::File(pulled)) => self.take(env, pulled),
                    Ok(Entry::Object(path)) if at == 0 => match KeptAny::new(env, &entry) {
                        Ok(first) => self.fail(env, Ending::Elsewhere(first, path.shown), false),
                        Err(Thrown(error)) => self.fail(env, thrown(env, &error), true),
                    },
                    Ok(Entry::Object(path)) => {
                        let Thrown(error) = entries::mixed(env, &path.shown, at);
                        self.fail(env, thrown(env, &error), true);
                    }
                    Err(Thrown(error)) => self.fail(env, thrown(env, &error), true),
                }
            }
            Ok(Next::Done) => self.with(|state| state.source = Source::Over),
            Ok(Next::Later(_)) => {}
            Err(Thrown(error)) => self.fail(env, thrown(env, &error), false),
        }
    }

    fn take(self: &Rc<Self>, env: &Env, Pulled { shown, input }: Pulled) {
        let duplicate = self.with(|state| {
            let at = state.shown.len();
            state.shown.push(shown);
            if let Some(first) = state.known.insert(input.path.clone(), at) {
                return Some(Error::from(ErrorKind::Duplicate { first }).of_entry(at));
            }
            if state.outcome.is_none() {
                state.size += input.data.size();
                state.wave.push(input);
            }
            None
        });
        if let Some(error) = duplicate {
            self.fail(env, Ending::Failed(error), true);
        }
    }
}
