//! Why a patch cannot be applied.

use std::fmt;

use crate::index::document::pointer::Pointer;

/// A pointer of a patch that leads nowhere, or to what the patch does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The pointer.
    pub pointer: String,
    /// How far it leads.
    pub reached: String,
    /// What is wrong, as the end of a sentence that begins with the pointer.
    pub reason: String,
    /// It is that there is no memory for what is there.
    pub is_no_memory: bool,
}

impl Fault {
    /// At the end of `pointer`.
    pub(super) fn at(pointer: &Pointer, reason: impl Into<String>) -> Self {
        let pointer = pointer.to_string();
        Self { reached: pointer.clone(), pointer, reason: reason.into(), is_no_memory: false }
    }

    /// There is no memory for the value there.
    pub(super) fn no_memory(pointer: &Pointer) -> Self {
        Self { is_no_memory: true, ..Self::at(pointer, "leads to a value for which there is no memory") }
    }

    /// What the first `depth` steps lead to, `what`, has no place for the next one.
    pub(super) fn nowhere(pointer: &Pointer, depth: usize, what: What) -> Self {
        let reached = pointer.up_to(depth).to_string();
        let place = if depth == 0 { "the index".to_owned() } else { format!("'{reached}'") };
        let lack = match what {
            What::Array | What::Object => {
                format!(" without '{}'", pointer.iter().nth(depth).unwrap_or_default())
            }
            _ => String::new(),
        };
        let reason = format!("leads nowhere: {place} is {what}{lack}");
        Self { reached, ..Self::at(pointer, reason) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}' {}", self.pointer, self.reason)
    }
}

impl std::error::Error for Fault {}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Object,
    Array,
    Text,
    Number,
    Boolean,
    Null,
    Nothing,
}

impl What {
    /// By the first byte of its text.
    pub fn of(first: Option<&u8>) -> Self {
        match first {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            Some(_) => Self::Number,
            None => Self::Nothing,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Null => "null",
            Self::Nothing => "nothing",
        })
    }
}
