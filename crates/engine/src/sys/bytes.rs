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

/// Where in a block of JSON what is: a bit for each byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json {
    /// `"`
    pub quotes: u64,
    /// `\`
    pub backslashes: u64,
    /// `{`, `}`, `[` and `]`
    pub brackets: u64,
    /// `:` and `,`
    pub separators: u64,
    /// Less than a space.
    pub controls: u64,
    /// Spaces.
    pub spaces: u64,
}

impl Json {
    /// All at once, because the block is read only once so.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn of(block: &[u8; BLOCK]) -> Self {
        // SAFETY: as in `places`.
        unsafe { Self::of_sse2(block) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "sse2")]
    fn of_sse2(block: &[u8; BLOCK]) -> Self {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        };

        let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
        let mut found = Self::default();
        let (pairs, _) = block.as_chunks::<16>();
        for (number, bytes) in pairs.iter().enumerate() {
            let both = u128::from_le_bytes(*bytes);
            let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
            let lower = _mm_or_si128(bytes, all(0x20));
            let is = |byte| _mm_cmpeq_epi8(bytes, all(byte));
            let bits = |found| u64::from(_mm_movemask_epi8(found).cast_unsigned()) << (16 * number);
            // Square brackets differ from braces in one bit.
            let brackets = _mm_or_si128(_mm_cmpeq_epi8(lower, all(b'{')), _mm_cmpeq_epi8(lower, all(b'}')));
            found.quotes |= bits(is(b'"'));
            found.backslashes |= bits(is(b'\\'));
            found.brackets |= bits(brackets);
            found.separators |= bits(_mm_or_si128(is(b':'), is(b',')));
            found.controls |= bits(_mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1f)), bytes));
            found.spaces |= bits(is(b' '));
        }
        found
    }

    /// All at once.
    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub fn of(block: &[u8; BLOCK]) -> Self {
        Self {
            quotes: places(block, b'"', 0),
            backslashes: places(block, b'\\', 0),
            // Square brackets differ from braces in one bit.
            brackets: places(block, b'{', 0x20) | places(block, b'}', 0x20),
            separators: places(block, b':', 0) | places(block, b',', 0),
            controls: controls(block),
            spaces: places(block, b' ', 0),
        }
    }
}

/// A bit for each byte that is less than a space.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn controls(block: &[u8; BLOCK]) -> u64 {
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
        }
    }

    #[test]
    fn the_bytes_of_json_are_told_apart() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..2000 {
            let block: [u8; BLOCK] = std::array::from_fn(|_| match random.bool() {
                true => random.u8(..),
                false => random.choice(*b"{[}]:,\"\\ \n\x1f\x20").unwrap_or(0),
            });
            let of = |is: fn(u8) -> bool| {
                (0..).zip(block).filter(|(_, byte)| is(*byte)).fold(0, |bits, (at, _)| bits | 1_u64 << at)
            };
            let expected = Json {
                quotes: of(|byte| byte == b'"'),
                backslashes: of(|byte| byte == b'\\'),
                brackets: of(|byte| b"{}[]".contains(&byte)),
                separators: of(|byte| b":,".contains(&byte)),
                controls: of(|byte| byte < b' '),
                spaces: of(|byte| byte == b' '),
            };
            assert_eq!(Json::of(&block), expected);
        }
    }
}
