//! AbortSignal. napi's own overwrites `onabort` and misses signals that are used again, so this is a
//! listener like any other: one for all calls that share a signal, because Node warns of a leak
//! from the eleventh listener on, and only while a call is in flight.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr;
use std::rc::Rc;

use engine::cancel::Cancel;
use napi::bindgen_prelude::{External, Unknown};
use napi::{Env, JsValue as _, ValueType, sys};

use crate::js::value::args::wrong_type;
use crate::js::value::promise::Wakeup;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::{Result, abort, internal};

/// The caller's signal, while a call that heeds it is in flight.
#[derive(Default)]
pub struct Signal {
    call: Rc<Call>,
    listening: Option<Listening>,
}

#[derive(Default)]
struct Call {
    cancel: Cancel,
    /// Wakes on abort: a call that waits for JavaScript races with it.
    interrupt: Wakeup,
    /// What else to do on abort.
    on_abort: RefCell<Option<OnAbort>>,
}

type OnAbort = Box<dyn FnOnce(&Env)>;

struct Listening {
    signal: Kept,
    hub: Rc<Hub>,
    place: u64,
}

/// All calls that heed one signal, by the order in which they came.
struct Hub {
    calls: RefCell<BTreeMap<u64, Rc<Call>>>,
    issued: Cell<u64>,
    /// The function that listens, which keeps this alive in turn until it is removed.
    listener: RefCell<Option<Kept>>,
}

impl Signal {
    /// Listens to `signal`, if there is one.
    ///
    /// # Errors
    /// `AbortError` if it is aborted already; a `TypeError` if it is no signal.
    pub fn attach<'env>(env: &'env Env, signal: Option<&Unknown<'_>>) -> Result<'env, Self> {
        let Some(signal) = signal else { return Ok(Self::default()) };
        let type_error = || wrong_type(env, "options.signal", "an instance of AbortSignal", signal);
        if raw::type_of(signal) != ValueType::Object {
            return Err(type_error());
        }
        match raw::from_js::<bool>(env, &raw::get(env, signal, c"aborted")?) {
            Some(false) => {}
            Some(true) => return Err(abort(env, Some(raw::get(env, signal, c"reason")?))),
            None => return Err(type_error()),
        }
        let hub = Hub::of(env, signal)?;
        let call = Rc::new(Call { cancel: Cancel::new(), ..Call::default() });
        let place = hub.issued.get();
        hub.issued.set(place + 1);
        hub.calls.borrow_mut().insert(place, call.clone());
        Ok(Self { call, listening: Some(Listening { signal: Kept::new(env, signal)?, hub, place }) })
    }

    /// What the engine looks at.
    pub fn cancel(&self) -> Cancel {
        self.call.cancel.clone()
    }

    /// The reason that was given to `abort`, if it was called.
    pub fn reason<'env>(&self, env: &'env Env) -> Option<Unknown<'env>> {
        let signal = self.listening.as_ref()?.signal.get(env).ok()?;
        raw::get(env, &signal, c"reason").ok().filter(|reason| raw::type_of(reason) != ValueType::Undefined)
    }

    /// Whether there is a signal to heed.
    pub fn is_given(&self) -> bool {
        self.listening.is_some()
    }

    /// A promise that settles as `promise` does, or is fulfilled at once on abort and by [`interrupt`].
    ///
    /// [`interrupt`]: Self::interrupt
    pub fn race<'env>(&self, env: &'env Env, promise: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        let interrupted = self.call.interrupt.wait(env)?;
        if self.call.cancel.is_cancelled() {
            // The abort came before there was anything to wake, and does not come again.
            self.interrupt(env);
        }
        let both = raw::array(env, &[promise, interrupted])?;
        raw::invoke(env, &raw::global(env, c"Promise")?, c"race", &[both])
    }

    /// Runs `react` on abort, if that is still to come. It is kept for as long as this listens.
    pub fn on_abort(&self, react: impl FnOnce(&Env) + 'static) {
        self.call.on_abort.replace(Some(Box::new(react)));
    }

    /// Ends a race.
    pub fn interrupt(&self, env: &Env) {
        self.call.interrupt.wake(env);
    }

    /// Stops listening: a signal may outlive a thousand calls.
    pub fn detach<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        self.interrupt(env);
        let Some(Listening { signal, hub, place }) = &self.listening else { return Ok(()) };
        hub.calls.borrow_mut().remove(place);
        if !hub.calls.borrow().is_empty() {
            return Ok(());
        }
        let Some(listener) = hub.listener.take() else { return Ok(()) };
        let signal = signal.get(env)?;
        raw::invoke(env, &hubs(env)?, c"delete", &[signal])?;
        let event = raw::to_js(env, "abort")?;
        raw::invoke(env, &signal, c"removeEventListener", &[event, listener.get(env)?])?;
        Ok(())
    }
}

/// For a call that is collected before it stopped listening: the listener stays, and does nothing.
impl Drop for Listening {
    fn drop(&mut self) {
        if let Ok(mut calls) = self.hub.calls.try_borrow_mut() {
            calls.remove(&self.place);
        }
    }
}

impl Hub {
    /// The one that listens to `signal`, or a new one.
    fn of<'env>(env: &'env Env, signal: &Unknown<'_>) -> Result<'env, Rc<Self>> {
        let hubs = hubs(env)?;
        let known = raw::invoke(env, &hubs, c"get", &[*signal])?;
        if let Some(hub) = raw::from_js::<&External<Rc<Self>>>(env, &known) {
            return Ok(Rc::clone(hub));
        }
        let hub =
            Rc::new(Self { calls: RefCell::default(), issued: Cell::new(0), listener: RefCell::new(None) });
        let listening = hub.clone();
        let listener = env.create_function_from_closure::<(), (), _>("abort", move |context| {
            // No call is added meanwhile, because the signal is aborted by now. But some may go.
            let calls: Vec<_> = listening.calls.borrow().values().cloned().collect();
            for call in calls {
                call.cancel.cancel();
                call.interrupt.wake(context.env);
                let react = call.on_abort.take();
                if let Some(react) = react {
                    react(context.env);
                }
            }
            Ok(())
        });
        let listener = listener.map_err(|error| internal(env, &error.to_string()))?;
        // SAFETY: a function of the current scope.
        let listener = unsafe { Unknown::from_raw_unchecked(env.raw(), listener.raw()) };
        let event = raw::to_js(env, "abort")?;
        raw::invoke(env, signal, c"addEventListener", &[event, listener])?;
        hub.listener.replace(Some(Kept::new(env, &listener)?));
        let external = raw::to_js(env, External::new(hub.clone()))?;
        raw::invoke(env, &hubs, c"set", &[*signal, external])?;
        Ok(hub)
    }
}

thread_local! {
    /// The environment's `WeakMap` from signal to hub. Not a `Kept`: the thread outlives its
    /// environment, which frees what refers into it.
    static HUBS: Cell<(sys::napi_env, sys::napi_ref)> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

fn hubs(env: &Env) -> Result<'_, Unknown<'_>> {
    let (of, reference) = HUBS.get();
    if of == env.raw() {
        return raw::referenced(env, reference);
    }
    let hubs = raw::construct(env, &raw::global(env, c"WeakMap")?, &[])?;
    HUBS.set((env.raw(), Kept::new(env, &hubs)?.into_raw()));
    Ok(hubs)
}
