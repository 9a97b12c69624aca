//! The option `backup` of an update.

use std::path::PathBuf;
use std::time::Duration;

use engine::index::file::BackupOptions as Backups;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::options::milliseconds;
use crate::js::value::{FilePath, Result, args, copy, path, raw};

/// What to do for a backup of a file in a store of objects.
const ELSEWHERE: &str =
    "the backup of a file is a file; copy it to the store after the update, with atomicWrite";

/// More than can be wanted, and few enough to look at each.
const MOST_GENERATIONS: f64 = 1000.0;

/// Which earlier versions of an index are kept. For files only; in a transaction one backup is kept, of each version.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct BackupOptions<'env> {
    /// Where the newest backup is. Older ones are beside it, and have `.1`, `.2`, … at the end.
    ///
    /// @default `${path}.backup`
    #[napi(ts_type = "PathLike")]
    pub path: Option<Unknown<'env>>,
    /// How many backups to keep, from 1 to 1000. When a version is kept, each older backup moves on by one, and the last one goes. Nothing is
    /// copied where the file system has links. Files of more generations, which an earlier call has kept, stay as they are.
    ///
    /// @default 1
    #[napi(ts_type = "number")]
    pub generations: Option<Unknown<'env>>,
    /// Keep a version only if it was written that much later than the newest backup: in milliseconds, or a number with a unit, `'30s'`,
    /// `'15m'`, `'1h'`, `'7d'`. What counts are the times of the files, so other programs that touch them change it.
    ///
    /// @default 0: keep each version
    #[napi(ts_type = "number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`")]
    pub every: Option<Unknown<'env>>,
}

/// Where the earlier versions of `file` go, if they are kept.
pub fn parse<'env>(
    env: &'env Env,
    given: Option<&Unknown<'env>>,
    file: &FilePath,
) -> Result<'env, Option<Backups>> {
    let Some(given) = given else { return Ok(None) };
    if raw::type_of(given) == ValueType::Boolean {
        let is_wanted = args::boolean(env, "options.backup", Some(given), false)?;
        return Ok(is_wanted.then(|| beside(file).into()));
    }
    if !is_options(env, given)? {
        return Ok(Some(path::local(env, "options.backup", given, ELSEWHERE)?.absolute.into()));
    }
    let options = args::options::<BackupOptions<'_>>(env, "of type Object", given)?.unwrap_or_default();
    let path = match &options.path {
        Some(given) => path::local(env, "options.backup.path", given, ELSEWHERE)?.absolute,
        None => beside(file),
    };
    let generations = generations(env, options.generations.as_ref())?;
    let every = every(env, options.every.as_ref())?;
    Ok(Some(Backups { path, generations, every }))
}

fn beside(file: &FilePath) -> PathBuf {
    let mut beside = file.absolute.clone().into_os_string();
    beside.push(".backup");
    beside.into()
}

/// An object that is no path: neither bytes nor a URL.
fn is_options<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, bool> {
    Ok(raw::type_of(given) == ValueType::Object
        && !raw::is_typed_array(env, given)
        && raw::type_of(&raw::get(env, given, c"href")?) == ValueType::Undefined)
}

fn generations<'env>(env: &'env Env, given: Option<&Unknown<'_>>) -> Result<'env, u32> {
    let Some(given) = given else { return Ok(1) };
    let name = "options.backup.generations";
    if raw::type_of(given) != ValueType::Number {
        return Err(args::wrong_type(env, name, "of type number", given));
    }
    let number: f64 = raw::from_js(env, given).unwrap_or_default();
    if !(1.0..=MOST_GENERATIONS).contains(&number) || number.fract() != 0.0 {
        return Err(args::wrong_value(env, name, "must be a whole number from 1 to 1000", given));
    }
    Ok(number as u32)
}

fn every<'env>(env: &'env Env, given: Option<&Unknown<'env>>) -> Result<'env, Duration> {
    let name = "options.backup.every";
    match given {
        Some(text) if raw::type_of(text) == ValueType::String => duration(&copy::text(env, text)?)
            .ok_or_else(|| {
                args::wrong_value(
                    env,
                    name,
                    "must be a number with a unit, such as '30s', '15m', '1h' or '7d'",
                    text,
                )
            }),
        given => milliseconds(env, name, given, Duration::ZERO),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}
