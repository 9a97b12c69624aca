//! Promises: every exported function answers with one, and whatever goes wrong rejects it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use napi::bindgen_prelude::{CallbackContext, PromiseRaw, Unknown};
use napi::{Env, JsValue as _};

use crate::js::value::once::{Once, run_script};
use crate::js::value::raw;
use crate::js::value::thrown::{Result, Thrown, internal};

/// What an exported function returns. An error becomes a rejection, also one of its arguments':
/// nothing is ever thrown at the caller.
pub fn answer<'env>(env: &'env Env, result: Result<'env, Unknown<'env>>) -> napi::Result<Unknown<'env>> {
    match result {
        Ok(promise) => Ok(promise),
        Err(Thrown(reason)) => match PromiseRaw::<Unknown<'env>>::reject(env, reason) {
            // SAFETY: a promise of the current scope.
            Ok(promise) => Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise.value().value) }),
            Err(error) => never(env).map_err(|_| error),
        },
    }
}

thread_local! {
    static NEVER: Once = const { Once::new() };
}

/// A promise that stays as it is, for environments that are ending: there no promise can be made and nothing thrown. V8 can lose
/// the request to end when it comes during a call of N-API in a microtask, and a loop that awaits calls, and got `undefined`,
/// would go on for ever. To be called first where the addon is loaded.
pub fn never(env: &Env) -> Result<'_, Unknown<'_>> {
    NEVER.with(|never| never.get(env, || run_script(env, "new Promise(() => {})")))
}

/// What an accessor returns, or throws: there a promise would surprise.
pub fn or_throw<'env>(env: &'env Env, result: Result<'env, Unknown<'env>>) -> napi::Result<Unknown<'env>> {
    result.or_else(|Thrown(reason)| {
        // SAFETY: a value of the current scope. N-API throws it when the accessor returns.
        unsafe { napi::sys::napi_throw(env.raw(), reason.raw()) };
        Ok(raw::undefined(env))
    })
}

/// A function that answers with a promise, and passes on its first argument.
pub fn function<'env, F>(env: &'env Env, name: &str, function: F) -> Result<'env, Unknown<'env>>
where
    F: for<'scope> Fn(&'scope Env, Unknown<'scope>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let body: Body = Box::new(move |env, given| {
        let argument = given.first().copied().unwrap_or_else(|| raw::undefined(env));
        answer(env, function(env, argument)).map_err(|error| internal(env, &error.to_string()))
    });
    make_function(env, name, body)
}

/// A function that passes on its first arguments, and throws what it fails with.
pub fn callback<'env, F, const N: usize>(
    env: &'env Env,
    name: &str,
    function: F,
) -> Result<'env, Unknown<'env>>
where
    F: for<'scope> Fn(&'scope Env, [Unknown<'scope>; N]) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let body: Body = Box::new(move |env, given| {
        let missing = raw::undefined(env);
        function(env, std::array::from_fn(|at| given.get(at).copied().unwrap_or(missing)))
    });
    make_function(env, name, body)
}

/// `promise.then(react)`; what `react` fails with is thrown as it is.
pub fn then<'env, R>(env: &'env Env, promise: &Unknown<'_>, react: R) -> Result<'env, Unknown<'env>>
where
    R: for<'scope> FnOnce(&'scope Env, Unknown<'scope>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let react: Reaction = Box::new(react);
    then_boxed(env, promise, react)
}

/// `promise.catch(react)`; what `react` fails with is thrown as it is.
pub fn catch<'env, R>(env: &'env Env, promise: &Unknown<'_>, react: R) -> Result<'env, Unknown<'env>>
where
    R: for<'scope> FnOnce(&'scope Env, Unknown<'scope>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let react: Reaction = Box::new(react);
    catch_boxed(env, promise, react)
}

/// `promise.finally(react)`: waits for what `react` returns, and settles as `promise` did.
pub fn finally<'env, R>(env: &'env Env, promise: &Unknown<'_>, react: R) -> Result<'env, Unknown<'env>>
where
    R: for<'scope> FnOnce(&'scope Env) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let react: Reaction = Box::new(move |env, _| react(env));
    finally_boxed(env, promise, react)
}

// What follows is compiled once, and not for each of the many closures: they were a tenth of the addon.

