//! What a transaction that was interrupted has left is completed or dropped, by whoever comes next.
//!
//! Recovery looks at what is there and never writes bytes: it renames staged files, each of which is used up by that. So it can
//! be interrupted itself, and repeated; and a record that comes back after a power cut has nothing to overwrite with.
//! All locks are tried, none is waited for: callers that find one taken come back.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::{Directory, Target, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::lock::sidecar::{Lock, Taking, Tried};
use crate::mutant::{Step, leaves_out};
use crate::process::each_at_once;
use crate::sys::{self, Dir, Kind, Version};
use crate::transaction::journal::{Mark, OldMark, Op, Record, State};
use crate::transaction::root::Root;
use crate::write::verify;

/// So many flushes at once.
const FLUSHERS: usize = 32;

/// What came of a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What became of the transaction.
    pub outcome: Outcome,
    /// Its number, if there was one.
    pub transaction: Option<u64>,
    /// What was done about which file; relative to the root.
    pub files: Vec<(PathBuf, Done)>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    #[default]
    Nothing,
    /// All of it is there.
    Completed,
    /// Nothing of it is there: it was interrupted before it was committed.
    Dropped,
    /// It was given up, at the caller's wish.
    GivenUp,
}

/// What was done about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was as it was to be.
    Stood,
    /// It got its name.
    Renamed,
    /// It was removed.
    Removed,
    /// It is the old one, and the staged file is gone.
    Dropped,
    /// Somebody has changed it since: theirs stays, and what the transaction would have written has this name.
    Superseded(Option<PathBuf>),
    /// Nobody knows what it was to be: the staged file was removed by somebody.
    Lost,
}

/// What a name stands for now, as seen from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the transaction makes of it.
    New,
    /// What it was before.
    Old,
    /// Anything else.
    Other,
}

/// What is to be done about a file of a transaction that is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// The staged file gets its name.
    Rename,
    /// The file is removed.
    Unlink,
    /// The staged file is another name of what stands.
    DropStaged,
    /// Somebody else's file stays, and the staged one gets a name that no sweep takes.
    SetAside,
    /// Somebody else's file stays.
    Leave,
    /// It is done, or somebody has done something else since.
    Nothing,
    /// There is nothing that could be done.
    Lost,
}

/// The decision about one file. `staged`: whether the staged file is there and whole; `None` for a removal.
pub fn decide(staged: Option<bool>, target: Seen) -> Todo {
    match (staged, target) {
        (Some(true), Seen::Old) => Todo::Rename,
        (Some(true), Seen::New) => Todo::DropStaged,
        (Some(true), Seen::Other) if leaves_out(Step::ForeignChange) => Todo::Rename,
        (Some(true), Seen::Other) => Todo::SetAside,
        (Some(false), Seen::Old) => Todo::Lost,
        (Some(false), _) | (None, Seen::New) => Todo::Nothing,
        (None, Seen::Old) => Todo::Unlink,
        (None, Seen::Other) => Todo::Leave,
    }
}

/// Whether a transaction was never committed: names change only when all staged files are on disk. So if one is neither staged
/// nor in its place, and its target is still the old one, none has changed.
pub fn is_dropped(seen: impl IntoIterator<Item = (Option<bool>, Seen)> + Clone) -> bool {
    let is_new = |(staged, target): (Option<bool>, Seen)| target == Seen::New && staged.is_some();
    let is_missing = |at| matches!(at, (Some(false), Seen::Old));
    !seen.clone().into_iter().any(is_new) && seen.into_iter().any(is_missing)
}

/// The lock of an index, if it is free. The transaction that its last holder was killed in is recovered first.
///
/// # Errors
/// Those of [`Lock::try_acquire`], and of recovery.
pub fn take_index(target: &Target, taking: Taking) -> Result<Option<Lock>> {
    match Lock::try_acquire(target, taking)? {
        Tried::Ours(lock) => Ok(Some(lock)),
        Tried::Busy => Ok(None),
        Tried::Left(up) => {
            if let Some(root) = root_above(&target.dir, up)?
                && attempt(&root)?.is_none()
            {
                return Ok(None);
            }
            // What recovery has not removed says nothing any more.
            match Lock::try_acquire(target, Taking::ToRecover)? {
                Tried::Ours(lock) => drop(lock),
                Tried::Busy | Tried::Left(_) => return Ok(None),
            }
            match Lock::try_acquire(target, taking)? {
                Tried::Ours(lock) => Ok(Some(lock)),
                Tried::Busy | Tried::Left(_) => Ok(None),
            }
        }
    }
}

fn root_above(dir: &Arc<Directory>, up: usize) -> Result<Option<Root>> {
    let path = dir.path().named("readlink")?;
    let Some(path) = path.ancestors().nth(up) else { return Ok(None) };
    Root::open(&Directory::open(None, path, false)?)
}

