//! Work on libuv's threads, as N-API's own async work: the event loop lives while there is some. Not as napi's
//! `Task`, which makes a promise for each: a job may be many works, and its caller has one promise.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::{Env, JsValue as _, sys};

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
    raw: sys::napi_async_work,
}

/// Runs `work` on a worker thread, and passes on what it returns to `done`, here. Neither may panic. In an
/// environment that is ending `done` may be dropped instead, here too.
pub fn queue<'env, W, T, D>(env: &'env Env, work: W, done: D) -> Result<'env, ()>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    D: FnOnce(&Env, T) + 'static,
{
    // SAFETY: valid memory of that length.
    let name = value(env, |raw| unsafe {
        sys::napi_create_string_latin1(env.raw(), NAME.as_ptr(), NAME.count_bytes() as isize, raw)
    })?;
    let data: Work<W, T, D> = Work { work: Some(work), result: None, done, raw: ptr::null_mut() };
    let data = Box::into_raw(Box::new(data));
    // SAFETY: `data` lives until `complete` or a failure here takes it back; of its parts the worker touches
    // only the first two, which are `Send`, and until it has, this thread touches none.
    unsafe {
        let created = sys::napi_create_async_work(
            env.raw(),
            ptr::null_mut(),
            name.raw(),
            Some(execute::<W, T, D>),
            Some(complete::<W, T, D>),
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
    Ok(())
}

unsafe extern "C" fn execute<W: FnOnce() -> T, T, D>(_env: sys::napi_env, data: *mut c_void) {
    // SAFETY: from `queue`; no other thread touches these two now.
    let (work, result) = unsafe {
        let data = data.cast::<Work<W, T, D>>();
        (&mut (*data).work, &mut (*data).result)
    };
    *result = work.take().and_then(|work| catch_unwind(AssertUnwindSafe(work)).ok());
}

unsafe extern "C" fn complete<W, T, D: FnOnce(&Env, T)>(
    env: sys::napi_env,
    _status: sys::napi_status,
    data: *mut c_void,
) {
    // SAFETY: from `queue`, and called once, when the worker is done with it.
    let Work { result, done, raw, .. } = *unsafe { Box::from_raw(data.cast::<Work<W, T, D>>()) };
    // SAFETY: created in `queue`, deleted once.
    unsafe { sys::napi_delete_async_work(env, raw) };
    // `None`: it was cancelled, as those are that had not begun when the environment ended.
    if let Some(result) = result {
        // An unwinding panic must not reach C.
        drop(catch_unwind(AssertUnwindSafe(|| done(&Env::from_raw(env), result))));
    }
}
