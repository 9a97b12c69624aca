//! The calls that share a job, each with its own promise. A call joins the one before it if nothing has been called in between:
//! so the order of all calls stays as it is.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use engine::data::Data;
use engine::error::Error;
use engine::lines::{AppendJob, AppendOptions, Appended, Bunch, Torn};
use engine::process::Rank;
use napi::bindgen_prelude::Unknown;
use napi::{Env, sys};

use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::task;
use crate::js::value::promise::{self, Deferred};
use crate::js::value::{FilePath, Result, Signal, Wakeup};

/// Makes a caller's result.
pub type Answer = for<'env> fn(&'env Env, &FilePath, Appended) -> Result<'env, Unknown<'env>>;
/// Tells of a part of a line that was set aside.
pub type TellTorn = for<'env> fn(&'env Env, &FilePath, &Torn) -> Result<'env, Unknown<'env>>;

struct Caller {
    deferred: Deferred,
    path: FilePath,
    tell_torn: TellTorn,
}

type Callers = Rc<RefCell<Vec<Caller>>>;

/// The last job of this thread, as long as it may not have begun.
struct Last {
    env: sys::napi_env,
    path: PathBuf,
    options: AppendOptions,
    rank: Rank,
    bunch: Bunch,
    /// Kept by the job.
    callers: Weak<RefCell<Vec<Caller>>>,
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Appends `text`, which is `count` lines.
pub fn append<'env>(
    env: &'env Env,
    path: FilePath,
    (text, count): (Data, usize),
    options: AppendOptions,
    signal: Signal,
    (answer, tell_torn): (Answer, TellTorn),
) -> Result<'env, Unknown<'env>> {
    let (deferred, promise) = Deferred::new(env)?;
    let caller = Caller { deferred, path: path.clone(), tell_torn };
    // A signal ends the job that heeds it.
    let is_alone = signal.is_given() || !inside::current(env).is_none();
    let text = if is_alone { Err(text) } else { join(env, &path, &options, text, count) };
    let text = match text {
        Ok(callers) => {
            callers.borrow_mut().push(caller);
            return Ok(promise);
        }
        Err(text) => text,
    };
    let (bunch, ticket) = (Bunch::of(text, count), inside::ticket(env));
    let callers: Callers = Rc::new(RefCell::new(vec![caller]));
    let last = (!is_alone).then(|| Last {
        env: env.raw(),
        path: path.absolute.clone(),
        options: options.clone(),
        rank: ticket.rank(),
        bunch: bunch.clone(),
        callers: Rc::downgrade(&callers),
    });
    LAST.set(last);
    let job = AppendJob::new(path.absolute, bunch, options, ticket, signal.cancel());
    task::run(env, job, move |env, outcome| {
        // It fails only in an environment that is ending.
        drop(signal.detach(env));
        let signal = Rc::new(signal);
        match outcome.map_err(Arc::new).flatten() {
            Ok(appended) => {
                for (Caller { deferred, path, .. }, appended) in callers.take().into_iter().zip(appended) {
                    deferred.settle(env, promise::guarded(env, || answer(env, &path, appended)));
                }
            }
            Err(error) => callers.take().into_iter().for_each(|caller| caller.fail(env, &error, &signal)),
        }
    })?;
    Ok(promise)
}

/// Adds a call to the last job.
///
/// # Errors
/// The text, if it needs a job of its own.
fn join(
    env: &Env,
    path: &FilePath,
    options: &AppendOptions,
    text: Data,
    count: usize,
) -> std::result::Result<Callers, Data> {
    LAST.with_borrow(|last| {
        let suits =
            |last: &&Last| last.env == env.raw() && last.path == path.absolute && last.options == *options;
        let Some(last) = last.as_ref().filter(suits).filter(|last| last.rank.is_latest()) else {
            return Err(text);
        };
        let Some(callers) = last.callers.upgrade() else { return Err(text) };
        last.bunch.add(text, count).map(|()| callers)
    })
}

impl Caller {
    /// In a reaction, from which V8 looks for the caller, for the error's stack.
    fn fail(self, env: &Env, error: &Arc<Error>, signal: &Rc<Signal>) {
        let Self { deferred, path, tell_torn } = self;
        let (error, signal, failed) = (error.clone(), signal.clone(), Wakeup::default());
        let rejected = failed.wait(env).and_then(|failed| {
            promise::then(env, &failed, move |env, _| {
                let thrown = from_engine(env, &error, &path.shown, || signal.reason(env));
                Err(match error.torn() {
                    Some(torn) => thrown.with(env, c"torn", tell_torn(env, &path, torn)?),
                    None => thrown,
                })
            })
        });
        // In this order: V8 looks for the caller from the reaction on.
        deferred.settle(env, rejected);
        failed.wake(env);
    }
}
