//! The folding side: what is in the inbox goes into the index.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::listing::{Item, Listing, is_before};
use super::text::{Change, Members};
use super::{Place, inbox};
use crate::protocol::release::remove_all;
use crate::protocol::{Commit, Condition, Error, Kind, Limits, Object, Signature, Store, Version, retry};

/// A session is remembered for so long after its last delta, by the store's clock, and as long as any delta of it is
/// there. A copy of a delta that came after that would be folded again: writers repeat a request for
/// [half an hour](super::session::REPEAT_WITHIN), and stores refuse signed requests that are older than 15 minutes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// How many deltas are read at once.
const AT_ONCE: usize = 64;

/// The most deltas of one fold: one that takes long is overtaken, and was for nothing.
const MOST: usize = 3000;

/// What a fold has left behind.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// The version of the index; none if there is no index.
    pub version: Option<Version>,
    /// Which ledger it names.
    pub id: Option<u64>,
    ledger: Ledger,
    /// When that was written, by the store's clock; none if it was now, or never.
    pub at: Option<SystemTime>,
}

impl Folded {
    /// Whether the index holds what is at this place.
    pub fn has(&self, (session, number): &Place) -> bool {
        self.ledger.last(session) >= *number
    }
}

/// The sessions that are in the index.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Ledger(BTreeMap<String, Seen>);

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Seen {
    /// The number of the last delta.
    last: u64,
    /// When it was written, in seconds since 1970 by the store's clock.
    at: u64,
}

impl Ledger {
    /// Drops sessions whose writers have long gone on. One that is in the listing is kept: what could not be removed would
    /// be folded again.
    fn forget(&mut self, listing: &Listing) {
        let now = self.0.values().map(|seen| seen.at).max().unwrap_or_default();
        self.0.retain(|session, seen| {
            listing.sessions.contains_key(session) || !is_before(seen.at, now, FORGOTTEN_AFTER)
        });
    }

    fn last(&self, session: &str) -> u64 {
        self.0.get(session).map_or(0, |seen| seen.last)
    }
}

/// Folds all that the inbox has, whoever else folds.
#[cfg(test)]
pub async fn fold(store: &Arc<dyn Store>, key: &str, limits: &Limits) -> Result<Folded, Error> {
    loop {
        if let Some((folded, over)) = fold_once(store, key, limits).await? {
            let is_all = over.len() < MOST;
            let _ = remove_all(store.as_ref(), over, limits).await;
            if is_all {
                return Ok(folded);
            }
        }
        limits.pause(1).await.map_err(|_| Error::of(Kind::Contended))?;
    }
}

/// What the last fold has left, whoever made it. None: another one was made while this was read.
pub async fn look(
    store: &dyn Store,
    key: &str,
    known: Option<&Folded>,
    limits: &Limits,
) -> Result<Option<Folded>, Error> {
    let index = retry(limits, || store.get(key, false)).await?;
    let (version, id) = (index.as_ref().map(|index| index.version.clone()), ledger_id(index.as_ref()));
    if let Some(known) = known.filter(|known| known.id == id) {
        return Ok(Some(Folded { version, ..known.clone() }));
    }
    let found = ledger_of(store, key, index.as_ref(), limits).await?;
    Ok(found.map(|(ledger, item)| Folded { version, id, ledger, at: item.map(|(_, at)| at) }))
}

/// Folds what the inbox has. Returns also the keys of what is over, for `remove_all`: the next fold removes what is left of
/// them. None: another fold was faster, and the next read finds its ledger.
pub async fn fold_once(
    store: &Arc<dyn Store>,
    key: &str,
    limits: &Limits,
) -> Result<Option<(Folded, Vec<String>)>, Error> {
    let mut commit = Commit::new(store.clone(), key.into(), limits.clone(), true);
    let object = commit.read(true).await?;
    let id = ledger_id(object.as_ref());
    let Some((ledger, mine)) = ledger_of(store.as_ref(), key, object.as_ref(), limits).await? else {
        return Ok(None);
    };
    let (mine, at) = mine.unzip();
    let listing = Listing::new(store.as_ref(), key, |session| ledger.last(session), limits).await?;
    let mut over = over(&listing, &ledger, mine.as_deref());
    let due = if commit.reads_ledger() { due(&listing, &ledger) } else { due(&listing, &Ledger::default()) };
    if due.is_empty() {
        let version = object.map(|object| object.version);
        return Ok(Some((Folded { version, id, ledger, at }, over)));
    }
    let (text, mut after, folded) = apply(store.as_ref(), object.as_ref(), ledger, due, limits).await?;
    if folded.is_empty() {
        return Ok(None);
    }
    after.forget(&listing);
    let name = format!("{}.ledger-{:012x}", inbox(key), commit.id());
    let body = Bytes::from(serde_json::to_vec(&after).map_err(|error| Error::invalid(error.to_string()))?);
    retry(limits, || store.put(&name, body.clone(), String::new(), Condition::None)).await?;
    commit.set_ledger(commit.id());
    let Some(done) = commit.replace_if(Bytes::from(text)).await? else {
        let _ = remove_all(store.as_ref(), vec![name], limits).await;
        return Ok(None);
    };
    over.extend(folded.into_iter().chain(mine));
    let folded = Folded { version: Some(done.version), id: Some(commit.id()), ledger: after, at: None };
    Ok(Some((folded, over)))
}

