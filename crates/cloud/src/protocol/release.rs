//! Many objects that change together: they are written under a prefix of their own, and one pointer is swapped.
//!
//! ```text
//! site/.releases/current.json                    the pointer
//! site/.releases/0199…-5f…/index.html            a release
//! site/.releases/0199…-5f…/.manifest.json        its files, written last
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::clock::now;
use super::signature::new_id;
use super::{Commit, Condition, Done, Entry, Error, Kind, Limits, Reply, Store, Version, retry};

/// How many removals are on their way at once.
const AT_ONCE: usize = 64;

/// A release that no pointer names may be one that is being written. It is swept when nothing was added to it for this
/// long, by the store's clock.
const ORPHANED_AFTER: Duration = Duration::from_secs(3600);

/// So a publisher that has slept, as a laptop does, must not swap the pointer any more: its files may be swept.
const SWAP_WITHIN: Duration = Duration::from_secs(1800);

/// A release that is being written.
pub struct Staging {
    store: Arc<dyn Store>,
    folder: String,
    name: String,
    limits: Limits,
    started: SystemTime,
    files: Mutex<BTreeMap<String, u64>>,
}

/// A release that is live.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its name.
    pub release: String,
    /// How the pointer was swapped.
    pub done: Done,
    /// How many files it has.
    pub files: usize,
    /// The names of the releases that were removed.
    pub swept: Vec<String>,
}

/// What readers find.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its name.
    pub release: String,
    /// The version of the pointer.
    pub version: Version,
    /// The key of its folder, with a slash at the end.
    pub folder: String,
    /// Paths and sizes.
    pub files: BTreeMap<String, u64>,
}

fn releases(folder: &str) -> String {
    format!("{folder}.releases/")
}

fn pointer_of(folder: &str) -> String {
    format!("{folder}.releases/current.json")
}

impl Staging {
    /// A release of this folder. Nothing is written yet.
    pub fn new(store: Arc<dyn Store>, folder: String, limits: Limits) -> Self {
        let started = now();
        let millis = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = format!("{millis:013}-{:012x}", new_id());
        Self { store, folder, name, limits, started, files: Mutex::default() }
    }

    /// Writes one of its files.
    pub async fn put(&self, path: &str, body: Bytes) -> Result<(), Error> {
        let size = body.len() as u64;
        self.write(path, body).await?;
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), size);
        Ok(())
    }

    /// Nobody else has this name, and a second try writes the same bytes.
    async fn write(&self, path: &str, body: Bytes) -> Result<(), Error> {
        let key = format!("{}{}/{path}", releases(&self.folder), self.name);
        let put = retry(&self.limits, || self.store.put(&key, body.clone(), String::new(), Condition::None))
            .await?;
        if !put.checked {
            let found = retry(&self.limits, || self.store.get(&key, true)).await?;
            if found.is_none_or(|found| found.body != body) {
                return Err(Error::of(Kind::Corrupt));
            }
        }
        Ok(())
    }

    /// Makes it the live one. `keep` releases before it are kept, at least one: readers may be reading it.
    pub async fn publish(&self, keep: usize) -> Result<Published, Error> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.write(".manifest.json", Bytes::from(json!(files).to_string())).await?;
        let mut commit = Commit::new(self.store.clone(), pointer_of(&self.folder), self.limits.clone(), true);
        let (done, dropped) = loop {
            let before =
                commit.read(true).await?.map(|object| names(&object.body)).transpose()?.unwrap_or_default();
            if now().duration_since(self.started).is_ok_and(|age| age > SWAP_WITHIN) {
                let text = "the release was begun more than 30 minutes ago: publish it anew".into();
                return Err(Error { kind: Kind::TimedOut, reply: Reply { text, ..Reply::default() } });
            }
            let kept: Vec<_> = before.iter().take(keep.max(1)).cloned().collect();
            let text = json!({ "release": self.name, "previous": kept }).to_string();
            if let Some(done) = commit.replace_if(Bytes::from(text)).await? {
                break (done, before.into_iter().skip(kept.len()).collect());
            }
        };
        // The release is live: what is left for a later sweep is no failure.
        let swept =
            sweep(self.store.as_ref(), &self.folder, &dropped, &self.limits).await.unwrap_or_default();
        Ok(Published { release: self.name.clone(), done, files: files.len(), swept })
    }
}

