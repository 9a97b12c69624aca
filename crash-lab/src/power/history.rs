//! What the workload reported, and so what may and what must be found after a power cut.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::disk::recorder::Entry;

/// A position in the recorder's log.
pub type Moment = usize;

/// The span of time in which the power may have been cut to leave a state.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Nothing that started later can be there.
    pub from: Moment,
    /// Everything that was acknowledged before must be there.
    pub to: Moment,
}

/// A version of a file that `atomicWrite` was given.
#[derive(Debug)]
pub struct Version {
    /// Before this moment nothing of it can be on the disk. `None`: it was there before the recording.
    pub started: Option<Moment>,
    /// From this moment on, it or a later version must be on the disk.
    pub durable: Option<Moment>,
    pub bytes: Vec<u8>,
}

/// What is in a directory, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A version of a directory that `atomicDirectory` was given.
#[derive(Debug)]
pub struct Tree {
    pub started: Option<Moment>,
    pub durable: Option<Moment>,
    pub files: Files,
}

/// One update of an index.
#[derive(Debug)]
pub struct Update {
    pub started: Option<Moment>,
    pub durable: Option<Moment>,
    pub entry: String,
    /// How many updates shared its commit.
    pub batch: usize,
}

/// An index; its updates are in the order in which they were applied.
#[derive(Debug, Default)]
pub struct Index {
    pub filler: Filler,
    pub updates: Vec<Update>,
    /// How many updates each commit left in it.
    pub commits: BTreeSet<usize>,
    pub backup: bool,
}

/// What is in an index, in the order in which the workload has it.
#[derive(Serialize)]
struct Content<'a> {
    filler: &'static str,
    entries: &'a [&'a str],
}

/// The text of an index, without a line break at its end.
pub fn index_text(Filler(filler): &Filler, entries: &[&str]) -> Result<String> {
    let text = serde_json::to_string_pretty(&Content { filler: "", entries })?;
    let (start, end) = text.split_once(EMPTY).context("an index without a filler")?;
    Ok([start, filler, end].concat())
}

/// What makes an index large, as it stands in JSON. It is the same in each state: to write it anew for each takes longer than all else that is
/// checked in an index.
#[derive(Debug)]
pub struct Filler(String);

/// In JSON.
const EMPTY: &str = "\"\"";

impl From<&str> for Filler {
    fn from(text: &str) -> Self {
        Self(Value::from(text).to_string())
    }
}

impl Default for Filler {
    fn default() -> Self {
        Self(EMPTY.to_owned())
    }
}

/// All that was done, by path.
#[derive(Debug, Default)]
pub struct History {
    pub files: BTreeMap<String, Vec<Version>>,
    pub indexes: BTreeMap<String, Index>,
    pub trees: BTreeMap<String, Vec<Tree>>,
    /// Files of lines: what each call has appended, in the order of the calls.
    pub lines: BTreeMap<String, Vec<Version>>,
    /// Files and indexes that are overwritten: there may be anything while that is under way.
    pub in_place: BTreeSet<String>,
    /// `durable` of each result.
    pub results: Vec<bool>,
}

impl History {
    /// Reads the messages in a log; `before` is what was there when it began.
    pub fn read(log: &[Entry], before: Self) -> Result<Self> {
        let mut history = before;
        let mut places = Places::default();
        let mut rest: Vec<u8> = Vec::new();
        for (moment, entry) in log.iter().enumerate() {
            let Entry::Message(bytes) = entry else { continue };
            rest.extend_from_slice(bytes);
            // A long message comes in several pieces, and counts from the last one.
            while let Some((message, bytes, used)) = take(&rest)? {
                history.note(moment, &message, bytes, &mut places)?;
                rest.drain(..used);
            }
        }
        ensure!(rest.is_empty(), "the workload's last message is cut off");
        Ok(history)
    }

