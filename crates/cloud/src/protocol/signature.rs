//! Who has committed lately, in the metadata of the object itself: one response tells it together with the body.

/// How many commits an object remembers. Beyond that a try in doubt stays in doubt. 128 of them are 1.7 of the 2 KB
/// of metadata that S3 allows.
pub const RING: usize = 128;

/// Ids have 48 bits: two of 128 commits have the same one once in 10^10 objects.
const ID_BITS: u32 = 48;

/// What the metadata of an object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// How many commits the object has seen.
    pub seq: u64,
    /// Their ids, the last one first.
    pub ring: Vec<u64>,
    /// Which ledger of patches belongs to this version.
    pub ledger: Option<u64>,
}

impl Signature {
    /// An object of another program has none: that counts as no commits.
    pub fn parse(metadata: &str) -> Self {
        let (commits, ledger) = match metadata.split_once('-') {
            Some((commits, ledger)) => (commits, u64::from_str_radix(ledger, 16).ok()),
            None => (metadata, None),
        };
        let words: Result<Vec<u64>, _> =
            commits.split('.').map(|word| u64::from_str_radix(word, 16)).collect();
        match words.as_deref() {
            Ok([seq, ring @ ..]) => Self { seq: *seq, ring: ring.to_vec(), ledger },
            _ => Self::default(),
        }
    }

    /// The signature of the next version, which this commit makes.
    pub fn next(&self, id: u64) -> Self {
        let ring = std::iter::once(id).chain(self.ring.iter().copied()).take(RING).collect();
        Self { seq: self.seq + 1, ring, ledger: self.ledger }
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.seq)?;
        self.ring.iter().try_for_each(|id| write!(f, ".{id:x}"))?;
        self.ledger.map_or(Ok(()), |ledger| write!(f, "-{ledger:x}"))
    }
}

/// An id that no other commit has.
pub fn new_id() -> u64 {
    fastrand::u64(1..1 << ID_BITS)
}

/// White space that says the same as the id. An S3 `ETag` is a digest of the content alone, so an index that returns to
/// an earlier content would let a late request of that time land; with this no two commits have the same content.
pub fn nonce(id: u64) -> [u8; 25] {
    let mut text = [b'\n'; 25];
    for (at, byte) in text.iter_mut().skip(1).enumerate() {
        *byte = b" \t\n\r"[(id >> (2 * at)) as usize & 3];
    }
    text
}

/// The length of the text without the nonce of the commit that has written it.
pub fn without_nonce(text: &[u8], signature: &Signature) -> usize {
    let has = signature.ring.first().is_some_and(|id| text.ends_with(&nonce(*id)));
    text.len() - if has { nonce(0).len() } else { 0 }
}
