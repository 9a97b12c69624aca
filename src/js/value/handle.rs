//! Rust values that the script passes from one function of ours to the next.

use std::cell::RefCell;

use napi::bindgen_prelude::{External, Unknown};
use napi::{Env, ValueType};

use crate::js::value::raw;
use crate::js::value::thrown::{Result, internal};

/// A value, until it is taken.
struct Handle<T>(RefCell<Option<T>>);

/// What the script has for a value.
pub fn make<T: 'static>(env: &Env, value: T) -> Result<'_, Unknown<'_>> {
    raw::to_js(env, External::new(Handle(RefCell::new(Some(value)))))
}

/// Whether a value is what the script has for one of ours.
pub fn is_handle(value: &Unknown<'_>) -> bool {
    raw::type_of(value) == ValueType::External
}

/// The value, for good.
pub fn take<'env, T: 'static>(env: &'env Env, handle: &Unknown<'_>) -> Result<'env, T> {
    let taken = find::<T>(env, handle).and_then(|handle| handle.0.borrow_mut().take());
    taken.ok_or_else(|| internal(env, "a value that is gone"))
}

/// Lets the value go, if it is there and a `T`.
pub fn forget<T: 'static>(env: &Env, handle: &Unknown<'_>) -> Option<T> {
    find::<T>(env, handle).and_then(|handle| handle.0.borrow_mut().take())
}

/// Looks at the value.
pub fn with<'env, T: 'static, R>(
    env: &'env Env,
    handle: &Unknown<'_>,
    look: impl FnOnce(&T) -> R,
) -> Result<'env, R> {
    let found = find::<T>(env, handle);
    let looked = found.and_then(|handle| handle.0.borrow().as_ref().map(look));
    looked.ok_or_else(|| internal(env, "a value that is gone"))
}

/// Changes the value. Nothing of the user's may run meanwhile.
pub fn change<'env, T: 'static, R>(
    env: &'env Env,
    handle: &Unknown<'_>,
    change: impl FnOnce(&mut T) -> R,
) -> Result<'env, R> {
    let found = find::<T>(env, handle);
    let changed = found.and_then(|handle| handle.0.borrow_mut().as_mut().map(change));
    changed.ok_or_else(|| internal(env, "a value that is gone"))
}

fn find<'env, T: 'static>(env: &'env Env, handle: &Unknown<'_>) -> Option<&'env Handle<T>> {
    if !is_handle(handle) {
        return None;
    }
    // The script keeps it as long as it is used.
    raw::from_js::<&External<Handle<T>>>(env, handle).map(|external| &**external)
}

/// A number of the script's that is a position.
pub fn position(env: &Env, value: &Unknown<'_>) -> usize {
    raw::from_js::<f64>(env, value).map_or(0, |at| at as usize)
}

/// `true` or `false`.
pub fn flag(env: &Env, value: &Unknown<'_>) -> bool {
    raw::from_js::<bool>(env, value).unwrap_or_default()
}
