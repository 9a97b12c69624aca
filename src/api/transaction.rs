//! `atomicTransaction`, `beginTransaction`, `snapshotRead`, `snapshotReadIndex`, `recover`: several files at once.

use std::time::Duration;

use engine::index::file::BackupOptions;
use engine::write::Options;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::UpdateOptions;
use crate::api::options::{Checked, WriteOptions, milliseconds};
use crate::api::update_options;
use crate::js::transaction::{Exported, Parse, ParsedUpdate, call};
use crate::js::value::{Encoding, FilePath, Result, args, promise};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const PARSE: Parse = Parse { write, update, timeout };

/// Changes several files together: after it, all of them are as the transaction makes them, or none is, also if the process
/// is killed or the power fails in the middle. Resolves when that is on disk.
///
/// `root` is a directory that all files are below; it is made if it is missing. `build` gets a {@link Transaction} and calls
/// `tx.write`, `tx.update`, `tx.remove`, `tx.rename` and `tx.mkdir`, which only register what is to be done. When it has
/// returned, or its promise has resolved, the files are locked, the functions that were given to `tx.update` run, if they have not
/// before, and all is committed. Whatever `build` or one of the functions throws is what the call rejects with; then nothing has changed. A list
/// of operations can be given in the place of `build`; a `build` that registers nothing and returns such a list is refused
/// (`ERR_INVALID_RETURN_VALUE`).
///
/// ```ts
/// const { value } = await atomicTransaction('content', (tx) => {
///   tx.write(`blog/${slug}.json`, text)
///   tx.update<Posts>('index.json', (posts) => ({ ...posts, [slug]: title }), { initial: {} })
///   tx.remove(`drafts/${slug}.json`, { missing: 'ignore' })
///   return slug
/// })
/// ```
///
/// Transactions and updates of this package below one root come after each other, whatever processes make them, and so do the writes of this
/// process but for those that block (*serializable*). A write of another process waits for no transaction, so of two that it makes one after the other, the
/// first may come after a transaction and the second before it. A program that reads the files in any other way sees each of them old or new, and complete, but for the
/// time of the renames some old and some new ones: {@link snapshotRead} reads several files as of one moment.
///
/// Transactions of one thread that wait while another one commits are committed together: one record, one round of flushes,
/// and each index is parsed and written once. Their functions run in the order of the calls, each on what the one before it
/// has made. One that throws leaves out its own transaction as a whole. Functions may run while the transactions before them are being
/// committed, and run again if the indexes are not what they were given. So they may run more than once, and must have no side effects; an
/// async function holds the locks while it runs.
///
/// A transaction that is interrupted is completed or undone by the next transaction, {@link snapshotRead} or
/// {@link recover} below the root, or by the first write or update of a process there. A file that another program has changed since
/// is left as it is; what the transaction would have written to it is kept beside it as `.NAME.….atomic-lost`. The root gets a
/// folder `.atomic` with a journal and locks: do not remove it while transactions run.
///
/// Rejects with an {@link AtomicError} as {@link atomicWrite} and {@link atomicIndexUpdate} do, and with
/// - `ERR_ATOMIC_OUTSIDE_ROOT`: a path leads out of the root, by `..`, by a symbolic link or into another mount, or into
///   `.atomic`;
/// - `ERR_ATOMIC_CONFLICT`: what `tx.read` had read was changed by others each time before the commit;
/// - `ERR_ATOMIC_LOCK_TIMEOUT`: the files or the indexes were not free within `timeout`;
/// - `EMFILE`: it updates more indexes than an eighth of the descriptors that the process may have (`ulimit -n`);
/// - `ERR_ATOMIC_NESTED`: the call was made inside a function of another transaction or update. An update that is called
///   inside a function of a transaction rejects with it too;
/// - `ERR_ATOMIC_PENDING` (`committed: true`): it is committed, but a name could not be changed. Remove the cause; the next
///   call below the root completes it;
/// - `ERR_ATOMIC_UNKNOWN`: the disk failed in the moment of the commit. {@link recover} tells whether it counts;
/// - `ERR_ATOMIC_JOURNAL`: the journal was written by another version, or belongs to another user; or something is mounted over a directory
///   that an interrupted transaction changes. Nothing was changed.
///
/// An abort of `signal` takes effect until the commit begins. Directories that had to be made stay if the transaction fails.
///
/// Limits: 4,096 operations; all files on the file system of the root, and not in a directory that is mounted once more below it (`mount --bind`, a
/// volume of a container; the root itself may be one), not to be read either; no network file systems. Transactions of one root
/// commit one after the other, but those of different processes without common files wait no longer than a record takes.
///
/// Not promised: anything about programs that write to the files without this package. Their changes are noticed until right
/// before the renames. On Windows, a program that has a file open can keep the transaction pending. Roots inside other roots
/// are independent of them.
#[napi(
    ts_generic_types = "T = void",
    ts_args_type = "root: PathLike, build: ((tx: Transaction) => T | PromiseLike<T>) | readonly TransactionOperation[], options?: TransactionOptions | null",
    ts_return_type = "Promise<TransactionResult<T>>"
)]
pub fn atomic_transaction<'env>(
    env: &'env Env,
    root: Unknown<'env>,
    build: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, call(env, PARSE, Exported::Transaction, &[root, build, options]))
}

