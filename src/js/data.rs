//! What is to be written, copied at the call: JavaScript may change, transfer or resize its buffers
//! while a worker writes.

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use super::args::{self, wrong_type, wrong_value};
use super::error::Failure;
use super::memory;
use super::value::{self, Result};
use crate::engine::memory::room_for_bytes;

/// A copy of the caller's data. Strings are copied as they are in memory and encoded on the worker,
/// which takes a fraction of V8's time and finds lone surrogates on the way.
pub enum Data {
    /// Ready to write.
    Bytes(Vec<u8>),
    /// To be written as UTF-8.
    Text(Vec<u16>),
}

impl Data {
    /// Copies a string, a view or an array buffer.
    pub fn copy<'env>(
        env: &'env Env,
        data: &Unknown<'_>,
        encoding: Option<&Unknown<'_>>,
    ) -> Result<'env, Self> {
        Self::copy_as(env, data, &Encoding::parse(env, encoding)?)
    }

    /// As [`Data::copy`], the encoding being known.
    pub fn copy_as<'env>(env: &'env Env, data: &Unknown<'_>, encoding: &Encoding) -> Result<'env, Self> {
        if value::type_of(data) == ValueType::String {
            return encoding.copy(env, data);
        }
        match memory::bytes(env, data) {
            // Nothing is what a detached buffer shows, and not what the caller means to write.
            Some(bytes) if bytes.is_empty() && memory::is_detached(env, data)? => {
                Err(wrong_value(env, "data", "must not be detached", data))
            }
            Some(bytes) => Ok(Self::Bytes(bytes)),
            None => {
                let expected =
                    "of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer";
                Err(wrong_type(env, "data", expected, data))
            }
        }
    }

    /// Copies a string that is to be UTF-8.
    pub fn text<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Self> {
        match memory::ascii(env, text)? {
            Some(bytes) => Ok(Self::Bytes(bytes)),
            None => Ok(Self::Text(memory::utf16(env, text)?)),
        }
    }

    /// Refuses a text that UTF-8 has no bytes for, for who has to know before a worker comes to it.
    pub fn check<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        match self {
            Self::Bytes(_) => Ok(()),
            Self::Text(units) => well_formed(units)
                .map_err(|message| super::error::type_error(env, "ERR_INVALID_ARG_VALUE", &message)),
        }
    }

    /// How much memory it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(units) => units.len() * 2,
        }
    }

    /// Adds an ASCII character at the end.
    pub fn push(&mut self, last: u8) {
        match self {
            Self::Bytes(bytes) => bytes.push(last),
            Self::Text(units) => units.push(u16::from(last)),
        }
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// [`Failure::Argument`] for a lone surrogate: UTF-8 has no bytes for it, and U+FFFD in its
    /// place would not be what was given.
    pub fn into_bytes(self) -> std::result::Result<Vec<u8>, Failure> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Text(units) => {
                well_formed(&units).map_err(|message| Failure::Argument { message, entry: None })?;
                Ok(to_utf8(&units))
            }
        }
    }
}

/// # Errors
/// A message, for a lone surrogate.
fn well_formed(units: &[u16]) -> std::result::Result<(), String> {
    let valid = encoding_rs::mem::utf16_valid_up_to(units);
    if valid == units.len() {
        return Ok(());
    }
    Err(format!(
        "The argument 'data' must be well-formed UTF-16 to be written as UTF-8. There is a lone surrogate at index \
         {valid}"
    ))
}

/// Encodes well-formed UTF-16.
fn to_utf8(units: &[u16]) -> Vec<u8> {
    // Room for plain ASCII and some more; what does not fit goes into the next round.
    let most = units.len() + units.len() / 8 + 16;
    let mut bytes = room_for_bytes(most);
    bytes.resize(most, 0);
    let (mut read, mut written) = (0, 0);
    loop {
        let (more_read, more_written) =
            encoding_rs::mem::convert_utf16_to_utf8_partial(&units[read..], &mut bytes[written..]);
        read += more_read;
        written += more_written;
        if read == units.len() {
            bytes.truncate(written);
            return bytes;
        }
        // Three bytes a unit are always enough.
        bytes.resize(written + (units.len() - read) * 3 + 16, 0);
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
        if value::type_of(given) == ValueType::Null {
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

    fn copy<'env>(&self, env: &'env Env, text: &Unknown<'_>) -> Result<'env, Data> {
        match self {
            Self::Utf8 => Data::text(env, text),
            Self::Utf16Le => {
                let units = memory::utf16(env, text)?;
                Ok(Data::Bytes(units.iter().flat_map(|unit| unit.to_le_bytes()).collect()))
            }
            Self::Node(name) => {
                let name = value::to_js(env, name)?;
                let buffer = value::invoke(env, &value::global(env, c"Buffer")?, c"from", &[*text, name])?;
                Ok(Data::Bytes(memory::bytes(env, &buffer).unwrap_or_default()))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_the_same_utf8_that_rust_makes() {
        for text in ["", "plain", &"漢字".repeat(10_000), &"mixed ünïcödé 😀 ".repeat(1_000), "a\u{fffd}b"]
        {
            let units: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(Data::Text(units).into_bytes().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_lone_surrogate_is_refused_with_its_place() {
        for units in [vec![0x61, 0xd800], vec![0x61, 0xdc00, 0x62]] {
            let Err(Failure::Argument { message, .. }) = Data::Text(units).into_bytes() else { panic!() };
            assert!(message.ends_with("index 1"), "{message}");
        }
    }
}