fn ledger_id(index: Option<&Object>) -> Option<u64> {
    index.and_then(|index| Signature::parse(&index.metadata).ledger)
}

/// The ledger of this version of the index, its key, and when it was written. None: it is gone, for the index has another one
/// by now.
async fn ledger_of(
    store: &dyn Store,
    key: &str,
    index: Option<&Object>,
    limits: &Limits,
) -> Result<Option<(Ledger, Option<(String, SystemTime)>)>, Error> {
    let Some(id) = ledger_id(index) else { return Ok(Some((Ledger::default(), None))) };
    let name = format!("{}.ledger-{id:012x}", inbox(key));
    match retry(limits, || store.get(&name, true)).await? {
        Some(object) => {
            let ledger = serde_json::from_slice(&object.body).map_err(|_| Error::of(Kind::NotText))?;
            Ok(Some((ledger, Some((name, object.modified)))))
        }
        None => {
            let now = retry(limits, || store.get(key, false)).await?;
            if now.map(|now| now.version) == index.map(|index| index.version.clone()) {
                // Without it nobody knows which deltas the index has.
                let text =
                    format!("{name} is missing: restore it, or remove the inbox and write the index anew");
                return Err(Error {
                    kind: Kind::Missing,
                    reply: crate::protocol::Reply { text, ..Default::default() },
                });
            }
            Ok(None)
        }
    }
}

/// Some of those that the index does not have, from the first one of each session on, in its order.
fn due(listing: &Listing, ledger: &Ledger) -> Vec<(String, u64, Item)> {
    let mut sessions: Vec<_> = listing.sessions.iter().collect();
    // Another one is the first each time, so that none is always left out.
    let first = fastrand::usize(..=sessions.len());
    sessions.rotate_left(first);
    let new = sessions.into_iter().flat_map(|(session, deltas)| {
        let new = deltas.range(ledger.last(session) + 1..);
        new.map(|(number, delta)| (session.clone(), *number, delta.clone()))
    });
    new.take(MOST).collect()
}

/// The keys of deltas that the index has, and of ledgers that no index names.
fn over(listing: &Listing, ledger: &Ledger, mine: Option<&str>) -> Vec<String> {
    let deltas = listing
        .sessions
        .iter()
        .flat_map(|(session, deltas)| deltas.range(..=ledger.last(session)).map(|(_, delta)| delta));
    // One that is new may belong to a fold that is about to swap.
    let ledgers = listing.ledgers.iter().filter(|found| {
        Some(found.key.as_str()) != mine && is_before(found.at, listing.now, FORGOTTEN_AFTER)
    });
    deltas.chain(ledgers).map(|delta| delta.key.clone()).collect()
}

/// The index with all that is due, the ledger with it, and the keys of what went in.
async fn apply(
    store: &dyn Store,
    object: Option<&Object>,
    mut ledger: Ledger,
    due: Vec<(String, u64, Item)>,
    limits: &Limits,
) -> Result<(String, Ledger, Vec<String>), Error> {
    let before = object.map_or(&b"{}"[..], |object| &object.body);
    let mut members = Members::parse(before)?;
    let get = |(session, number, delta): (String, u64, Item)| async move {
        let object = retry(limits, || store.get(&delta.key, true)).await?;
        Ok::<_, Error>((session, number, delta, object))
    };
    let gets: Vec<_> = due.into_iter().map(get).collect();
    let mut deltas: Vec<_> = stream::iter(gets).buffer_unordered(AT_ONCE).try_collect().await?;
    deltas.sort_unstable_by(|(session, number, ..), (other, next, ..)| (session, number).cmp(&(other, next)));
    let mut folded = Vec::new();
    for (session, number, delta, object) in deltas {
        // Gone: another fold has it in the index, and this one will lose its swap.
        let Some(object) = object else { continue };
        let changes: Vec<Change> =
            serde_json::from_slice(&object.body).map_err(|_| Error::of(Kind::NotText))?;
        changes.iter().for_each(|change| members.apply(change));
        ledger.0.insert(session, Seen { last: number, at: delta.at });
        folded.push(delta.key);
    }
    Ok((members.print(before), ledger, folded))
}
