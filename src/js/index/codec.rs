//! A codec of the caller's: what parses and prints an index that is no plain JSON.

use std::ffi::CStr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::index::json::FILE as ADVICE;
use engine::index::text::Text;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error;
use crate::js::value::once::{Once, run_script};
use crate::js::value::{Kept, Result, args, copy, raw};

const SCRIPT: &str = include_str!("codec.js");

/// A codec.
#[derive(Clone)]
pub struct Codec {
    /// The same number is the same codec.
    number: u32,
    codec: Rc<Kept>,
    /// What plain JSON would lose is refused.
    pub is_plain: bool,
}

/// Two are the same if updates by them can share a commit.
impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Codec {
    /// `options.codec`.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`; what its properties throw.
    pub fn new<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Self> {
        // Not counted by the script: a module that is loaded again has another one, and shares this thread's calls.
        static ISSUED: AtomicU32 = AtomicU32::new(1);
        let fresh = raw::to_js(env, ISSUED.fetch_add(1, Ordering::Relaxed))?;
        let number: u32 = raw::from_js(env, &script(env, c"numberOf", &[*given, fresh])?).unwrap_or_default();
        if number == 0 {
            let expected = "an object with the functions parse and stringify";
            return Err(args::wrong_type(env, "options.codec", expected, given));
        }
        let is_plain = raw::from_js(env, &raw::get(env, given, c"isPlain")?) == Some(true);
        Ok(Self { number, codec: Rc::new(Kept::new(env, given)?), is_plain })
    }

    /// What a text says, before which there are `lead` bytes in the file that `shown` is.
    ///
    /// # Errors
    /// `ERR_ATOMIC_CORRUPT_INDEX` for what `parse` throws, `ERR_INVALID_RETURN_VALUE`.
    pub fn parse<'env>(
        &self,
        env: &'env Env,
        text: &Unknown<'_>,
        lead: usize,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let (lead, shown) = (raw::to_js(env, lead as f64)?, raw::to_js(env, shown)?);
        script(env, c"parse", &[self.codec.get(env)?, *text, lead, shown])
    }

    /// A value as a string that can be a file, made from the text that it replaces; `what` is the value in messages.
    ///
    /// # Errors
    /// `ERR_INVALID_RETURN_VALUE` for what `stringify` throws, or returns that is no such string.
    pub fn stringify<'env>(
        &self,
        env: &'env Env,
        value: &Unknown<'_>,
        previous: Previous<'_>,
        what: &str,
    ) -> Result<'env, Unknown<'env>> {
        let (text, is_doubtful) = match previous {
            Previous::None => (None, false),
            Previous::Parsed(text) => (Some(text), false),
            Previous::Any(text) => (Some(text), true),
        };
        let text = match text {
            // A broken one that is replaced all the same.
            Some(text) if text.size() > 0 => copy::string(env, text.json(), text.ascii)?,
            _ => raw::undefined(env),
        };
        let (is_doubtful, what) = (raw::to_js(env, is_doubtful)?, raw::to_js(env, what)?);
        script(env, c"stringify", &[self.codec.get(env)?, *value, text, is_doubtful, what])
    }
}

/// The text that another one replaces.
#[derive(Clone, Copy)]
pub enum Previous<'a> {
    /// There is none.
    None,
    /// The codec has parsed it.
    Parsed(&'a Text),
    /// The codec may not be able to parse it.
    Any(&'a Text),
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

fn script<'env>(env: &'env Env, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let compile = || {
        let count = error::counter(env, "ERR_ATOMIC_CORRUPT_INDEX")?;
        let advice = raw::to_js(env, ADVICE)?;
        raw::call(env, &raw::undefined(env), &run_script(env, SCRIPT)?, &[count, advice])
    };
    let exports = COMPILED.with(|compiled| compiled.get(env, compile))?;
    raw::invoke(env, &exports, name, args)
}
