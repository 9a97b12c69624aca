//! Where a byte is among 64: what a processor does with a few instructions, and a loop does ten times as slowly.

/// How many bytes are looked at together.
pub const BLOCK: usize = 64;

#[cfg(not(target_arch = "x86_64"))]
const ONES: u64 = 0x0101_0101_0101_0101;
/// Brings the lowest bits of eight bytes together in the highest byte.
#[cfg(not(target_arch = "x86_64"))]
const GATHER: u64 = 0x0102_0408_1020_4080;

/// A bit for each byte that is `wanted` once the bits of `ignored` are set in it; the first byte's is the lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn places(block: &[u8; BLOCK], wanted: u8, ignored: u8) -> u64 {
    // SAFETY: it touches no memory but its arguments, and SSE2 is a part of x86-64.
    unsafe { places_sse2(block, wanted, ignored) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn places_sse2(block: &[u8; BLOCK], wanted: u8, ignored: u8) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};

    let (pairs, _) = block.as_chunks::<16>();
    let (wanted, ignored) = (_mm_set1_epi8(wanted.cast_signed()), _mm_set1_epi8(ignored.cast_signed()));
    pairs.iter().rev().fold(0, |places, bytes| {
        let both = u128::from_le_bytes(*bytes);
        let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
        let found = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(bytes, ignored), wanted));
        places << 16 | u64::from(found.cast_unsigned())
    })
}

/// A bit for each byte that is less than a space.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn controls(block: &[u8; BLOCK]) -> u64 {
    // SAFETY: as in `places`.
    unsafe { controls_sse2(block) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn controls_sse2(block: &[u8; BLOCK]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    let (pairs, _) = block.as_chunks::<16>();
    let last = _mm_set1_epi8(0x1f);
    pairs.iter().rev().fold(0, |places, bytes| {
        let both = u128::from_le_bytes(*bytes);
        let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
        let found = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(bytes, last), bytes));
        places << 16 | u64::from(found.cast_unsigned())
    })
}

/// A bit for each byte that is less than a space.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn controls(block: &[u8; BLOCK]) -> u64 {
    // Those bytes of which none of the upper three bits is set.
    let (words, _) = block.as_chunks::<8>();
    words.iter().rev().fold(0, |places, word| {
        let word = u64::from_le_bytes(*word);
        let is_low = !(word >> 7 | word >> 6 | word >> 5) & ONES;
        places << 8 | is_low.wrapping_mul(GATHER) >> 56
    })
}

/// A bit for each byte that is `wanted` once the bits of `ignored` are set in it; the first byte's is the lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn places(block: &[u8; BLOCK], wanted: u8, ignored: u8) -> u64 {
    const LOW: u64 = 0x7f * ONES;
    let (words, _) = block.as_chunks::<8>();
    words.iter().rev().fold(0, |places, word| {
        let others = (u64::from_le_bytes(*word) | ONES * u64::from(ignored)) ^ (ONES * u64::from(wanted));
        let is_zero = !((others & LOW) + LOW | others) >> 7 & ONES;
        places << 8 | is_zero.wrapping_mul(GATHER) >> 56
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_stands_for_each_byte() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let block: [u8; BLOCK] = std::array::from_fn(|_| random.choice(*b"{[}]\"\\\xdb\0").unwrap_or(0));
            for (wanted, ignored) in [(b'"', 0), (b'\\', 0), (b'{', 0x20), (b'}', 0x20), (0, 0), (0xdb, 0)] {
                let expected = (0..)
                    .zip(block)
                    .filter(|(_, byte)| byte | ignored == wanted)
                    .fold(0, |bits, (at, _)| bits | 1_u64 << at);
                assert_eq!(places(&block, wanted, ignored), expected);
            }
            let block: [u8; BLOCK] = std::array::from_fn(|_| random.u8(..));
            let expected =
                (0..).zip(block).filter(|(_, byte)| *byte < b' ').fold(0, |bits, (at, _)| bits | 1_u64 << at);
            assert_eq!(controls(&block), expected);
        }
    }
}
