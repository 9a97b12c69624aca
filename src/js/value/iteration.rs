//! Goes through an iterable as `for await` does (ECMA-262, 14.7.5 and 27.1.6): an async iterator if it has
//! one, else a plain one, whose values are awaited.

use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, ValueType, sys};

use crate::js::value::args::wrong_type;
use crate::js::value::promise;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::{Result, check, type_error};

/// An iterator that is gone through.
pub struct Iteration {
    iterator: Kept,
    next: Kept,
    awaits: Awaits,
}

/// What is waited for at each step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// The result: an async iterator.
    Result,
    /// The value, if it is a promise: a plain iterator.
    Value,
}

/// What a step comes to.
pub enum Next<'env> {
    /// A value.
    Value(Unknown<'env>),
    /// The end.
    Done,
    /// This promise; [`Iteration::settled`] tells what it came to.
    Later(Unknown<'env>),
}

impl Iteration {
    /// # Errors
    /// A `TypeError` if it is no iterable, what its methods throw.
    pub fn of<'env>(env: &'env Env, name: &str, iterable: &Unknown<'_>) -> Result<'env, Self> {
        let expected = "an instance of Iterable or AsyncIterable";
        if matches!(raw::type_of(iterable), ValueType::Undefined | ValueType::Null) {
            return Err(wrong_type(env, name, expected, iterable));
        }
        let (method, awaits) = match method(env, iterable, c"asyncIterator")? {
            Some(method) => (Some(method), Awaits::Result),
            None => (self::method(env, iterable, c"iterator")?, Awaits::Value),
        };
        let Some(method) = method else { return Err(wrong_type(env, name, expected, iterable)) };
        let iterator = raw::call(env, iterable, &method, &[])?;
        if !raw::is_object(&iterator) {
            return Err(type_error(env, "ERR_INVALID_ARG_VALUE", "The iterator must be an object"));
        }
        let next = raw::get(env, &iterator, c"next")?;
        if raw::type_of(&next) != ValueType::Function {
            return Err(wrong_type(env, "entries[Symbol.iterator]().next", "of type function", &next));
        }
        Ok(Self { iterator: Kept::new(env, &iterator)?, next: Kept::new(env, &next)?, awaits })
    }

    /// The iterator, and whether it is an async one.
    pub fn iterator<'env>(&self, env: &'env Env) -> Result<'env, (Unknown<'env>, bool)> {
        Ok((self.iterator.get(env)?, self.awaits == Awaits::Result))
    }

    /// The next step.
    ///
    /// # Errors
    /// What the iterator throws; it is over then.
    pub fn next<'env>(&self, env: &'env Env) -> Result<'env, Next<'env>> {
        let result = raw::call(env, &self.iterator.get(env)?, &self.next.get(env)?, &[])?;
        if self.awaits == Awaits::Result {
            return raw::follow(env, &result).map(Next::Later);
        }
        match step(env, &result)? {
            None => Ok(Next::Done),
            Some(value) if raw::is_thenable(env, &value)? => raw::follow(env, &value).map(Next::Later),
            Some(value) => Ok(Next::Value(value)),
        }
    }

    /// What a promise of [`Next::Later`] was fulfilled with.
    ///
    /// # Errors
    /// As [`Iteration::next`].
    pub fn settled<'env>(&self, env: &'env Env, with: Unknown<'env>) -> Result<'env, Next<'env>> {
        Ok(match self.awaits {
            Awaits::Value => Next::Value(with),
            Awaits::Result => step(env, &with)?.map_or(Next::Done, Next::Value),
        })
    }

    /// Whether the iterator is to be closed when a promise of [`Next::Later`] is rejected: it knows of the
    /// rejection if the promise was its own doing, but nothing of one that it passed on as a value.
    pub fn is_open_after_rejection(&self) -> bool {
        self.awaits == Awaits::Value
    }

    /// Tells the iterator that no more is wanted. Returns a promise if there is anything to wait for; it never rejects,
    /// because the caller has an error already.
    pub fn close<'env>(&self, env: &'env Env) -> Option<Unknown<'env>> {
        let iterator = self.iterator.get(env).ok()?;
        let close = raw::get(env, &iterator, c"return").ok()?;
        if raw::type_of(&close) != ValueType::Function {
            return None;
        }
        let closed = raw::call(env, &iterator, &close, &[]).ok()?;
        let closed = match self.awaits {
            Awaits::Result => closed,
            Awaits::Value => raw::get(env, &closed, c"value").ok()?,
        };
        if !raw::is_thenable(env, &closed).unwrap_or(false) {
            return None;
        }
        let closed = raw::follow(env, &closed).ok()?;
        promise::catch(env, &closed, |env, _| Ok(raw::undefined(env))).ok()
    }
}

/// The value of an iterator's result; `None`: it is done.
fn step<'env>(env: &'env Env, result: &Unknown<'_>) -> Result<'env, Option<Unknown<'env>>> {
    if !raw::is_object(result) {
        let message =
            format!("Iterator result {} is not an object", crate::js::value::args::describe(env, result));
        return Err(type_error(env, "ERR_INVALID_ARG_TYPE", &message));
    }
    if is_true(env, &raw::get(env, result, c"done")?)? {
        return Ok(None);
    }
    raw::get(env, result, c"value").map(Some)
}

/// `object[Symbol[name]]`, unless that is `undefined` or `null`.
fn method<'env>(
    env: &'env Env,
    object: &Unknown<'_>,
    name: &std::ffi::CStr,
) -> Result<'env, Option<Unknown<'env>>> {
    let symbol = raw::get(env, &raw::global(env, c"Symbol")?, name)?;
    let method = raw::element(env, object, &symbol)?;
    Ok(match raw::type_of(&method) {
        ValueType::Undefined | ValueType::Null => None,
        _ => Some(method),
    })
}

/// As `if` takes it.
fn is_true<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, bool> {
    let (mut boolean, mut is) = (ptr::null_mut(), false);
    // SAFETY: a value of the current scope, and valid places for the results.
    check(env, unsafe { sys::napi_coerce_to_bool(env.raw(), value.raw(), &mut boolean) })?;
    // SAFETY: the call made a boolean.
    check(env, unsafe { sys::napi_get_value_bool(env.raw(), boolean, &mut is) })?;
    Ok(is)
}
