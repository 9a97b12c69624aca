//! The format of an index: how its text becomes a value and a value its text.

use engine::index::file::Numbers;
use engine::index::format;
use engine::index::layout::{Layout, Space, without_mark};
use engine::index::text::Text;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::codec::{Codec, Previous};
use crate::js::index::{json, lost};
use crate::js::value::thrown::{Thrown, invalid_return};
use crate::js::value::{Kept, Result, args, copy, raw, thrown};

/// The format of an index.
#[derive(Clone, Default, PartialEq)]
pub enum Format {
    /// What V8 parses and prints.
    #[default]
    Json,
    /// What a codec of the caller's does.
    Codec(Codec),
}

impl Format {
    /// By `options.codec`.
    ///
    /// # Errors
    /// Those of [`Codec::new`].
    pub fn from_options<'env>(env: &'env Env, codec: Option<&Unknown<'_>>) -> Result<'env, Self> {
        codec.map_or(Ok(Self::Json), |codec| Codec::new(env, codec).map(Self::Codec))
    }

    /// As the engine has it.
    pub fn known(&self) -> format::Format {
        match self {
            Self::Json => format::Format::Json,
            Self::Codec(_) => format::Format::Other,
        }
    }

    /// What the index says that the caller calls `shown`, or without one what `initial` says; `undefined` without either.
    pub fn parse<'env>(
        &self,
        env: &'env Env,
        index: Option<&Text>,
        initial: Option<&[u16]>,
        numbers: Numbers,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let Self::Codec(codec) = self else { return json::parse(env, index, initial, numbers) };
        match (index, initial) {
            (Some(index), _) => {
                let text = copy::string(env, index.json(), index.ascii)?;
                codec.parse(env, &text, index.size() - index.json().len(), shown)
            }
            (None, Some(initial)) => codec.parse(env, &copy::string_utf16(env, initial)?, 0, shown),
            (None, None) => Ok(raw::undefined(env)),
        }
    }

    /// What these bytes say.
    pub fn parse_bytes<'env>(
        &self,
        env: &'env Env,
        bytes: Vec<u8>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let text = self.known().check(bytes);
        let text = text.map_err(|error| crate::js::error::from_engine(env, &error, shown, || None))?;
        let bare = without_mark(&text);
        let value = copy::string(env, bare, bare.is_ascii())?;
        match self {
            Self::Json => raw::invoke(env, &raw::global(env, c"JSON")?, c"parse", &[value]),
            Self::Codec(codec) => codec.parse(env, &value, text.len() - bare.len(), shown),
        }
    }

    /// What a function has made, as a text that replaces the `previous` one.
    ///
    /// # Errors
    /// `ERR_INVALID_RETURN_VALUE`, `ERR_STRING_TOO_LONG`.
    pub fn stringify<'env>(
        &self,
        env: &'env Env,
        index: &Unknown<'_>,
        previous: Previous<'_>,
        space: Option<&Space>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        match (self, previous) {
            (Self::Codec(codec), _) => {
                if codec.is_plain {
                    lost::check_for_codec(env, index, None)?;
                }
                codec.stringify(env, index, previous, "The result of the function 'fn'")
            }
            (Self::Json, Previous::None) => json::stringify(env, index, space, &Layout::default(), shown),
            (Self::Json, Previous::Parsed(text) | Previous::Any(text)) => {
                json::stringify(env, index, space, &text.layout, shown)
            }
        }
    }

    /// An empty object as text.
    pub fn empty<'env>(&self, env: &'env Env) -> Result<'env, Vec<u16>> {
        match self {
            Self::Json => Ok("{}".encode_utf16().collect()),
            Self::Codec(_) => self.snapshot(env, "options.initial", &raw::object(env)?),
        }
    }

    /// The argument `name` as text, so that neither a later change nor the user's function can alter it.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_VALUE`.
    pub fn snapshot<'env>(&self, env: &'env Env, name: &str, value: &Unknown<'_>) -> Result<'env, Vec<u16>> {
        let Self::Codec(codec) = self else { return json::snapshot(env, name, value) };
        if codec.is_plain {
            lost::check_for_codec(env, value, Some(name))?;
        }
        let printed = codec.stringify(env, value, Previous::None, &format!("The value of '{name}'"));
        match printed {
            Ok(text) => copy::utf16(env, &text),
            Err(Thrown(error)) => {
                let message = copy::text(env, &raw::get(env, &error, c"message")?)?;
                let cause = raw::get(env, &error, c"cause")?;
                let cause = (raw::type_of(&cause) != ValueType::Undefined).then_some(Thrown(cause));
                Err(thrown::type_error(env, "ERR_INVALID_ARG_VALUE", &message).caused_by(env, cause))
            }
        }
    }

    /// A text by which two values are known to be the same; `undefined` of `undefined`.
    pub fn print<'env>(&self, env: &'env Env, value: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
        match self {
            _ if raw::type_of(value) == ValueType::Undefined => Ok(raw::undefined(env)),
            Self::Json => raw::invoke(env, &raw::global(env, c"JSON")?, c"stringify", &[*value]),
            Self::Codec(codec) => codec.stringify(env, value, Previous::None, "The index"),
        }
    }

    /// The next index, if what a function has returned can be one.
    ///
    /// # Errors
    /// `ERR_INVALID_RETURN_VALUE`.
    pub fn check_returned<'env>(&self, env: &'env Env, next: &Unknown<'_>) -> Result<'env, Kept> {
        if raw::type_of(next) == ValueType::Object {
            match self {
                Self::Json => lost::check_index(env, next, lost::JSON)?,
                Self::Codec(codec) if codec.is_plain => lost::check_index(env, next, lost::CODEC)?,
                Self::Codec(_) => {}
            }
            return Kept::new(env, next);
        }
        let got = args::describe(env, next);
        let hint = if raw::type_of(next) == ValueType::Undefined {
            ": did you forget to return the index?"
        } else {
            ""
        };
        let message = format!("The function must return an object or an array. Received {got}{hint}");
        Err(invalid_return(env, &message, None))
    }
}
