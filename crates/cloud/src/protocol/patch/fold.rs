//! The folding side: what is in the inbox goes into the index.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::inbox;
use super::text::{Change, Members};
use crate::protocol::release::{list_all, remove_all};
use crate::protocol::{
    Commit, Condition, Entry, Error, Kind, Limits, Object, Signature, Store, Version, retry,
};

/// A session is remembered for so long after its last delta, by the store's clock. A request that arrives after that
/// could be taken for a new session's; stores refuse signed requests that are older than 15 minutes.
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

/// A delta of the inbox.
struct Delta {
    session: String,
    number: u64,
    at: u64,
    key: String,
}

/// What an inbox holds, compared with a ledger.
#[derive(Default)]
struct Sorted {
    /// Those that follow on what the index has, without a gap.
    due: Vec<Delta>,
    /// Those that the index has, ledgers that no index names, and what never got its beginning.
    over: Vec<String>,
}

/// Folds until the inbox has nothing that is due.
pub async fn fold(store: &Arc<dyn Store>, key: &str, limits: &Limits) -> Result<Folded, Error> {
    loop {
        let mut commit = Commit::new(store.clone(), key.into(), limits.clone(), true);
        let object = commit.read(true).await?;
        let Some((ledger, mine)) = ledger_of(store.as_ref(), key, object.as_ref(), limits).await? else {
            // Another fold was faster; the next read finds its ledger.
            continue;
        };
        let entries = list_all(store.as_ref(), &inbox(key), limits).await?;
        let Sorted { due, over } = sort(&inbox(key), entries, &ledger, mine.as_deref());
        let (text, after, folded) =
            apply(store.as_ref(), object.as_ref(), ledger.clone(), due, limits).await?;
        if folded.is_empty() {
            // Left for the next fold if it fails.
            let _ = remove_all(store.as_ref(), over, limits).await;
            return Ok(Folded { version: object.map(|object| object.version), ledger });
        }
        let name = format!("{}.ledger-{:012x}", inbox(key), commit.id());
        let body =
            Bytes::from(serde_json::to_vec(&after).map_err(|error| Error::invalid(error.to_string()))?);
        retry(limits, || store.put(&name, body.clone(), String::new(), Condition::None)).await?;
        commit.set_ledger(commit.id());
        if let Some(done) = commit.replace_if(Bytes::from(text)).await? {
            let over = over.into_iter().chain(folded).chain(mine).collect();
            let _ = remove_all(store.as_ref(), over, limits).await;
            return Ok(Folded { version: Some(done.version), ledger: after });
        }
        let _ = remove_all(store.as_ref(), vec![name], limits).await;
    }
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

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn sort(folder: &str, entries: Vec<Entry>, ledger: &Ledger, mine: Option<&str>) -> Sorted {
    let now = entries.iter().map(|entry| seconds(entry.modified)).max().unwrap_or_default();
    let is_old = |at: u64| at + FORGOTTEN_AFTER.as_secs() < now;
    let mut sorted = Sorted::default();
    let mut last = BTreeMap::new();
    // Listings are in the order of the keys, so those of a session are in the order of their numbers.
    for Entry { key, modified, .. } in entries {
        let at = seconds(modified);
        let name = key.strip_prefix(folder).unwrap_or_default();
        let parts =
            name.split_once('-').and_then(|(session, number)| Some((session, number.parse::<u64>().ok()?)));
        let Some((session, number)) = parts.filter(|(session, _)| *session != ".ledger") else {
            if name.starts_with(".ledger-") && Some(key.as_str()) != mine && is_old(at) {
                sorted.over.push(key);
            }
            continue;
        };
        let session = session.to_owned();
        let seen = ledger.0.get(&session).map_or(0, |seen| seen.last);
        let last = last.entry(session.clone()).or_insert(seen);
        if number <= seen {
            sorted.over.push(key);
        } else if number == *last + 1 {
            *last = number;
            sorted.due.push(Delta { session, number, at, key });
        } else if is_old(at) {
            sorted.over.push(key);
        }
    }
    sorted
}

/// The index with all that is due, the ledger with it, and the keys of what went in.
async fn apply(
    store: &dyn Store,
    object: Option<&Object>,
    mut ledger: Ledger,
    due: Vec<Delta>,
    limits: &Limits,
) -> Result<(String, Ledger, Vec<String>), Error> {
    if due.is_empty() {
        return Ok((String::new(), ledger, Vec::new()));
    }
    let before = object.map_or(&b"{}"[..], |object| &object.body);
    let mut members = Members::parse(before)?;
    let get = |delta: Delta| async move {
        let object = retry(limits, || store.get(&delta.key, true)).await?;
        Ok::<_, Error>((delta, object))
    };
    let gets: Vec<_> = due.into_iter().map(get).collect();
    let mut folded = Vec::new();
    let mut deltas = stream::iter(gets).buffered(AT_ONCE);
    while let Some(delta) = deltas.next().await {
        let (Delta { session, number, at, key }, object) = delta?;
        let seen = ledger.0.get(&session).map_or(0, |seen| seen.last);
        // Gone: another fold has it. Those behind it wait for the next round.
        let Some(object) = object.filter(|_| number == seen + 1) else { continue };
        let changes: Vec<Change> =
            serde_json::from_slice(&object.body).map_err(|_| Error::of(Kind::NotText))?;
        changes.iter().for_each(|change| members.apply(change));
        ledger.0.insert(session, Seen { last: number, at });
        folded.push(key);
    }
    let now = ledger.0.values().map(|seen| seen.at).max().unwrap_or_default();
    ledger.0.retain(|_, seen| seen.at + FORGOTTEN_AFTER.as_secs() >= now);
    Ok((members.print(before), ledger, folded))
}
