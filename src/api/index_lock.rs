//! `withIndexLock`, `acquireIndexLock`: an index that stays locked over several steps.

use std::rc::Rc;
use std::time::Instant;

use engine::steps;
use napi::Env;
use napi::bindgen_prelude::{ObjectFinalize, Unknown};
use napi_derive::napi;

use crate::api::atomic_index_update::{DEFAULT_TIMEOUT, UpdateOptions};
use crate::api::index_lock_options::parse;
use crate::api::index_text;
use crate::api::options::{WriteOptions, milliseconds};
use crate::api::read_index::IndexRead;
use crate::api::recover_index;
use crate::api::start_update;
use crate::api::update_options;
use crate::js::index::call::{self, Change, Request};
use crate::js::index::lock::{self, Lock};
use crate::js::index::others::Ties;
use crate::js::index::read;
use crate::js::index::recover::recover;
use crate::js::inside;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{Kept, Result, Signal, args, promise, raw};

/// The lock of an index, as {@link acquireIndexLock} and {@link withIndexLock} give it. While it is held, no update of any
/// process, worker thread or call changes the index, but for those of the lock itself.
///
/// Calls on one lock take place one after the other, in their order; {@link IndexLock.update | updates} that wait share a commit.
/// A call after the release rejects with `ERR_INVALID_STATE`. If the directory of the index is replaced as a whole while the lock is
/// held, the lock is that of a file which has no path any more: calls on it reject with `ENOENT`.
#[napi(custom_finalize)]
pub struct IndexLock {
    pub(super) lock: Rc<Lock>,
    /// It is released by a call of ours.
    is_lent: bool,
}

#[napi]
impl IndexLock {
    /// The path of the index, as it was given.
    #[napi(getter)]
    pub fn path(&self) -> String {
        self.lock.path.shown.clone()
    }

    /// Reads and parses the index, as {@link readIndex} does. The options are its options, and `timeout`, which is how long to wait
    /// for earlier calls on this lock (by default 30,000 ms). With `initial` there always is a value.
    #[napi(
        ts_generic_types = "T = any",
        ts_args_type = "options: Pick<UpdateOptions<T>, 'numbers' | 'codec' | 'schema' | 'migrate' | 'timeout'> & { initial: T }",
        ts_return_type = "Promise<IndexRead<T> & { value: T }>"
    )]
    pub fn read<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        promise::answer(env, read_under(env, &self.lock, &options))
    }

    /// Changes the index, as {@link atomicIndexUpdate} does. The options are those of that function, but for `fallback` and `network`,
    /// which are those of the lock. `timeout` is how long to wait for earlier calls on this lock. Without `initial`, `fn` gets `undefined`
    /// if there is no file.
    #[napi(
        ts_generic_types = "T extends object = any",
        ts_args_type = "fn: (index: T, run: UpdateRun) => T | PromiseLike<T>, options: LockedUpdateOptions<T> & { initial: T }",
        ts_return_type = "Promise<UpdateResult>"
    )]
    pub fn update<'env>(
        &self,
        env: &'env Env,
        function: Unknown<'env>,
        options: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        let checked = args::function(env, "fn", &function);
        let given = Given::Function(&function);
        promise::answer(env, checked.and_then(|()| update(env, &self.lock, given, &options)))
    }

    /// Replaces the index by `value`, an object or an array, whatever the index says: also if it is no JSON, or has numbers that
    /// JavaScript would change. Otherwise it is written as by {@link IndexLock.update}: with the layout of the old one, and not
    /// at all if it says the same. `backup: true` keeps the old bytes. The value is copied as JSON during the call. What JSON
    /// cannot express rejects with `ERR_INVALID_ARG_VALUE`.
    #[napi(
        ts_generic_types = "T extends object = any",
        ts_args_type = "value: T, options?: Omit<LockedUpdateOptions<T>, 'initial' | 'fnTimeout' | 'migrate'> | null",
        ts_return_type = "Promise<UpdateResult>"
    )]
    pub fn write<'env>(
        &self,
        env: &'env Env,
        value: Unknown<'env>,
        options: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        let checked = args::index(env, "value", &value);
        let given = Given::Value(&value);
        promise::answer(env, checked.and_then(|()| update(env, &self.lock, given, &options)))
    }

    /// Makes the index good again, as {@link recoverIndex} does, if it is broken or missing. `timeout` is how long to wait for earlier calls
    /// on this lock; later ones wait until it is over. Calls on the lock inside `rebuild` reject with `ERR_ATOMIC_REENTRANT`.
    #[napi(
        ts_generic_types = "T extends object = any",
        ts_args_type = "options?: (RecoveryOptions<T> & Pick<UpdateOptions, 'timeout'>) | null",
        ts_return_type = "Promise<IndexRecovery<T>>"
    )]
    pub fn recover<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        promise::answer(env, recover_under(env, &self.lock, &options))
    }

    /// Gives the index back, after the calls that were made on the lock before. When the promise resolves, the lock is free. A second
    /// release waits for the first one.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn release<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.lock.release(env))
    }

    /// What `await using` calls at the end of its block: {@link IndexLock.release}.
    #[napi(well_known_symbol = "asyncDispose", ts_return_type = "Promise<void>")]
    pub fn dispose<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.lock.release(env))
    }
}

