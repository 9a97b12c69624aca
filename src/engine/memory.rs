//! Memory for large copies.

use super::sys;

/// An empty vector with room for `length` elements, that are to be filled in at once.
///
/// A large one asks for huge pages: of the time to copy 32 MiB into fresh memory, three fifths are
/// page faults, one for each 4 KiB.
pub fn room<T>(length: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(length);
    sys::prefer_huge_pages(room.spare_capacity_mut());
    room
}
