//! What is in an inbox.
//!
//! A listing is not of one moment: it may show a delta and miss the one before it, if both are written while it is made.
//! That shows as a gap, and only then a second listing is made. A writer puts a delta once its call for the one before has
//! ended, so all that were accepted before one of the first listing are in the second, or were folded and removed since; in
//! that case the index has another version by now, and the fold that is being made loses its swap.
//!
//! Of a long inbox a part is listed. A part begins with a session, so what is in it follows on what the index has, and it may
//! end anywhere.
//!
//! Numbers that stay out were never accepted: their writers were told that the outcome is unknown, or of a failure.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::inbox;
use crate::protocol::release::list_until;
use crate::protocol::{Entry, Error, Limits, Store};

/// So many new deltas are enough for a fold, and the rest of their page: one that takes long is overtaken, and was for nothing.
const ENOUGH: usize = 2000;

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
    /// Whether it is the whole inbox.
    pub is_whole: bool,
    /// With which session the next one has to begin to get on.
    pub next: Option<String>,
}

/// What is listed of a long inbox: it begins with one session, the inbox by default, and one page with another one, whose
/// patches are waited for.
#[derive(Clone, Copy, Default)]
pub struct Start<'a> {
    pub from: Option<&'a str>,
    pub own: Option<&'a str>,
}

/// A part of the listing, from a session to a key, both included; by default from one end of the inbox to the other.
struct Part {
    from: Option<String>,
    to: Option<String>,
}

impl Listing {
    /// Lists the inbox of this index, until there is enough for a fold. Of each session all is there that was accepted, that
    /// `seen` does not know, and that precedes something in the listing.
    pub async fn new(
        store: &dyn Store,
        key: &str,
        start: Start<'_>,
        seen: impl Fn(&str) -> u64 + Sync,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let folder = inbox(key);
        let (entries, parts) = list(store, &folder, start, &seen, limits).await?;
        let first = Self::of(&folder, entries, &parts[0]);
        let has_no_gap = |(session, deltas): (&String, &BTreeMap<u64, Item>)| {
            let next = seen(session) + 1;
            deltas.range(next..).zip(next..).all(|((number, _), expected)| *number == expected)
        };
        if first.sessions.iter().all(has_no_gap) {
            return Ok(first);
        }
        let mut second = Self::of(&folder, list_again(store, &folder, &parts, limits).await?, &parts[0]);
        // What came between the two may have a gap before it again. It is for the next round.
        for (session, deltas) in &mut second.sessions {
            let last = first.sessions.get(session).and_then(|deltas| deltas.last_key_value());
            let last = last.map_or(0, |(number, _)| *number);
            deltas.retain(|number, _| *number <= last);
        }
        Ok(second)
    }

    fn of(folder: &str, entries: Vec<Entry>, main: &Part) -> Self {
        let mut listing = Self {
            is_whole: main.from.is_none() && main.to.is_none(),
            next: main.to.as_deref().map(|to| session_of(folder, to).to_owned()),
            ..Self::default()
        };
        for Entry { key, modified, .. } in entries {
            let at = seconds(modified);
            listing.now = listing.now.max(at);
            if let Some((session, number)) = place(folder, &key) {
                let session = session.to_owned();
                listing.sessions.entry(session).or_default().insert(number, Item { key, at });
            } else if session_of(folder, &key) == ".ledger" {
                listing.ledgers.push(Item { key, at });
            }
        }
        listing
    }
}

/// The entries, and the parts that they are of: the main one first.
async fn list(
    store: &dyn Store,
    folder: &str,
    start: Start<'_>,
    seen: &(impl Fn(&str) -> u64 + Sync),
    limits: &Limits,
) -> Result<(Vec<Entry>, Vec<Part>), Error> {
    let is_new =
        |entry: &&Entry| place(folder, &entry.key).is_some_and(|(session, number)| number > seen(session));
    let mut new = 0;
    let is_enough = |page: &[Entry]| {
        new += page.iter().filter(is_new).count();
        new >= ENOUGH
    };
    let from = start.from.map(|session| format!("{folder}{session}"));
    let (mut entries, is_cut) = list_until(store, folder, from.as_deref(), is_enough, limits).await?;
    let last = |entries: &[Entry], is_cut| entries.last().filter(|_| is_cut).map(|entry| entry.key.clone());
    let mut parts = vec![Part { to: last(&entries, is_cut), from }];
    if (start.from.is_some() || is_cut)
        && let Some(own) = start.own
    {
        let from = format!("{folder}{own}");
        let (more, is_cut) = list_until(store, folder, Some(&from), |_| true, limits).await?;
        parts.push(Part { from: Some(from), to: last(&more, is_cut) });
        entries.extend(more);
    }
    Ok((entries, parts))
}

async fn list_again(
    store: &dyn Store,
    folder: &str,
    parts: &[Part],
    limits: &Limits,
) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for Part { from, to } in parts {
        let is_enough =
            |page: &[Entry]| page.last().zip(to.as_ref()).is_some_and(|(last, to)| last.key >= *to);
        entries.extend(list_until(store, folder, from.as_deref(), is_enough, limits).await?.0);
    }
    Ok(entries)
}

fn session_of<'a>(folder: &str, key: &'a str) -> &'a str {
    let name = key.strip_prefix(folder).unwrap_or_default();
    name.split_once('-').map_or(name, |(session, _)| session)
}

/// Of which session this is a delta, and which one.
fn place<'a>(folder: &str, key: &'a str) -> Option<(&'a str, u64)> {
    let (session, number) = key.strip_prefix(folder)?.split_once('-')?;
    Some((session, number.parse().ok()?)).filter(|_| session != ".ledger")
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether it was so long before.
pub fn is_before(at: u64, now: u64, by: Duration) -> bool {
    at + by.as_secs() < now
}