impl ObjectFinalize for IndexLock {
    fn finalize(self, env: Env) -> napi::Result<()> {
        if self.lock.is_held() && !self.is_lent {
            self.lock.warn(&env);
        }
        Ok(())
    }
}

/// Locks an index, or several, until the lock is released: the very lock that {@link atomicIndexUpdate} takes, so no update comes
/// between what is read and what is written under it, however long that takes. For rebuilds that read, compute for minutes, and write.
///
/// ```ts
/// const lock = await acquireIndexLock('posts/index.json')
/// try {
///   const { value } = await lock.read<Posts>()
///   await lock.write(await rebuild(value))
/// } finally {
///   await lock.release()
/// }
/// ```
///
/// With TypeScript since 5.2 and Node.js since 24, `await using lock = await acquireIndexLock(path)` releases it at the end of the
/// block. {@link withIndexLock} always releases it, and knows calls that would wait for it.
///
/// Calls of one process get the index in the order in which they were made, whatever they are; other processes wait for the lock file
/// with their own timeouts, and get it first when it is released. Plain readers wait for nobody. A lock that is held keeps no thread
/// and does not keep the process alive. It is free as soon as its process or its worker thread ends, also by a kill. A lock that is
/// garbage-collected is released, with a warning of the process (`ATOMIC_LOCK_NOT_RELEASED`).
///
/// Several paths are locked together: all, or none within `timeout`. The promise is then for an array of locks, in the order of the
/// paths, each of which is released by itself. They are taken in one order everywhere, so that two calls with several paths, or a call
/// and a transaction, do not wait for each other. A path that means the same file as an earlier one rejects with
/// `ERR_ATOMIC_DUPLICATE`. An error that is about one of several paths has its position as `entry`.
///
/// Rejects with an {@link AtomicError}: `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_NETWORK_FS` as
/// {@link atomicIndexUpdate} does; `ERR_ATOMIC_REENTRANT` inside the function of a call for the same file, `ERR_ATOMIC_NESTED` inside
/// a function of a transaction; `ERR_ATOMIC_UNSUPPORTED` for an object in a store; `AbortError`; and with what opening the directory
/// fails with. What the index says is not looked at. Calls on the lock that would write reject with `ERR_ATOMIC_LOCK_LOST` when another
/// program has removed, moved or replaced the lock file, as another process may have the lock by then: release it, and begin again. With
/// `ELOOP` reject all that come after the index has become a symbolic link.
///
/// Not promised: a call that waits for a lock which its own program holds waits until its timeout, and a write of the file, which has
/// none, until the release; only inside the function of {@link withIndexLock} such calls are refused. A process holds at most as many
/// locks as a sixteenth of the descriptors that it may have; further calls wait for one of them to be released. Two programs that
/// take two locks one after the other in opposite orders wait for each other until a timeout: give both paths at once.
#[napi(
    ts_generic_types = "const P extends PathLike | readonly PathLike[]",
    ts_args_type = "paths: P, options?: IndexLockOptions | null",
    ts_return_type = "Promise<IndexLocks<P>>"
)]
pub fn acquire_index_lock<'env>(
    env: &'env Env,
    paths: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let acquire = || {
        let (given, is_several) = parse(env, &paths, &options)?;
        lock::acquire(env, given, move |env, locks| wrap(env, locks, is_several, false))
    };
    promise::answer(env, acquire())
}

