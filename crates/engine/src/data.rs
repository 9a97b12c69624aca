//! What is to be written: bytes, or UTF-16 that is encoded on the worker. There that takes a fraction of V8's time,
//! and finds lone surrogates on the way.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::process::{try_room, try_room_for_bytes};

/// What is to be written.
///
/// ```
/// use pipeline_atomic_engine::data::Data;
///
/// let text = Data::Text("naïve".encode_utf16().collect());
/// assert_eq!(text.into_bytes()?, "naïve".as_bytes());
/// assert_eq!(Data::Text(vec![0x61, 0xd800]).into_bytes().unwrap_err().code(), "ERR_INVALID_ARG_VALUE");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum Data {
    /// Ready to write.
    Bytes(Vec<u8>),
    /// To be written as UTF-8.
    Text(Vec<u16>),
}

impl Data {
    /// How much memory it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(units) => units.len() * 2,
        }
    }

    /// Refuses a text that UTF-8 has no bytes for.
    ///
    /// # Errors
    /// [`ErrorKind::LoneSurrogate`]: U+FFFD in its place would not be what was given.
    pub fn check(&self) -> Result<()> {
        let Self::Text(units) = self else { return Ok(()) };
        match encoding_rs::mem::utf16_valid_up_to(units) {
            valid if valid == units.len() => Ok(()),
            index => Err(ErrorKind::LoneSurrogate { index }.into()),
        }
    }

    /// The same once more. There is no `Clone`: that would end the process where there is no memory for it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn try_clone(&self) -> Result<Self> {
        let copy = match self {
            Self::Bytes(bytes) => try_room_for_bytes(bytes.len()).map(|mut copy| {
                copy.extend_from_slice(bytes);
                Self::Bytes(copy)
            }),
            Self::Text(units) => try_room(units.len()).map(|mut copy: Vec<u16>| {
                copy.extend_from_slice(units);
                Self::Text(copy)
            }),
        };
        copy.ok_or_else(Error::no_memory)
    }

    /// The data itself if nobody else has it, or else a copy.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn of_shared(shared: Arc<Self>) -> Result<Self> {
        Arc::try_unwrap(shared).or_else(|shared| shared.try_clone())
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// Those of [`Data::check`]; `ENOMEM`.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        self.check()?;
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Text(units) => to_utf8(&units).ok_or_else(Error::no_memory),
        }
    }

    /// The bytes of what is to be JSON. Only a raw value can have a lone surrogate, and JSON has no bytes for that.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`]; `ENOMEM`.
    pub(crate) fn into_json(self) -> Result<Vec<u8>> {
        self.into_bytes().map_err(|error| match error.kind() {
            ErrorKind::LoneSurrogate { .. } => {
                ErrorKind::InvalidJson { reason: "a lone surrogate".to_owned() }.into()
            }
            _ => error,
        })
    }
}

/// Encodes well-formed UTF-16. `None`: there is no memory for it.
fn to_utf8(units: &[u16]) -> Option<Vec<u8>> {
    // Room for plain ASCII and some more; what does not fit goes into the next round.
    let most = units.len() + units.len() / 8 + 16;
    let mut bytes = try_room_for_bytes(most)?;
    bytes.resize(most, 0);
    let (mut read, mut written) = (0, 0);
    loop {
        let (more_read, more_written) =
            encoding_rs::mem::convert_utf16_to_utf8_partial(&units[read..], &mut bytes[written..]);
        read += more_read;
        written += more_written;
        if read == units.len() {
            bytes.truncate(written);
            return Some(bytes);
        }
        // Three bytes a unit are always enough.
        let enough = written + (units.len() - read) * 3 + 16;
        bytes.try_reserve_exact(enough.saturating_sub(bytes.len())).ok()?;
        bytes.resize(enough, 0);
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
            let error = Data::Text(units).into_bytes().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::LoneSurrogate { index: 1 }), "{error}");
        }
    }
}
