//! What is in an inbox.
//!
//! A listing is not of one moment: it may show a delta and miss the one before it, if both are written while it is made.
//! That shows as a gap, and only then a second listing is made. A writer puts a delta once its call for the one before has
//! ended, so all that were accepted before one of the first listing are in the second, or were folded and removed since; in
//! that case the index has another version by now, and the fold that is being made loses its swap.
//!
//! Numbers that stay out were never accepted: their writers were told that the outcome is unknown, or of a failure.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::inbox;
use crate::protocol::release::list_all;
use crate::protocol::{Entry, Error, Limits, Store};

/// A delta or a ledger.
#[derive(Clone)]
pub struct Item {
    pub key: String,
    /// When it was written, in seconds since 1970 by the store's clock.
    pub at: u64,
}

/// The deltas of each session by their numbers, and the ledgers.
#[derive(Default)]
pub struct Listing {
    pub sessions: BTreeMap<String, BTreeMap<u64, Item>>,
    pub ledgers: Vec<Item>,
    /// When the newest object was written.
    pub now: u64,
}

impl Listing {
    /// Lists the inbox of this index. Of each session all is there that was accepted, that `seen` does not know, and that
    /// precedes something in the listing.
    pub async fn new(
        store: &dyn Store,
        key: &str,
        seen: impl Fn(&str) -> u64,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let folder = inbox(key);
        let first = Self::of(&folder, list_all(store, &folder, limits).await?);
        let has_no_gap = |(session, deltas): (&String, &BTreeMap<u64, Item>)| {
            let next = seen(session) + 1;
            deltas.range(next..).zip(next..).all(|((number, _), expected)| *number == expected)
        };
        if first.sessions.iter().all(has_no_gap) {
            return Ok(first);
        }
        let mut second = Self::of(&folder, list_all(store, &folder, limits).await?);
        // What came between the two may have a gap before it again. It is for the next round.
        for (session, deltas) in &mut second.sessions {
            let last = first.sessions.get(session).and_then(|deltas| deltas.last_key_value());
            let last = last.map_or(0, |(number, _)| *number);
            deltas.retain(|number, _| *number <= last);
        }
        Ok(second)
    }

    fn of(folder: &str, entries: Vec<Entry>) -> Self {
        let mut listing = Self::default();
        for Entry { key, modified, .. } in entries {
            let at = seconds(modified);
            listing.now = listing.now.max(at);
            let name = key.strip_prefix(folder).unwrap_or_default();
            match name.split_once('-') {
                Some((".ledger", _)) => listing.ledgers.push(Item { key, at }),
                Some((session, number)) => {
                    if let Ok(number) = number.parse() {
                        let session = session.to_owned();
                        listing.sessions.entry(session).or_default().insert(number, Item { key, at });
                    }
                }
                None => {}
            }
        }
        listing
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether it was so long before.
pub fn is_before(at: u64, now: u64, by: Duration) -> bool {
    at + by.as_secs() < now
}
