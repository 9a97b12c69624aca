//! Options and results of the functions that replace whole directories.

use std::path::PathBuf;

use engine::tree::{TreeOptions, TreeReceipt};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::js::error::from_engine;
use crate::js::value::{FilePath, Result, args, path, raw};

/// Options of {@link atomicDirectory}. They are read once, at the call.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct DirectoryOptions<'env> {
    /// Permission bits of the directory itself, as a number or as a string of octal digits. They are set exactly: the
    /// umask does not apply.
    ///
    /// @default the mode of the replaced directory; for a new one 0o777 & ~umask
    #[napi(ts_type = "number | string")]
    pub mode: Option<Unknown<'env>>,
    /// Flush every file and every directory of the new tree to disk before the tree gets its name, and the parent
    /// directory after that. Without it, a power cut can bring the old tree back or leave files of the new one empty.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub flush: Option<Unknown<'env>>,
    /// Create missing parent directories, and flush each into its parent. They stay if the call fails. `false`
    /// rejects with `ENOENT` instead.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub mkdir: Option<Unknown<'env>>,
    /// Aborts the call: it rejects with an `AbortError` and the old tree is unchanged. An abort that comes after the
    /// new tree got its name has no effect. An abort while `build` runs takes effect when `build` has settled: pass
    /// the signal on to the work that it does.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
    /// Keep the old tree: `true` as `${path}.previous`, a path under that path, which must be on the same file system
    /// (`EXDEV` otherwise, before `build` is called). An older tree at that place is replaced.
    ///
    /// @default false
    #[napi(ts_type = "boolean | PathLike")]
    pub keep_previous: Option<Unknown<'env>>,
    /// What to do where the file system cannot swap two directories in one step (some network file systems, and
    /// Windows). A directory of a container's image needs something else, see `ERR_ATOMIC_NO_EXCHANGE`. `'rename'` renames the old tree away and then the new one to its place; for an instant
    /// there is no directory under `path`. Without this option the call rejects with `ERR_ATOMIC_NO_EXCHANGE`.
    ///
    /// @default undefined
    #[napi(ts_type = "'rename'")]
    pub fallback: Option<Unknown<'env>>,
}

/// What the replacement of a directory did. The fields say what was really done, not what was asked for.
#[napi(object, object_from_js = false)]
pub struct DirectoryResult<'env> {
    /// The number of regular files in the new tree.
    pub files: f64,
    /// The number of directories in the new tree, not counting the tree's own.
    pub directories: f64,
    /// The number of symbolic links in the new tree.
    pub links: f64,
    /// The total size of the files in bytes.
    pub bytes: f64,
    /// Whether the whole tree and its parent directory were flushed to disk, so that the new tree survives a power
    /// cut. `false` without `flush`, on file systems in memory (tmpfs), on an overlay that is mounted `volatile`, on
    /// network file systems whose flush need not reach the server's disk (SMB, AFS, sshfs, object stores), and
    /// wherever the file system or the platform cannot flush.
    pub durable: bool,
    /// The path of the old tree if it still exists: with `keepPrevious`, or because it could not be removed
    /// (`leftover`).
    #[napi(ts_type = "string | null")]
    pub previous: Unknown<'env>,
    /// Why the old tree could not be removed, or not completely. The new tree is in place all the same. The next
    /// process that works in the same parent directory tries again to remove the rest, which is at `previous`.
    #[napi(ts_type = "AtomicError | null")]
    pub leftover: Unknown<'env>,
}

impl<'env> DirectoryResult<'env> {
    pub fn new(env: &'env Env, receipt: &TreeReceipt) -> Result<'env, Self> {
        let previous = match &receipt.previous {
            Some(path) => raw::to_js(env, path.to_string_lossy().into_owned())?,
            None => raw::null(env)?,
        };
        let leftover = match &receipt.leftover {
            Some(error) => from_engine(env, error, "", || None).0,
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

/// What to do with a tree in a store of objects.
pub const WITHOUT_TREES: &str = "only file systems have directories that can be exchanged; in an object store \
                                 atomicPublish replaces all objects below a prefix at once";

impl<'env> DirectoryOptions<'env> {
    /// Checks all but `signal`.
    pub fn check(&self, env: &'env Env, path: &FilePath) -> Result<'env, TreeOptions> {
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
    given: Option<&Unknown<'env>>,
    path: &FilePath,
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
        Some(given) => Ok(Some(path::local(env, name, given, WITHOUT_TREES)?.absolute)),
    }
}
