//! Options and results that the functions share.

use std::time::Duration;

use engine::write::options::{Options, Receipt};
use engine::write::verify::Level;
use napi::bindgen_prelude::{Either, Unknown};
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::js::value::thrown::Result;
use crate::js::value::{args, raw};

/// Options of {@link atomicWrite}. They are read once, at the call.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct WriteOptions<'env> {
    /// How a string becomes bytes. Other data is written as it is.
    ///
    /// With `'utf8'` a string with a lone surrogate is refused (`ERR_INVALID_ARG_VALUE`): UTF-8 has no
    /// bytes for it, and U+FFFD in its place would not be what was given.
    ///
    /// @default 'utf8'
    #[napi(ts_type = "BufferEncoding")]
    pub encoding: Option<Unknown<'env>>,
    /// Permission bits, as a number or as a string of octal digits; set exactly, the umask does not
    /// apply.
    ///
    /// @default the mode of the file that is replaced; for a new file 0o666 less the umask
    #[napi(ts_type = "number | string")]
    pub mode: Option<Unknown<'env>>,
    /// `'wx'` fails with `EEXIST` if there is anything by that name, be it a dangling link. Of two
    /// that try at once, one succeeds.
    ///
    /// @default 'w'
    #[napi(ts_type = "'w' | 'wx'")]
    pub flag: Option<Unknown<'env>>,
    /// Flush the file before it gets its name, and the directory after. Without it a power cut can
    /// bring the old file back; other readers see the old or the new one all the same. Directories that
    /// had to be made are flushed in any case.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub flush: Option<Unknown<'env>>,
    /// Read the file back and compare before it gets its name. `true` reads what the system has in
    /// its cache: that finds short and lying writes. `'device'` has the system drop its cache first,
    /// and finds what was lost on the way to the disk as well; it needs `flush`, and Linux.
    ///
    /// @default true
    #[napi(ts_type = "boolean | 'device'")]
    pub verify: Option<Unknown<'env>>,
    /// Leave a file that holds these bytes already alone: inode, mtime and mode stay. With `flush` it
    /// is flushed nevertheless, for whoever wrote it may not have.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub if_changed: Option<Unknown<'env>>,
    /// Make missing parent directories, durably. They stay if the write fails.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub mkdir: Option<Unknown<'env>>,
    /// Rejects with an `AbortError` unless the file has its name already. The old file stands.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// What a write did: what was really done, never what was hoped for.
#[napi(object, object_from_js = false)]
pub struct WriteResult {
    /// `false`: the file held these bytes already and was left alone.
    pub written: bool,
    /// Size of the file.
    pub bytes: f64,
    /// File and directory were flushed. `false` without `flush`, in memory (tmpfs), on an overlay
    /// mounted `volatile`, and wherever the file system or the platform offers no such operation.
    pub durable: bool,
    /// How far the bytes were read back: through the system's cache, or from the device.
    #[napi(ts_type = "'cache' | 'device' | false")]
    pub verified: Either<&'static str, bool>,
}

impl<'env> WriteOptions<'env> {
    /// An options object, or just an encoding.
    pub fn read(env: &'env Env, options: Unknown<'env>) -> Result<'env, Self> {
        Ok(match raw::type_of(&options) {
            ValueType::String => Self { encoding: Some(options), ..Self::default() },
            _ => args::options(env, "of type string or an instance of Object", &options)?.unwrap_or_default(),
        })
    }
}

impl WriteOptions<'_> {
    /// Checks all but `encoding` and `signal`, which need more than a look.
    pub fn check<'env>(&self, env: &'env Env) -> Result<'env, Checked> {
        self.check_over(env, &Checked { commit: Options::default(), mkdir: true })
    }

    /// As [`Self::check`]; what is not given is as in `base`.
    pub fn check_over<'env>(&self, env: &'env Env, base: &Checked) -> Result<'env, Checked> {
        let Checked { commit: default, mkdir } = base;
        let exclusive = match self.flag.as_ref() {
            None => default.exclusive,
            Some(flag) => match args::word(env, flag)?.as_deref() {
                Some("w") => false,
                Some("wx") => true,
                _ => {
                    return Err(args::wrong_value(env, "options.flag", "must be 'w' or 'wx'", flag));
                }
            },
        };
        let verify = match self.verify.as_ref() {
            Some(verify) if args::word(env, verify)?.is_some_and(|word| word == "device") => {
                Some(Level::Device)
            }
            Some(verify) if raw::type_of(verify) != ValueType::Boolean => {
                return Err(args::wrong_value(
                    env,
                    "options.verify",
                    "must be true, false or 'device'",
                    verify,
                ));
            }
            Some(verify) => args::boolean(env, "options.verify", Some(verify), true)?.then_some(Level::Cache),
            None => default.verify,
        };
        Ok(Checked {
            commit: Options {
                mode: args::mode(env, self.mode.as_ref())?.or(default.mode),
                exclusive,
                flush: args::boolean(env, "options.flush", self.flush.as_ref(), default.flush)?,
                verify,
                if_changed: args::boolean(
                    env,
                    "options.ifChanged",
                    self.if_changed.as_ref(),
                    default.if_changed,
                )?,
            },
            mkdir: args::boolean(env, "options.mkdir", self.mkdir.as_ref(), *mkdir)?,
        })
    }
}

/// Options as the engine takes them.
pub struct Checked {
    pub commit: Options,
    pub mkdir: bool,
}

impl From<Receipt> for WriteResult {
    fn from(receipt: Receipt) -> Self {
        Self {
            written: receipt.written,
            bytes: receipt.bytes as f64,
            durable: receipt.durable,
            verified: match receipt.verified {
                None => Either::B(false),
                Some(Level::Cache) => Either::A("cache"),
                Some(Level::Device) => Either::A("device"),
            },
        }
    }
}

/// Milliseconds, as timers have them: none of them negative; `Infinity` is longer than anybody waits.
pub fn milliseconds<'env>(
    env: &'env Env,
    name: &str,
    given: Option<&Unknown<'_>>,
    default: Duration,
) -> Result<'env, Duration> {
    let Some(given) = given else { return Ok(default) };
    if raw::type_of(given) != ValueType::Number {
        return Err(args::wrong_type(env, name, "of type number", given));
    }
    const YEAR: f64 = 365.0 * 24.0 * 3_600_000.0;
    match raw::from_js::<f64>(env, given) {
        Some(ms) if ms >= 0.0 => Ok(Duration::from_secs_f64(ms.min(YEAR) / 1000.0)),
        _ => Err(args::wrong_value(env, name, "must be a number of milliseconds, 0 or more", given)),
    }
}
