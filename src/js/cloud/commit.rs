//! One commit of an object, as the peer makes it: it reads, and replaces exactly what it has read.

use std::cell::Cell;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::index::group::Times;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::cloud::{peer, script};
use crate::js::value::thrown::{self, Result, Thrown};
use crate::js::value::{Kept, KeptAny, Signal, copy, promise, raw};

/// What all commits of an object are made of.
pub struct Object {
    /// What the caller calls it, as it was given.
    url: KeptAny,
    /// The caller's options.
    options: Kept,
    /// For messages.
    pub shown: String,
}

/// One object of the peer's: its tries have one id, by which a late one is known.
pub struct Commit {
    peer: Kept,
    /// Aborts what the peer is doing.
    controller: Kept,
    /// Until when the peer tries; `None`: without a limit.
    until: Cell<Option<Instant>>,
}

/// What came of an attempt to replace.
pub enum Reply {
    /// It is replaced. The peer's own words.
    Done(Kept),
    /// Another version is there. Nothing was written.
    Changed,
}

impl Reply {
    fn of<'env>(env: &'env Env, reply: &Unknown<'_>) -> Result<'env, Self> {
        match raw::from_js(env, &raw::get(env, reply, c"done")?) {
            Some(true) => Kept::new(env, reply).map(Self::Done),
            Some(false) => Ok(Self::Changed),
            None => Err(thrown::internal(env, "replaceIf of the peer does not say whether it is done")),
        }
    }
}

impl Object {
    /// With the caller's options, or none.
    pub fn new<'env>(
        env: &'env Env,
        url: &Unknown<'_>,
        shown: String,
        options: &Unknown<'_>,
    ) -> Result<'env, Self> {
        let options = if raw::is_object(options) {
            Kept::new(env, options)
        } else {
            Kept::new(env, &raw::object(env)?)
        };
        Ok(Self { url: KeptAny::new(env, url)?, options: options?, shown })
    }

    /// The options in one word, but for those in which calls that share a commit may differ; `None`: there is no such word.
    pub fn sameness<'env>(&self, env: &'env Env) -> Result<'env, Option<String>> {
        let word = script::call(env, c"sameness", &[self.options.get(env)?])?;
        if raw::type_of(&word) == ValueType::String { copy::text(env, &word).map(Some) } else { Ok(None) }
    }

    /// A commit that is given up at `until`.
    ///
    /// # Errors
    /// `ERR_ATOMIC_NO_CLOUD`; what the peer throws.
    pub fn open<'env>(&self, env: &'env Env, until: Option<Instant>) -> Result<'env, Commit> {
        let controller = raw::construct(env, &raw::global(env, c"AbortController")?, &[])?;
        let timeout = timeout(env, until)?;
        let signal = raw::get(env, &controller, c"signal")?;
        let options = script::call(env, c"commitOptions", &[self.options.get(env)?, timeout, signal])?;
        let peer = peer::call(env, &self.shown, c"openIndex", &[self.url.get(env)?, options])?;
        Ok(Commit {
            peer: Kept::new(env, &peer)?,
            controller: Kept::new(env, &controller)?,
            until: Cell::new(until),
        })
    }
}

