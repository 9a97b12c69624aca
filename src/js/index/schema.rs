//! A schema that an index is to pass, before a function gets it and before it is written.

use std::ffi::CStr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error;
use crate::js::value::once::{Once, run_script};
use crate::js::value::{Kept, Result, args, promise, raw};

const SCRIPT: &str = include_str!("schema.js");

/// A schema, and what to do with an index that does not pass it.
#[derive(Clone)]
pub struct Schema {
    /// The same number is the same schema.
    number: u32,
    schema: Rc<Kept>,
    migrate: Option<Rc<Kept>>,
}

/// Two are the same if updates by them can share a commit.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Schema {
    /// `options.schema` and `options.migrate`.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`.
    pub fn from_options<'env>(
        env: &'env Env,
        schema: Option<&Unknown<'_>>,
        migrate: Option<&Unknown<'_>>,
    ) -> Result<'env, Option<Self>> {
        let migrate = match migrate {
            Some(migrate) => {
                args::function(env, "options.migrate", migrate)?;
                Some(Rc::new(Kept::new(env, migrate)?))
            }
            None => None,
        };
        let Some(given) = schema else {
            let without = "given with options.schema, which says when to call it";
            return match migrate {
                Some(migrate) => Err(args::wrong_type(env, "options.migrate", without, &migrate.get(env)?)),
                None => Ok(None),
            };
        };
        // Not counted by the script: a module that is loaded again has another one, and shares this thread's calls.
        static ISSUED: AtomicU32 = AtomicU32::new(1);
        let fresh = raw::to_js(env, ISSUED.fetch_add(1, Ordering::Relaxed))?;
        let number: u32 = raw::from_js(env, &script(env, c"numberOf", &[*given, fresh])?).unwrap_or_default();
        if number == 0 {
            let expected = "a Standard Schema, as zod, valibot and arktype make them";
            return Err(args::wrong_type(env, "options.schema", expected, given));
        }
        Ok(Some(Self { number, schema: Rc::new(Kept::new(env, given)?), migrate }))
    }

    /// `function` for indexes that pass: what is read is checked before. With `is_each` what it returns is checked too; else
    /// [`Self::check_made`] does that for several.
    pub fn checked<'env>(
        &self,
        env: &'env Env,
        function: &Unknown<'_>,
        shown: &str,
        is_each: bool,
    ) -> Result<'env, Unknown<'env>> {
        let [schema, migrate] = self.values(env)?;
        let (shown, is_each) = (raw::to_js(env, shown)?, raw::to_js(env, is_each)?);
        script(env, c"checkedFunction", &[*function, schema, migrate, shown, is_each])
    }

    /// What was read, or what `migrate` makes of it; or a promise of that.
    pub fn check_read<'env>(
        &self,
        env: &'env Env,
        index: &Unknown<'_>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let [schema, migrate] = self.values(env)?;
        script(env, c"checkRead", &[*index, schema, migrate, raw::to_js(env, shown)?])
    }

    /// `next` is `made` as JSON has it: functions check it if they would check `made`.
    pub fn pass_on<'env>(env: &'env Env, made: &Unknown<'_>, next: &Unknown<'_>) -> Result<'env, ()> {
        script(env, c"passOn", &[*made, *next]).map(drop)
    }

    /// As [`Self::check_read`], for a caller who blocks.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_VALUE`, with a schema that takes its time.
    pub fn check_read_now<'env>(
        &self,
        env: &'env Env,
        index: &Unknown<'_>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let checked = self.check_read(env, index, shown)?;
        if !raw::is_thenable(env, &checked)? {
            return Ok(checked);
        }
        promise::settled(env, &checked, |_, _| {})?;
        let reason = "must check at once, and so must options.migrate: readIndexSync waits for no promise; call readIndex";
        Err(args::wrong_value(env, "options.schema", reason, &self.schema.get(env)?))
    }

    /// Checks `index`, which is `what` in messages; or returns a promise of that.
    pub fn check_made_as<'env>(
        &self,
        env: &'env Env,
        index: &Unknown<'_>,
        shown: &str,
        what: &str,
    ) -> Result<'env, Unknown<'env>> {
        let [schema, _] = self.values(env)?;
        script(env, c"checkMade", &[*index, schema, raw::to_js(env, shown)?, raw::to_js(env, what)?])
    }

    /// What is to be written without a function; a promise of it, if the schema takes its time.
    pub fn check_slowly<'env>(
        &self,
        env: &'env Env,
        value: &Unknown<'_>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let [schema, _] = self.values(env)?;
        script(env, c"checkSlowly", &[*value, schema, raw::to_js(env, shown)?])
    }

    /// Checks what functions have made of an index. `false`: the schema takes its time, and that was not known before, so
    /// the functions have to run again, for a check of each.
    pub fn check_made<'env>(&self, env: &'env Env, index: &Unknown<'_>, shown: &str) -> Result<'env, bool> {
        let [schema, _] = self.values(env)?;
        let checked = script(env, c"isMadeChecked", &[*index, schema, raw::to_js(env, shown)?])?;
        Ok(raw::from_js(env, &checked).unwrap_or_default())
    }

    fn values<'env>(&self, env: &'env Env) -> Result<'env, [Unknown<'env>; 2]> {
        let migrate = self.migrate.as_ref().map(|migrate| migrate.get(env)).transpose()?;
        Ok([self.schema.get(env)?, migrate.unwrap_or_else(|| raw::undefined(env))])
    }
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

fn script<'env>(env: &'env Env, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let compile = || {
        let count = error::counter(env, "ERR_ATOMIC_SCHEMA")?;
        raw::call(env, &raw::undefined(env), &run_script(env, SCRIPT)?, &[count])
    };
    let exports = COMPILED.with(|compiled| compiled.get(env, compile))?;
    raw::invoke(env, &exports, name, args)
}