/// Recovers what a transaction has left, if there is such. `None`: not now, because a transaction is at work, or an update of
/// one of its indexes.
///
/// # Errors
/// [`ErrorKind::Journal`]; whatever fails. What was done is right, and the rest stays to be done.
pub fn attempt(root: &Root) -> Result<Option<Recovered>> {
    let Some(record) = root.read()?.pending().cloned() else { return Ok(Some(Recovered::default())) };
    let Some(mut targets) = Targets::open(root, &record)? else { return Ok(None) };
    let Some(_root_lock) = root.try_lock()? else {
        targets.leave_locks();
        return Ok(None);
    };
    let journal = root.read()?;
    match journal.pending() {
        None => return Ok(Some(Recovered::default())),
        Some(now) if now.txid != record.txid => {
            targets.leave_locks();
            return Ok(None);
        }
        Some(_) => {}
    }
    match recover(root, &record, journal.state, &mut targets) {
        Ok(recovered) => {
            root.sweep();
            Ok(Some(recovered))
        }
        Err(error) => {
            targets.leave_locks();
            Err(error)
        }
    }
}

/// Gives up what cannot be recovered: what was staged is set aside, and what stands stays.
///
/// # Errors
/// Whatever fails.
pub fn give_up(root: &Root) -> Result<Option<Recovered>> {
    let Some(_root_lock) = root.try_lock()? else { return Ok(None) };
    let journal = match root.read() {
        Err(error) if matches!(error.kind(), ErrorKind::Journal { .. }) => {
            let aside = root.give_up_journal()?;
            let files = vec![(aside, Done::Superseded(None))];
            return Ok(Some(Recovered { outcome: Outcome::GivenUp, transaction: None, files }));
        }
        journal => journal?,
    };
    let Some(record) = journal.pending() else { return Ok(Some(Recovered::default())) };
    let mut files = Vec::new();
    for op in &record.ops {
        let kept = root.directory(&op.dir).ok().and_then(|dir| set_aside(&dir, op).ok().flatten());
        files.push((op.dir.join(&op.name), Done::Superseded(kept.map(|name| op.dir.join(name)))));
    }
    root.write_state(&State { finished: record.txid, ..journal.state })?;
    root.flush()?;
    Ok(Some(Recovered { outcome: Outcome::GivenUp, transaction: Some(record.txid), files }))
}

/// A target of a record, as it is now.
#[derive(Debug)]
pub struct Place<'a> {
    /// What was to become of it.
    pub op: &'a Op,
    /// `None`: its directory is gone, or is not below the root any more.
    pub dir: Option<Arc<Directory>>,
    lock: Option<Lock>,
    /// The staged file, open; and whether it is whole.
    staged: Option<File>,
    is_whole: bool,
    target: Seen,
}

struct Targets<'a>(Vec<Place<'a>>);

impl<'a> Targets<'a> {
    /// Opens the directories, and takes the locks of the indexes. `None`: one of them is taken.
    fn open(root: &Root, record: &'a Record) -> Result<Option<Self>> {
        let mut targets = Self(record.ops.iter().map(|op| Place::open(root, op)).collect::<Result<_>>()?);
        let mut order: Vec<usize> = (0..targets.0.len()).filter(|at| targets.0[*at].op.is_index).collect();
        let key = |place: &Place<'_>| (place.dir.as_ref().map(|dir| dir.id().clone()), place.op.name.clone());
        order.sort_by_cached_key(|at| key(&targets.0[*at]));
        for at in order {
            let place = &mut targets.0[at];
            let Some(dir) = &place.dir else { continue };
            let target = Target::again(
                dir.clone(),
                place.op.name.clone(),
                root.path.join(&place.op.dir).join(&place.op.name),
            );
            match Lock::try_acquire(&target, Taking::ToRecover)? {
                Tried::Ours(lock) => place.lock = Some(lock),
                Tried::Busy | Tried::Left(_) => {
                    targets.leave_locks();
                    return Ok(None);
                }
            }
        }
        Ok(Some(targets))
    }

    fn leave_locks(&mut self) {
        self.0.iter_mut().filter_map(|place| place.lock.take()).for_each(Lock::leave);
    }
}

impl<'a> Place<'a> {
    /// # Errors
    /// Those of open(2), but that it is not there.
    pub fn open(root: &Root, op: &'a Op) -> Result<Self> {
        let dir = match root.directory(&op.dir) {
            Ok(dir) => Some(dir),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { op, dir, lock: None, staged: None, is_whole: false, target: Seen::Other })
    }

