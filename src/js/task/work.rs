//! Work on libuv's threads, as N-API's own async work: the event loop lives while there is some. Not as napi's
//! `Task`, which makes a promise for each: a job may be many works, and its caller has one promise.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use napi::{Env, JsValue as _, sys};

use super::mailbox::Mailbox;
use crate::js::value::Result;
use crate::js::value::raw::value;
use crate::js::value::thrown::check;

/// As diagnostic tools show it.
const NAME: &CStr = c"atomic work";

/// `work` on a worker, and then `done` on this thread.
struct Work<W, T, D> {
    work: Option<W>,
    result: Option<T>,
    done: D,
}

/// Without its types: there are dozens, and N-API's side of each would be compiled anew.
trait Steps {
    /// On a worker. It touches nothing but what is [`Send`].
    fn execute(&mut self);

    /// On either thread, if it will not be completed: what was to be done, or came of it, is dropped. It may hold a lock.
    fn give_up(&mut self);

    /// On the thread that queued it, after the worker.
    fn complete(self: Box<Self>, env: &Env);
}

impl<W: FnOnce() -> T, T, D: FnOnce(&Env, T)> Steps for Work<W, T, D> {
    fn execute(&mut self) {
        self.result = self.work.take().map(|work| work());
    }

    fn give_up(&mut self) {
        self.work = None;
        self.result = None;
    }

    fn complete(self: Box<Self>, env: &Env) {
        // `None`: it was cancelled, as those are that had not begun when the environment ended, or given up.
        if let Some(result) = self.result {
            (self.done)(env, result);
        }
    }
}

/// What N-API holds.
struct Queued {
    steps: Box<dyn Steps>,
    raw: sys::napi_async_work,
    /// Which thread may touch `steps`.
    state: AtomicU8,
    /// Where it is among those that are outstanding; only the environment's thread touches it.
    place: usize,
}

/// `steps` are the environment's, until a worker takes them.
const QUEUED: u8 = 0;
/// They are the worker's.
const RUNNING: u8 = 1;
/// They are the environment's again.
const EXECUTED: u8 = 2;
/// The environment has ended: the worker's, if it was running; otherwise nothing is left in them.
const ENDED: u8 = 3;

/// The works of an environment that are not completed. Node.js completes all before an environment ends. Deno lets them
/// run on and completes none, so what they hold would never be dropped. Each knows its place: after a pause a map costs two microseconds a call.
#[derive(Default)]
pub struct Outstanding(RefCell<Vec<*mut Queued>>);

impl Outstanding {
    /// # Safety
    ///
    /// `work` is alive until it is removed, or all are ended.
    unsafe fn add(&self, work: *mut Queued) {
        let mut works = self.0.borrow_mut();
        // SAFETY: the caller's promise; no other thread touches that part of it.
        unsafe { (*work).place = works.len() };
        works.push(work);
    }

    /// # Safety
    ///
    /// `work` is alive.
    unsafe fn remove(&self, work: *mut Queued) {
        let mut works = self.0.borrow_mut();
        // SAFETY: as in `add`, and so are those that were added and not removed.
        unsafe {
            let place = (*work).place;
            // One that was queued when there was nowhere to add it is not there.
            if works.get(place) == Some(&work) {
                works.swap_remove(place);
                works.get(place).into_iter().for_each(|moved| (**moved).place = place);
            }
        }
    }

    /// On the environment's thread, when it ends.
    pub fn end(&self) {
        for work in self.0.take() {
            // SAFETY: `complete` would have taken it out, so it is alive. `steps` are touched only if they are this thread's.
            unsafe {
                if (*work).state.swap(ENDED, Ordering::AcqRel) != RUNNING {
                    give_up(work);
                }
            }
        }
    }
}

/// # Safety
///
/// `steps` are this thread's, and no other will touch them but to complete.
unsafe fn give_up(work: *mut Queued) {
    // SAFETY: the caller's promise.
    let steps = unsafe { &mut (*work).steps };
    // A panic must not reach C.
    drop(catch_unwind(AssertUnwindSafe(|| steps.give_up())));
}

/// Runs `work` on a worker thread, and passes on what it returns to `done`, here. Neither may panic. In an
/// environment that is ending `done` may be dropped instead, here too.
pub fn queue<'env, W, T, D>(env: &'env Env, work: W, done: D) -> Result<'env, ()>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    D: FnOnce(&Env, T) + 'static,
{
    queue_steps(env, Box::new(Work { work: Some(work), result: None, done }))
}

