//! One version of an index, held open.

use std::fs::File;
use std::io::{Read, Seek};

use crate::cancel::Cancel;
use crate::error::{ErrorKind, Named, Result};
use crate::process::room;
use crate::sys::Version;
use crate::write::{Content, Level, verify};

/// From this size on only one text is kept in memory at a time.
const LARGE: usize = 16 << 20;

/// One version of an index.
#[derive(Debug)]
pub struct Snapshot {
    /// JSON, checked; empty if it was forgotten.
    pub text: String,
    /// Whether the text is plain ASCII, which V8 takes without decoding it.
    pub ascii: bool,
    pub(crate) version: Version,
    pub(crate) file: File,
}

impl Snapshot {
    /// Frees the text, if it is a large one: a new text can be compared with the file instead.
    pub fn forget(&mut self) {
        if self.text.len() >= LARGE {
            self.text = String::new();
        }
    }

    /// Whether its bytes are these.
    pub(crate) fn holds(&self, text: &[u8], cancel: &Cancel) -> Result<bool> {
        if self.version.size != text.len() as u64 {
            return Ok(false);
        }
        if !self.text.is_empty() {
            return Ok(self.text.as_bytes() == text);
        }
        match verify::verify(&self.file, Content::Bytes(text), Level::Cache, cancel) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Verify { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All of its bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = room(usize::try_from(self.version.size).unwrap_or(0) + 1);
        let mut file = &self.file;
        file.rewind().named("lseek")?;
        file.read_to_end(&mut bytes).named("read")?;
        Ok(bytes)
    }
}