/// The live release, and those before it, the last one first.
fn names(pointer: &[u8]) -> Result<Vec<String>, Error> {
    let value: Value = serde_json::from_slice(pointer).map_err(|_| Error::of(Kind::NotText))?;
    let live = value["release"].as_str().ok_or_else(|| Error::of(Kind::NotText))?;
    let before = value["previous"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(std::iter::once(live).chain(before).map(str::to_owned).collect())
}

/// Removes releases that the pointer has dropped, and what publishers that were killed have left.
async fn sweep(
    store: &dyn Store,
    folder: &str,
    dropped: &BTreeSet<String>,
    limits: &Limits,
) -> Result<Vec<String>, Error> {
    let entries = list_all(store, &releases(folder), limits).await?;
    // Read after the listing: what is in the pointer by now is live.
    let key = pointer_of(folder);
    let pointer = retry(limits, || store.get(&key, true)).await?;
    let live = pointer.as_ref().map(|object| names(&object.body)).transpose()?.unwrap_or_default();
    let mut found: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        if let Some((name, _)) =
            entry.key.strip_prefix(&releases(folder)).and_then(|rest| rest.split_once('/'))
        {
            found.entry(name).or_default().push(entry);
        }
    }
    let now = entries.iter().map(|entry| entry.modified).chain(pointer.map(|object| object.modified)).max();
    let is_orphan = |entries: &[&Entry]| {
        let newest = entries.iter().map(|entry| entry.modified).max();
        newest
            .zip(now)
            .is_some_and(|(newest, now)| now.duration_since(newest).is_ok_and(|age| age > ORPHANED_AFTER))
    };
    let mut swept = Vec::new();
    for (name, entries) in found {
        if live.iter().any(|live| live == name) || !(dropped.contains(name) || is_orphan(&entries)) {
            continue;
        }
        remove_all(store, entries.iter().map(|entry| entry.key.clone()).collect(), limits).await?;
        swept.push(name.to_owned());
    }
    Ok(swept)
}

/// Removes these objects, some at once.
pub async fn remove_all(store: &dyn Store, keys: Vec<String>, limits: &Limits) -> Result<(), Error> {
    let remove = |key: String| async move { retry(limits, || store.delete(&key, None)).await };
    let removals: Vec<_> = keys.into_iter().map(remove).collect();
    stream::iter(removals).buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await
}

/// All objects below a folder.
pub async fn list_all(store: &dyn Store, folder: &str, limits: &Limits) -> Result<Vec<Entry>, Error> {
    Ok(list_until(store, folder, None, |_| false, limits).await?.0)
}

/// Objects below a folder, after this key, page by page until one is enough; and whether that has ended it.
pub async fn list_until(
    store: &dyn Store,
    folder: &str,
    after: Option<&str>,
    mut is_enough: impl FnMut(&[Entry]) -> bool,
    limits: &Limits,
) -> Result<(Vec<Entry>, bool), Error> {
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let last = found.last().map(|entry| entry.key.clone());
        let page = retry(limits, || store.list(folder, last.as_deref().or(after))).await?;
        let (is_last, is_enough) = (page.len() < 1000, is_enough(&page));
        found.extend(page);
        if is_last || is_enough {
            return Ok((found, !is_last));
        }
    }
}

/// The live release, if there is one.
pub async fn read_release(
    store: &dyn Store,
    folder: &str,
    limits: &Limits,
) -> Result<Option<Release>, Error> {
    let pointer = pointer_of(folder);
    loop {
        let Some(object) = retry(limits, || store.get(&pointer, true)).await? else {
            return Ok(None);
        };
        let Some(release) = names(&object.body)?.into_iter().next() else { return Ok(None) };
        let own = format!("{}{release}/", releases(folder));
        let key = format!("{own}.manifest.json");
        // None: two releases were published since the pointer was read. The pointer names a newer one now.
        if let Some(manifest) = retry(limits, || store.get(&key, true)).await? {
            let files = serde_json::from_slice(&manifest.body).map_err(|_| Error::of(Kind::NotText))?;
            return Ok(Some(Release { release, version: object.version, folder: own, files }));
        }
        let again = retry(limits, || store.get(&pointer, false)).await?;
        if again.is_some_and(|again| again.version == object.version) {
            let text = format!("{key} is missing: publish again");
            return Err(Error { kind: Kind::Missing, reply: Reply { text, ..Reply::default() } });
        }
    }
}
