//! The folding side: what is in the inbox goes into the index.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::inbox;
use super::listing::{Item, Listing, is_before};
use super::text::{Change, Members};
use crate::protocol::limits::Stop;
use crate::protocol::release::remove_all;
use crate::protocol::{Commit, Condition, Error, Kind, Limits, Object, Signature, Store, Version, retry};

/// A session is remembered for so long after its last delta, by the store's clock, and as long as any delta of it is
/// there. A copy of a delta that came after that would be folded again: writers repeat a request for
/// [half an hour](super::session::REPEAT_WITHIN), and stores refuse signed requests that are older than 15 minutes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// How many deltas are read at once.
const AT_ONCE: usize = 16;

/// What a fold has left behind.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The version of the index; none if there is no index.
    pub version: Option<Version>,
    ledger: Ledger,
}

impl Folded {
    /// The number of the last delta of each session that the index holds.
    pub fn seen(&self) -> impl Iterator<Item = (&str, u64)> {
        self.ledger.0.iter().map(|(session, seen)| (session.as_str(), seen.last))
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

/// Folds all that the inbox has.
pub async fn fold(store: &Arc<dyn Store>, key: &str, limits: &Limits) -> Result<Folded, Error> {
    for n in 1.. {
        match fold_once(store, key, limits).await {
            Ok(Some(folded)) => return Ok(folded),
            Ok(None) => {}
            // Requests have succeeded: it is the others that have left no time.
            Err(error) if n > 1 && error.kind == Kind::TimedOut => {
                return Err(Error { kind: Kind::Contended, ..error });
            }
            Err(error) => return Err(error),
        }
        limits
            .pause(n)
            .await
            .map_err(|stop| Error::of(if stop == Stop::Aborted { Kind::Aborted } else { Kind::Contended }))?;
    }
    unreachable!("the loop ends with an answer or with its limits")
}

/// None: another fold was faster, and the next read finds its ledger.
async fn fold_once(store: &Arc<dyn Store>, key: &str, limits: &Limits) -> Result<Option<Folded>, Error> {
    let mut commit = Commit::new(store.clone(), key.into(), limits.clone(), true);
    let object = commit.read(true).await?;
    let Some((ledger, mine)) = ledger_of(store.as_ref(), key, object.as_ref(), limits).await? else {
        return Ok(None);
    };
    let listing = Listing::new(store.as_ref(), key, |session| ledger.last(session), limits).await?;
    let mut over = over(&listing, &ledger, mine.as_deref());
    let due = if commit.reads_ledger() { due(&listing, &ledger) } else { due(&listing, &Ledger::default()) };
    if due.is_empty() {
        // Left for the next fold if it fails.
        let _ = remove_all(store.as_ref(), over, limits).await;
        return Ok(Some(Folded { version: object.map(|object| object.version), ledger }));
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
    let _ = remove_all(store.as_ref(), over, limits).await;
    Ok(Some(Folded { version: Some(done.version), ledger: after }))
}

/// The ledger of this version of the index, and its key. None: it is gone, for the index has another one by now.
async fn ledger_of(
    store: &dyn Store,
    key: &str,
    index: Option<&Object>,
    limits: &Limits,
) -> Result<Option<(Ledger, Option<String>)>, Error> {
    let id = index.and_then(|index| Signature::parse(&index.metadata).ledger);
    let Some(id) = id else { return Ok(Some((Ledger::default(), None))) };
    let name = format!("{}.ledger-{id:012x}", inbox(key));
    match retry(limits, || store.get(&name, true)).await? {
        Some(object) => {
            let ledger = serde_json::from_slice(&object.body).map_err(|_| Error::of(Kind::NotText))?;
            Ok(Some((ledger, Some(name))))
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

/// Those that the index does not have, in the order of each session.
fn due(listing: &Listing, ledger: &Ledger) -> Vec<(String, u64, Item)> {
    let mut due = Vec::new();
    for (session, deltas) in &listing.sessions {
        let new = deltas.range(ledger.last(session) + 1..);
        due.extend(new.map(|(number, delta)| (session.clone(), *number, delta.clone())));
    }
    due
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
    let mut folded = Vec::new();
    let mut deltas = stream::iter(gets).buffered(AT_ONCE);
    while let Some(delta) = deltas.next().await {
        let (session, number, delta, object) = delta?;
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
