//! The way back from tokio's thread, and from workers that go on with another job: one for each environment, however many
//! jobs wait.
//!
//! A threadsafe function for each job that waits would do as well, but libuv looks at all of them whenever one
//! is called, and making and closing one costs more than all else that a job does on this thread. So there
//! is one, which keeps the event loop alive while a job waits. It says that completions have arrived, and all
//! that have are handled in one go.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_void};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Object, Unknown};
use napi::{Env, JsValue as _, sys};
use napi_derive::napi;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::short::{self, ShortQueue};
use super::work::Outstanding;
use crate::js::value::raw::{self, value};
use crate::js::value::thrown::check;
use crate::js::value::{ByNumber, Result};
use crate::js::value::{copy, promise};

/// As diagnostic tools show it.
const NAME: &CStr = c"atomic mailbox";
const HAS_REF: &CStr = c"hasRef";

type Number = u64;
type Done = Box<dyn FnOnce(&Env)>;

/// The side of the environment's thread, which has it as its data.
pub(super) struct Mailbox {
    pub(super) slot: Arc<Slot>,
    function: sys::napi_threadsafe_function,
    /// What to do when a completion has arrived.
    waiting: RefCell<ByNumber<Done>>,
    issued: Cell<Number>,
    pub(super) works: Outstanding,
}

/// The side of other threads.
pub(super) struct Slot {
    pub(super) short: ShortQueue,
    arrived: Mutex<Vec<Number>>,
    /// The environment's thread was called, and has not looked yet.
    called: AtomicBool,
    /// `None`: the environment has ended, and completions are not handled any more. A mutex of its own, because it is
    /// held during the call, upon which the environment's thread locks `arrived` at once.
    wakeup: Mutex<Option<ThreadsafeFunction>>,
}

struct ThreadsafeFunction(sys::napi_threadsafe_function);

// SAFETY: to be called from any thread is what a threadsafe function is for; it is taken out of its mutex
// before the environment deletes it.
unsafe impl Send for ThreadsafeFunction {}

/// Has `runtime` wait for `future`, and passes what it comes to on to `done`, here. If the environment ends
/// before, `done` is dropped here, and the future there.
pub fn wait<'env, T: Send + 'static>(
    env: &'env Env,
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
    done: impl FnOnce(&Env, T) + 'static,
) -> Result<'env, ()> {
    runtime.spawn(expect(env, done)?.when(future));
    Ok(())
}

/// What tells a value to `done`, on the thread of `env`.
pub(super) fn expect<'env, T: Send + 'static>(
    env: &'env Env,
    done: impl FnOnce(&Env, T) + 'static,
) -> Result<'env, Tell<T>> {
    let mailbox = Mailbox::of(env)?;
    let (tell, mut told) = oneshot::channel();
    let number = mailbox.expect(env, move |env| {
        if let Ok(value) = told.try_recv() {
            done(env, value);
        }
    });
    Ok(Tell { tell, number, slot: mailbox.slot.clone() })
}

/// The way back for one value, from any thread.
pub(super) struct Tell<T> {
    tell: oneshot::Sender<T>,
    number: Number,
    slot: Arc<Slot>,
}

