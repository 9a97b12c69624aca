//! Options and results that the functions share.

use std::thread::LocalKey;
use std::time::Duration;

use engine::write::{Level, Options, Receipt};
use napi::bindgen_prelude::{Either, Unknown};
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::js::value::once::run_script;
use crate::js::value::{Once, Result, args, raw};

/// Options of {@link atomicWrite}. They are read once, when the function is called. An option of the wrong type
/// rejects with `ERR_INVALID_ARG_TYPE`, one with a value that does not exist with `ERR_INVALID_ARG_VALUE`.
#[napi(object, object_to_js = false, js_name = "WriteOptions extends CloudOptions")]
#[derive(Default)]
pub struct WriteOptions<'env> {
    /// The encoding of a string, one of those that `Buffer` has. Other data is written as it is.
    ///
    /// With `'utf8'`, a string with a lone surrogate is refused (`ERR_INVALID_ARG_VALUE`): UTF-8 cannot express it,
    /// and writing U+FFFD instead would change the data.
    ///
    /// @default 'utf8'
    #[napi(ts_type = "BufferEncoding")]
    pub encoding: Option<Unknown<'env>>,
    /// Permission bits, as a number or as a string of octal digits. They are set exactly: the umask does not apply.
    /// On Windows only the write permission has a meaning, and on file systems whose modes are fixed (vfat, many FUSE
    /// mounts) none. Where modes cannot be changed the file may be less open than this, never more.
    ///
    /// @default the mode of the replaced file; for a new file 0o666 & ~umask
    #[napi(ts_type = "number | string")]
    pub mode: Option<Unknown<'env>>,
    /// `'w'` replaces an existing file. `'wx'` rejects with `EEXIST` if the name exists, even as a dangling symbolic
    /// link. If two processes try at once, exactly one succeeds. On a file system that has neither hard links nor a
    /// rename that refuses a taken name (mounts of object stores, sshfs without hard links) `'wx'` rejects with
    /// `ERR_ATOMIC_NO_EXCLUSIVE`, and a new file written with `'w'` replaces one that another program makes in the
    /// same instant.
    ///
    /// @default 'w'
    #[napi(ts_type = "'w' | 'wx'")]
    pub flag: Option<Unknown<'env>>,
    /// Flush the file to disk (fsync) before it gets its final name, and its directory after that. Without it, a
    /// power cut can bring the old file back, or leave the new name with incomplete content; readers still see only
    /// the old or the new file as long as the system runs. Directories that had to be created are flushed in any
    /// case.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub flush: Option<Unknown<'env>>,
    /// Read the file back and compare it with the data before it gets its final name; a difference rejects with
    /// `ERR_ATOMIC_VERIFY`. `true` reads from the page cache of the operating system: that finds short writes and
    /// data that changed on the way there. `'device'` drops the cached pages first, so that it also finds what was
    /// lost on the way to the device. It works with `flush` and on Linux; elsewhere the result says `verified:
    /// 'cache'`.
    ///
    /// @default true
    #[napi(ts_type = "boolean | 'device'")]
    pub verify: Option<Unknown<'env>>,
    /// Do not write a file that already has this content: its inode, modification time and mode stay as they are, and
    /// the result says `written: false`. With `flush` the file is still flushed, because the program that wrote it
    /// may not have done so.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub if_changed: Option<Unknown<'env>>,
    /// Create missing parent directories, and flush each into its parent. They stay if the write fails. `false`
    /// rejects with `ENOENT` instead.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub mkdir: Option<Unknown<'env>>,
    /// What to do with a file that exists and cannot be replaced, because it is a mount point (a single file that is
    /// mounted into a container), or because it is in a directory in which this user may not make or rename files.
    /// `'in-place'` overwrites its bytes, and the result says `atomic: false`: readers may see a part of the new content
    /// meanwhile, and a crash may leave a part of it. An error after the first byte has `committed: true`. Calls of
    /// this kind wait for each other, also in other containers. Without it such a file is an error. A file that can be
    /// replaced is replaced. Only for {@link atomicWrite} and {@link atomicIndexUpdate}.
    ///
    /// @default undefined
    #[napi(ts_type = "'in-place'")]
    pub fallback: Option<Unknown<'env>>,
    /// How a new file gets its name. Programs that watch a folder for complete files often wait for one that is
    /// renamed there (inotify's `IN_MOVED_TO`; rsync, browsers and downloaders finish their files so) and ignore one
    /// that is created. `'link'` creates the name for a file that is complete: a watcher sees `IN_CREATE` and nothing
    /// else. `'rename'` gives the file a hidden temp name first, and then renames it, at the cost of one more step (up
    /// to a tenth of a small file's time, or a quarter with several at once). With `flag: 'wx'` that needs a file
    /// system that can refuse a taken name in a rename, as local ones on Linux and macOS can; elsewhere the name is
    /// created. A file that replaces another is always renamed, and so are those of {@link atomicWriteAll}.
    ///
    /// @default 'link'
    #[napi(ts_type = "'link' | 'rename'")]
    pub publish: Option<Unknown<'env>>,
    /// Replace an object in a store only if it still has this version, which an earlier call has told; otherwise the call rejects with
    /// `ERR_ATOMIC_CONFLICT`. Files have no versions, and are refused with it (`ERR_INVALID_ARG_VALUE`): change an index with
    /// {@link atomicIndexUpdate}.
    ///
    /// @default undefined
    #[napi(ts_type = "string")]
    pub if_version: Option<Unknown<'env>>,
    /// Keep the version of an object in a store before this one: `true` as `${path}.backup`, a string under that URL. For files
    /// {@link atomicIndexUpdate} has such an option, and others are refused with it (`ERR_INVALID_ARG_VALUE`).
    ///
    /// @default false
    #[napi(ts_type = "boolean | string")]
    pub backup: Option<Unknown<'env>>,
    /// Aborts the call: it rejects with an `AbortError` and the old file is unchanged. An abort that comes after the
    /// new file got its name has no effect.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// What a write did. The fields say what was really done, not what was asked for.
