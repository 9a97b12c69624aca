//! Calls that block their thread, which may be the one that others need to go on.
//!
//! Such a call cannot wait for its turn: what stands before it in the queue may wait for the blocked thread itself, or for another one
//! that is blocked in the same way. So it takes no place in the queue and overtakes all that is there. It waits for a
//! [commit](Committing) that is under way, and for nothing else. A write that was called before and commits later is left out: as if
//! it had come first and was replaced at once, so the last call wins here too. An update finds another version and runs again.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::process::{Key, Rank, lock};
use crate::write::Receipt;
use crate::write::committing::Committing;

#[derive(Default)]
struct Writes {
    /// The blocking write of each file that was called last, as long as writes may wait that were called before. It need not be the
    /// one that was committed last: threads that block commit in any order.
    blocking: HashMap<Key, (Rank, Receipt)>,
    /// How many writes are on their way.
    pending: usize,
}

static WRITES: Mutex<Option<Writes>> = Mutex::new(None);

fn with<T>(change: impl FnOnce(&mut Writes) -> T) -> T {
    change(lock(&WRITES).get_or_insert_default())
}

/// What a blocking call has written that was made after the one of that rank.
pub fn overtaken(committing: &Committing, rank: Rank) -> Option<Receipt> {
    let last = with(|writes| writes.blocking.get(committing.key()).copied());
    last.filter(|(by, _)| rank.is_before(*by)).map(|(_, receipt)| receipt)
}

/// A blocking call of that rank has written the file.
pub fn overtake(committing: &Committing, rank: Rank, receipt: Receipt) {
    with(|writes| {
        if writes.pending > 0 {
            let last = writes.blocking.entry(committing.key().clone()).or_insert((rank, receipt));
            if last.0.is_before(rank) {
                *last = (rank, receipt);
            }
        }
    });
}

/// A write on its way, which can be overtaken.
#[derive(Debug)]
pub struct Pending(Rank);

impl Pending {
    /// The rank is that of the call, however often it starts over.
    pub fn new(rank: Rank) -> Self {
        with(|writes| writes.pending += 1);
        Self(rank)
    }

    /// The rank of the call.
    pub fn rank(&self) -> Rank {
        self.0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        with(|writes| {
            writes.pending -= 1;
            if writes.pending == 0 {
                writes.blocking = HashMap::new();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Ticket;

    fn rank() -> Rank {
        Ticket::take().rank()
    }

    const RECEIPT: Receipt = Receipt { written: true, bytes: 1, durable: true, verified: None, atomic: true };

    #[test]
    fn a_write_is_overtaken_by_later_calls_only() {
        let key = Key::Object("overtaken".into());
        let early = Pending::new(rank());
        let committing = Committing::begin(&key);
        overtake(&committing, rank(), RECEIPT);
        let late = Pending::new(rank());
        assert_eq!(overtaken(&committing, early.rank()), Some(RECEIPT));
        assert_eq!(overtaken(&committing, late.rank()), None);
    }

    #[test]
    fn a_blocking_call_that_commits_late_leaves_those_overtaken_that_a_later_one_has_overtaken() {
        let key = Key::Object("overtaken by two".into());
        let first = rank();
        let call = Pending::new(rank());
        let committing = Committing::begin(&key);
        overtake(&committing, rank(), RECEIPT);
        overtake(&committing, first, RECEIPT);
        assert_eq!(overtaken(&committing, call.rank()), Some(RECEIPT));
    }
}
