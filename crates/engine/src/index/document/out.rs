//! A text that is being made, as far as there is memory for it.

use crate::process::try_room_for_bytes;

/// How long the text becomes is known only when all white space is in it, so any piece can be the one there is no memory for.
#[derive(Default)]
pub(super) struct Out {
    bytes: Vec<u8>,
    /// Something is missing.
    is_cut: bool,
}

impl Out {
    /// With room for so many bytes. `None`: there is no memory for them.
    pub fn with_room(length: usize) -> Option<Self> {
        Some(Self { bytes: try_room_for_bytes(length)?, is_cut: false })
    }

    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if self.is_cut || !self.has_room(bytes.len()) {
            self.is_cut = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn has_room(&mut self, length: usize) -> bool {
        // Vectors grow to twice their size, for which there may be no memory where there is some for the text.
        self.bytes.capacity() - self.bytes.len() >= length
            || self.bytes.try_reserve_exact(length.max(self.bytes.len() / 8)).is_ok()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The text. `None`: there was no memory for all of it.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        (!self.is_cut).then_some(self.bytes)
    }
}
