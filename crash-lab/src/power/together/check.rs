//! Whether all of a transaction is there, or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Value, json};

use super::super::history::Window;
use super::super::names::{self, NOISE, is_temp, know, walk};
use super::history::{History, Move, Operation};
use super::moved;
use crate::report::problem::Harm::{Lost, Torn};
use crate::report::problem::Problem;

pub(super) type Checked<T = ()> = Result<T, Problem>;

/// What is wrong with the file system at `root`, if anything. Before the recovery each file is one of its versions, and what was
/// acknowledged is there, for programs that recover nothing; after it all promises hold.
pub fn check(root: &Path, history: &History, window: Window, recovered: bool) -> Checked {
    let check = Check { root, history, window };
    check_names(&check)?;
    let order = check.order(recovered)?;
    let targets: BTreeSet<_> = check.moves().map(|(_, moved)| &moved.to).collect();
    let written: BTreeSet<_> = check.started().flat_map(|(_, one)| &one.what.writes).collect();
    for path in written.difference(&targets) {
        check.file(path, &order, recovered)?;
    }
    moved::check(&check, &order, recovered)?;
    for (id, operation) in &history.operations {
        let there = order.contains_key(id);
        let acknowledged = check.is_acknowledged(operation);
        if acknowledged && !operation.what.indexes.is_empty() && !there {
            return Err(Lost.problem(format!("operation {id} was acknowledged, and is not in each index")));
        }
        if let Some(draft) = &operation.what.removes
            && there
            && (recovered || acknowledged)
            && root.join(draft).exists()
        {
            return Err(Torn.problem(format!("operation {id} is there, and so is {draft}")));
        }
        if operation.failed.is_some() && there {
            return Err(Torn.problem(format!("operation {id} was rejected, and is in each index")));
        }
        // What a transaction makes that fails stays.
        let made =
            acknowledged || recovered && there || operation.failed.is_some_and(|at| at < check.window.to);
        if let Some(folder) = operation.what.makes.iter().find(|folder| made && !root.join(folder).is_dir()) {
            return Err(Lost.problem(format!("operation {id} is over, and {folder} is not there")));
        }
    }
    Ok(())
}

pub(super) struct Check<'a> {
    root: &'a Path,
    pub(super) history: &'a History,
    window: Window,
}

/// The operations that are in the indexes, and their places in the order in which they were committed.
pub(super) type Order = BTreeMap<u64, usize>;