    fn note(&mut self, moment: Moment, message: &Value, bytes: Vec<u8>, places: &mut Places) -> Result<()> {
        let path = || message["path"].as_str().map(str::to_owned).context("a message without a path");
        if let Some(id) = message["write"].as_u64() {
            let versions = self.files.entry(path()?).or_default();
            places.insert(id, Place::File(path()?, versions.len()));
            versions.push(Version { started: Some(moment), durable: None, bytes });
        } else if let Some(id) = message["lines"].as_u64() {
            let appended = self.lines.entry(path()?).or_default();
            places.insert(id, Place::Lines(path()?, appended.len()));
            appended.push(Version { started: Some(moment), durable: None, bytes });
        } else if let Some(id) = message["tree"].as_u64() {
            let versions = self.trees.entry(path()?).or_default();
            let file = message["file"].as_str().context("a tree without a file")?.to_owned();
            match places.get(&id) {
                Some(Place::Tree(_, number)) => versions[*number].files.insert(file, bytes),
                _ => {
                    places.insert(id, Place::Tree(path()?, versions.len()));
                    let files = Files::from([(file, bytes)]);
                    versions.push(Tree { started: Some(moment), durable: None, files });
                    None
                }
            };
        } else if let Some(id) = message["update"].as_u64() {
            let index = self.indexes.entry(path()?).or_default();
            index.backup |= message["backup"] == true;
            let entry = message["entry"].as_str().context("an update without an entry")?.to_owned();
            places.insert(id, Place::Index(path()?, entry.clone()));
            index.updates.push(Update { started: Some(moment), durable: None, entry, batch: 1 });
        } else if let Some(id) = message["done"].as_u64() {
            let durable = (message["durable"] == true).then_some(moment);
            self.results.push(durable.is_some());
            match places.get(&id).context("done, but never started")? {
                Place::File(path, number) => {
                    self.files.get_mut(path).context("no such file")?[*number].durable = durable;
                }
                Place::Lines(path, number) => {
                    self.lines.get_mut(path).context("no such lines")?[*number].durable = durable;
                }
                Place::Tree(path, number) => {
                    self.trees.get_mut(path).context("no such tree")?[*number].durable = durable;
                }
                Place::Index(path, entry) => {
                    let index = self.indexes.get_mut(path).context("no such index")?;
                    let update = index.updates.iter_mut().find(|update| update.entry == *entry);
                    let update = update.context("no such update")?;
                    update.durable = durable;
                    update.batch = message["batch"].as_u64().unwrap_or(1) as usize;
                }
            }
        } else if let Some(path) = message["index"].as_str() {
            self.indexes.get_mut(path).context("no such index")?.order(message)?;
        } else {
            bail!("an unknown message: {message}");
        }
        Ok(())
    }

    /// The most updates that shared a commit.
    pub fn largest_batch(&self) -> usize {
        let updates = self.indexes.values().flat_map(|index| &index.updates);
        updates.map(|update| update.batch).max().unwrap_or_default()
    }
}

impl Index {
    /// Puts the updates into the order in which they were applied.
    fn order(&mut self, message: &Value) -> Result<()> {
        let text = message["filler"].as_str().context("no filler")?;
        self.filler = text.into();
        let applied = message["entries"].as_array().context("no entries")?;
        // An update that is missing now was lost without a power cut.
        ensure!(applied.len() == self.updates.len(), "the index has lost an update without any power cut");
        self.updates.sort_by_key(|update| applied.iter().position(|entry| *entry == *update.entry));
        let mut count = 0;
        while let Some(first) = self.updates.get(count) {
            // The updates of one commit stand together, and each reports how many they are.
            let group = self.updates.get(count..count + first.batch).context("a group that is not whole")?;
            ensure!(
                !group.is_empty() && group.iter().all(|update| update.batch == first.batch),
                "a torn group"
            );
            count += first.batch;
            self.commits.insert(count);
        }
        Ok(())
    }
}

type Places = std::collections::HashMap<u64, Place>;

/// Where the outcome of an operation is noted.
enum Place {
    File(String, usize),
    Tree(String, usize),
    Lines(String, usize),
    Index(String, String),
}

/// The first whole message: its head, its bytes, and its length in all.
pub(super) fn take(stream: &[u8]) -> Result<Option<(Value, Vec<u8>, usize)>> {
    let Some(end) = stream.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let head: Value = serde_json::from_slice(&stream[..end])?;
    let count = head["bytes"].as_u64().context("a message without a length")? as usize;
    let all = end + 1 + count;
    Ok((stream.len() >= all).then(|| (head, stream[end + 1..all].to_vec(), all)))
}
