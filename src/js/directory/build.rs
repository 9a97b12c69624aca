//! The user's part in a new directory: the function that fills it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use engine::error::{Error, ErrorKind};
use engine::process::Inside;
use engine::process::inside::Function;
use engine::steps::{self, Steps};
use engine::tree::TreeReceipt;
use engine::tree::job::{CommitJob, DiscardJob, OpenJob, Site};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::inside::Context;
use crate::js::task;
use crate::js::value::thrown::type_error;
use crate::js::value::{Kept, KeptAny, Result, Signal, Thrown, promise, raw};

/// The arguments of a call.
pub struct BuildArgs {
    /// The user's function.
    pub build: Kept,
    /// What the caller calls the directory.
    pub shown: String,
    /// What the call was made inside of.
    pub inside: Inside,
    /// The caller's.
    pub signal: Signal,
    /// Makes the caller's result of what was done and what the function returned.
    pub answer: for<'env> fn(&'env Env, TreeReceipt, Unknown<'env>) -> Result<'env, Unknown<'env>>,
}

/// A call in flight. It belongs to its reactions, which N-API frees with the environment: a worker that is terminated
/// while its function runs gives directory and turn back.
struct Call {
    args: BuildArgs,
    /// The directory while the function fills it.
    site: RefCell<Option<Site>>,
    /// If anyone wants to know them.
    steps: Option<Arc<Steps>>,
    /// While the function runs.
    running: Cell<Option<(Function, Context)>>,
}

/// Lets the user's function fill the directory that `job` opens, and puts it in its place.
pub fn start<'env>(env: &'env Env, args: BuildArgs, job: OpenJob) -> Result<'env, Unknown<'env>> {
    let call =
        Rc::new(Call { args, site: RefCell::default(), steps: steps::current(), running: Cell::default() });
    let building = call.clone();
    let done = task::start(env, job, move |env, outcome| match outcome {
        Ok(site) => building.fill(env, site),
        Err(failure) => Err(building.failed(env, &failure)),
    })?;
    promise::finally(env, &done, move |env| call.over(env))
}

impl Call {
    fn fill<'env>(self: &Rc<Self>, env: &'env Env, site: Site) -> Result<'env, Unknown<'env>> {
        let path = site.path();
        let BuildArgs { build, shown, inside, .. } = &self.args;
        let function = Function::new(site.key().clone(), shown.clone(), inside.clone());
        self.site.replace(Some(site));
        let Some(path) = path.to_str() else {
            let told = "must resolve to a path that is valid Unicode";
            let message = format!("The argument 'path' {told}. Received '{shown}'");
            return Err(type_error(env, "ERR_INVALID_ARG_VALUE", &message));
        };
        let (path, build) = (raw::to_js(env, path)?, build.get(env)?);
        let inside = function.inside();
        self.running.set(Some((function, Context::enter(env))));
        let built = Context::run(env, inside, &build, &[path])?;
        if raw::is_thenable(env, &built)? {
            self.promised();
        } else {
            self.is_built(env);
        }
        let built = raw::follow(env, &built)?;
        let call = self.clone();
        promise::then(env, &built, move |env, built| call.commit(env, built))
    }

    fn commit<'env>(self: Rc<Self>, env: &'env Env, built: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        self.is_built(env);
        let built = KeptAny::new(env, &built)?;
        let cancel = self.args.signal.cancel();
        if cancel.is_cancelled() {
            return Err(self.failed(env, &ErrorKind::Aborted.into()));
        }
        let Some(site) = self.site.take() else { return Ok(raw::undefined(env)) };
        let (steps, job) = (self.steps.clone(), CommitJob::new(site, None, cancel));
        steps::scope(steps.as_ref(), || {
            task::start(env, job, move |env, outcome| match outcome {
                Ok(receipt) => (self.args.answer)(env, receipt, built.get(env)?),
                Err(failure) => Err(self.failed(env, &failure)),
            })
        })
    }

    fn promised(&self) {
        let running = self.running.take();
        running.iter().for_each(|(function, _)| function.promised());
        self.running.set(running);
    }

    /// The function is over.
    fn is_built(&self, env: &Env) {
        if let Some((_, context)) = self.running.take() {
            context.leave(env);
        }
    }

    /// In any case: a directory that did not get its place is removed before the caller hears of that.
    fn over<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.is_built(env);
        self.args.signal.detach(env)?;
        match self.site.take() {
            Some(site) => task::start(env, DiscardJob(site), |env, _| Ok(raw::undefined(env))),
            None => Ok(raw::undefined(env)),
        }
    }

    fn failed<'env>(&self, env: &'env Env, failure: &Error) -> Thrown<'env> {
        from_engine(env, failure, &self.args.shown, || self.args.signal.reason(env))
    }
}
