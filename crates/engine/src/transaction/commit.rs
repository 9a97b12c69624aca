//! The commit of a transaction: all of its files are staged and on disk, one record says so, and only then do names change.
//! `docs/transactions.md` has each flush and its reason.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::dir::place::moved;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::sidecar::Lock;
use crate::mutant::{Step, leaves_out};
use crate::process::{MOST_HELPERS, each, each_at_once, lock};
use crate::steps;
use crate::transaction::away::{Moved, Taker};
use crate::transaction::item::{Change, Item, Staging};
use crate::transaction::journal::{Op, Record, State};
use crate::transaction::known;
use crate::transaction::root::{Root, RootLock};

/// So many threads make staged files.
const STAGERS: usize = 8;
/// So many flushes at once: the helpers, and the thread of the call. On a disk whose flushes take long a round of more than that takes as long as two.
pub const FLUSHERS: usize = MOST_HELPERS + 1;

/// What came of an attempt to commit.
#[derive(Debug)]
pub enum Attempt {
    /// It is committed, with this number; `None`: nothing had to be recorded.
    Committed(Option<u64>),
    /// These items are not what they were to be: nothing was done.
    Changed(Vec<usize>),
    /// Another transaction was interrupted, and is to be recovered first.
    Recover,
}

/// Stages all items. Returns those whose directories were replaced meanwhile.
///
/// # Errors
/// Whatever fails first, with its position.
pub fn stage(root: &Root, items: &mut [Item], flush: bool, cancel: &Cancel) -> Result<Vec<usize>> {
    for (at, item) in items.iter_mut().enumerate() {
        match item.look_first() {
            Err(error) if !item.is_in_place() || error.is_link() => return Ok(vec![at]),
            looked => looked.map_err(|error| error.of_entry(at))?,
        }
    }
    // After these looks, and before staged files change the directories.
    let mut clean = HashMap::new();
    for item in items.iter_mut() {
        let dir = &item.target.dir;
        let is_clean = *clean.entry(dir.id().clone()).or_insert_with(|| known::has_directory(dir));
        item.note_known(is_clean);
    }
    let staging = Staging::new(tags(root)?);
    match each(items, STAGERS, |_, item| item.stage(&staging, flush, cancel)) {
        Ok(()) => Ok(Vec::new()),
        Err((at, _)) if !items[at].is_in_place() => Ok(vec![at]),
        Err((at, error)) => Err(error.of_entry(at)),
    }
}

/// What is in the name of each staged file: the root's tag, which is in its journal, and that of this process.
fn tags(root: &Root) -> Result<String> {
    Ok(format!("{}{}", root.tag_text()?, root.process_tag()?))
}

/// Flushes all staged files: for a transaction that has to wait for the root.
///
/// # Errors
/// Whatever fails first, with its position.
pub fn flush_staged(items: &mut [Item], flush: bool, cancel: &Cancel) -> Result<()> {
    each_at_once(items, FLUSHERS, |_, item| item.flush(flush, cancel))
        .map_err(|(at, error)| error.of_entry(at))
}