impl Check<'_> {
    pub(super) fn started(&self) -> impl Iterator<Item = (&u64, &Operation)> {
        self.history.operations.iter().filter(|(_, one)| one.started < self.window.from)
    }

    /// What is moved, by the operation.
    pub(super) fn moves(&self) -> impl Iterator<Item = (&u64, &Move)> {
        self.started().filter_map(|(id, one)| Some((id, one.what.moves.as_ref()?)))
    }

    pub(super) fn is_acknowledged(&self, operation: &Operation) -> bool {
        operation.durable.is_some_and(|at| at < self.window.to)
    }

    pub(super) fn content(&self, path: &str) -> Checked<Option<Vec<u8>>> {
        match fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Torn.problem(format!("{path} cannot be read: {error}"))),
        }
    }

    /// What is in the index at `path`.
    fn entries(&self, path: &str) -> Checked<Vec<u64>> {
        let Some(bytes) = self.content(path)? else { return Ok(Vec::new()) };
        let torn = |what: &str| Torn.problem(format!("{path} {what} ({} bytes)", bytes.len()));
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| torn("is not JSON"))?;
        let entries = value["entries"].as_array().ok_or_else(|| torn("has no entries"))?;
        let entries: Vec<u64> = entries.iter().filter_map(Value::as_u64).collect();
        let whole = json!({ "filler": "x".repeat(self.history.size / 2), "entries": entries });
        if value != whole || entries.iter().collect::<BTreeSet<_>>().len() != entries.len() {
            return Err(torn("is not what it was made"));
        }
        let is_started = |id: &u64| self.history.operations[id].started < self.window.from;
        if !entries.iter().all(|id| self.history.operations.contains_key(id) && is_started(id)) {
            return Err(torn("has what had not started"));
        }
        Ok(entries)
    }

    /// In all indexes, all transactions are in one order; each of them is in both.
    fn order(&self, recovered: bool) -> Checked<Order> {
        let mut order = Order::new();
        let mut common: Option<Vec<u64>> = None;
        let paths: BTreeSet<_> = self.started().flat_map(|(_, one)| &one.what.indexes).collect();
        let read = |path: &String| Ok((path.clone(), self.entries(path)?));
        let all: BTreeMap<String, Vec<u64>> = paths.into_iter().map(read).collect::<Checked<_>>()?;
        // Whether an operation is in each of its indexes.
        let is_whole = |id: &u64| {
            let mut indexes = self.history.operations[id].what.indexes.iter();
            indexes.all(|path| all.get(path).is_some_and(|entries| entries.contains(id)))
        };
        for (path, entries) in &all {
            let older = self.entries(&format!("{path}.backup"))?;
            let is_transaction = |id: &&u64| !self.history.operations[*id].is_plain();
            let together: Vec<u64> = entries.iter().filter(is_transaction).copied().collect();
            order.extend(entries.iter().enumerate().map(|(place, id)| (*id, place)));
            if !recovered {
                // What is in one of them only does not count yet.
                order.retain(|id, _| is_whole(id));
                continue;
            }
            if older.len() > entries.len() || older[..] != entries[..older.len()] {
                return Err(Torn.problem(format!("{path} has {entries:?}, and its backup {older:?}")));
            }
            if common.as_ref().is_some_and(|common| *common != together) {
                return Err(Torn.problem(format!("{path} has {together:?}, another index {common:?}")));
            }
            common = Some(together);
        }
        // Places in different indexes cannot be compared, but for those of transactions.
        for (place, id) in common.unwrap_or_default().iter().enumerate() {
            order.insert(*id, place);
        }
        Ok(order)
    }

    fn file(&self, path: &String, order: &Order, recovered: bool) -> Checked {
        let writers = || self.history.operations.iter().filter(|(_, one)| one.what.writes.contains(path));
        let found = match self.content(path)? {
            None => None,
            Some(bytes) => {
                let by = self.history.writer_of(&bytes);
                let writer = writers()
                    .filter(|(_, one)| one.started < self.window.from)
                    .find(|(id, _)| Some(**id) == by);
                match writer {
                    Some((id, operation)) => Some((*id, operation)),
                    None => return Err(Torn.problem(format!("{path} is no version, {} bytes", bytes.len()))),
                }
            }
        };
        let is_there = |id: &u64, one: &Operation| {
            self.is_there(id, one, order) && (recovered || self.is_acknowledged(one))
        };
        let Some((id, operation)) = found else {
            let gone = writers().find(|(id, one)| is_there(id, one));
            let removes = |one: &Operation| {
                let moved = one.what.moves.as_ref().map(|moved| &moved.from);
                one.what.removes.iter().chain(moved).any(|removed| removed == path)
            };
            let was_removed = if recovered {
                order.keys().any(|id| removes(&self.history.operations[id]))
            } else {
                self.started().any(|(_, one)| removes(one))
            };
            return match gone {
                Some((id, _)) if !was_removed => {
                    Err(Lost.problem(format!("{path} is absent, operation {id} is there")))
                }
                _ => Ok(()),
            };
        };
        if recovered && !operation.is_plain() && !order.contains_key(&id) {
            return Err(Torn.problem(format!("{path} is of operation {id}, which is in no index")));
        }
        for (later, other) in writers().filter(|(other, one)| **other != id && is_there(other, one)) {
            let is_older = match (order.get(&id), order.get(later)) {
                (Some(place), Some(later)) if recovered => place < later,
                // It was answered before the other began.
                _ => operation.done.is_some_and(|done| done < other.started),
            };
            if is_older {
                let harm = if self.is_acknowledged(other) { Lost } else { Torn };
                return Err(harm.problem(format!("{path} is of operation {id}, and {later} is there")));
            }
        }
        Ok(())
    }

    /// Whether it counts.
    fn is_there(&self, id: &u64, operation: &Operation, order: &Order) -> bool {
        if operation.is_plain() { self.is_acknowledged(operation) } else { order.contains_key(id) }
    }
}

/// Fails if there is a name that no operation made.
fn check_names(check: &Check<'_>) -> Checked {
    let mut found = BTreeSet::new();
    walk(check.root, Path::new(""), &mut found).map_err(|error| Torn.problem(format!("{error:#}")))?;
    let mut known: BTreeSet<String> = ["lost+found/".into(), "blog/".into(), format!("{NOISE}/")].into();
    let mut plain: BTreeSet<&String> = BTreeSet::new();
    for (_, operation) in check.started() {
        let moved = operation.what.moves.as_ref().map(|moved| &moved.to);
        for path in operation.what.writes.iter().chain(&operation.what.indexes).chain(moved) {
            know(&mut known, path);
        }
        operation.what.makes.iter().for_each(|folder| know(&mut known, &format!("{folder}/")));
        for path in &operation.what.indexes {
            let (folder, name) = path.rsplit_once('/').unwrap_or_default();
            known.extend([format!("{path}.backup"), format!("{folder}/.{name}.lock")]);
        }
        plain.extend(operation.what.writes.iter().filter(|_| operation.is_plain()));
    }
    // What is to take the place of a moved file is there before the move begins.
    let moves = check.history.operations.values().filter_map(|one| one.what.moves.as_ref());
    known.extend(moves.map(|moved| format!("{}.theirs", moved.from)));
    // Set aside is only what a plain write has come before.
    let is_aside = |path: &Path| {
        names::is_ours(path, ".atomic-lost")
            && plain.iter().any(|plain| {
                let (folder, name) = plain.rsplit_once('/').unwrap_or_default();
                path.starts_with(folder) && path.to_string_lossy().contains(&format!("/.{name}."))
            })
    };
    let is_ours = |name: &str| {
        let path = Path::new(name);
        path.starts_with(".atomic") || is_temp(path) || names::is_ours(path, ".atomic-txn") || is_aside(path)
    };
    match found.iter().find(|name| !known.contains(*name) && !is_ours(name)) {
        Some(name) => Err(Torn.problem(format!("an unknown name: {name}"))),
        None => Ok(()),
    }
}