type Body = Box<dyn for<'scope> Fn(&'scope Env, &[Unknown<'scope>]) -> Result<'scope, Unknown<'scope>>>;

fn make_function<'env>(env: &'env Env, name: &str, body: Body) -> Result<'env, Unknown<'env>> {
    let made = env.create_function_from_closure::<(), Raw, _>(name, move |context| {
        let given = (0..context.length()).map(|at| context.get::<Unknown<'_>>(at));
        let given = given.collect::<napi::Result<Vec<_>>>()?;
        let env = context.env;
        Ok(leave(env, || body(env, &given)))
    });
    let made = made.map_err(|error| internal(env, &error.to_string()))?;
    // SAFETY: a function of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), made.raw()) })
}

type Reaction = Box<dyn for<'scope> FnOnce(&'scope Env, Unknown<'scope>) -> Result<'scope, Unknown<'scope>>>;

fn then_boxed<'env>(env: &'env Env, promise: &Unknown<'_>, react: Reaction) -> Result<'env, Unknown<'env>> {
    let promise = PromiseRaw::<Unknown<'static>>::new(env.raw(), promise.raw());
    adopt(env, promise.then(move |context: CallbackContext<Unknown<'static>>| Ok(run(&context, react))))
}

fn catch_boxed<'env>(env: &'env Env, promise: &Unknown<'_>, react: Reaction) -> Result<'env, Unknown<'env>> {
    let promise = PromiseRaw::<Unknown<'static>>::new(env.raw(), promise.raw());
    adopt(env, promise.catch(move |context: CallbackContext<Unknown<'static>>| Ok(run(&context, react))))
}

fn finally_boxed<'env>(
    env: &'env Env,
    promise: &Unknown<'_>,
    react: Reaction,
) -> Result<'env, Unknown<'env>> {
    let mut promise = PromiseRaw::<Raw>::new(env.raw(), promise.raw());
    adopt(env, promise.finally(move |env| Ok(leave(&env, || react(&env, raw::undefined(&env))))))
}

/// Tells what comes of a promise, or of any other thenable. For reactions that no caller waits for.
pub fn settled<'env, R>(env: &'env Env, promise: &Unknown<'_>, react: R) -> Result<'env, ()>
where
    R: for<'scope> FnOnce(&'scope Env, Result<'scope, Unknown<'scope>>) + 'static,
{
    let fulfilled = Rc::new(Cell::new(Some(react)));
    let rejected = fulfilled.clone();
    let over = then(env, &raw::follow(env, promise)?, move |env, value| {
        fulfilled.take().into_iter().for_each(|react| react(env, Ok(value)));
        Ok(raw::undefined(env))
    })?;
    catch(env, &over, move |env, reason| {
        rejected.take().into_iter().for_each(|react| react(env, Err(Thrown(reason))));
        Ok(raw::undefined(env))
    })?;
    Ok(())
}

/// A promise of what is known already.
pub fn of<'env>(env: &'env Env, result: Result<'env, Unknown<'env>>) -> Result<'env, Unknown<'env>> {
    let (deferred, promise) = raw::promise(env)?;
    // SAFETY: made just now, and settled once.
    raw::check(env, unsafe {
        match result {
            Ok(value) => napi::sys::napi_resolve_deferred(env.raw(), deferred, value.raw()),
            Err(Thrown(reason)) => napi::sys::napi_reject_deferred(env.raw(), deferred, reason.raw()),
        }
    })?;
    Ok(promise)
}

/// What settles a promise, once.
pub struct Deferred(napi::sys::napi_deferred);

impl Deferred {
    /// With its promise.
    pub fn new(env: &Env) -> Result<'_, (Self, Unknown<'_>)> {
        let (deferred, promise) = raw::promise(env)?;
        Ok((Self(deferred), promise))
    }

    /// Settles the promise. In an environment that is ending it stays as it is.
    pub fn settle(self, env: &Env, result: Result<'_, Unknown<'_>>) {
        // SAFETY: made in `new`, and used up here; the values belong to the current scope.
        unsafe {
            match result {
                Ok(value) => napi::sys::napi_resolve_deferred(env.raw(), self.0, value.raw()),
                Err(Thrown(reason)) => napi::sys::napi_reject_deferred(env.raw(), self.0, reason.raw()),
            }
        };
    }
}

/// A promise that we fulfil, with `undefined`; one at a time.
#[derive(Default)]
pub struct Wakeup(Cell<Option<Deferred>>);

impl Wakeup {
    /// A promise for the next wakeup. The one before, if there is one, is fulfilled.
    pub fn wait<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.wake(env);
        let (deferred, promise) = Deferred::new(env)?;
        self.0.set(Some(deferred));
        Ok(promise)
    }

    /// Fulfils the promise, if there is one.
    pub fn wake(&self, env: &Env) {
        if let Some(deferred) = self.0.take() {
            deferred.settle(env, Ok(raw::undefined(env)));
        }
    }
}

fn adopt<'env>(env: &'env Env, promise: napi::Result<PromiseRaw<'_, Raw>>) -> Result<'env, Unknown<'env>> {
    match promise {
        // SAFETY: a promise of the current scope.
        Ok(promise) => Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise.value().value) }),
        Err(error) => Err(internal(env, &error.to_string())),
    }
}

/// A value of the scope in which a reaction runs, on its way out of it.
pub struct Raw(napi::sys::napi_value);

impl napi::bindgen_prelude::FromNapiValue for Raw {
    unsafe fn from_napi_value(_env: napi::sys::napi_env, raw: napi::sys::napi_value) -> napi::Result<Self> {
        Ok(Self(raw))
    }
}

impl napi::bindgen_prelude::ToNapiValue for Raw {
    unsafe fn to_napi_value(_env: napi::sys::napi_env, raw: Self) -> napi::Result<napi::sys::napi_value> {
        Ok(raw.0)
    }
}

fn run(context: &CallbackContext<Unknown<'static>>, react: Reaction) -> Raw {
    let env = context.env;
    leave(&env, || react(&env, context.value))
}

/// Runs a callback. A panic would end the process.
pub fn guarded<'env>(
    env: &'env Env,
    react: impl FnOnce() -> Result<'env, Unknown<'env>>,
) -> Result<'env, Unknown<'env>> {
    let result = catch_unwind(AssertUnwindSafe(react));
    result.unwrap_or_else(|_| Err(internal(env, "a bug in @pipeline/atomic: a panic")))
}

/// Runs a callback and leaves it, by returning or by throwing.
fn leave<'env>(env: &'env Env, react: impl FnOnce() -> Result<'env, Unknown<'env>>) -> Raw {
    match guarded(env, react) {
        Ok(result) => Raw(result.raw()),
        Err(Thrown(reason)) => {
            // SAFETY: a value of the current scope. N-API throws it when this callback returns.
            unsafe { napi::sys::napi_throw(env.raw(), reason.raw()) };
            Raw(raw::undefined(env).raw())
        }
    }
}
