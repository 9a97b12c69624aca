//! Locks that a caller holds over several steps, on the JavaScript thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::error::Error;
use engine::index::file::UpdateOptions;
use engine::index::hold::{EnterJob, Hold, ReleaseJob};
use engine::index::hold_job::{HoldJob, HoldOptions};
use engine::index::hold_now::hold_now;
use engine::index::job::{Come, Opened};
use engine::process::inside::Function;
use engine::process::{Inside, Key, Ticket};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::call::{self, Request};
use crate::js::index::file::Answer;
use crate::js::index::group;
use crate::js::inside::{self, Context};
use crate::js::task;
use crate::js::value::thrown::invalid_state;
use crate::js::value::{FilePath, Kept, Result, Signal, Thrown, promise, raw};

/// A lock, until it is released.
pub struct Lock {
    /// Of the index.
    pub path: FilePath,
    /// The index may be overwritten in place.
    pub in_place: bool,
    hold: RefCell<Option<Arc<Hold>>>,
    /// What calls on it queue for.
    line: Key,
    /// By `release_now`: it is not put back.
    is_given_up: Cell<bool>,
    /// What callers of `release` wait for.
    released: RefCell<Option<Kept>>,
    /// The function of `withIndexLock`, while it has the lock.
    function: RefCell<Option<Function>>,
}

/// How to take locks.
pub struct AcquireArgs {
    /// Of the indexes.
    pub paths: Vec<FilePath>,
    /// How to take them.
    pub options: HoldOptions,
    /// The caller's.
    pub signal: Signal,
}

/// Takes the locks of all indexes, or of none; the promise is for what `react` makes of them.
pub fn acquire<'env, R>(env: &'env Env, args: AcquireArgs, react: R) -> Result<'env, Unknown<'env>>
where
    R: for<'scope> FnOnce(&'scope Env, Vec<Rc<Lock>>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    let AcquireArgs { paths, options, signal } = args;
    let in_place = options.in_place;
    let inside = inside::current(env);
    let ticket = Ticket::take().inside(inside.clone());
    let absolute = paths.iter().map(|path| path.absolute.clone()).collect();
    task::start(env, HoldJob::new(absolute, options, ticket), move |env, held| {
        signal.detach(env)?;
        let failed = |error: Error| {
            let at = error.entry().unwrap_or_default();
            let shown = paths.get(at).map_or("", |path| path.shown.as_str());
            from_engine(env, &error.inside(|| inside.names()), shown, || signal.reason(env))
        };
        let held = held.map_err(failed)?;
        let lock = |(hold, path)| Rc::new(Lock::new(hold, path, in_place));
        react(env, held.into_iter().zip(paths).map(lock).collect())
    })
}

/// Takes the lock of an index, if it is free.
pub fn acquire_now<'env>(
    env: &'env Env,
    path: FilePath,
    options: &HoldOptions,
    inside: &Inside,
) -> Result<'env, Rc<Lock>> {
    match hold_now(&path.absolute, options, inside) {
        Ok(hold) => Ok(Rc::new(Lock::new(hold, path, options.in_place))),
        Err(error) => Err(from_engine(env, &error, &path.shown, || None)),
    }
}

/// Calls `function(argument)`, which has the locks until it is over. They are released in any case, before the promise
/// settles as that of the function does.
pub fn lend<'env>(
    env: &'env Env,
    locks: Vec<Rc<Lock>>,
    function: &Kept,
    argument: Unknown<'env>,
    outer: Inside,
) -> Result<'env, Unknown<'env>> {
    let inside = locks.iter().fold(outer, |outer, lock| lock.enter(outer));
    let context = Context::enter(env);
    let returned = function
        .get(env)
        .and_then(|function| Context::run(env, inside, &function, &[argument]))
        .and_then(|returned| {
            if raw::is_thenable(env, &returned)? {
                locks.iter().for_each(|lock| lock.promised());
            }
            raw::follow(env, &returned)
        });
    let promise = returned.or_else(|thrown| promise::of(env, Err(thrown)))?;
    promise::finally(env, &promise, move |env| {
        context.leave(env);
        let released = locks.iter().map(|lock| lock.release(env)).collect::<Result<'_, Vec<_>>>()?;
        raw::invoke(env, &raw::global(env, c"Promise")?, c"all", &[raw::array(env, &released)?])
    })
}

impl Lock {
    fn new(hold: Hold, path: FilePath, in_place: bool) -> Self {
        Self {
            path,
            in_place,
            line: hold.line().clone(),
            is_given_up: Cell::default(),
            hold: RefCell::new(Some(Arc::new(hold))),
            released: RefCell::default(),
            function: RefCell::default(),
        }
    }

    /// Whether `release` was not called.
    pub fn is_held(&self) -> bool {
        self.hold.borrow().is_some()
    }