/// Locks an index, or several, as {@link acquireIndexLock} does, calls `fn` with the lock, or with the array of locks, and releases
/// them when `fn` has returned, or its promise has settled. Resolves with what `fn` returns; whatever `fn` throws is what the call
/// rejects with, when the locks are free.
///
/// ```ts
/// await withIndexLock('posts/index.json', async (lock) => {
///   const { value } = await lock.read<Posts>({ initial: {} })
///   await lock.write(await rebuild(value))
/// })
/// await withIndexLock(['tags.json', 'posts.json'], async ([tags, posts]) => {
///   const { value } = await posts.read<Posts>()
///   await tags.update<Tags>(() => tagsOf(value))
/// })
/// ```
///
/// The files are written one by one: use {@link atomicTransaction} for changes that must be made together or not at all.
///
/// Calls inside `fn` for a locked file that do not go by its lock (`atomicIndexUpdate`, `atomicWrite`, a second `withIndexLock`) would
/// wait for themselves, and reject with `ERR_ATOMIC_REENTRANT` at once, as far as calls inside functions are known (see
/// {@link atomicIndexUpdate}). A transaction inside `fn` rejects with `ERR_ATOMIC_NESTED`.
#[napi(
    ts_generic_types = "const P extends PathLike | readonly PathLike[], R = void",
    ts_args_type = "paths: P, fn: (lock: IndexLocks<P>) => R | PromiseLike<R>, options?: IndexLockOptions | null",
    ts_return_type = "Promise<R>"
)]
pub fn with_index_lock<'env>(
    env: &'env Env,
    paths: Unknown<'env>,
    function: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let call = || {
        args::function(env, "fn", &function)?;
        let (given, is_several) = parse(env, &paths, &options)?;
        let (function, outer) = (Kept::new(env, &function)?, inside::current(env));
        lock::acquire(env, given, move |env, locks| {
            let argument = wrap(env, locks.clone(), is_several, true)?;
            lock::lend(env, locks, &function, argument, outer)
        })
    };
    promise::answer(env, call())
}

/// As the program has them: one lock, or an array of them.
pub fn wrap(env: &Env, locks: Vec<Rc<Lock>>, is_several: bool, is_lent: bool) -> Result<'_, Unknown<'_>> {
    let wrap = |lock| raw::to_js(env, IndexLock { lock, is_lent });
    let mut locks = locks.into_iter().map(wrap).collect::<Result<'_, Vec<_>>>()?;
    match locks.pop() {
        Some(lock) if !is_several => Ok(lock),
        last => {
            locks.extend(last);
            raw::array(env, &locks)
        }
    }
}

fn read_under<'env>(env: &'env Env, lock: &Lock, options: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let ParsedUpdate { options, initial, format, schema, .. } = index_text::parse_text(env, &own)?;
    let (numbers, shown) = (options.numbers, lock.path.shown.clone());
    let found = lock.open(env, options, timeout, &Rc::default(), move |env, opened| {
        IndexRead::of(env, &format, opened.snapshot.as_ref(), initial.as_deref(), numbers, &shown)
    })?;
    read::checked(env, found, schema, lock.path.shown.clone())
}

fn recover_under<'env>(
    env: &'env Env,
    lock: &Rc<Lock>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let recovery = recover_index::parse(env, lock.path.clone(), options, timeout)?;
    let signal = recovery.signal.clone();
    let recovered = recover(env, lock.clone(), recovery)?;
    promise::finally(env, &recovered, move |env| signal.detach(env).map(|()| raw::undefined(env)))
}

/// What an index is to become.
#[derive(Clone, Copy)]
enum Given<'a> {
    /// What this makes of it.
    Function(&'a Unknown<'a>),
    /// This.
    Value(&'a Unknown<'a>),
}

fn update<'env>(
    env: &'env Env,
    lock: &Lock,
    given: Given<'_>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let since = Instant::now();
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    for (name, given) in [("options.fallback", &shared.fallback), ("options.network", &own.network)] {
        if let Some(given) = given {
            let reason = "is an option of acquireIndexLock and withIndexLock";
            return Err(args::wrong_value(env, name, reason, given));
        }
    }
    if let Some(given) = &own.on_corrupt {
        let reason = "is an option of atomicIndexUpdate: call lock.recover before";
        return Err(args::wrong_value(env, "options.onCorrupt", reason, given));
    }
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let ParsedUpdate { mut options, initial, format, schema, .. } =
        update_options::parse(env, &lock.path, &own, &shared)?;
    options.commit.in_place = lock.in_place;
    options.anyway = matches!(given, Given::Value(_));
    let is_function = matches!(given, Given::Function(_));
    let keeps_value = update_options::keeps_value(env, &own, &format)? && is_function;
    let change = match (given, &schema) {
        (Given::Function(function), Some(schema)) => {
            Change::Call(Kept::new(env, &schema.checked(env, function, &lock.path.shown, false)?)?)
        }
        (Given::Function(function), None) => Change::Call(Kept::new(env, function)?),
        (Given::Value(value), _) => Change::Value(format.snapshot(env, "value", value)?),
    };
    let request = Request {
        id: call::next_id(),
        change,
        is_patch: false,
        shown: lock.path.shown.clone(),
        initial,
        options,
        format,
        schema,
        inside: inside::current(env),
        signal: Signal::attach(env, shared.signal.as_ref())?,
        since,
        deadline: since.checked_add(timeout),
        keeps_value,
        fn_timeout: update_options::fn_timeout(env, &own)?,
        steps: steps::current(),
        ties: Ties::default(),
        store: String::new(),
    };
    lock.update(env, request, timeout, start_update::answer)
}
