//! Recovers an index that is broken or missing, under its lock. In which order is decided by a script; these are its steps.

use std::cell::RefCell;
use std::ffi::CStr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::error::Error;
use engine::index::file::UpdateOptions;
use engine::index::job::Opened;
use engine::index::mend_job::{MendJob, With};
use engine::job::DropJob;
use engine::process::Inside;
use engine::process::inside::Function;
use engine::steps;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::error::from_engine;
use crate::js::index::codec::Previous;
use crate::js::index::format::Format;
use crate::js::index::lock::Lock;
use crate::js::index::read::{self, Read};
use crate::js::index::schema::Schema;
use crate::js::inside::{self, Context};
use crate::js::task;
use crate::js::value::once::{Once, run_script};
use crate::js::value::thrown::internal;
use crate::js::value::{Kept, Result, Signal, Thrown, copy, data, promise, raw};

const SCRIPT: &str = include_str!("recover.js");

/// How to recover an index.
pub struct Recovery {
    /// How to read it, and to write another one.
    pub options: UpdateOptions,
    /// What parses and prints it.
    pub format: Format,
    /// What it has to be like.
    pub schema: Option<Schema>,
    /// Text for an index that nothing else can be made of.
    pub initial: Option<Vec<u16>>,
    /// The caller's function that makes one.
    pub rebuild: Option<Kept>,
    /// How long to wait for earlier calls on the lock.
    pub timeout: Duration,
    /// The caller's. Whoever starts the recovery stops listening when it is over.
    pub signal: Rc<Signal>,
    /// How long the steps of its call take, if anyone wants to know.
    pub traced: Option<Arc<steps::Steps>>,
    /// Reads the index, and backups of it.
    pub read: Read,
    /// The lock was taken for this call.
    pub has_its_own_lock: bool,
}

/// The steps of one recovery.
struct Steps {
    lock: Rc<Lock>,
    recovery: Recovery,
    /// The index, while it is open.
    opened: RefCell<Option<Box<Opened>>>,
    /// What the call was made inside of.
    inside: Inside,
}

/// Recovers the index, if that is needed; the promise is for what was done.
pub fn recover<'env>(env: &'env Env, lock: Rc<Lock>, recovery: Recovery) -> Result<'env, Unknown<'env>> {
    let steps = Rc::new(Steps { lock, recovery, opened: RefCell::default(), inside: inside::current(env) });
    let object = raw::object(env)?;
    let step = |name: &CStr, function: Step| {
        let steps = steps.clone();
        let told = name.to_str().unwrap_or_default();
        let made = promise::callback(env, told, move |env, given| function(&steps, env, given))?;
        raw::define(env, &object, name, &made)
    };
    step(c"look", |steps, env, _| steps.look(env))?;
    step(c"check", |steps, env, [value, suffix]| steps.check(env, &value, &suffix))?;
    step(c"read", |steps, env, [suffix, _]| (steps.recovery.read)(env, &copy::text(env, &suffix)?))?;
    step(c"nameOf", |steps, env, [suffix, _]| raw::to_js(env, steps.name(env, &suffix)?))?;
    step(c"initial", |steps, env, _| steps.initial(env))?;
    step(c"missing", |steps, env, _| Ok(steps.failed(env, &Error::missing()).0))?;
    step(c"goOn", |steps, env, _| steps.check_aborted(env).map(|()| raw::undefined(env)))?;
    step(c"mend", |steps, env, [with, stamp]| steps.mend(env, &with, &stamp))?;
    step(c"leave", |steps, env, _| steps.leave(env))?;
    if steps.recovery.rebuild.is_some() {
        step(c"rebuild", |steps, env, [corrupt, _]| steps.rebuild(env, corrupt))?;
    }
    let exports = COMPILED.with(|compiled| compiled.get(env, || run_script(env, SCRIPT)))?;
    raw::invoke(env, &exports, c"recover", &[read::exports(env)?, object])
}

