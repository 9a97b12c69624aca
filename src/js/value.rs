//! JavaScript values by way of raw N-API calls, so that whatever JavaScript throws is passed on as
//! it is: the very same value, also when it is no `Error`.

use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::{FromNapiValue, ToNapiValue, Unknown};
use napi::{Env, JsValue as _, ValueType, sys};

/// What JavaScript threw, or is to catch.
pub struct Thrown<'env>(pub Unknown<'env>);

/// The result of anything that can run JavaScript.
pub type Result<'env, T> = std::result::Result<T, Thrown<'env>>;

/// Turns the status of a call into a result; a pending exception becomes the error.
fn check(env: &Env, status: sys::napi_status) -> Result<'_, ()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    let mut exception = ptr::null_mut();
    let mut pending = false;
    // SAFETY: plain calls on the current environment, with valid places for their results.
    unsafe {
        if sys::napi_is_exception_pending(env.raw(), &mut pending) == sys::Status::napi_ok
            && pending
            && sys::napi_get_and_clear_last_exception(env.raw(), &mut exception) == sys::Status::napi_ok
        {
            return Err(Thrown(Unknown::from_raw_unchecked(env.raw(), exception)));
        }
    }
    Err(super::error::internal(env, &format!("N-API call failed: {}", napi::Status::from(status))))
}

fn value(env: &Env, make: impl FnOnce(&mut sys::napi_value) -> sys::napi_status) -> Result<'_, Unknown<'_>> {
    let mut raw = ptr::null_mut();
    check(env, make(&mut raw))?;
    // SAFETY: the call succeeded, so `raw` is a value of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), raw) })
}

/// `typeof`.
pub fn type_of(value: &Unknown<'_>) -> ValueType {
    value.get_type().unwrap_or(ValueType::Unknown)
}

/// `undefined`.
pub fn undefined(env: &Env) -> Unknown<'_> {
    let mut raw = ptr::null_mut();
    // SAFETY: cannot fail on a live environment.
    unsafe {
        sys::napi_get_undefined(env.raw(), &mut raw);
        Unknown::from_raw_unchecked(env.raw(), raw)
    }
}

/// A Rust value as JavaScript sees it.
pub fn to_js<T: ToNapiValue>(env: &Env, from: T) -> Result<'_, Unknown<'_>> {
    // SAFETY: on the thread of `env`, as the reference to it shows.
    match unsafe { T::to_napi_value(env.raw(), from) } {
        // SAFETY: as above.
        Ok(raw) => Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), raw) }),
        Err(error) => Err(super::error::internal(env, &error.to_string())),
    }
}

/// A JavaScript value as Rust sees it, if it is one of that type.
pub fn from_js<T: FromNapiValue>(env: &Env, from: &Unknown<'_>) -> Option<T> {
    // SAFETY: on the thread of `env`; the conversions used check the type.
    unsafe { T::from_napi_value(env.raw(), from.raw()) }.ok()
}

/// As `from_js`, for conversions that run JavaScript: getters may throw.
pub fn convert<'env, T: FromNapiValue>(env: &'env Env, from: &Unknown<'_>) -> Result<'env, T> {
    // SAFETY: on the thread of `env`; the conversions used check the type.
    match unsafe { T::from_napi_value(env.raw(), from.raw()) } {
        Ok(converted) => Ok(converted),
        Err(error) => {
            check(env, sys::Status::napi_pending_exception)?;
            Err(super::error::internal(env, &error.to_string()))
        }
    }
}

/// An array of these values.
pub fn array<'env>(env: &'env Env, values: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    // SAFETY: a plain call on the current environment.
    let array = value(env, |raw| unsafe { sys::napi_create_array_with_length(env.raw(), values.len(), raw) })?;
    for (index, element) in (0..).zip(values) {
        // SAFETY: both values belong to the current scope.
        check(env, unsafe { sys::napi_set_element(env.raw(), array.raw(), index, element.raw()) })?;
    }
    Ok(array)
}

/// `object[name]`; runs getters.
pub fn get<'env>(env: &'env Env, object: &Unknown<'_>, name: &CStr) -> Result<'env, Unknown<'env>> {
    // SAFETY: both values belong to the current scope; `name` ends in a NUL.
    value(env, |raw| unsafe { sys::napi_get_named_property(env.raw(), object.raw(), name.as_ptr(), raw) })
}

/// `object[name] = what`.
pub fn set<'env>(env: &'env Env, object: &Unknown<'_>, name: &CStr, what: &Unknown<'_>) -> Result<'env, ()> {
    // SAFETY: as in `get`.
    check(env, unsafe { sys::napi_set_named_property(env.raw(), object.raw(), name.as_ptr(), what.raw()) })
}

/// `function.call(this, ...args)`.
pub fn call<'env>(env: &'env Env, this: &Unknown<'_>, function: &Unknown<'_>, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let args: Vec<_> = args.iter().map(|arg| arg.raw()).collect();
    // SAFETY: all values belong to the current scope; `args` outlives the call.
    value(env, |raw| unsafe {
        sys::napi_call_function(env.raw(), this.raw(), function.raw(), args.len(), args.as_ptr(), raw)
    })
}

/// `object[name](...args)`.
pub fn invoke<'env>(env: &'env Env, object: &Unknown<'_>, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let method = get(env, object, name)?;
    call(env, object, &method, args)
}

