//! Knows what a call is made inside of: a user's function runs in an async context of ours, which V8 and Node.js carry
//! through its promises, timers and callbacks (`AsyncLocalStorage`).
//!
//! In Node.js 20 and 22 that makes every promise of the program cost more as long as it is switched on: 0.5 µs instead of
//! 0.1. A thousand updates at once took 1.3 times as long. So it is switched on only while such functions run as can be
//! waited for: those that return promises, and those that are not known yet. A function is known by its source, for callers
//! make a new one for each call. But one source may be that of many functions (`(index) => f(index)`), so the others are
//! followed as far as can be for nothing: until they return. Node.js 24 carries contexts for nothing.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ptr;

use engine::process::{Inside, Ticket};
use napi::bindgen_prelude::{External, Unknown};
use napi::{Env, ValueType, sys};

use crate::js::value::ByNumber;
use crate::js::value::copy;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::Result;

/// What is switched on as long as one of these has not been given back by [`Context::leave`].
pub struct Context(());

/// What a thread has for its environment. Not a `Kept`: the thread outlives its environment.
#[derive(Clone, Copy)]
struct Storage {
    env: sys::napi_env,
    /// Null where Node.js has none to give.
    reference: sys::napi_ref,
    entered: usize,
    /// Promises cost more while it is in use.
    costs: bool,
}

thread_local! {
    static STORAGE: Cell<Storage> =
        const { Cell::new(Storage { env: ptr::null_mut(), reference: ptr::null_mut(), entered: 0, costs: false }) };
}

thread_local! {
    /// What calls are made inside of until the function returns that is being called.
    static CALLED: RefCell<Option<Inside>> = const { RefCell::new(None) };
}

impl Context {
    /// Switches contexts on.
    pub fn enter(env: &Env) -> Self {
        start_all_gathered();
        let storage = Storage::of(env);
        STORAGE.set(Storage { entered: storage.entered + 1, ..storage });
        Self(())
    }

    /// `function(...arguments)`; what it calls, now and later, is [`current`] for the calls that it makes.
    pub fn run<'env>(
        env: &'env Env,
        inside: Inside,
        function: &Unknown<'env>,
        arguments: &[Unknown<'env>],
    ) -> Result<'env, Unknown<'env>> {
        let Some(storage) = Storage::of(env).object(env) else {
            return raw::call(env, &raw::undefined(env), function, arguments);
        };
        let store = raw::to_js(env, External::new(inside))?;
        raw::invoke(env, &storage, c"run", &[&[store, *function], arguments].concat())
    }

    /// As [`Context::run`] with contexts switched off: only what the function calls before it returns is known.
    pub fn run_without<'env>(
        env: &'env Env,
        inside: Inside,
        function: &Unknown<'env>,
        arguments: &[Unknown<'env>],
    ) -> Result<'env, Unknown<'env>> {
        start_all_gathered();
        let outer = CALLED.replace(Some(inside));
        let returned = raw::call(env, &raw::undefined(env), function, arguments);
        CALLED.set(outer);
        returned
    }

    /// Switches contexts off, if this was the last that needed them.
    pub fn leave(self, env: &Env) {
        let storage = Storage::of(env);
        let entered = storage.entered.saturating_sub(1);
        STORAGE.set(Storage { entered, ..storage });
        if entered == 0
            && let Some(storage) = storage.object(env)
        {
            // Fails only in an environment that is ending.
            drop(raw::invoke(env, &storage, c"disable", &[]));
        }
    }
}

/// Starts calls that were made before, and are not under way yet.
pub type Start = fn(&Env);

thread_local! {
    /// What is to be done ahead of the next call of each environment: an addon that is loaded twice has two in one thread.
    static GATHERED: RefCell<Vec<(sys::napi_env, Start)>> = const { RefCell::new(Vec::new()) };
}

/// Has `start` called ahead of the next call of this thread, so that the order of all calls stays as it is, and ahead of what calls can be made inside of.
/// Whether none can until then.
pub fn before_next_call(env: &Env, start: Start) -> bool {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.retain(|(of, _)| *of != env.raw());
        gathered.push((env.raw(), start));
    });
    STORAGE.get().entered == 0
}

/// Starts calls of this environment that were made before, if there are any.
fn start_gathered(env: &Env) {
    let own = GATHERED.with_borrow_mut(|gathered| {
        let own = gathered.iter().position(|(of, _)| *of == env.raw())?;
        Some(gathered.swap_remove(own))
    });
    if let Some((_, start)) = own {
        start(env);
    }
}