/// Commits what is staged. `locks`: those of the indexes among the items, with the directories up to the root.
///
/// # Errors
/// Whatever fails. Nothing has changed, unless [`Error::committed`].
pub fn commit(
    root: &Root,
    _root_lock: &RootLock,
    items: &mut [Item],
    locks: &[(Lock, usize)],
    flush: bool,
    cancel: &Cancel,
) -> Result<Attempt> {
    let journal = root.read()?;
    if journal.pending().is_some() {
        return Ok(Attempt::Recover);
    }
    // A directory that was replaced as a whole is found again by its path.
    let is_moved = are_moved(items);
    let mut changed = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        let mut is_as_it_was = || match item.look(flush) {
            Err(error) if error.is_link() => Ok(false),
            looked => looked.map_err(|error| error.of_entry(at)),
        };
        if is_moved[at] || !is_as_it_was()? {
            changed.push(at);
        }
    }
    let moved: Moved = items.iter().filter_map(Item::moved).collect();
    changed.extend((0..items.len()).filter(|at| items[*at].is_newer_than(&moved)));
    if !changed.is_empty() {
        return Ok(Attempt::Changed(changed));
    }
    let ops = items.iter().filter(|item| item.changes()).count();
    if ops == 0 {
        flush_directories(items, flush)?;
        return Ok(Attempt::Committed(None));
    }
    cancel.check()?;
    if ops == 1 {
        // One name is changed at once by itself.
        flush_staged(items, flush, cancel)?;
        if let Some(changed) = look_again(items, locks)? {
            return Ok(Attempt::Changed(changed));
        }
        publish(root, items, journal.next()).map_err(|failed| failed.1)?;
        flush_directories(items, flush).map_err(Error::after_commit)?;
        check_places(items)?;
        return Ok(Attempt::Committed(None));
    }
    if flush && !leaves_out(Step::OldSync) {
        flush_old(items)?;
    }
    let txid = journal.next();
    let record = Record { txid, home: root.home(), ops: ops_of(root, items)? };
    for (lock, up) in locks {
        lock.point_to_root(*up);
    }
    let state = journal.state;
    let finished = State { finished: txid, applied: txid, ..state };
    let recorded = root.write_record(&record).and_then(|()| {
        if leaves_out(Step::FinishedOrder) {
            root.write_state(&finished)?;
        }
        flush_all(root, items, flush, cancel)
    });
    if let Err(error) = recorded {
        return Err(take_back(root, items, finished, error));
    }
    match look_again(items, locks) {
        Ok(None) => {}
        Ok(Some(changed)) => {
            undo(root, items, finished)?;
            return Ok(Attempt::Changed(changed));
        }
        Err(error) => return Err(take_back(root, items, finished, error)),
    }
    match publish(root, items, txid) {
        Ok(()) => {}
        Err(failed) => {
            let (done, error) = *failed;
            if done == 0 {
                return Err(take_back(root, items, finished, error));
            }
            items.iter_mut().for_each(Item::leave);
            return Err(pending(error));
        }
    }
    // For those who read a snapshot. Without it they wait, or recover what needs none.
    drop(root.write_state(&State { applied: txid, ..state }));
    flush_directories(items, flush).map_err(pending)?;
    root.write_state(&finished).map_err(pending)?;
    check_places(items)?;
    Ok(Attempt::Committed(Some(txid)))
}

/// The operations of a record. Where a directory is below the root is asked once for all items in it.
fn ops_of(root: &Root, items: &[Item]) -> Result<Vec<Op>> {
    let mut places = HashMap::new();
    let mut ops = Vec::new();
    for (at, item) in items.iter().enumerate().filter(|(_, item)| item.changes()) {
        let dir = &item.target.dir;
        let below = match places.entry(dir.id()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(root.place_of(dir).map_err(|error| error.of_entry(at))?),
        };
        ops.push(item.op(below));
    }
    Ok(ops)
}

/// Of each item whether its directory is not where the path has led any more; each directory is looked for once.
fn are_moved(items: &[Item]) -> Vec<bool> {
    let mut known = HashMap::new();
    let is_moved = |Item { target, .. }: &Item| {
        *known.entry((target.dir.id().clone(), target.place.clone())).or_insert_with(|| target.is_moved())
    };
    items.iter().map(is_moved).collect()
}

/// The items that are not what they were any more: what others have written while all was flushed is not to be overwritten
/// by what was made of the version before. Empty: it is the lock of an index that is not what it was. `None`: all are.
///
/// # Errors
/// Those of [`Lock::is_lost`].
fn look_again(items: &[Item], locks: &[(Lock, usize)]) -> Result<Option<Vec<usize>>> {
    if leaves_out(Step::LastLook) {
        return Ok(None);
    }
    let is_moved = are_moved(items);
    let is_changed = |at: &usize| is_moved[*at] || !items[*at].is_as_expected().unwrap_or(false);
    let changed: Vec<_> = (0..items.len()).filter(is_changed).collect();
    if !changed.is_empty() {
        return Ok(Some(changed));
    }
    // After the files: see `IndexFile`.
    for (lock, _) in locks {
        if lock.is_lost()? {
            return Ok(Some(Vec::new()));
        }
    }
    Ok(None)
}

/// That what was written is where the caller's paths lead: a directory may be replaced at any time.
fn check_places(items: &[Item]) -> Result<()> {
    let is_moved = are_moved(items);
    match (0..items.len()).find(|at| items[*at].changes() && is_moved[*at]) {
        Some(at) => Err(moved().after_commit().of_entry(at)),
        None => Ok(()),
    }
}

fn pending(cause: Error) -> Error {
    let entry = cause.entry();
    let error = Error::from(ErrorKind::PendingNames { cause: Box::new(cause) }).after_commit();
    match entry {
        Some(entry) => error.of_entry(entry),
        None => error,
    }
}