    /// Looks at the staged file and at the target. `copied`: inodes say nothing, the tree is a copy.
    ///
    /// # Errors
    /// Those of reading them.
    pub fn look(&mut self, copied: bool) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        if let Some((name, mark)) = &self.op.staged {
            self.staged = open_if_there(dir, name)?;
            self.is_whole = match &self.staged {
                Some(file) => is_whole(file, mark, copied)?,
                None => false,
            };
        }
        self.target = see(dir, self.op, copied)?;
        Ok(())
    }

    /// As the decisions need it.
    pub fn seen(&self) -> (Option<bool>, Seen) {
        (self.op.staged.is_some().then_some(self.is_whole), self.target)
    }

    /// The staged file, open, if it is whole.
    pub fn staged(&self) -> Option<&File> {
        self.staged.as_ref().filter(|_| self.is_whole)
    }
}

fn is_gone(error: &Error) -> bool {
    let gone = [sys::ENOENT, sys::ENOTDIR, sys::ELOOP, sys::EXDEV];
    error.errno_of("open").is_some_and(|errno| gone.contains(&errno))
}

fn open_if_there(dir: &Directory, name: &OsStr) -> Result<Option<File>> {
    match dir.open_to_flush(name) {
        Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ELOOP)) => Ok(None),
        opened => opened.named("open").map(Some),
    }
}

fn hash_of(file: &File, version: &Version) -> Result<u128> {
    verify::digest(file, version.size, &Cancel::default()).map(|digest| digest.hash())
}

fn is_whole(file: &File, mark: &Mark, copied: bool) -> Result<bool> {
    let (kind, version) = Dir::stat_file(file).named("fstat")?;
    if kind != Kind::File || version.size != mark.size {
        return Ok(false);
    }
    match mark.hash {
        Some(hash) => Ok(leaves_out(Step::Checksum) || hash_of(file, &version)? == hash),
        None => Ok(copied || mark.inode == version.id.number()),
    }
}

fn see(dir: &Directory, op: &Op, copied: bool) -> Result<Seen> {
    let Some(stat) = dir.stat(&op.name).named("stat")? else {
        return Ok(match (&op.staged, &op.old) {
            (None, _) => Seen::New,
            (Some(_), None) => Seen::Old,
            (Some(_), Some(_)) => Seen::Other,
        });
    };
    if stat.kind != Kind::File {
        return Ok(Seen::Other);
    }
    let version = &stat.version;
    let number = version.id.number();
    let mut hash = None;
    let mut is_hash = |expected: u128| -> Result<bool> {
        let found = match hash {
            Some(found) => found,
            None => match open_if_there(dir, &op.name)? {
                Some(file) => *hash.insert(hash_of(&file, version)?),
                None => return Ok(false),
            },
        };
        Ok(found == expected)
    };
    if let Some((_, new)) = &op.staged
        && new.size == version.size
        && (copied || new.inode == number)
    {
        let says_the_same = |old: &OldMark| old.size == new.size && old.hash == new.hash;
        let is_new = match new.hash {
            Some(hash) => is_hash(hash)?,
            None => !copied,
        };
        if is_new && !(copied && op.old.as_ref().is_some_and(says_the_same)) {
            return Ok(Seen::New);
        }
    }
    let Some(old) = &op.old else { return Ok(Seen::Other) };
    if old.size != version.size {
        return Ok(Seen::Other);
    }
    let is_same_file = old.modified == version.modified && (copied || old.inode == number);
    let is_untouched = is_same_file && (copied || old.changed == version.changed);
    let is_old = is_untouched
        || match old.hash {
            Some(hash) => is_hash(hash)?,
            // Its other name, which it gets by the same transaction, is a change of it.
            None => is_same_file && op.staged.is_none(),
        };
    Ok(if is_old { Seen::Old } else { Seen::Other })
}

fn recover(root: &Root, record: &Record, state: State, targets: &mut Targets<'_>) -> Result<Recovered> {
    let copied = record.home != root.home();
    // After a power cut the names need not stand; a reader that has seen otherwise begins again.
    root.write_state(&State { applied: state.finished, ..state })?;
    for place in &mut targets.0 {
        place.look(copied)?;
    }
    let places = &mut targets.0;
    let path = |op: &Op| op.dir.join(&op.name);
    if is_dropped(places.iter().map(Place::seen)) {
        root.write_state(&State { finished: record.txid, applied: record.txid, ..state })?;
        root.flush()?;
        let drop_staged = |place: &Place<'_>| {
            if let (Some(dir), Some((name, _)), Some(_)) = (&place.dir, &place.op.staged, &place.staged) {
                drop(dir.unlink(name));
            }
            (path(place.op), Done::Dropped)
        };
        let files = places.iter().map(drop_staged).collect();
        return Ok(Recovered { outcome: Outcome::Dropped, transaction: Some(record.txid), files });
    }
    // Whoever was interrupted may have got no further than the page cache.
    if !leaves_out(Step::RecordSync) {
        root.flush()?;
    }
    flush(places)?;
    let mut files = Vec::new();
    for place in &*places {
        files.push((path(place.op), complete(place)?));
    }
    let applied = State { applied: record.txid, ..state };
    root.write_state(&applied)?;
    flush_directories(places)?;
    root.write_state(&State { finished: record.txid, ..applied })?;
    root.flush()?;
    Ok(Recovered { outcome: Outcome::Completed, transaction: Some(record.txid), files })
}

