//! Reads an index, and its backups where it is broken.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::schema::Schema;
use crate::js::value::once::{Once, run_script};
use crate::js::value::{Kept, Result, copy, promise, raw};

const SCRIPT: &str = include_str!("read.js");

/// Starts to read the file whose name ends in that as well, and promises an object with its `value`.
pub type Read = Rc<dyn for<'env> Fn(&'env Env, &str) -> Result<'env, Unknown<'env>>>;

/// Lets the schema check what `found` promises of what the caller calls `shown`.
pub fn checked<'env>(
    env: &'env Env,
    found: Unknown<'env>,
    schema: Option<Schema>,
    shown: String,
) -> Result<'env, Unknown<'env>> {
    let Some(schema) = schema else { return Ok(found) };
    promise::then(env, &found, move |env, found| {
        let value = schema.check_read(env, &raw::get(env, &found, c"value")?, &shown)?;
        if !raw::is_thenable(env, &value)? {
            return raw::define(env, &found, c"value", &value).map(|()| found);
        }
        let found = Kept::new(env, &found)?;
        promise::then(env, &raw::follow(env, &value)?, move |env, value| {
            let found = found.get(env)?;
            raw::define(env, &found, c"value", &value).map(|()| found)
        })
    })
}

/// As [`checked`]; reads the newest good backup instead, if the index is broken or missing.
pub fn with_backups<'env>(
    env: &'env Env,
    read: Read,
    schema: Option<Schema>,
    shown: String,
) -> Result<'env, Unknown<'env>> {
    let functions = functions(env, read, schema, shown, Schema::check_read)?;
    raw::invoke(env, &exports(env)?, c"readWithBackups", &functions)
}

/// As [`with_backups`], where `read` has its result at once.
pub fn with_backups_now<'env>(
    env: &'env Env,
    read: Read,
    schema: Option<Schema>,
    shown: String,
) -> Result<'env, Unknown<'env>> {
    let functions = functions(env, read, schema, shown, Schema::check_read_now)?;
    raw::invoke(env, &exports(env)?, c"readWithBackupsNow", &functions)
}

type Check = for<'env> fn(&Schema, &'env Env, &Unknown<'_>, &str) -> Result<'env, Unknown<'env>>;

/// `read`, `check` and `nameOf` of the script.
fn functions<'env>(
    env: &'env Env,
    read: Read,
    schema: Option<Schema>,
    shown: String,
    check: Check,
) -> Result<'env, [Unknown<'env>; 3]> {
    let name = move |suffix: &str| format!("{shown}{suffix}");
    let names = name.clone();
    let read = promise::callback(env, "read", move |env, [suffix]| read(env, &copy::text(env, &suffix)?))?;
    let check = promise::callback(env, "check", move |env, [value, suffix]| match &schema {
        Some(schema) => check(schema, env, &value, &names(&copy::text(env, &suffix)?)),
        None => Ok(value),
    })?;
    let name_of = promise::callback(env, "nameOf", move |env, [suffix]| {
        raw::to_js(env, name(&copy::text(env, &suffix)?))
    })?;
    Ok([read, check, name_of])
}

/// `path` with a name that ends in `suffix` as well.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// What the script has: `newestBackup`, `isBroken` and `records` as well.
pub fn exports(env: &Env) -> Result<'_, Unknown<'_>> {
    COMPILED.with(|compiled| compiled.get(env, || run_script(env, SCRIPT)))
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}
