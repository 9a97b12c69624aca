//! Options and results of the functions that replace whole directories.

use std::path::PathBuf;

use engine::tree::{TreeOptions, TreeReceipt};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::js::error::from_engine;
use crate::js::value::thrown::Result;
use crate::js::value::{args, raw};

/// TreeOptions of {@link atomicDirectory}. They are read once, at the call.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct DirectoryOptions<'env> {
    /// Permission bits of the directory itself, as a number or as a string of octal digits; set exactly, the umask
    /// does not apply.
    ///
    /// @default the mode of the directory that is replaced; for a new one 0o777 less the umask
    #[napi(ts_type = "number | string")]
    pub mode: Option<Unknown<'env>>,
    /// Flush every file and every directory of the new tree before it gets its name, and the directory that it is in
    /// after. Without it a power cut can bring the old tree back, or leave files of the new one empty.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub flush: Option<Unknown<'env>>,
    /// Make missing parent directories, durably. They stay if the call fails.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub mkdir: Option<Unknown<'env>>,
    /// Rejects with an `AbortError` unless the directory has its name already. The old one stands. While the tree is
    /// being built the abort is heeded when `build` has settled: pass the signal on to what it does.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
    /// Keep the old tree: as `${path}.previous`, or under the given name, which must be on the same file system. An
    /// older one there is replaced.
    ///
    /// @default false
    #[napi(ts_type = "boolean | PathLike")]
    pub keep_previous: Option<Unknown<'env>>,
    /// What to do where the file system cannot swap two directories in one step: `'rename'` renames the old one away
    /// and then the new one in. Between the two there is none. Without it the call rejects with
    /// `ERR_ATOMIC_NO_EXCHANGE`.
    ///
    /// @default undefined
    #[napi(ts_type = "'rename'")]
    pub fallback: Option<Unknown<'env>>,
}

/// What the replacement of a directory did: what was really done, never what was hoped for.
#[napi(object, object_from_js = false)]
pub struct DirectoryResult<'env> {
    /// How many regular files are in the new tree.
    pub files: f64,
    /// How many directories are in it, itself not counted.
    pub directories: f64,
    /// How many symbolic links are in it.
    pub links: f64,
    /// The sizes of its files, added up.
    pub bytes: f64,
    /// All of it was flushed, and the directory that it is in. `false` without `flush`, in memory (tmpfs), on an
    /// overlay mounted `volatile`, and wherever the file system or the platform offers no such operation.
    pub durable: bool,
    /// Where the old tree is, if it is still there.
    #[napi(ts_type = "string | null")]
    pub previous: Unknown<'env>,
    /// Why the old tree could not be removed, or not all of it. The new one is in its place; the rest of the old one
    /// (`previous`) is tried again when the next process works in the same directory.
    #[napi(ts_type = "NodeJS.ErrnoException | null")]
    pub leftover: Unknown<'env>,
}

impl<'env> DirectoryResult<'env> {
    pub fn new(env: &'env Env, receipt: &TreeReceipt) -> Result<'env, Self> {
        let previous = match &receipt.previous {
            Some(path) => raw::to_js(env, path.to_string_lossy().into_owned())?,
            None => raw::null(env)?,
        };
        let leftover = match &receipt.leftover {
            Some(error) => from_engine(env, error, "", None).0,
            None => raw::null(env)?,
        };
        let census = receipt.census;
        Ok(Self {
            files: census.files as f64,
            directories: census.directories as f64,
            links: census.links as f64,
            bytes: census.bytes as f64,
            durable: receipt.durable,
            previous,
            leftover,
        })
    }
}

impl DirectoryOptions<'_> {
    /// Checks all but `signal`.
    pub fn check<'env>(&self, env: &'env Env, path: &args::FilePath) -> Result<'env, TreeOptions> {
        let fallback = match self.fallback.as_ref() {
            None => false,
            Some(given) if args::word(env, given)?.as_deref() == Some("rename") => true,
            Some(given) => return Err(args::wrong_value(env, "options.fallback", "must be 'rename'", given)),
        };
        Ok(TreeOptions {
            mode: args::mode(env, self.mode.as_ref())?,
            flush: args::boolean(env, "options.flush", self.flush.as_ref(), true)?,
            mkdir: args::boolean(env, "options.mkdir", self.mkdir.as_ref(), true)?,
            keep_previous: keep(env, self.keep_previous.as_ref(), path)?,
            fallback,
        })
    }
}

fn keep<'env>(
    env: &'env Env,
    given: Option<&Unknown<'_>>,
    path: &args::FilePath,
) -> Result<'env, Option<PathBuf>> {
    let name = "options.keepPrevious";
    match given {
        None => Ok(None),
        Some(given) if raw::type_of(given) == ValueType::Boolean => {
            // Beside the directory, also when its name ends in a separator.
            let beside = path.absolute.components().as_path();
            let mut previous = beside.to_owned().into_os_string();
            previous.push(".previous");
            Ok(args::boolean(env, name, Some(given), false)?.then(|| previous.into()))
        }
        Some(given) => Ok(Some(args::path(env, name, given)?.absolute)),
    }
}