type Step = for<'env> fn(&Rc<Steps>, &'env Env, [Unknown<'env>; 2]) -> Result<'env, Unknown<'env>>;

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

impl Steps {
    fn shown(&self) -> &str {
        &self.lock.path.shown
    }

    fn name<'env>(&self, env: &'env Env, suffix: &Unknown<'_>) -> Result<'env, String> {
        Ok(format!("{}{}", self.shown(), copy::text(env, suffix)?))
    }

    fn failed<'env>(&self, env: &'env Env, error: &Error) -> Thrown<'env> {
        from_engine(env, error, self.shown(), || self.recovery.signal.reason(env))
    }

    fn check_aborted<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        let aborted = self.recovery.signal.cancel().check();
        aborted.map_err(|error| self.failed(env, &error))
    }

    /// What code of the caller's has returned; or a promise of it, which an abort rejects: it may never settle.
    fn heed<'env>(self: &Rc<Self>, env: &'env Env, returned: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        if !self.recovery.signal.is_given() || !raw::is_thenable(env, &returned)? {
            return Ok(returned);
        }
        let first = self.recovery.signal.race(env, returned)?;
        let steps = self.clone();
        promise::then(env, &first, move |env, value| steps.check_aborted(env).map(|()| value))
    }

    fn look<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let options = UpdateOptions { anyway: true, ..self.recovery.options.clone() };
        let numbers = options.numbers;
        let steps = self.clone();
        self.lock.open(env, options, self.recovery.timeout, &self.recovery.signal, move |env, opened| {
            let snapshot = opened.snapshot.as_ref();
            let found = raw::object(env)?;
            raw::define(env, &found, c"isThere", &raw::to_js(env, snapshot.is_some())?)?;
            let corrupt = snapshot.and_then(|snapshot| snapshot.fault.as_ref());
            let looked = match corrupt {
                Some(fault) => raw::define(env, &found, c"corrupt", &steps.failed(env, fault).0),
                None => {
                    let text = snapshot.map(|snapshot| &snapshot.text);
                    match steps.recovery.format.parse(env, text, None, numbers, steps.shown()) {
                        Ok(value) => raw::define(env, &found, c"value", &value),
                        Err(Thrown(corrupt)) => raw::define(env, &found, c"corrupt", &corrupt),
                    }
                }
            };
            steps.opened.replace(Some(opened));
            looked.map(|()| found)
        })
    }

    fn check<'env>(
        self: &Rc<Self>,
        env: &'env Env,
        value: &Unknown<'env>,
        suffix: &Unknown<'_>,
    ) -> Result<'env, Unknown<'env>> {
        match &self.recovery.schema {
            Some(schema) => self.heed(env, schema.check_read(env, value, &self.name(env, suffix)?)?),
            None => Ok(*value),
        }
    }

    fn initial<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let Recovery { initial, options, format, .. } = &self.recovery;
        let value = format.parse(env, None, initial.as_deref(), options.numbers, self.shown())?;
        self.check(env, &value, &raw::to_js(env, "")?)
    }

    /// What the caller's function makes. Calls for the index that it makes would wait for it.
    fn rebuild<'env>(self: &Rc<Self>, env: &'env Env, corrupt: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        let (Some(rebuild), Some(keys)) =
            (&self.recovery.rebuild, self.opened.borrow().as_ref().map(|opened| opened.keys()))
        else {
            return Err(internal(env, "an index was rebuilt that is not open"));
        };
        let function = Function::of_update(keys, self.shown().to_owned(), self.inside.clone());
        let context = Context::enter(env);
        let returned = rebuild
            .get(env)
            .and_then(|rebuild| Context::run(env, function.inside(), &rebuild, &[corrupt]))
            .and_then(|returned| {
                if raw::is_thenable(env, &returned)? {
                    function.promised();
                }
                raw::follow(env, &returned)
            });
        let returned = returned.or_else(|thrown| promise::of(env, Err(thrown)))?;
        let returned = self.heed(env, returned)?;
        let returned = promise::finally(env, &returned, move |env| {
            drop(function);
            context.leave(env);
            Ok(raw::undefined(env))
        })?;
        let steps = self.clone();
        promise::then(env, &returned, move |env, value| {
            steps.recovery.format.check_returned(env, &value)?;
            let Some(schema) = &steps.recovery.schema else { return Ok(value) };
            let checked =
                schema.check_made_as(env, &value, steps.shown(), "what the function 'rebuild' returned")?;
            let value = Kept::new(env, &value)?;
            let checked = steps.heed(env, checked)?;
            promise::then(env, &raw::follow(env, &checked)?, move |env, _| value.get(env))
        })
    }

    fn mend<'env>(
        &self,
        env: &'env Env,
        with: &Unknown<'_>,
        stamp: &Unknown<'_>,
    ) -> Result<'env, Unknown<'env>> {
        let suffix = raw::get(env, with, c"suffix")?;
        let with = if raw::type_of(&suffix) == ValueType::String {
            let mut path = self.lock.path.absolute.clone().into_os_string();
            path.push(copy::text(env, &suffix)?);
            With::File(PathBuf::from(path))
        } else {
            let value = raw::get(env, with, c"value")?;
            let text = self.recovery.format.stringify(env, &value, Previous::None, None, self.shown())?;
            With::Text(data::text(env, &text)?)
        };
        let Some(opened) = self.opened.take() else {
            return Err(internal(env, "an index was mended that is not open"));
        };
        let mut options = self.recovery.options.clone();
        options.commit.in_place = self.lock.in_place;
        let lock = self.lock.clone();
        let mut job = MendJob::new(
            opened,
            lock.path.absolute.clone(),
            with,
            copy::text(env, stamp)?,
            options,
            self.recovery.signal.cancel(),
        );
        if self.recovery.has_its_own_lock {
            job = job.with_its_own_lock();
        }
        let signal = self.recovery.signal.clone();
        let start = || {
            task::start(env, job, move |env, mended| {
                let failed = |error| from_engine(env, &error, &lock.path.shown, || signal.reason(env));
                let mended = mended.map_err(failed)?;
                let Some(mended) = mended else { return Ok(raw::undefined(env)) };
                let told = raw::object(env)?;
                if let Some(aside) = mended.aside {
                    let aside = raw::to_js(env, lock.path.beside(&aside))?;
                    raw::define(env, &told, c"setAside", &aside)?;
                }
                Ok(told)
            })
        };
        // Not in the turn of the event loop in which the call was made.
        steps::scope(self.recovery.traced.as_ref(), start)
    }

    /// Lets the next call on the lock have the index.
    fn leave<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        match self.opened.take() {
            Some(opened) => task::start(env, DropJob(opened), |env, _| Ok(raw::undefined(env))),
            None => Ok(raw::undefined(env)),
        }
    }
}
