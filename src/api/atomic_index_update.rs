//! `atomicIndexUpdate`: read, change and replace a JSON file, one process at a time.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::start_update::{self, Given};
use crate::js::index::others::Ties;
use crate::js::value::{path, promise};

pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do with an object in a store that is no JSON.
pub const WITHOUT_CODECS: &str = "options.codec is for files; an index in a store is JSON";

/// Options of {@link atomicIndexUpdate}. `mode`, `flush`, `verify`, `mkdir`, `fallback`, `publish` and `signal` are those of
/// {@link atomicWrite}. They are read once, when the function is called. An option of the wrong type rejects with
/// `ERR_INVALID_ARG_TYPE`, one with a value that does not exist with `ERR_INVALID_ARG_VALUE`.
#[napi(
    object,
    object_to_js = false,
    js_name = "UpdateOptions<T = any> extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'fallback' | 'publish' | 'signal' | 'endpoint' | 'maxAttempts'>"
)]
#[derive(Default)]
pub struct UpdateOptions<'env> {
    /// What `fn` gets if the file does not exist. It is copied as JSON during the call, so one value can serve many
    /// calls; with `codec`, that copies it. A value that JSON, or the codec, cannot express rejects with `ERR_INVALID_ARG_VALUE`.
    ///
    /// @default undefined
    #[napi(ts_type = "T")]
    pub initial: Option<Unknown<'env>>,
    /// The indent, as for `JSON.stringify`: a number of spaces (0: all on one line), or a string of white space. If the
    /// file has another one, it is written even if `fn` changes nothing.
    ///
    /// @default the indent of the file; for a new file 2
    #[napi(ts_type = "number | string")]
    pub space: Option<Unknown<'env>>,
    /// What is kept in memory for the next update of the index: `'text'`, what the file says, or `'value'`, also what that is parsed. An update
    /// after another one, with nobody else writing in between, then parses nothing and prints only what `fn` has changed. What is written is the same.
    /// In return the index is frozen, all of it, whenever `fn` is called:
    ///
    /// - `fn` returns a new index that shares with the old one what it does not change: `(index) => ({ ...index, posts: index.posts.with(3, post) })`.
    ///   A copy of all of it is right too, and slower.
    /// - A change in place throws a `TypeError` in strict mode (modules, classes, what TypeScript makes), and the call rejects with it. In sloppy mode
    ///   JavaScript ignores it. So a function that returns the very index that it was given runs once more, with a copy that is not
    ///   frozen: if it changes that, the call rejects with `ERR_INVALID_RETURN_VALUE`. Not found out is a function in sloppy mode that changes a part
    ///   in place **and** returns a new index: that change is lost.
    /// - What `fn` puts into the index stays its own: it is copied, and not frozen. Functions that share a commit are given what JSON
    ///   has of the index that the one before returned: a date is a string there. After the first nine of a commit they get it as without the option, not frozen.
    /// - A `schema` is given the frozen index, so it cannot write defaults into it. `migrate` is given a copy that is not frozen, and what it returns is not frozen for `fn` either.
    /// - What is nested deeper than 100 levels is not frozen, and such an index is not kept.
    ///
    /// The file is parsed after any other write (by another process or thread, a patch, an update without the option), after a call that failed, and
    /// after a change of more than 100 places, or of the order of more than 100 members. Such an update takes longer than one without the option, and so does one that changes nothing.
    ///
    /// A value takes much more memory than its text: about three times as much for records of a few members, and ten times and more for many empty arrays.
    /// Each thread that updates indexes keeps values of 64 MiB of texts at most, or one of a text of 256 MiB, of the 64 files that the process keeps the texts of, on file systems that tell
    /// versions of a file apart (ext4, xfs, btrfs). It looks which are still needed when it keeps the next one: that of a file that is gone stays until then.
    /// Calls share a commit only if their `keep` is the same (transactions in any case: see {@link TransactionUpdateOptions}). With `codec`, and in stores, it means nothing.
    ///
    /// @default 'text'
    #[napi(ts_type = "'text' | 'value'")]
    pub keep: Option<Unknown<'env>>,
    /// What becomes of numbers in the file that JavaScript would change, because a `number` has only about 16 digits:
    /// `1161888007138312192` would become `1161888007138312200`, and `1e400` would become `null`.
    ///
    /// - `'strict'`: they are refused. The call rejects with `ERR_ATOMIC_LOSSY_INDEX` before `fn` is called. This is
    ///   about whole numbers and numbers that are too large. Decimals are rounded to the nearest `number`, as everywhere
    ///   in JavaScript, and `-0` may become `0`.
    /// - `'lossy'`: they are changed.
    /// - `'exact'`: all digits of those that `fn` does not replace stay as they are in the file, also those of decimals.
    ///   `fn` gets each such number as an object that `JSON.rawJSON` has made, and can pass it on, move it or copy it; its
    ///   digits are in `rawJSON`: `BigInt(index.id.rawJSON)`. All other numbers are plain ones. It needs Node.js 22 or
    ///   newer: older ones reject with `ERR_INVALID_ARG_VALUE`.
    ///
    /// @default 'strict'
    #[napi(ts_type = "'strict' | 'lossy' | 'exact'")]
    pub numbers: Option<Unknown<'env>>,
    /// Keep the version before this one: `true` as `${path}.backup`, a path under that path. The old file gets that
    /// name; it is copied only where the file system cannot do that. The backup is not touched when nothing is written.
    /// For calls that share a commit, it is the version before all of them. A process that is killed right after the
    /// index was replaced leaves the backup before. {@link BackupOptions} keep more than one.
    ///
    /// @default false
    #[napi(ts_type = "boolean | PathLike | BackupOptions")]
    pub backup: Option<Unknown<'env>>,
    /// How long to wait for the index, in milliseconds: for earlier calls of this process and then for other
    /// processes. Then the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`. 0 tries once; `Infinity` waits without a
    /// limit.
    ///
    /// @default 30_000
    #[napi(ts_type = "number")]
    pub timeout: Option<Unknown<'env>>,
    /// How long a run of an async `fn` may take, in milliseconds. After that the function is given up: the signal in its second argument
    /// is aborted, the call rejects with `ERR_ATOMIC_FN_TIMEOUT`, nothing of it is written, and the lock goes on to the next call.
    /// What the function does after that has no effect on the index. A function that never returns cannot be given up.
    ///
    /// @default `Infinity`
    #[napi(ts_type = "number")]
    pub fn_timeout: Option<Unknown<'env>>,
    /// What to do on a network file system: NFS, SMB, 9p, Ceph, Lustre, AFS, and FUSE mounts such as sshfs, rclone or
    /// s3fs, known by the type of the mount. `'refuse'` rejects with `ERR_ATOMIC_NETWORK_FS`. `'allow'` updates the
    /// index all the same; it is safe if only the processes of one machine do that. The directory is then opened anew
    /// under the lock, because a machine may still see the index that another one has replaced.
    ///
    /// Not promised with `'allow'`, if several machines update the index: a machine that is cut off from the server may
    /// go on under a lock that the server has given to another machine, and then one of the two updates is lost. Some
    /// mounts have locks that other machines do not see (`local_lock`, `nolock`, most FUSE mounts).
    ///
    /// 9p is often the file system of a virtual machine's host, and of its programs (WSL's `/mnt`, gVisor). If nothing
    /// outside updates the index, `'allow'` is safe there.
    ///
    /// @default 'refuse'
    #[napi(ts_type = "'refuse' | 'allow'")]
    pub network: Option<Unknown<'env>>,
    /// What parses and prints the index, if that is no plain JSON: `parse(text)` gets what the file says, and `stringify(value, previous)` makes the
    /// text that replaces it, from what `fn` returned. `previous` is the text that is replaced (`undefined` for a new file), for a codec that keeps
    /// comments. `@pipeline/atomic/jsonc`, `/yaml`, `/toml` and `/devalue` are ready ones. Both functions are synchronous; they run under the
    /// lock, once for all calls that share a commit. Only calls with the very same codec do.
    ///
    /// - A `parse` that throws rejects with `ERR_ATOMIC_CORRUPT_INDEX`: `cause` is what it has thrown; `offset`, `line` and `column` say where,
    ///   if that has an `offset` (in UTF-16 units), or a `line` and a `column` from 1. So does a file that is not UTF-8, is empty, or has NUL
    ///   characters, as after a power cut; `parse` is not called for that.
    /// - A `stringify` that throws, or returns something else than a string that can be read again (not empty, no NUL characters, no lone surrogates),
    ///   rejects with `ERR_INVALID_RETURN_VALUE`, and nothing is written. Of several calls only those do whose functions bring that about.
    /// - The file is left as it is if the text is the same, character by character. Line ends and the final one are the codec's; a byte order mark
    ///   stays in the file, and the codec does not see it.
    ///
    /// `space` and `numbers` mean nothing with a codec. For files only: an object in a store rejects with `ERR_ATOMIC_UNSUPPORTED`.
    ///
    /// @default JSON
    #[napi(ts_type = "IndexCodec")]
    pub codec: Option<Unknown<'env>>,
    /// What the index has to be like: any [Standard Schema](https://standardschema.dev), as zod, valibot and arktype make them.
    /// What is read (`initial` too) is checked before `fn` gets it, and what `fn` returns before it is written; an index that does not pass
    /// rejects with `ERR_ATOMIC_SCHEMA`, and the file is unchanged. It is a check: the index is passed on as it is, without the
    /// defaults and conversions of the schema, and with the keys that a schema would strip. Calls share a commit only if they give the very
    /// same schema, and then what they return is checked once for all: if it does not pass, each is checked by itself, and those that do not
    /// pass reject. So a function may be given what one before it in the same commit has returned, and what is written passes; what has to
    /// hold after each single call (no order beyond the stock), `fn` itself has to check. Transactions are checked in the same way.
    ///
    /// @default no check
    #[napi(ts_type = "StandardSchema<T>")]
    pub schema: Option<Unknown<'env>>,
    /// Makes an index that passes `schema` from one that does not, such as one that an older version of a program has
    /// written. It is called before `fn`, with the lock held, and may be async. What it returns has to pass, and is written even if `fn` changes
    /// nothing.
    ///
    /// @default an index that does not pass is refused
    #[napi(ts_type = "(index: any) => T | PromiseLike<T>")]
    pub migrate: Option<Unknown<'env>>,
    /// What to do with an index that is broken: that is not JSON, does not pass `schema`, or that the disk cannot read (`EIO`).
    ///
    /// - `'reject'`: the call rejects.
    /// - `'recover'`: the index is recovered as by {@link recoverIndex}, with `schema`, `migrate` and `initial` of the call: its newest good
    ///   backup is put back, else `initial`, and what is broken is set aside. Then the call is made once more.
    /// - a function: the same, with the function as {@link RecoveryOptions.rebuild}.
    ///
    /// Many calls that find it broken recover it once. `timeout` is for all the waiting of it, and ends no function; `signal` does. Such a call comes after those that were made
    /// meanwhile, so the order of calls may be another one then. Functions that fail by a result that does not pass `schema` run once more. For files only.
    ///
    /// @default 'reject'
    #[napi(ts_type = "'reject' | 'recover' | ((corrupt: AtomicError) => T | PromiseLike<T>)")]
    pub on_corrupt: Option<Unknown<'env>>,
}