/// As {@link atomicTransaction}, for code that has no function to give: `tx.commit()` commits. Without it nothing happens; the
/// transaction ends with the block of `await using`, or with `tx.rollback()`. What `tx.read` has read and others have
/// changed since rejects the commit with `ERR_ATOMIC_CONFLICT`, because there is no function to run again.
///
/// ```ts
/// await using tx = await beginTransaction('content')
/// tx.write('a.json', '1')
/// tx.write('b.json', '2')
/// await tx.commit()
/// ```
#[napi(
    ts_args_type = "root: PathLike, options?: Omit<TransactionOptions, 'retries'> | null",
    ts_return_type = "Promise<OpenTransaction>"
)]
pub fn begin_transaction<'env>(
    env: &'env Env,
    root: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, call(env, PARSE, Exported::Begin, &[root, options]))
}

/// Reads several files below `root` as they were at one moment: never some from before and some from after a transaction or a
/// write of this package. Resolves with their contents in the order of `paths`; `null` for a file that is not there.
///
/// It needs no right to write: then a transaction that was interrupted, and that it cannot recover, is read as it will be when
/// it is. It repeats until nothing has changed meanwhile. Rejects with `ERR_ATOMIC_LOCK_TIMEOUT` if that does not succeed
/// within `timeout` milliseconds (default 30,000), with `ERR_ATOMIC_OUTSIDE_ROOT`, and with what opening and reading fail
/// with.
#[napi(
    ts_generic_types = "const P extends readonly PathLike[]",
    ts_args_type = "root: PathLike, paths: P, options?: SnapshotOptions | BufferEncoding | null",
    ts_return_type = "Promise<{ -readonly [K in keyof P]: string | null }>"
)]
pub fn snapshot_read<'env>(
    env: &'env Env,
    root: Unknown<'env>,
    paths: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, call(env, PARSE, Exported::SnapshotRead, &[root, paths, options]))
}

/// As {@link snapshotRead}, for JSON, or what `codec` parses: resolves with the parsed values, and `undefined` for a file that is not there. Rejects with
/// `ERR_ATOMIC_CORRUPT_INDEX` for one that is neither.
#[napi(
    ts_generic_types = "T extends readonly unknown[] = any[]",
    ts_args_type = "root: PathLike, paths: readonly PathLike[], options?: (Omit<SnapshotOptions, 'encoding'> & Pick<UpdateOptions, 'codec'>) | null",
    ts_return_type = "Promise<{ [K in keyof T]: T[K] | undefined }>"
)]
pub fn snapshot_read_index<'env>(
    env: &'env Env,
    root: Unknown<'env>,
    paths: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, call(env, PARSE, Exported::SnapshotReadIndex, &[root, paths, options]))
}

/// Completes or undoes what an interrupted transaction below `root` has left, and says what it found and did, file by file.
/// It need not be called: the next transaction, {@link snapshotRead} or first write of a process below the root does the same.
/// It is for programs that read the files in another way, such as a web server: call it before they start.
///
/// While a transaction is at work it waits for it, up to `timeout` milliseconds (default 30,000). What cannot be recovered (a
/// journal of another version, a file that cannot be renamed, a directory over which something is mounted) rejects; with `giveUp: true` it is given up: what was staged is kept as
/// `.NAME.….atomic-lost`, what stands stays. What was staged in a directory over which something is mounted cannot be kept: unmount it first.
#[napi(
    ts_args_type = "root: PathLike, options?: RecoverOptions | null",
    ts_return_type = "Promise<Recovered>"
)]
pub fn recover<'env>(
    env: &'env Env,
    root: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, call(env, PARSE, Exported::Recover, &[root, options]))
}

fn write<'env>(env: &'env Env, options: &Unknown<'env>) -> Result<'env, (Options, bool, Encoding)> {
    let options = WriteOptions::read(env, *options)?;
    options.check_without_fallback(env)?;
    options.check_for_files(env)?;
    let Checked { commit, mkdir } = options.check(env)?;
    Ok((commit, mkdir, Encoding::parse(env, options.encoding.as_ref())?))
}

fn update<'env>(env: &'env Env, path: &FilePath, options: &Unknown<'env>) -> Result<'env, ParsedUpdate> {
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    shared.check_without_fallback(env)?;
    let elsewhere = [
        (
            "options.onCorrupt",
            &own.on_corrupt,
            "is an option of atomicIndexUpdate: call recoverIndex before the transaction",
        ),
        (
            "options.fnTimeout",
            &own.fn_timeout,
            "is an option of atomicIndexUpdate: a transaction ends by its signal",
        ),
        (
            "options.network",
            &own.network,
            "is an option of atomicIndexUpdate: a transaction has to be on a disk of this machine",
        ),
    ];
    for (name, given, reason) in elsewhere {
        if let Some(given) = given {
            return Err(args::wrong_value(env, name, reason, given));
        }
    }
    let parsed = update_options::parse(env, path, &own, &shared)?;
    let keeps_value = update_options::keeps_value(env, &own, &parsed.format)?;
    let is_each = |backup: &BackupOptions| *backup == BackupOptions::from(backup.path.clone());
    match &own.backup {
        Some(given) if !parsed.options.backup.as_ref().is_none_or(is_each) => Err(args::wrong_value(
            env,
            "options.backup",
            "must be true or a path: a transaction keeps one backup, of each version",
            given,
        )),
        _ => Ok(ParsedUpdate { keeps_value, ..parsed }),
    }
}

fn timeout<'env>(env: &'env Env, given: &Unknown<'env>) -> Result<'env, Duration> {
    let given = Some(given)
        .filter(|given| !matches!(crate::js::value::raw::type_of(given), napi::ValueType::Undefined));
    milliseconds(env, "options.timeout", given, DEFAULT_TIMEOUT)
}
