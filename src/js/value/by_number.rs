//! Maps by numbers that are issued here, one after the other. Nobody can choose them, so no hash has to be hard to guess: the one of the standard
//! library costs the thread of JavaScript more than the rest of a look, for each call several times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by such numbers, or by what is a hash already.
pub type ByNumber<V> = HashMap<u64, V, BuildHasherDefault<Spread>>;

/// Spreads numbers in a row: the map looks at both ends of a hash. (Of those with a power of two between them the lower ends are the same.)
#[derive(Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Odd, and close to 2^64 divided by the golden ratio: numbers in a row go far apart (Knuth, 6.4).
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::*;

    #[test]
    fn numbers_in_a_row_differ_at_both_ends_of_their_hashes() {
        let hash = |number: u64| BuildHasherDefault::<Spread>::default().hash_one(number);
        let ends = |bits: fn(u64) -> u64| (0..128).map(|number| bits(hash(number))).collect::<HashSet<_>>();
        assert_eq!(ends(|hash| hash & 0x7f).len(), 128);
        assert!(ends(|hash| hash >> 57).len() > 96);
    }

    #[test]
    fn what_is_put_in_is_found_until_it_is_taken_out() {
        let mut map = ByNumber::default();
        (0..1000).for_each(|number| drop(map.insert(number, number.to_string())));
        for number in 0..1000 {
            assert_eq!(map.remove(&number).unwrap(), number.to_string());
        }
        assert!(map.is_empty());
    }
}