impl<T: Send + 'static> Tell<T> {
    /// Leaves the value there, for the caller to [wake](Slot::wake) the thread or to have it
    /// [look](Mailbox::handle_arrived).
    pub fn post(self, value: T) {
        let _ = self.tell.send(value);
        self.slot.arrived().push(self.number);
    }

    /// From a future: those that run next may have values too, which come along.
    pub async fn send(self, value: T) {
        let slot = self.slot.clone();
        self.post(value);
        if !slot.is_called() {
            tokio::task::yield_now().await;
            slot.wake();
        }
    }

    /// What `future` comes to; `None` if the environment ends before. A job that went on would take its turn and its lock for
    /// no caller, and a process that ends meanwhile would leave the lock file behind.
    pub async fn unless_ended<V>(&mut self, future: impl Future<Output = V>) -> Option<V> {
        tokio::select! {
            value = future => Some(value),
            () = self.tell.closed() => None,
        }
    }

    /// Has a worker run a short job that ends with this.
    pub fn queue(self, work: impl FnOnce(Self) + Send + 'static) {
        let slot = self.slot.clone();
        slot.short.push(Box::new(move || work(self)));
        // It sees to it that there are workers. One that is awake may be faster.
        slot.wake();
    }

    /// Tells what `future` comes to, unless the environment ends before.
    // A task of tokio's own for each type of future would be a tenth of the addon.
    fn when(mut self, future: impl Future<Output = T> + Send + 'static) -> Task {
        Box::pin(async move {
            if let Some(value) = self.unless_ended(future).await {
                self.send(value).await;
            }
        })
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes what the environment needs to its end. The mailbox now: made by the first call that waits, it would keep that call's
/// async context, and what the program keeps in it, as long as the environment lives.
#[napi(module_exports)]
pub fn load(_exports: Object<'_>, env: Env) -> napi::Result<()> {
    // If this fails, the first job that waits tries again.
    drop(Mailbox::of(&env));
    drop(promise::never(&env));
    drop(copy::looks(&env));
    Ok(())
}

impl Mailbox {
    /// That of `env`.
    pub(super) fn of(env: &Env) -> Result<'_, Rc<Self>> {
        if let Some(mailbox) = Self::made(env.raw()) {
            return Ok(mailbox);
        }
        // SAFETY: valid memory of that length.
        let name = value(env, |raw| unsafe {
            sys::napi_create_string_latin1(env.raw(), NAME.as_ptr(), NAME.count_bytes() as isize, raw)
        })?;
        let resource = resource(env)?;
        let mut function = ptr::null_mut();
        // SAFETY: `woken` needs no function of JavaScript's and no context. The hook is removed by running: it is
        // added after the function's own, and so runs before the function is deleted.
        unsafe {
            let (none, nothing) = (ptr::null_mut(), ptr::null_mut());
            let created = sys::napi_create_threadsafe_function(
                env.raw(),
                none,
                resource.raw(),
                name.raw(),
                0,
                1,
                nothing,
                None,
                nothing,
                Some(woken),
                &mut function,
            );
            check(env, created)?;
            sys::napi_unref_threadsafe_function(env.raw(), function);
            check(env, sys::napi_add_env_cleanup_hook(env.raw(), Some(close), env.raw().cast()))?;
        }
        let slot = Slot {
            short: ShortQueue::default(),
            arrived: Mutex::default(),
            called: AtomicBool::new(false),
            wakeup: Mutex::new(Some(ThreadsafeFunction(function))),
        };
        let mailbox = Rc::new(Self {
            slot: Arc::new(slot),
            function,
            waiting: RefCell::default(),
            issued: Cell::default(),
            works: Outstanding::default(),
        });
        // SAFETY: `close` takes it back, without a finalizer.
        check(env, unsafe {
            let kept = Rc::into_raw(mailbox.clone()).cast_mut().cast();
            sys::napi_set_instance_data(env.raw(), kept, None, ptr::null_mut())
        })?;
        Ok(mailbox)
    }

    /// That of this environment, if there is one.
    pub(super) fn made(env: sys::napi_env) -> Option<Rc<Self>> {
        let mut data = ptr::null_mut();
        // SAFETY: only `of` gives an environment of ours data, and that is what is in an `Rc`.
        unsafe {
            sys::napi_get_instance_data(env, &mut data);
            let kept: *const Self = data.cast();
            if kept.is_null() {
                return None;
            }
            Rc::increment_strong_count(kept);
            Some(Rc::from_raw(kept))
        }
    }

    /// The number of a completion to come, upon which `done` is called.
    fn expect(&self, env: &Env, done: impl FnOnce(&Env) + 'static) -> Number {
        let number = self.issued.get();
        self.issued.set(number + 1);
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            // SAFETY: on the thread of its environment, which has not ended.
            unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.function) };
        }
        waiting.insert(number, Box::new(done));
        number
    }

    /// Handles what has arrived.
    pub(super) fn handle_arrived(&self, env: &Env) {
        self.slot.called.store(false, Ordering::Release);
        let arrived = std::mem::take(&mut *self.slot.arrived());
        for number in arrived {
            let done = self.waiting.borrow_mut().remove(&number);
            if let Some(done) = done {
                // An unwinding panic must not reach C.
                drop(catch_unwind(AssertUnwindSafe(|| done(env))));
            }
        }
        if self.waiting.borrow().is_empty() {
            // SAFETY: on the thread of its environment, which has not ended.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.function) };
        }
    }
}

