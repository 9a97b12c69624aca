//! Stands in for the crate `crc-fast`, of which `object_store` uses one checksum, and that only if `AWS_CHECKSUM_ALGORITHM` asks for it.
//!
//! The original has functions for C. A shared library that is linked with it exports them, and so keeps the tables of all its
//! checksums: 0.8 MB in each addon.

use crc::{CRC_64_NVME, Crc};

static NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// Which checksum.
#[derive(Clone, Copy, Debug)]
pub enum CrcAlgorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// A checksum of what it is given piece by piece.
pub struct Digest(crc::Digest<'static, u64>);

impl Digest {
    /// Of nothing.
    pub fn new(CrcAlgorithm::Crc64Nvme: CrcAlgorithm) -> Self {
        Self(NVME.digest())
    }

    /// With these bytes as well.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes.
    pub fn finalize(&self) -> u64 {
        self.0.clone().finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(b"12345");
        digest.update(b"6789");
        assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
    }
}