/// What an update did.
#[napi(object, object_from_js = false, js_name = "UpdateResult extends WriteResult")]
pub struct UpdateResult {
    /// Milliseconds from the call until it had the index.
    pub lock_wait_ms: f64,
    /// The number of updates that shared this commit, this one included.
    pub batch_size: u32,
}

/// Changes a JSON file, or one of another format by `codec`, without losing an update: any number of calls, worker threads and processes may do so at the
/// same time, and each works on what the one before it left.
///
/// `fn` gets the parsed index, or `undefined` if there is no file and no `initial`, and returns the next index: an
/// object or an array. It may change the index in place and return it. Whatever it throws is what the call rejects
/// with, and then the file is unchanged and the lock is free.
///
/// `fn` may be async, and it may run more than once for one call: when it or a function that shares its commit fails,
/// when another program changed the file without the lock, put a symbolic link in its place (which is followed), or removed the lock file, when the directory was replaced (then it gets the index in
/// the new one), and when it is async and keeps the functions before it
/// waiting for more than 100 ms. So it must have no side effects. A function that declares a second parameter gets an {@link UpdateRun}:
/// which run this is, and a signal that is aborted when nobody waits for the run any more. (What counts is `fn.length`: a parameter
/// with a default value, and rest parameters, declare none.)
///
/// Calls of one thread that wait for the same index share the next commit if their options are the same (apart from
/// `initial`, `migrate`, `timeout` and `signal`). Their functions run in the order of the calls. Each gets the very object that
/// the one before it returned, with everything in it that JSON would not keep (if it fails on that, it runs again on
/// what was written). The result is written once, and each promise resolves after that. A function that fails rejects
/// only the promise of its own call. `batchSize` tells how many calls there were. A thousand calls at once cost little
/// more than one.
///
/// The file is written as by {@link atomicWrite}. If the functions have changed nothing, it is left as it is, however it
/// is formatted (`written: false`). Otherwise its indent, its line ends (LF, CRLF), a byte order mark, and what is after
/// the last bracket stay as they are, and the rest is laid out as `JSON.stringify` does it. JavaScript puts keys that are
/// whole numbers first, in ascending order, and keeps the last of several equal keys: that counts as a change. Waiting
/// costs no thread. While an update runs, `.NAME.lock` is beside
/// the file; if its process is killed, others take the lock over at once.
///
/// Rejects with an {@link AtomicError} as {@link atomicWrite} does, and with
/// - `ERR_ATOMIC_CORRUPT_INDEX`: the file is not UTF-8 or not JSON (an empty file is not JSON either), or nothing that `codec` can parse. `offset`, `line`
///   and `column` say where. It is never overwritten;
/// - `ERR_ATOMIC_LOSSY_INDEX`: the file has a number that JavaScript would change (see `numbers`). `offset`, `line` and
///   `column` say where, `literal` which;
/// - `ERR_ATOMIC_SCHEMA`: the index, or what a function made of it, does not pass `schema`. `issues` are those of the schema;
/// - `ERR_ATOMIC_LOCK_TIMEOUT`: the call did not get the index within `timeout`. `lock` is the path of the lock file,
///   `holder` who has it, as far as it says so. They are for people: a pid may be another container's;
/// - `ERR_ATOMIC_FN_TIMEOUT`: `fn` did not settle within `fnTimeout`;
/// - `ERR_ATOMIC_NO_LOCKS`: the file system has no locks (flock); keep the index on another one;
/// - `ERR_ATOMIC_NETWORK_FS`: the file is on a network file system (see `network`);
/// - `ERR_ATOMIC_REENTRANT`: the call was made inside `fn` of a call for the same file;
/// - `ERR_STRING_TOO_LONG`: the file, or what it is to become, is longer than a string can be (0x1fffffe8 characters);
/// - `ERR_ATOMIC_NO_CODEC`: the library of a codec of this package is not installed;
/// - `ERR_INVALID_RETURN_VALUE`: `fn` returned something else than an object or an array; or one that is not JSON; or
///   one that JSON would write as `{}` although there is more to it: a `Map`, a `Set`, an iterator, an instance of a
///   class without `toJSON`. The same is true for a `Map`, a `Set`, a promise and the like in it.
///
/// An abort takes effect until the commit begins; for a call that is written alone, until its rename.
///
/// For an object in a store (`s3://…`) there is no lock. Others replace the object only if it still is what they have read, so `fn` runs again
/// when another machine was faster. `timeout` bounds the whole call: it rejects with `ERR_ATOMIC_CONTENDED` when others were faster each
/// time, with `ERR_ATOMIC_LOCK_TIMEOUT` behind an earlier call of this process, and with what the store has failed with;
/// `ERR_ATOMIC_UNKNOWN_OUTCOME` says that the commit may have been made. `mode`, `flush`, `verify`, `mkdir`, `fallback`, `publish` and
/// `network` mean nothing there.
///
/// Not promised: anything about programs that change the file without this function. Their changes are noticed until
/// right before the rename. So is that one has removed, moved or replaced the lock file; an update is lost if that happens after this look, and
/// another process reads the index, changes it and comes as far as its own look before the rename. Calls for the same file that an async `fn` makes, awaited or not, reject with
/// `ERR_ATOMIC_REENTRANT`, whichever function of this package it is: awaited they would wait for this call, and that they
/// are not cannot be known. That takes Node.js 20.16; and before Node.js 24 what a function calls after its first `await`
/// is not noticed if functions with the same source text, such as `(index) => change(index)`, have returned only plain
/// values so far: an update then waits until `timeout`, and a write waits for ever. Two functions that wait for each other's indexes do so until `timeout`. A write has
/// none: do not wait inside `fn` for a write of another file that waits behind an {@link atomicWriteAll} of both.
#[napi(
    ts_generic_types = "T extends object = any",
    ts_args_type = "path: PathLike, fn: (index: T | undefined, run: UpdateRun) => T | PromiseLike<T>, options?: UpdateOptions<T> | null",
    ts_return_type = "Promise<UpdateResult>"
)]
pub fn atomic_index_update<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    function: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let target = path::target(env, "path", &path);
    promise::answer(
        env,
        target.and_then(|target| {
            start_update::start(env, target, Given::Function(&function), &options, Ties::default())
        }),
    )
}
