//! Options, as the exported functions read them.

use std::time::Duration;

use engine::index::file::UpdateOptions;
use engine::write::Options;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::format::Format;
use crate::js::index::schema::Schema;
use crate::js::value::thrown::Result;
use crate::js::value::{Encoding, FilePath};

/// How options are read, which the exported functions know.
#[derive(Clone, Copy)]
pub struct Parse {
    /// Those of a write, and whether to make directories.
    pub write: for<'env> fn(&'env Env, &Unknown<'env>) -> Result<'env, ParsedWrite>,
    /// Those of an update of this file.
    pub update: for<'env> fn(&'env Env, &FilePath, &Unknown<'env>) -> Result<'env, ParsedUpdate>,
    /// A time to wait, in milliseconds.
    pub timeout: for<'env> fn(&'env Env, &Unknown<'env>) -> Result<'env, Duration>,
}

/// How to write a file, whether to make directories, and how a string becomes bytes.
pub type ParsedWrite = (Options, bool, Encoding);

impl ParsedUpdate {
    /// Whether functions can be given the same parsed index, frozen or not.
    pub fn is_like(&self, other: &Self) -> bool {
        self.options == other.options && self.format == other.format && self.schema == other.schema
    }
}

/// How to update an index.
#[derive(Clone)]
pub struct ParsedUpdate {
    /// How to read and write it.
    pub options: UpdateOptions,
    /// Text for the function when there is no file.
    pub initial: Option<Vec<u16>>,
    /// What parses and prints the index.
    pub format: Format,
    /// What the index has to be like.
    pub schema: Option<Schema>,
    /// The function of a transaction gets a frozen value, which is kept.
    pub keeps_value: bool,
}