    fn hold<'env>(&self, env: &'env Env) -> Result<'env, Arc<Hold>> {
        let told = "the lock was released: acquire it again, or change the index with atomicIndexUpdate";
        self.hold.borrow().clone().ok_or_else(|| invalid_state(env, told))
    }

    /// A function of the caller's has the lock from now on. Calls for the index that it makes would wait for it.
    fn enter(&self, outer: Inside) -> Inside {
        let Some(hold) = &*self.hold.borrow() else { return outer };
        let function = Function::of_lock(hold.key().clone(), self.path.shown.clone(), outer);
        let inside = function.inside();
        self.function.replace(Some(function));
        inside
    }

    fn promised(&self) {
        self.function.borrow().iter().for_each(Function::promised);
    }

    /// Changes the index, as `request` says.
    pub fn update<'env>(
        &self,
        env: &'env Env,
        request: Request,
        timeout: Duration,
        answer: Answer,
    ) -> Result<'env, Unknown<'env>> {
        let (options, cancel) = (request.options.clone(), request.signal.cancel());
        let ticket = Ticket::take().inside(request.inside.clone());
        let hold = self.hold(env)?;
        let job = EnterJob::new(hold, request.id, options, ticket, request.since, timeout, cancel);
        group::start(env, request, job, answer)
    }

    /// Opens the index, in its order among the calls on this lock, which wait until it is dropped; the promise is for what
    /// `react` makes of it.
    pub fn open<'env, R>(
        &self,
        env: &'env Env,
        options: UpdateOptions,
        timeout: Duration,
        signal: &Rc<Signal>,
        react: R,
    ) -> Result<'env, Unknown<'env>>
    where
        R: for<'scope> FnOnce(&'scope Env, Box<Opened>) -> Result<'scope, Unknown<'scope>> + 'static,
    {
        let (ticket, shown) = (inside::ticket(env), self.path.shown.clone());
        let (hold, cancel, signal) = (self.hold(env)?, signal.cancel(), signal.clone());
        // No call takes it along: it is known to none.
        let job = EnterJob::new(hold, call::next_id(), options, ticket, Instant::now(), timeout, cancel);
        task::start(env, job, move |env, come| match come {
            Ok(Come::Open(opened)) => react(env, opened),
            Ok(Come::Follower) => Err(invalid_state(env, "a read was taken for an update")),
            Err(error) => Err(from_engine(env, &error, &shown, || signal.reason(env))),
        })
    }

    /// Gives the index back, after the calls that were made before. A second call waits for the same, and one after
    /// [`Lock::release_now`] for the calls that keep it.
    ///
    /// A release that is refused, because it is made inside a function that has the index, can be made again.
    pub fn release<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        if let Some(released) = &*self.released.borrow() {
            return released.get(env);
        }
        let job = ReleaseJob::new(self.hold.take(), self.line.clone(), inside::ticket(env));
        let (function, shown) = (self.function.take(), self.path.shown.clone());
        let lock = self.clone();
        let released = task::start(env, job, move |env, released| {
            match released {
                // Calls for the index do not wait for the function any more.
                Ok(None) => drop(function),
                Ok(Some((hold, error))) => {
                    lock.released.take();
                    if !lock.is_given_up.get() {
                        lock.hold.replace(hold);
                        lock.function.replace(function);
                    }
                    return Err(from_engine(env, &error, &shown, || None));
                }
                Err(error) => return Err(from_engine(env, &error, &shown, || None)),
            }
            Ok(raw::undefined(env))
        })?;
        self.released.replace(Some(Kept::new(env, &released)?));
        Ok(released)
    }

    /// Gives the index back, now or when the calls are over that were made before: each keeps it.
    pub fn release_now(&self) {
        self.is_given_up.set(true);
        let (hold, function) = (self.hold.take(), self.function.take());
        drop(hold);
        // Calls for the index do not wait for the function any more.
        drop(function);
    }

    /// Tells the program that it has forgotten to release the lock. `false`: there is no program any more.
    pub fn warn(&self, env: &Env) -> bool {
        let message = format!(
            "The lock of '{}' was garbage-collected before it was released, and is free when the calls on it are over. Call lock.release(), use \
             'await using', or call withIndexLock, which releases it",
            self.path.shown
        );
        let warn = || -> Result<'_, ()> {
            let told = [raw::to_js(env, message)?, raw::to_js(env, "Warning")?, raw::to_js(env, UNRELEASED)?];
            raw::invoke(env, &raw::global(env, c"process")?, c"emitWarning", &told).map(drop)
        };
        match warn() {
            Ok(()) => true,
            Err(Thrown(_)) => false,
        }
    }
}

/// The code of the warning about a lock that was not released.
const UNRELEASED: &str = "ATOMIC_LOCK_NOT_RELEASED";