/// `globalThis[name]`.
pub fn global<'env>(env: &'env Env, name: &CStr) -> Result<'env, Unknown<'env>> {
    // SAFETY: a plain call on the current environment.
    let global = value(env, |raw| unsafe { sys::napi_get_global(env.raw(), raw) })?;
    get(env, &global, name)
}

/// `null`.
pub fn null(env: &Env) -> Result<'_, Unknown<'_>> {
    // SAFETY: a plain call on the current environment.
    value(env, |raw| unsafe { sys::napi_get_null(env.raw(), raw) })
}

/// A string of these code units.
pub fn string_utf16<'env>(env: &'env Env, units: &[u16]) -> Result<'env, Unknown<'env>> {
    // SAFETY: `units` is valid memory of that length.
    value(env, |raw| unsafe { sys::napi_create_string_utf16(env.raw(), units.as_ptr(), units.len() as isize, raw) })
}

/// A string; `ascii` text is only copied, not decoded.
pub fn string<'env>(env: &'env Env, text: &str, ascii: bool) -> Result<'env, Unknown<'env>> {
    let (start, length) = (text.as_ptr().cast(), text.len() as isize);
    value(env, |raw| {
        // SAFETY: `text` is valid UTF-8 of that length, and ASCII is Latin-1.
        unsafe {
            if ascii {
                sys::napi_create_string_latin1(env.raw(), start, length, raw)
            } else {
                sys::napi_create_string_utf8(env.raw(), start, length, raw)
            }
        }
    })
}

/// A string's code units, as they are: lone surrogates too.
pub fn utf16<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Vec<u16>> {
    let mut length = 0;
    // SAFETY: without a buffer the call only tells the length.
    check(env, unsafe { sys::napi_get_value_string_utf16(env.raw(), text.raw(), ptr::null_mut(), 0, &mut length) })?;
    let mut units = Vec::with_capacity(length + 1);
    // SAFETY: room for `length` units and the NUL that N-API adds; that many were written.
    unsafe {
        let status = sys::napi_get_value_string_utf16(env.raw(), text.raw(), units.as_mut_ptr(), length + 1, &mut length);
        check(env, status)?;
        units.set_len(length);
    }
    Ok(units)
}

/// A string as UTF-8, for names and the like: lone surrogates become U+FFFD, as in `node:fs`.
pub fn text<'env>(env: &'env Env, from: &Unknown<'_>) -> Result<'env, String> {
    Ok(String::from_utf16_lossy(&utf16(env, from)?))
}

/// `value instanceof globalThis[name]`; `false` where there is no such class.
pub fn is_instance(env: &Env, value: &Unknown<'_>, class: &CStr) -> bool {
    let mut answer = false;
    let Ok(class) = global(env, class) else { return false };
    // SAFETY: both values belong to the current scope.
    type_of(&class) == ValueType::Function
        && check(env, unsafe { sys::napi_instanceof(env.raw(), value.raw(), class.raw(), &mut answer) }).is_ok()
        && answer
}

/// The bytes of any view or array buffer, copied; `None` for other values.
pub fn bytes(env: &Env, from: &Unknown<'_>) -> Option<Vec<u8>> {
    let (env, from) = (env.raw(), from.raw());
    let (mut start, mut length) = (ptr::null_mut(), 0);
    let mut is = false;
    // SAFETY: each `info` call is made on a value that was found to be of its type, and fills in
    // the start and the length of memory that V8 keeps while this call runs. An empty view may have
    // no memory at all.
    unsafe {
        let known = if sys::napi_is_typedarray(env, from, &mut is) == sys::Status::napi_ok && is {
            let mut kind = 0;
            let status = sys::napi_get_typedarray_info(env, from, &mut kind, &mut length, &mut start, ptr::null_mut(), ptr::null_mut());
            length *= element_size(kind);
            status
        } else if sys::napi_is_dataview(env, from, &mut is) == sys::Status::napi_ok && is {
            sys::napi_get_dataview_info(env, from, &mut length, &mut start, ptr::null_mut(), ptr::null_mut())
        } else if sys::napi_is_arraybuffer(env, from, &mut is) == sys::Status::napi_ok && is {
            sys::napi_get_arraybuffer_info(env, from, &mut start, &mut length)
        } else {
            return None;
        };
        if known != sys::Status::napi_ok {
            return None;
        }
        if start.is_null() || length == 0 {
            return Some(Vec::new());
        }
        Some(std::slice::from_raw_parts(start.cast::<u8>(), length).to_vec())
    }
}

fn element_size(kind: sys::napi_typedarray_type) -> usize {
    use sys::TypedarrayType as T;
    match kind {
        T::int16_array | T::uint16_array => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        // Float16Array, on the Node versions that have it, has the number after these.
        11 => 2,
        _ => 1,
    }
}

/// A value that is kept across calls. It stays on the thread of its environment.
pub struct Kept {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl Kept {
    /// Keeps an object or a function until this is dropped.
    pub fn new<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: a value of the current scope.
        check(env, unsafe { sys::napi_create_reference(env.raw(), value.raw(), 1, &mut reference) })?;
        Ok(Self { env: env.raw(), reference })
    }

    /// The value.
    pub fn get<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        // SAFETY: the reference lives as long as `self`.
        value(env, |raw| unsafe { sys::napi_get_reference_value(env.raw(), self.reference, raw) })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once. Neither `Env` nor the pointers leave their thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