impl Commit {
    /// Names the object in this process.
    pub fn key<'env>(&self, env: &'env Env) -> Result<'env, String> {
        copy::text(env, &raw::get(env, &self.peer.get(env)?, c"key")?)
    }

    /// The version that was read last, if the peer tells it.
    pub fn version<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        raw::get(env, &self.peer.get(env)?, c"version")
    }

    /// Until when the peer tries; `None`: without a limit.
    pub fn until(&self) -> Option<Instant> {
        self.until.get()
    }

    /// Reads the newest text. An abort of `signal` ends that.
    pub fn read<R>(&self, env: &Env, signal: Option<&Signal>, react: R)
    where
        R: for<'scope> FnOnce(&'scope Env, Result<'scope, Unknown<'scope>>) + 'static,
    {
        self.call(env, c"read", &[], signal, react);
    }

    /// What a call is to be told that does not wait any longer for what is being replaced; `None`: nothing was written so far, and
    /// will not be after the first of the [`Times`].
    ///
    /// # Errors
    /// What the peer throws.
    pub fn doubt<'env>(&self, env: &'env Env) -> Result<'env, Option<Thrown<'env>>> {
        let doubt = raw::get(env, &self.peer.get(env)?, c"doubt")?;
        Ok(raw::is_error(env, &doubt).then_some(Thrown(doubt)))
    }

    /// Replaces exactly what was read last. Nothing is written after the first of the `times`, but what has become of a write is
    /// looked for until the last. An abort of `signal` ends that.
    pub fn replace<R>(&self, env: &Env, text: &str, times: Times, signal: Option<&Signal>, react: R)
    where
        R: for<'scope> FnOnce(&'scope Env, Result<'scope, Reply>) + 'static,
    {
        self.until.set(times.first);
        let args = || {
            let text = copy::string(env, text, text.is_ascii())?;
            let (write, doubt) = (timeout(env, times.first)?, timeout(env, times.last)?);
            Ok([text, script::call(env, c"times", &[write, doubt])?])
        };
        match args() {
            Ok(args) => {
                self.call(env, c"replaceIf", &args, signal, move |env, replied| {
                    react(env, replied.and_then(|replied| Reply::of(env, &replied)));
                });
            }
            Err(error) => react(env, Err(error)),
        }
    }

    fn call<R>(&self, env: &Env, name: &CStr, args: &[Unknown<'_>], signal: Option<&Signal>, react: R)
    where
        R: for<'scope> FnOnce(&'scope Env, Result<'scope, Unknown<'scope>>) + 'static,
    {
        let heeds = self.heed(env, signal);
        let is_over = heeds.clone();
        let react = Rc::new(Cell::new(Some(react)));
        let later = react.clone();
        let called = self.peer.get(env).and_then(|peer| {
            let promise = raw::invoke(env, &peer, name, args)?;
            promise::settled(env, &promise, move |env, result| {
                is_over.set(false);
                if let Some(react) = later.take() {
                    react(env, result);
                }
            })
        });
        if let Err(error) = called
            && let Some(react) = react.take()
        {
            heeds.set(false);
            react(env, Err(error));
        }
    }

    /// Lets an abort of `signal` end what the peer does. Returns whether it still counts: that is to be said for each request
    /// by itself, because a signal is listened to for longer, and the next request may be that of another caller.
    fn heed(&self, env: &Env, signal: Option<&Signal>) -> Rc<Cell<bool>> {
        let heeds = Rc::new(Cell::new(true));
        let Some(signal) = signal else { return heeds };
        // A controller is kept once more, because the reaction is as long as the signal is listened to.
        let controller = self.controller.get(env).and_then(|controller| Kept::new(env, &controller));
        let Ok(controller) = controller else { return heeds };
        let counts = heeds.clone();
        let abort = move |env: &Env| {
            if counts.get() {
                // Fails only in an environment that is ending.
                drop(controller.get(env).and_then(|controller| raw::invoke(env, &controller, c"abort", &[])));
            }
        };
        // It may have come while nothing heeded it, and does not come again.
        if signal.cancel().is_cancelled() {
            abort(env)
        } else {
            signal.on_abort(abort)
        }
        heeds
    }
}

/// From now until then, in milliseconds.
fn timeout<'env>(env: &'env Env, until: Option<Instant>) -> Result<'env, Unknown<'env>> {
    let left = |until: Instant| until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    raw::to_js(env, until.map_or(f64::INFINITY, |until| (left(until).as_secs_f64() * 1000.0).ceil()))
}

/// A property of what the peer was rejected with, if it is a text.
pub fn text_of(env: &Env, Thrown(error): &Thrown<'_>, name: &CStr) -> String {
    let get = || match raw::get(env, error, name)? {
        text if raw::type_of(&text) == ValueType::String => copy::text(env, &text),
        _ => Ok(String::new()),
    };
    if raw::is_object(error) { get().unwrap_or_default() } else { String::new() }
}