/// What is replaced must be on disk before a record names it: a power cut would bring back what was there before it, and that
/// would be taken for somebody's change. As a rule it is known to be.
fn flush_old(items: &mut [Item]) -> Result<()> {
    let mut parts: Vec<_> = items.iter().filter(|item| item.needs_flushed_old()).map(Old::File).collect();
    let dirs = items.iter().filter(|item| item.needs_flushed_old()).map(|item| item.target.dir.clone());
    parts.extend(Directory::distinct(dirs.collect()).into_iter().map(Old::Directory));
    each_at_once(&mut parts, FLUSHERS, |_, part| match part {
        Old::File(item) => item.flush_old(),
        Old::Directory(dir) => dir.sync().map(drop),
    })
    .map_err(|(_, error)| error)
}

/// What is to be flushed before a record.
enum Old<'a> {
    File(&'a Item),
    Directory(Arc<Directory>),
}

/// The first round: all staged files and the record, at once. The record has the hash of each file, so one that is on disk
/// before its files is told apart.
fn flush_all(root: &Root, items: &mut [Item], flush: bool, cancel: &Cancel) -> Result<()> {
    if !flush {
        return flush_staged(items, flush, cancel);
    }
    let mut parts: Vec<_> = items.iter_mut().filter(|item| item.changes()).map(Some).collect();
    parts.push(None);
    each_at_once(&mut parts, FLUSHERS, |_, part| match part {
        Some(item) => item.flush(flush, cancel),
        None => root.flush(),
    })
    .map_err(|(_, error)| error)
}

/// Gives all files their names, and removes what is to go. With an error comes how many names had changed.
fn publish(root: &Root, items: &mut [Item], txid: u64) -> std::result::Result<(), Box<(usize, Error)>> {
    let _during = steps::begin(steps::Step::Rename);
    // Removals last: a name that is gone is no proof that the others are to change.
    let is_removal = |at: &usize| matches!(items[*at].change, Change::Remove(_));
    let (removals, mut order): (Vec<usize>, Vec<usize>) =
        (0..items.len()).filter(|at| items[*at].changes()).partition(is_removal);
    order.extend(removals);
    let moved: Moved = items.iter().filter_map(Item::moved).collect();
    for (done, at) in order.into_iter().enumerate() {
        let failed = |error: Error| Box::new((done, error.of_entry(at)));
        let moved = items[at].moved_away(&moved);
        let taker = moved.map(|_| root.tag_text().map(|tag| Taker(tag, txid))).transpose().map_err(failed)?;
        items[at].publish(moved.zip(taker.as_ref())).map_err(failed)?;
    }
    Ok(())
}

/// The second round: each directory. Where it succeeded, no crash brings an old name back.
fn flush_directories(items: &mut [Item], flush: bool) -> Result<()> {
    if !flush || leaves_out(Step::NamesSync) {
        items.iter_mut().for_each(|item| item.receipt.durable = item.receipt.durable && flush);
        return Ok(());
    }
    let moved: Moved = items.iter().filter_map(Item::moved).collect();
    let is_left = |item: &Item| leaves_out(Step::MovedSync) && item.moved_away(&moved).is_some();
    let dirs =
        items.iter().filter(|item| !item.is_read() && !is_left(item)).map(|item| item.target.dir.clone());
    let mut dirs = Directory::distinct(dirs.collect());
    let durable = Mutex::new(true);
    each_at_once(&mut dirs, FLUSHERS, |_, dir| {
        let times = known::times(dir);
        let synced = dir.sync()?;
        if synced {
            known::note_directory(dir, times);
        }
        *lock(&durable) &= synced && dir.is_durable();
        Ok(())
    })
    .map_err(|(_, error): (usize, Error)| error)?;
    let durable = *lock(&durable);
    for item in items {
        item.receipt.durable &= durable;
        if item.receipt.durable {
            item.note_flushed();
        }
    }
    Ok(())
}

/// Nothing has changed, and nothing is to: that must be on disk before the staged files go, or a record without them would
/// be taken for one that was complete.
fn take_back(root: &Root, items: &mut [Item], finished: State, error: Error) -> Error {
    undo(root, items, finished).err().unwrap_or(error)
}

/// As [`take_back`], without a failure before it.
fn undo(root: &Root, items: &mut [Item], finished: State) -> Result<()> {
    root.write_state(&finished).and_then(|()| root.flush()).map_err(|cause| {
        items.iter_mut().for_each(Item::leave);
        ErrorKind::UnknownOutcome { cause: Box::new(cause) }.into()
    })
}
