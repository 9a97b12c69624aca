//! What is known of bytes that were not kept: how many there were, and a hash of 128 bits.
//!
//! XXH3 runs at memory speed. It finds what disks and bugs do to bytes; it does not protect from an attacker who
//! forges them, and one who can put other bytes into the file needs no collision.

use xxhash_rust::xxh3::Xxh3;

/// The digest of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// How many there were.
    pub bytes: u64,
    hash: u128,
}

impl Digest {
    /// XXH3 with 128 bits.
    pub(crate) fn hash(&self) -> u128 {
        self.hash
    }
}

/// A digest that is being made.
#[derive(Clone, Default)]
pub struct Running {
    bytes: u64,
    hash: Xxh3,
}

impl Running {
    /// Adds what comes next.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// How many bytes were added.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of all that was added.
    pub fn digest(&self) -> Digest {
        Digest { bytes: self.bytes, hash: self.hash.digest128() }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.digest().fmt(f)
    }
}
