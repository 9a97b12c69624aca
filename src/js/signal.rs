//! AbortSignal. napi's own overwrites `onabort` and misses signals that are used again, so this
//! listens like any other listener, and stops when the call is settled.

use std::cell::Cell;
use std::rc::Rc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, ValueType, sys};

use super::args::wrong_type;
use super::error;
use super::value::{self, Kept, Result};
use crate::engine::cancel::Cancel;

/// The caller's signal, while a call that heeds it is in flight.
#[derive(Default)]
pub struct Signal {
    cancel: Cancel,
    listening: Option<Listening>,
}

struct Listening {
    signal: Kept,
    listener: Kept,
    /// Resolved on abort: what a call that waits for JavaScript races with.
    aborted: Rc<Cell<Option<sys::napi_deferred>>>,
}

impl Signal {
    /// Listens to `signal`, if there is one.
    ///
    /// # Errors
    /// `AbortError` if it is aborted already; a `TypeError` if it is no signal.
    pub fn attach<'env>(env: &'env Env, signal: Option<&Unknown<'_>>) -> Result<'env, Self> {
        let Some(signal) = signal else {
            return Ok(Self::default());
        };
        let type_error = || wrong_type(env, "options.signal", "an instance of AbortSignal", signal);
        if value::type_of(signal) != ValueType::Object {
            return Err(type_error());
        }
        match value::from_js::<bool>(env, &value::get(env, signal, c"aborted")?) {
            Some(false) => {}
            Some(true) => return Err(error::abort(env, Some(value::get(env, signal, c"reason")?))),
            None => return Err(type_error()),
        }
        let cancel = Cancel::new();
        let aborted: Rc<Cell<Option<sys::napi_deferred>>> = Rc::default();
        let listener = {
            let (cancel, aborted) = (cancel.clone(), aborted.clone());
            env.create_function_from_closure::<(), (), _>("abort", move |context| {
                cancel.cancel();
                settle(context.env, &aborted);
                Ok(())
            })
        };
        let listener = listener.map_err(|error| error::internal(env, &error.to_string()))?;
        // SAFETY: a function of the current scope.
        let listener = unsafe { Unknown::from_raw_unchecked(env.raw(), listener.raw()) };
        let event = value::to_js(env, "abort")?;
        value::invoke(env, signal, c"addEventListener", &[event, listener])?;
        let listening =
            Listening { signal: Kept::new(env, signal)?, listener: Kept::new(env, &listener)?, aborted };
        Ok(Self { cancel, listening: Some(listening) })
    }

    /// What the engine looks at.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// The reason that was given to `abort`.
    pub fn reason<'env>(&self, env: &'env Env) -> Option<Unknown<'env>> {
        let signal = self.listening.as_ref()?.signal.get(env).ok()?;
        value::get(env, &signal, c"reason").ok()
    }

    /// A promise that settles as `promise` does, or is fulfilled at once on abort.
    pub fn race<'env>(&self, env: &'env Env, promise: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        let Some(listening) = &self.listening else {
            return Ok(promise);
        };
        let (mut deferred, mut raw) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: valid places for the results; the deferred is settled once, by the listener or by
        // `detach`.
        let aborted = unsafe {
            if sys::napi_create_promise(env.raw(), &mut deferred, &mut raw) != sys::Status::napi_ok {
                return Err(error::internal(env, "cannot create a promise"));
            }
            Unknown::from_raw_unchecked(env.raw(), raw)
        };
        settle(env, &listening.aborted);
        listening.aborted.set(Some(deferred));
        let both = value::array(env, &[promise, aborted])?;
        value::invoke(env, &value::global(env, c"Promise")?, c"race", &[both])
    }

    /// Stops listening: a signal may outlive a thousand calls.
    pub fn detach<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        let Some(listening) = &self.listening else {
            return Ok(());
        };
        settle(env, &listening.aborted);
        let event = value::to_js(env, "abort")?;
        let signal = listening.signal.get(env)?;
        value::invoke(env, &signal, c"removeEventListener", &[event, listening.listener.get(env)?])?;
        Ok(())
    }
}

fn settle(env: &Env, deferred: &Cell<Option<sys::napi_deferred>>) {
    if let Some(deferred) = deferred.take() {
        // SAFETY: made in `race`, and taken out, so settled once.
        unsafe { sys::napi_resolve_deferred(env.raw(), deferred, value::undefined(env).raw()) };
    }
}
