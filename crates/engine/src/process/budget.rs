//! How many descriptors may be kept open between two steps of a call. Some must be left for the work to go on: if
//! calls that wait held all of them, none could finish.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;

/// Each share has so many, however few there are in all.
const LEAST: u64 = 8;

/// A share of the descriptors that this process may have.
#[derive(Debug)]
pub struct DescriptorBudget {
    /// One in how many.
    one_in: u64,
    /// And no more than this.
    at_most: u64,
    held: AtomicU64,
}

/// The right to one of them, until it is dropped.
#[derive(Debug)]
pub struct Slot(&'static DescriptorBudget);

impl DescriptorBudget {
    pub const fn one_in(one_in: u64) -> Self {
        Self { one_in, at_most: u64::MAX, held: AtomicU64::new(0) }
    }

    pub const fn at_most(self, at_most: u64) -> Self {
        Self { at_most, ..self }
    }

    /// One descriptor, if one is left.
    pub fn take(&'static self) -> Option<Slot> {
        self.take_of(self.share())
    }

    /// As [`DescriptorBudget::take`], of `most` in all, as [`DescriptorBudget::most`] has said a moment ago: the system is asked once for many.
    pub fn take_up_to(&'static self, most: usize) -> Option<Slot> {
        self.take_of(most as u64)
    }

    /// How many there are in all.
    pub fn most(&self) -> usize {
        usize::try_from(self.share()).unwrap_or(usize::MAX)
    }

    /// Whether so many can ever be held at once. The system is not asked about few.
    pub fn has_room_for(&self, count: usize) -> bool {
        count as u64 <= LEAST.min(self.at_most) || count <= self.most()
    }

    fn share(&self) -> u64 {
        (sys::descriptor_limit() / self.one_in).max(LEAST).min(self.at_most)
    }

    /// So many, or none.
    pub fn take_all(&'static self, count: usize) -> Option<Vec<Slot>> {
        (0..count).map(|_| self.take()).collect()
    }

    /// As [`DescriptorBudget::take`], for a caller that has no other way: beyond the share, but only so far that
    /// others still find descriptors.
    pub fn take_reserve(&'static self) -> Option<Slot> {
        self.take_of(sys::descriptor_limit() / 4 * 3)
    }

    fn take_of(&'static self, most: u64) -> Option<Slot> {
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < most).then_some(held + 1))
            .is_ok()
            // Not `then_some`: a slot that was made and dropped would be counted back.
            .then(|| Slot(self))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}
