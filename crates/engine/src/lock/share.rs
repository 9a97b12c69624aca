//! How many locks this process may hold.

use crate::lock::holder::Blocker;
use crate::lock::sidecar::Taking;
use crate::process::{DescriptorBudget, Gathering, Slot};

static HELD: DescriptorBudget = DescriptorBudget::one_in(8);

/// The right to one, if one is left.
pub fn take(taking: Taking) -> Option<Slot> {
    match taking {
        // A process that may have more has left it. Nothing goes on there before it is recovered.
        Taking::ToRecover => HELD.take().or_else(|| HELD.take_reserve()),
        Taking::Fairly | Taking::Now => HELD.take_single(),
    }
}

/// Whether this process may hold so many locks at once.
pub fn may_hold(count: usize) -> bool {
    HELD.has_room_for(count)
}

/// As [`may_hold`], for a recovery.
pub fn may_recover(count: usize) -> bool {
    HELD.has_reserve_for(count)
}

/// The right to so many locks, for which none of them may be held yet.
pub fn gather(count: usize) -> Gathering {
    HELD.gather(count)
}

/// What keeps a call from a lock that it could not take.
pub fn blocker() -> Blocker {
    if HELD.is_used_up() { Blocker::OwnLocks } else { Blocker::Lock }
}
