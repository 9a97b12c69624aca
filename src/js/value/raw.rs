//! JavaScript values by way of raw N-API calls: whatever JavaScript throws meanwhile is the error.

use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::{FromNapiValue, ToNapiValue, Unknown};
use napi::{Env, JsValue as _, ValueType, sys};

use super::thrown::{Result, internal};
pub use super::thrown::{check, undefined};

/// The value that a call makes.
pub fn value(
    env: &Env,
    make: impl FnOnce(&mut sys::napi_value) -> sys::napi_status,
) -> Result<'_, Unknown<'_>> {
    let mut raw = ptr::null_mut();
    check(env, make(&mut raw))?;
    // SAFETY: the call succeeded, so `raw` is a value of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), raw) })
}

/// `typeof`.
pub fn type_of(value: &Unknown<'_>) -> ValueType {
    value.get_type().unwrap_or(ValueType::Unknown)
}

/// A Rust value as JavaScript sees it.
pub fn to_js<T: ToNapiValue>(env: &Env, from: T) -> Result<'_, Unknown<'_>> {
    // SAFETY: on the thread of `env`, as the reference to it shows.
    match unsafe { T::to_napi_value(env.raw(), from) } {
        // SAFETY: as above.
        Ok(raw) => Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), raw) }),
        Err(error) => Err(internal(env, &error.to_string())),
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
            Err(internal(env, &error.to_string()))
        }
    }
}

/// An array of these values.
pub fn array<'env>(env: &'env Env, values: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    // SAFETY: a plain call on the current environment.
    let array =
        value(env, |raw| unsafe { sys::napi_create_array_with_length(env.raw(), values.len(), raw) })?;
    for (index, element) in (0..).zip(values) {
        // SAFETY: both values belong to the current scope.
        check(env, unsafe { sys::napi_set_element(env.raw(), array.raw(), index, element.raw()) })?;
    }
    Ok(array)
}

/// The elements of an array.
pub fn list<'env>(env: &'env Env, array: &Unknown<'_>) -> Result<'env, Vec<Unknown<'env>>> {
    (0..length(env, array)?).map(|at| item(env, array, at)).collect()
}

/// How many elements an array has.
pub fn length<'env>(env: &'env Env, array: &Unknown<'_>) -> Result<'env, u32> {
    let mut length = 0;
    // SAFETY: a value of the current scope, and a valid place for the result.
    check(env, unsafe { sys::napi_get_array_length(env.raw(), array.raw(), &mut length) })?;
    Ok(length)
}

/// The element of an array at that place.
pub fn item<'env>(env: &'env Env, array: &Unknown<'_>, at: u32) -> Result<'env, Unknown<'env>> {
    // SAFETY: a value of the current scope.
    value(env, |raw| unsafe { sys::napi_get_element(env.raw(), array.raw(), at, raw) })
}

/// `object[name]`; runs getters.
pub fn get<'env>(env: &'env Env, object: &Unknown<'_>, name: &CStr) -> Result<'env, Unknown<'env>> {
    // SAFETY: both values belong to the current scope; `name` ends in a NUL.
    value(env, |raw| unsafe { sys::napi_get_named_property(env.raw(), object.raw(), name.as_ptr(), raw) })
}

/// `object[key]`, by a key of any kind; runs getters.
pub fn element<'env>(env: &'env Env, object: &Unknown<'_>, key: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
    // SAFETY: both values belong to the current scope.
    value(env, |raw| unsafe { sys::napi_get_property(env.raw(), object.raw(), key.raw(), raw) })
}

/// Arguments as N-API takes them. A few, as most calls have, need no memory of their own.
struct Arguments {
    few: [sys::napi_value; 8],
    many: Vec<sys::napi_value>,
    count: usize,
}

impl Arguments {
    fn new(args: &[Unknown<'_>]) -> Self {
        let mut few = [ptr::null_mut(); 8];
        let mut many = Vec::new();
        if args.len() <= few.len() {
            few.iter_mut().zip(args).for_each(|(raw, arg)| *raw = arg.raw());
        } else {
            many.extend(args.iter().map(|arg| arg.raw()));
        }
        Self { few, many, count: args.len() }
    }

    fn as_slice(&self) -> &[sys::napi_value] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }
}

/// `function.call(this, ...args)`.
pub fn call<'env>(
    env: &'env Env,
    this: &Unknown<'_>,
    function: &Unknown<'_>,
    args: &[Unknown<'_>],
) -> Result<'env, Unknown<'env>> {
    let args = Arguments::new(args);
    let args = args.as_slice();
    // SAFETY: all values belong to the current scope; `args` outlives the call.
    value(env, |raw| unsafe {
        sys::napi_call_function(env.raw(), this.raw(), function.raw(), args.len(), args.as_ptr(), raw)
    })
}