#[napi(object, object_from_js = false)]
pub struct WriteResult {
    /// Whether the file was written. `false`: it already had this content (`ifChanged`, or an unchanged index),
    /// or a later {@link atomicWriteSync} has overtaken this call, and what it wrote stands.
    pub written: bool,
    /// The size of the file in bytes.
    pub bytes: f64,
    /// Whether the file and its directory were flushed to disk, so that the new content survives a power cut. `false`
    /// without `flush`, on file systems in memory (tmpfs), on an overlay that is mounted `volatile`, on network file
    /// systems whose flush need not reach the server's disk (SMB, AFS, sshfs, object stores), and wherever the file
    /// system or the platform cannot flush.
    pub durable: bool,
    /// How the content was read back: from the page cache, from the device, or not at all. Of an object in a store: whether the store
    /// has compared a checksum, or whether it was read back.
    #[napi(ts_type = "'cache' | 'device' | 'checksum' | 'readback' | false")]
    pub verified: Either<&'static str, bool>,
    /// Whether the file was replaced as a whole, or left alone. `false` only with `fallback: 'in-place'`, for a file
    /// that had to be overwritten.
    pub atomic: bool,
    /// Only for objects in stores: the version that is there now.
    pub version: Option<String>,
    /// Only for objects in stores: how often it was tried.
    pub attempts: Option<u32>,
    /// Only for objects in stores: how often another version was there.
    pub conflicts: Option<u32>,
    /// Only for objects in stores: whether an answer of the store was lost, and the commit was found to be done when it was looked at again.
    pub recovered: Option<bool>,
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

