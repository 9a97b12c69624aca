//! What is to be written, copied at the call: JavaScript may change, transfer or resize its buffers
//! while a worker writes.

use engine::data::Data;
use engine::process::try_room_for_bytes;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use super::args::{self, wrong_type, wrong_value};
use super::thrown::{Result, no_memory};
use super::{copy, raw};

/// Copies a string, which is to be UTF-8.
pub fn text<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Data> {
    match copy::ascii(env, text)? {
        Some(bytes) => Ok(Data::Bytes(bytes)),
        None => Ok(Data::Text(copy::utf16(env, text)?)),
    }
}

/// How a string becomes bytes.
#[derive(Clone)]
pub enum Encoding {
    /// The default.
    Utf8,
    /// Its code units as they are.
    Utf16Le,
    /// Node's own decoders: a copy more, and exactly its leniency.
    Node(String),
}

impl Encoding {
    /// By the name that Node has for it.
    pub fn parse<'env>(env: &'env Env, encoding: Option<&Unknown<'_>>) -> Result<'env, Self> {
        let Some(given) = encoding else {
            return Ok(Self::Utf8);
        };
        if raw::type_of(given) == ValueType::Null {
            return Ok(Self::Utf8);
        }
        let name = args::word(env, given)?.unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "utf8" | "utf-8" => Ok(Self::Utf8),
            "utf16le" | "utf-16le" | "ucs2" | "ucs-2" => Ok(Self::Utf16Le),
            "latin1" | "binary" | "ascii" | "base64" | "base64url" | "hex" => Ok(Self::Node(name)),
            _ => Err(wrong_value(env, "encoding", "is invalid encoding", given)),
        }
    }

    /// Copies a string, a view or an array buffer.
    pub fn copy<'env>(&self, env: &'env Env, data: &Unknown<'_>) -> Result<'env, Data> {
        if raw::type_of(data) == ValueType::String {
            return self.copy_string(env, data);
        }
        match copy::bytes(env, data)? {
            // Nothing is what a detached buffer shows, and not what the caller means to write.
            Some(bytes) if bytes.is_empty() && copy::is_detached(env, data)? => {
                Err(wrong_value(env, "data", "must not be detached", data))
            }
            // So it is with a view whose buffer was made shorter: JavaScript's own methods say that it is detached.
            Some(bytes) if bytes.is_empty() && copy::is_out_of_bounds(env, data)? => {
                Err(wrong_value(env, "data", "must not reach beyond the end of its buffer", data))
            }
            Some(bytes) => Ok(Data::Bytes(bytes)),
            None => {
                let expected =
                    "of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer";
                Err(wrong_type(env, "data", expected, data))
            }
        }
    }

    fn copy_string<'env>(&self, env: &'env Env, text: &Unknown<'_>) -> Result<'env, Data> {
        match self {
            Self::Utf8 => self::text(env, text),
            Self::Utf16Le => {
                let units = copy::utf16(env, text)?;
                let mut bytes = try_room_for_bytes(2 * units.len()).ok_or_else(|| no_memory(env))?;
                bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
                Ok(Data::Bytes(bytes))
            }
            Self::Node(name) => {
                let name = raw::to_js(env, name)?;
                let buffer = raw::invoke(env, &raw::global(env, c"Buffer")?, c"from", &[*text, name])?;
                Ok(Data::Bytes(copy::bytes(env, &buffer)?.unwrap_or_default()))
            }
        }
    }
}