/// As [`start_gathered`], of all environments: a call of any of them may be made inside of what comes.
fn start_all_gathered() {
    while let Some((of, start)) = GATHERED.with_borrow_mut(Vec::pop) {
        start(&Env::from_raw(of));
    }
}

/// What a call that is made now is made inside of.
pub fn current(env: &Env) -> Inside {
    start_gathered(env);
    around(env)
}

/// As [`current`], for a call that may be gathered.
pub fn around(env: &Env) -> Inside {
    if let Some(inside) = CALLED.with_borrow(Option::clone) {
        return inside;
    }
    let storage = STORAGE.get();
    if storage.env != env.raw() || storage.entered == 0 {
        return Inside::default();
    }
    let Some(storage) = storage.object(env) else { return Inside::default() };
    let store = raw::invoke(env, &storage, c"getStore", &[]).ok();
    let inside = store.filter(|store| raw::type_of(store) == ValueType::External);
    let inside = inside.and_then(|inside| raw::from_js::<&External<Inside>>(env, &inside));
    inside.map(|inside| Inside::clone(inside)).unwrap_or_default()
}

/// Whether the thread runs the handlers of `exit`: no function that it was inside of goes on after them.
fn is_exiting(env: &Env) -> bool {
    let exiting = raw::global(env, c"process").and_then(|process| raw::get(env, &process, c"_exiting"));
    exiting.ok().and_then(|exiting| raw::from_js::<bool>(env, &exiting)).unwrap_or(false)
}

/// As [`current`], for a call that blocks the thread; `None`: it is among the last words of the thread, which are inside of nothing.
pub fn blocking(env: &Env) -> Option<Inside> {
    if is_exiting(env) { None } else { Some(current(env)) }
}

/// The rank among all calls for one that is made now.
pub fn ticket(env: &Env) -> Ticket {
    // Calls that were made before this one take theirs first.
    let inside = current(env);
    Ticket::take().inside(inside)
}

/// What is known of the code of a function.
pub struct Code(Option<u64>);

/// So many functions are known; most programs have a few.
const MOST_KNOWN: usize = 1000;

thread_local! {
    /// Whether the functions with these sources have returned promises.
    static PROMISES: RefCell<ByNumber<bool>> = RefCell::default();
}

impl Code {
    /// That of `function`.
    pub fn of(env: &Env, function: &Unknown<'_>) -> Self {
        if !Storage::of(env).costs {
            return Self(None);
        }
        let source =
            raw::invoke(env, function, c"toString", &[]).and_then(|source| copy::utf16(env, &source));
        let mut hasher = DefaultHasher::new();
        source.unwrap_or_default().hash(&mut hasher);
        Self(Some(hasher.finish()))
    }

    /// Whether calls made by the function may be waited for, as far as is known.
    pub fn needs_context(&self) -> bool {
        self.0.is_none_or(|source| PROMISES.with_borrow(|known| known.get(&source).copied().unwrap_or(true)))
    }

    /// The function has returned a promise, or something else.
    pub fn returned(&self, a_promise: bool) {
        let Some(source) = self.0 else { return };
        PROMISES.with_borrow_mut(|known| {
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            *known.entry(source).or_default() |= a_promise;
        });
    }
}

impl Storage {
    fn of(env: &Env) -> Self {
        let storage = STORAGE.get();
        if storage.env == env.raw() {
            return storage;
        }
        let made = make(env).ok().flatten().and_then(|made| Kept::new(env, &made).ok());
        // Only the one that is made of hooks has that method.
        let enable = made.as_ref().and_then(|made| raw::get(env, &made.get(env).ok()?, c"_enable").ok());
        let costs = enable.is_some_and(|enable| raw::type_of(&enable) == ValueType::Function);
        let reference = made.map_or(ptr::null_mut(), Kept::into_raw);
        let storage = Self { env: env.raw(), reference, entered: 0, costs };
        STORAGE.set(storage);
        storage
    }

    fn object<'env>(&self, env: &'env Env) -> Option<Unknown<'env>> {
        if self.reference.is_null() { None } else { raw::referenced(env, self.reference).ok() }
    }
}

/// `new AsyncLocalStorage()`, where a module can be had without `require`: from Node.js 20.16 on.
fn make(env: &Env) -> Result<'_, Option<Unknown<'_>>> {
    let process = raw::global(env, c"process")?;
    if raw::type_of(&raw::get(env, &process, c"getBuiltinModule")?) != ValueType::Function {
        return Ok(None);
    }
    let name = raw::to_js(env, "node:async_hooks")?;
    let module = raw::invoke(env, &process, c"getBuiltinModule", &[name])?;
    raw::construct(env, &raw::get(env, &module, c"AsyncLocalStorage")?, &[]).map(Some)
}