    /// # Errors
    /// `ERR_INVALID_ARG_VALUE` with a `fallback`, for functions that have none.
    pub fn check_without_fallback<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        match &self.fallback {
            None => Ok(()),
            Some(given) => {
                let only = "is only for atomicWrite and atomicIndexUpdate";
                Err(args::wrong_value(env, "options.fallback", only, given))
            }
        }
    }

    /// # Errors
    /// `ERR_INVALID_ARG_VALUE` with what only objects in stores have.
    pub fn check_for_files<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        args::only_in_stores(env, "options.ifVersion", self.if_version.as_ref())?;
        args::only_in_stores(env, "options.backup", self.backup.as_ref())
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
                by_rename: match self.publish.as_ref() {
                    None => default.by_rename,
                    Some(publish) => match args::word(env, publish)?.as_deref() {
                        Some("link") => false,
                        Some("rename") => true,
                        _ => {
                            let allowed = "must be 'link' or 'rename'";
                            return Err(args::wrong_value(env, "options.publish", allowed, publish));
                        }
                    },
                },
                in_place: match self.fallback.as_ref() {
                    None => default.in_place,
                    Some(fallback) => match args::word(env, fallback)?.as_deref() {
                        Some("in-place") => true,
                        _ => {
                            let allowed = "must be 'in-place'";
                            return Err(args::wrong_value(env, "options.fallback", allowed, fallback));
                        }
                    },
                },
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

/// What makes results, each of those that have the same in all but numbers. By N-API each member that is defined takes five microseconds after a
/// pause, when caches are cold.
pub type Makers = [Once; 24];

/// Before the first result.
pub const fn no_makers() -> Makers {
    [const { Once::new() }; 24]
}

thread_local! {
    static MAKERS: Makers = const { no_makers() };
}

impl WriteResult {
    /// As JavaScript sees it.
    pub fn to_js<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        self.to_js_with(env, &MAKERS, ("", ""), &[])
    }

    /// As JavaScript sees it, with more: names of numbers, two at most, and then all that is more in a literal.
    pub fn to_js_with<'env>(
        &self,
        env: &'env Env,
        makers: &'static LocalKey<Makers>,
        (names, more): (&str, &str),
        numbers: &[f64],
    ) -> Result<'env, Unknown<'env>> {
        let Self { written, bytes, durable, verified, atomic, .. } = self;
        let (kind, verified) = match verified {
            Either::A("device") => (2, "'device'"),
            Either::A(_) => (1, "'cache'"),
            Either::B(_) => (0, "false"),
        };
        let at = usize::from(*written) + 2 * usize::from(*durable) + 4 * usize::from(*atomic) + 8 * kind;
        let script = || {
            run_script(
                env,
                &format!(
                    "(bytes{names}) => ({{ written: {written}, bytes, durable: {durable}, verified: {verified}, atomic: {atomic}{more} }})"
                ),
            )
        };
        let maker = makers.with(|makers| makers[at].get(env, script))?;
        debug_assert!(numbers.len() <= 2, "they are cut off");
        let mut all = [raw::to_js(env, *bytes)?; 3];
        for (place, number) in all[1..].iter_mut().zip(numbers) {
            *place = raw::to_js(env, *number)?;
        }
        raw::call(env, &raw::undefined(env), &maker, &all[..=numbers.len().min(2)])
    }
}

impl From<Receipt> for WriteResult {
    fn from(receipt: Receipt) -> Self {
        Self {
            written: receipt.written,
            bytes: receipt.bytes as f64,
            durable: receipt.durable,
            verified: verified(receipt.verified),
            atomic: receipt.atomic,
            version: None,
            attempts: None,
            conflicts: None,
            recovered: None,
        }
    }
}

/// How far something was read back.
pub fn verified(level: Option<Level>) -> Either<&'static str, bool> {
    match level {
        None => Either::B(false),
        Some(Level::Cache) => Either::A("cache"),
        Some(Level::Device) => Either::A("device"),
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