fn flush(places: &mut [Place<'_>]) -> Result<()> {
    let sync = |_, place: &mut Place<'_>| match place.staged() {
        Some(file) if !leaves_out(Step::StagedSync) => sys::sync_file(file).named("fsync").map(drop),
        _ => Ok(()),
    };
    each_at_once(places, FLUSHERS, sync).map_err(|(_, error)| error)?;
    flush_directories(places)
}

fn flush_directories(places: &[Place<'_>]) -> Result<()> {
    if leaves_out(Step::NamesSync) {
        return Ok(());
    }
    let mut dirs: Vec<_> = places.iter().filter_map(|place| place.dir.clone()).collect();
    dirs.sort_by_key(|dir| dir.id().clone());
    dirs.dedup_by_key(|dir| dir.id().clone());
    each_at_once(&mut dirs, FLUSHERS, |_, dir| dir.sync().map(drop)).map_err(|(_, error)| error)
}

fn complete(place: &Place<'_>) -> Result<Done> {
    let op = place.op;
    let Some(dir) = &place.dir else { return Ok(Done::Superseded(None)) };
    let (staged, target) = place.seen();
    let staged_name = op.staged.as_ref().map(|(name, _)| name.as_os_str()).unwrap_or_default();
    Ok(match decide(staged, target) {
        Todo::Rename => {
            dir.rename(staged_name, dir, &op.name).named("rename").map_err(|error| error.about(&op.name))?;
            drop(dir.unlink(staged_name));
            Done::Renamed
        }
        Todo::Unlink => {
            dir.unlink(&op.name).named("unlink").map_err(|error| error.about(&op.name))?;
            Done::Removed
        }
        Todo::DropStaged => {
            drop(dir.unlink(staged_name));
            Done::Stood
        }
        Todo::SetAside => Done::Superseded(set_aside(dir, op)?.map(|name| op.dir.join(name))),
        Todo::Leave => Done::Superseded(None),
        Todo::Nothing if target == Seen::Other => Done::Superseded(None),
        Todo::Nothing => Done::Stood,
        Todo::Lost => Done::Lost,
    })
}

/// Gives the staged file a name that no sweep takes.
fn set_aside(dir: &Directory, op: &Op) -> Result<Option<PathBuf>> {
    let Some((staged, _)) = &op.staged else { return Ok(None) };
    let aside = names::with_lost_name(&op.name, |name| match dir.rename_new(staged, name)? {
        true => Ok(()),
        false => dir.rename(staged, dir, name),
    });
    match aside {
        Ok((name, ())) => Ok(Some(Path::new(&name).to_owned())),
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(None),
        Err(error) => Err(error).named("rename"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_decisions_is_this() {
        let table = [
            (Some(true), Seen::Old, Todo::Rename),
            (Some(true), Seen::New, Todo::DropStaged),
            (Some(true), Seen::Other, Todo::SetAside),
            (Some(false), Seen::New, Todo::Nothing),
            (Some(false), Seen::Other, Todo::Nothing),
            (Some(false), Seen::Old, Todo::Lost),
            (None, Seen::Old, Todo::Unlink),
            (None, Seen::New, Todo::Nothing),
            (None, Seen::Other, Todo::Leave),
        ];
        for (staged, target, todo) in table {
            assert_eq!(decide(staged, target), todo, "{staged:?} {target:?}");
        }
    }

    #[test]
    fn a_transaction_is_dropped_only_if_a_file_is_nowhere_and_none_has_its_name() {
        let missing = (Some(false), Seen::Old);
        assert!(is_dropped([missing, (Some(true), Seen::Old)]));
        assert!(is_dropped([missing, (None, Seen::Old), (Some(true), Seen::Other)]));
        assert!(!is_dropped([missing, (Some(false), Seen::New)]), "its name is proof that all was on disk");
        assert!(!is_dropped([(Some(true), Seen::Old), (None, Seen::Old)]));
        assert!(
            is_dropped([missing, (None, Seen::New)]),
            "a file that is gone may have been removed by anybody"
        );
    }
}