impl Slot {
    fn arrived(&self) -> MutexGuard<'_, Vec<Number>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakeup(&self) -> MutexGuard<'_, Option<ThreadsafeFunction>> {
        self.wakeup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is there that was not handled yet.
    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived().is_empty()
    }

    fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Has the environment's thread handle what has arrived.
    pub(super) fn wake(&self) {
        if self.called.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(ThreadsafeFunction(function)) = &*self.wakeup() {
            // SAFETY: alive while it is in here, and it stays in here while the lock is held. It never blocks:
            // its queue has no limit.
            unsafe {
                sys::napi_call_threadsafe_function(
                    *function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
        }
    }
}

/// The async resource of the threadsafe function. Tools that look for what keeps a process alive (jest's
/// `--detectOpenHandles`) ask the resource, as they ask Node's own handles; one without `hasRef` counts as always active.
fn resource(env: &Env) -> Result<'_, Unknown<'_>> {
    let resource = raw::object(env)?;
    // SAFETY: the name ends in a NUL; `has_ref` needs no data.
    let function = value(env, |raw| unsafe {
        sys::napi_create_function(env.raw(), HAS_REF.as_ptr(), -1, Some(has_ref), ptr::null_mut(), raw)
    })?;
    raw::define(env, &resource, HAS_REF, &function)?;
    Ok(resource)
}

/// `hasRef()`: whether a call waits.
unsafe extern "C" fn has_ref(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    let waits = Mailbox::made(env).is_some_and(|mailbox| !mailbox.waiting.borrow().is_empty());
    let mut answer = ptr::null_mut();
    // SAFETY: on the thread of `env`, with a valid place for the result.
    unsafe { sys::napi_get_boolean(env, waits, &mut answer) };
    answer
}

/// Completions have arrived.
unsafe extern "C" fn woken(env: sys::napi_env, _: sys::napi_value, _: *mut c_void, _: *mut c_void) {
    // An environment that has ended handles none.
    if !env.is_null()
        && let Some(mailbox) = Mailbox::made(env)
    {
        let env = Env::from_raw(env);
        mailbox.handle_arrived(&env);
        short::queue_works(&env, &mailbox);
    }
}

/// The environment ends. Jobs that wait are dropped, and completions that still arrive are ignored.
unsafe extern "C" fn close(env: *mut c_void) {
    let env = env.cast();
    let Some(mailbox) = Mailbox::made(env) else { return };
    // SAFETY: takes back what `of` gave, and leaves nothing there.
    unsafe {
        sys::napi_set_instance_data(env, ptr::null_mut(), None, ptr::null_mut());
        Rc::decrement_strong_count(Rc::as_ptr(&mailbox));
    }
    let function = mailbox.slot.wakeup().take();
    if let Some(ThreadsafeFunction(function)) = function {
        // SAFETY: taken out, so released once, and before the environment deletes it.
        unsafe { sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort) };
    }
    mailbox.slot.short.end();
    mailbox.waiting.take();
    mailbox.works.end();
}