fn queue_steps(env: &Env, steps: Box<dyn Steps>) -> Result<'_, ()> {
    // SAFETY: valid memory of that length.
    let name = value(env, |raw| unsafe {
        sys::napi_create_string_latin1(env.raw(), NAME.as_ptr(), NAME.count_bytes() as isize, raw)
    })?;
    // An environment that is ending still completes works. A new one would call hooks of async resources (`AsyncLocalStorage` has some)
    // where no JavaScript may run, which Node.js takes for an uncaught exception. Unlike other calls this one does not look, so one does
    // that looks and does nothing else.
    // SAFETY: a string of the current scope.
    value(env, |raw| unsafe { sys::napi_coerce_to_string(env.raw(), name.raw(), raw) })?;
    let data = Box::into_raw(Box::new(Queued {
        steps,
        raw: ptr::null_mut(),
        state: AtomicU8::new(QUEUED),
        place: usize::MAX,
    }));
    // SAFETY: `data` lives until `complete` or a failure here takes it back; of its parts the worker touches
    // only those that `queue` asks to be `Send`, and as long as `state` says that they are its own.
    unsafe {
        let created = sys::napi_create_async_work(
            env.raw(),
            ptr::null_mut(),
            name.raw(),
            Some(execute),
            Some(complete),
            data.cast(),
            &mut (*data).raw,
        );
        if let Err(error) = check(env, created) {
            drop(Box::from_raw(data));
            return Err(error);
        }
        if let Err(error) = check(env, sys::napi_queue_async_work(env.raw(), (*data).raw)) {
            sys::napi_delete_async_work(env.raw(), Box::from_raw(data).raw);
            return Err(error);
        }
    }
    if let Some(mailbox) = Mailbox::made(env.raw()) {
        // SAFETY: until `complete` takes it back, which removes it.
        unsafe { mailbox.works.add(data) };
    }
    Ok(())
}

unsafe extern "C" fn execute(_env: sys::napi_env, data: *mut c_void) {
    let data = data.cast::<Queued>();
    // SAFETY: from `queue_steps`, and not completed before this returns.
    let turn = |data: *const Queued, from, to| unsafe {
        (*data).state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    };
    if !turn(data, QUEUED, RUNNING) {
        return;
    }
    // SAFETY: no other thread touches this now.
    let steps = unsafe { &mut (*data).steps };
    // A panic must not reach C. Then there is no result.
    drop(catch_unwind(AssertUnwindSafe(|| steps.execute())));
    if !turn(data, RUNNING, EXECUTED) {
        // SAFETY: the environment has left it to this thread.
        unsafe { give_up(data) };
    }
}

unsafe extern "C" fn complete(env: sys::napi_env, _status: sys::napi_status, data: *mut c_void) {
    if let Some(mailbox) = Mailbox::made(env) {
        // SAFETY: taken back only below.
        unsafe { mailbox.works.remove(data.cast()) };
    }
    // SAFETY: from `queue_steps`, and called once, when the worker is done with it.
    let Queued { steps, raw, .. } = *unsafe { Box::from_raw(data.cast::<Queued>()) };
    // SAFETY: created in `queue_steps`, deleted once.
    unsafe { sys::napi_delete_async_work(env, raw) };
    // As above.
    drop(catch_unwind(AssertUnwindSafe(|| steps.complete(&Env::from_raw(env)))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_that_end_in_any_order_are_all_forgotten() {
        let outstanding = Outstanding::default();
        let works = [(); 5].map(|()| {
            let steps: Box<dyn Steps> =
                Box::new(Work { work: Some(|| ()), result: None, done: |_: &Env, ()| () });
            let state = AtomicU8::new(QUEUED);
            Box::into_raw(Box::new(Queued { steps, raw: ptr::null_mut(), state, place: usize::MAX }))
        });
        // SAFETY: each is alive until it is freed, at the end.
        works[1..].iter().for_each(|work| unsafe { outstanding.add(*work) });
        let mut left = works[1..].to_vec();
        // The first one was never added.
        for at in [0, 2, 4, 1, 3] {
            // SAFETY: as above.
            unsafe { outstanding.remove(works[at]) };
            left.retain(|work| *work != works[at]);
            let known = outstanding.0.borrow();
            assert!(known.len() == left.len() && left.iter().all(|work| known.contains(work)));
        }
        // SAFETY: made above, freed once.
        works.into_iter().for_each(|work| drop(unsafe { Box::from_raw(work) }));
    }
}
