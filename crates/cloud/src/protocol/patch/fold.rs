//! The folding side: what is in the inbox goes into the index.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::listing::{Item, Listing, Start, is_before};
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
    /// be folded again. A part of a listing does not tell.
    fn forget(&mut self, listing: &Listing) {
        if !listing.is_whole {
            return;
        }
        let now = self.0.values().map(|seen| seen.at).max().unwrap_or_default();
        self.0.retain(|session, seen| {
            listing.sessions.contains_key(session) || !is_before(seen.at, now, FORGOTTEN_AFTER)
        });
    }

    fn last(&self, session: &str) -> u64 {
        self.0.get(session).map_or(0, |seen| seen.last)
    }
}

/// One fold.
pub struct Fold {
    pub folded: Folded,
    /// The keys of what is over, for `remove_all`: the next fold removes what is left of them.
    pub over: Vec<String>,
    /// With which session the next fold has to begin to get on in a long inbox.
    pub next: Option<String>,
}

/// A delta that was read.
struct Delta {
    session: String,
    number: u64,
    item: Item,
    changes: Vec<Change>,
}

/// Folds all that the inbox has, whoever else folds.
#[cfg(test)]
pub async fn fold(store: &Arc<dyn Store>, key: &str, limits: &Limits) -> Result<Folded, Error> {
    let mut from: Option<String> = None;
    loop {
        let start = Start { from: from.as_deref(), own: None };
        if let Some(fold) = fold_once(store, key, start, limits).await? {
            let _ = remove_all(store.as_ref(), fold.over, limits).await;
            if from.is_none() && fold.next.is_none() {
                return Ok(fold.folded);
            }
            from = fold.next;
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

/// Folds what the inbox has, or a part of it. None: another fold was faster, and the next read finds its ledger.
pub async fn fold_once(
    store: &Arc<dyn Store>,
    key: &str,
    start: Start<'_>,
    limits: &Limits,
) -> Result<Option<Fold>, Error> {
    let mut commit = Commit::new(store.clone(), key.into(), limits.clone(), true);
    let mut object = commit.read(true).await?;
    let id = ledger_id(object.as_ref());
    let Some((ledger, mine)) = ledger_of(store.as_ref(), key, object.as_ref(), limits).await? else {
        return Ok(None);
    };
    let (mine, at) = mine.unzip();
    let mut listing =
        Listing::new(store.as_ref(), key, start, |session| ledger.last(session), limits).await?;
    let (mut over, next) = (over(&listing, &ledger, mine.as_deref()), listing.next.take());
    let due = if commit.reads_ledger() { due(&listing, &ledger) } else { due(&listing, &Ledger::default()) };
    if due.is_empty() {
        let version = object.map(|object| object.version);
        return Ok(Some(Fold { folded: Folded { version, id, ledger, at }, over, next }));
    }
    let deltas = read(store.as_ref(), due, limits).await?;
    if deltas.is_empty() {
        return Ok(None);
    }
    let mut text = apply(object.as_ref(), &deltas)?;
    let mut after = ledger;
    for Delta { session, number, item, .. } in &deltas {
        after.0.insert(session.clone(), Seen { last: *number, at: item.at });
    }
    after.forget(&listing);
    let name = format!("{}.ledger-{:012x}", inbox(key), commit.id());
    let body = Bytes::from(serde_json::to_vec(&after).map_err(|error| Error::invalid(error.to_string()))?);
    retry(limits, || store.put(&name, body.clone(), String::new(), Condition::None)).await?;
    commit.set_ledger(commit.id());
    let done = loop {
        if let Some(done) = commit.replace_if(Bytes::from(text)).await? {
            break done;
        }
        object = commit.read(true).await?;
        if ledger_id(object.as_ref()) != id {
            let _ = remove_all(store.as_ref(), vec![name], limits).await;
            return Ok(None);
        }
        // An update, and no fold: the same deltas are due.
        text = apply(object.as_ref(), &deltas)?;
    };
    over.extend(deltas.into_iter().map(|delta| delta.item.key).chain(mine));
    let folded = Folded { version: Some(done.version), id: Some(commit.id()), ledger: after, at: None };
    Ok(Some(Fold { folded, over, next }))
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

/// Those that the index does not have.
fn due(listing: &Listing, ledger: &Ledger) -> Vec<(String, u64, Item)> {
    let new = listing.sessions.iter().flat_map(|(session, deltas)| {
        let new = deltas.range(ledger.last(session) + 1..);
        new.map(|(number, delta)| (session.clone(), *number, delta.clone()))
    });
    new.collect()
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

/// What is due, each session in its order.
async fn read(
    store: &dyn Store,
    due: Vec<(String, u64, Item)>,
    limits: &Limits,
) -> Result<Vec<Delta>, Error> {
    let get = |(session, number, item): (String, u64, Item)| async move {
        // Gone: another fold has it in the index, and this one will lose its swap.
        let Some(object) = retry(limits, || store.get(&item.key, true)).await? else { return Ok(None) };
        let changes = serde_json::from_slice(&object.body).map_err(|_| Error::of(Kind::NotText))?;
        Ok::<_, Error>(Some(Delta { session, number, item, changes }))
    };
    let gets: Vec<_> = due.into_iter().map(get).collect();
    let deltas: Vec<_> = stream::iter(gets).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut deltas: Vec<_> = deltas.into_iter().flatten().collect();
    deltas.sort_unstable_by(|one, other| (&one.session, one.number).cmp(&(&other.session, other.number)));
    Ok(deltas)
}

/// The index with these deltas.
fn apply(object: Option<&Object>, deltas: &[Delta]) -> Result<String, Error> {
    let before = object.map_or(&b"{}"[..], |object| &object.body);
    let mut members = Members::parse(before)?;
    deltas.iter().flat_map(|delta| &delta.changes).for_each(|change| members.apply(change));
    Ok(members.print(before))
}