/// `object[name](...args)`.
pub fn invoke<'env>(
    env: &'env Env,
    object: &Unknown<'_>,
    name: &CStr,
    args: &[Unknown<'_>],
) -> Result<'env, Unknown<'env>> {
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

/// `new Class(...args)`.
pub fn construct<'env>(
    env: &'env Env,
    class: &Unknown<'_>,
    args: &[Unknown<'_>],
) -> Result<'env, Unknown<'env>> {
    let args = Arguments::new(args);
    let args = args.as_slice();
    // SAFETY: all values belong to the current scope; `args` outlives the call.
    value(env, |raw| unsafe {
        sys::napi_new_instance(env.raw(), class.raw(), args.len(), args.as_ptr(), raw)
    })
}

/// `{}`.
pub fn object(env: &Env) -> Result<'_, Unknown<'_>> {
    // SAFETY: a plain call on the current environment.
    value(env, |raw| unsafe { sys::napi_create_object(env.raw(), raw) })
}

/// An object with these properties.
pub fn record<'env>(env: &'env Env, fields: &[(&CStr, Unknown<'_>)]) -> Result<'env, Unknown<'env>> {
    let record = object(env)?;
    for (name, value) in fields {
        define(env, &record, name, value)?;
    }
    Ok(record)
}

/// `object[name] = property`, as an own property, whatever its prototype has by that name.
pub fn define<'env>(
    env: &'env Env,
    object: &Unknown<'_>,
    name: &CStr,
    property: &Unknown<'_>,
) -> Result<'env, ()> {
    let descriptor = sys::napi_property_descriptor {
        utf8name: name.as_ptr(),
        name: ptr::null_mut(),
        method: None,
        getter: None,
        setter: None,
        value: property.raw(),
        attributes: sys::PropertyAttributes::writable
            | sys::PropertyAttributes::enumerable
            | sys::PropertyAttributes::configurable,
        data: ptr::null_mut(),
    };
    // SAFETY: both values belong to the current scope; the descriptor outlives the call.
    check(env, unsafe { sys::napi_define_properties(env.raw(), object.raw(), 1, &descriptor) })
}

/// A promise and the means to settle it, once.
pub fn promise(env: &Env) -> Result<'_, (sys::napi_deferred, Unknown<'_>)> {
    let mut deferred = ptr::null_mut();
    // SAFETY: valid places for both results.
    let promise = value(env, |raw| unsafe { sys::napi_create_promise(env.raw(), &mut deferred, raw) })?;
    Ok((deferred, promise))
}

/// `===`.
pub fn is_same(env: &Env, one: &Unknown<'_>, other: &Unknown<'_>) -> bool {
    let mut is = false;
    // SAFETY: both values belong to the current scope.
    let status = unsafe { sys::napi_strict_equals(env.raw(), one.raw(), other.raw(), &mut is) };
    status == sys::Status::napi_ok && is
}

/// Whether this is one of the engine's own promises.
pub fn is_promise(env: &Env, value: &Unknown<'_>) -> bool {
    let mut is = false;
    // SAFETY: a value of the current scope.
    unsafe { sys::napi_is_promise(env.raw(), value.raw(), &mut is) == sys::Status::napi_ok && is }
}

/// `Array.isArray`.
pub fn is_array(env: &Env, value: &Unknown<'_>) -> bool {
    let mut is = false;
    // SAFETY: a value of the current scope.
    unsafe { sys::napi_is_array(env.raw(), value.raw(), &mut is) == sys::Status::napi_ok && is }
}

/// Whether this is a `Uint8Array` (a `Buffer` is one) or another typed array.
pub fn is_typed_array(env: &Env, value: &Unknown<'_>) -> bool {
    let mut is = false;
    // SAFETY: a value of the current scope.
    unsafe { sys::napi_is_typedarray(env.raw(), value.raw(), &mut is) == sys::Status::napi_ok && is }
}

/// Whether this is an `Error`, of whatever realm.
pub fn is_error(env: &Env, value: &Unknown<'_>) -> bool {
    let mut is = false;
    // SAFETY: a value of the current scope.
    unsafe { sys::napi_is_error(env.raw(), value.raw(), &mut is) == sys::Status::napi_ok && is }
}

/// Whether a value can have properties of its own.
pub fn is_object(value: &Unknown<'_>) -> bool {
    matches!(type_of(value), ValueType::Object | ValueType::Function)
}

/// Whether `await` waits for it.
pub fn is_thenable<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, bool> {
    Ok(is_object(value)
        && (is_promise(env, value) || type_of(&get(env, value, c"then")?) == ValueType::Function))
}

/// A promise that follows `next`, a promise or any other thenable.
pub fn follow<'env>(env: &'env Env, next: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
    let (deferred, promise) = promise(env)?;
    // SAFETY: made just now, and settled once.
    check(env, unsafe { sys::napi_resolve_deferred(env.raw(), deferred, next.raw()) })?;
    Ok(promise)
}

/// What a reference refers to.
pub fn referenced(env: &Env, reference: sys::napi_ref) -> Result<'_, Unknown<'_>> {
    // SAFETY: the callers keep their references alive.
    value(env, |raw| unsafe { sys::napi_get_reference_value(env.raw(), reference, raw) })
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
        referenced(env, self.reference)
    }

    /// Keeps the value until the environment ends.
    pub fn into_raw(self) -> sys::napi_ref {
        std::mem::ManuallyDrop::new(self).reference
    }
}

/// As [`Kept`], for a value that may be a primitive: N-API keeps only objects, so it is kept in an array.
pub struct KeptAny(Kept);

impl KeptAny {
    /// Keeps a value until this is dropped.
    pub fn new<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, Self> {
        Kept::new(env, &array(env, &[*value])?).map(Self)
    }

    /// The value.
    pub fn get<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        get(env, &self.0.get(env)?, c"0")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once. Neither `Env` nor the pointers leave their thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
