//! What a transaction that was interrupted has left is completed or dropped, by whoever comes next.
//!
//! Recovery looks at what is there and never writes bytes: it renames staged files, each of which is used up by that. So it can
//! be interrupted itself, and repeated; and a record that comes back after a power cut has nothing to overwrite with.
//! All locks are tried, none is waited for: callers that find one taken come back.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dir::{Directory, Target};
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::lock::order;
use crate::lock::share;
use crate::lock::sidecar::{Lock, Taking, Tried};
use crate::mutant::{Step, leaves_out};
use crate::process::{Slot, each_at_once, flush};
use crate::stats;
use crate::sys::{self, FileId};
use crate::transaction::away::{self, Gone, Taker};
use crate::transaction::commit::FLUSHERS;
use crate::transaction::decision::{Seen, Todo, decide, is_dropped};
use crate::transaction::journal::{Mark, Op, Record, State};
use crate::transaction::place::{Home, Place};
use crate::transaction::root::Root;

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

/// How often a lock is tried that transactions leave one after the other.
const ROUNDS: usize = 8;

/// The lock of an index, if it is free; with a slot that was gathered for it, if there is such. The transaction that its last holder was killed in is recovered first.
///
/// # Errors
/// Those of [`Lock::try_acquire`], and of recovery.
pub fn take_index(target: &Target, taking: Taking, slot: &mut Option<Slot>) -> Result<Option<Lock>> {
    for _ in 0..ROUNDS {
        let up = match Lock::try_with(target, taking, slot)? {
            Tried::Ours(lock) => return Ok(Some(lock)),
            Tried::Busy => return Ok(None),
            Tried::Left(up) => up,
        };
        // Looked at under the lock: a record that names the index is written and recovered under it only.
        let Tried::Ours(lock) = Lock::try_acquire(target, Taking::ToRecover)? else { return Ok(None) };
        let root = root_above(&target.dir, up)?;
        match root.filter(|root| is_pending(root, target)) {
            // It was recovered, or never recorded; with the lock goes what it says. Or the root is out of sight: then the call goes on all
            // the same, for nobody here could recover it, and whoever recovers it sets aside what it would have written over this update.
            None => lock.settle(),
            Some(root) => {
                drop(lock);
                if attempt(&root)?.is_none() {
                    return Ok(None);
                }
            }
        }
    }
    Ok(None)
}

/// Whether the pending transaction of a root is one that changes this index. When in doubt, it is.
fn is_pending(root: &Root, target: &Target) -> bool {
    let Ok(journal) = root.read() else { return true };
    let is_it = |op: &Op| {
        op.is_index
            && op.name == target.name
            && root.directory(&op.dir).is_ok_and(|dir| dir.id() == target.dir.id())
    };
    journal.pending().is_some_and(|record| record.ops.iter().any(is_it))
}

/// Whether what a lock says of the root `up` directories above `dir` counts for nothing any more: no transaction there is to be recovered.
/// The caller has the lock, and without it no record that names the index is written. When the root is out of sight, nothing is known.
///
/// # Errors
/// Those of opening the root and of reading its journal.
pub fn is_settled(dir: &Arc<Directory>, up: usize) -> Result<bool> {
    match root_above(dir, up)? {
        Some(root) => Ok(root.read()?.pending().is_none()),
        None => Ok(false),
    }
}

/// The root `up` directories above `dir`; `None`: it is gone, or `dir` was reached by a mount from which it cannot be seen.
fn root_above(dir: &Arc<Directory>, up: usize) -> Result<Option<Root>> {
    let path = dir.path().named("readlink")?;
    let Some(above) = path.ancestors().nth(up) else { return Ok(None) };
    let Some(root) = Root::open(&Directory::open(None, above, false)?)? else { return Ok(None) };
    // What is above a mount may be another root.
    let below = path.strip_prefix(above).unwrap_or(&path);
    let is_around = root.directory(below).is_ok_and(|found| found.id() == dir.id());
    Ok(is_around.then_some(root))
}

/// What came of an attempt to recover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// This was done; or there was nothing to do.
    Done(Recovered),
    /// The transaction is at work.
    Live,
    /// It is dead, and an update has one of its indexes.
    Held,
}

/// As [`attempt_or_tell`]; `None`: not now.
///
/// # Errors
/// Those of [`attempt_or_tell`].
pub fn attempt(root: &Root) -> Result<Option<Recovered>> {
    match attempt_or_tell(root)? {
        Attempt::Done(recovered) => Ok(Some(recovered)),
        Attempt::Live | Attempt::Held => Ok(None),
    }
}

/// Recovers what a transaction has left, if there is such.
///
/// # Errors
/// [`ErrorKind::Journal`]; whatever fails. What was done is right, and the rest stays to be done.
pub fn attempt_or_tell(root: &Root) -> Result<Attempt> {
    let nothing = || Attempt::Done(Recovered::default());
    let Some(record) = root.read()?.pending().cloned() else { return Ok(nothing()) };
    let Some(mut targets) = Targets::open(root, &record)? else {
        // A live one has the root.
        let Some(_root_lock) = root.try_lock()? else { return Ok(Attempt::Live) };
        return if share::may_recover(record.ops.iter().filter(|op| op.is_index).count()) {
            Ok(Attempt::Held)
        } else {
            Err(Error::raw("flock", sys::EMFILE).advise(Advice::ManyToRecover))
        };
    };
    let Some(_root_lock) = root.try_lock()? else { return Ok(Attempt::Live) };
    let journal = root.read()?;
    let recovered = match journal.pending() {
        None => Recovered::default(),
        // Another one by now: its locks are others.
        Some(now) if now.txid != record.txid => return Ok(Attempt::Live),
        Some(_) => {
            let recovered = recover(root, &record, journal.state, &mut targets)?;
            stats::recovered();
            root.sweep();
            recovered
        }
    };
    targets.settle();
    Ok(Attempt::Done(recovered))
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
    let taker = Taker(root.tag_text()?, record.txid);
    let mut files = Vec::new();
    for op in &record.ops {
        let kept = root.directory(&op.dir).and_then(|dir| match op.staged {
            Some(_) => set_aside(&dir, op),
            None => brought_back(&dir, op, &taker, |_| false),
        });
        // Where that fails a sweep leaves what may be the only copy.
        let kept = kept.ok().flatten();
        files.push((op.dir.join(&op.name), Done::Superseded(kept)));
    }
    root.write_state(&State { finished: record.txid, ..journal.state })?;
    root.flush()?;
    Ok(Some(Recovered { outcome: Outcome::GivenUp, transaction: Some(record.txid), files }))
}

struct Targets<'a>(Vec<Place<'a>>);

impl<'a> Targets<'a> {
    /// Opens the directories, and takes the locks of the indexes. `None`: one of them is taken.
    fn open(root: &Root, record: &'a Record) -> Result<Option<Self>> {
        let mut targets = Self(record.ops.iter().map(|op| Place::open(root, op)).collect::<Result<_>>()?);
        let mut order: Vec<usize> = (0..targets.0.len()).filter(|at| targets.0[*at].op.is_index).collect();
        order::sort(&mut order, &|at| {
            let Place { dir, op, .. } = &targets.0[at];
            (dir.as_ref().map(|dir| dir.id().clone()), op.name.clone())
        });
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
                Tried::Busy | Tried::Left(_) => return Ok(None),
            }
        }
        Ok(Some(targets))
    }

    /// The pointers in the locks have been followed. Until then they stay, whatever fails.
    fn settle(&mut self) {
        self.0.iter_mut().filter_map(|place| place.lock.take()).for_each(Lock::settle);
    }
}

fn recover(root: &Root, record: &Record, state: State, targets: &mut Targets<'_>) -> Result<Recovered> {
    let home = Home::of(record, root);
    // After a power cut the names need not stand; a reader that has seen otherwise begins again.
    let open = State { applied: state.finished, ..state };
    root.write_state(&open)?;
    let taker = Taker(root.tag_text()?, record.txid);
    let moved = moved_files(&targets.0)?;
    let mut asides = Vec::new();
    for place in &mut targets.0 {
        place.check_rights(root)?;
        let mut aside = None;
        if let (None, Some(dir)) = (&place.op.staged, &place.dir) {
            let is_moved = |file: &FileId| home.moves(file) && moved.contains(&file.number());
            aside = brought_back(dir, place.op, &taker, is_moved)?;
        }
        asides.push(aside);
        place.look(&home)?;
    }
    let places = &mut targets.0;
    let path = |op: &Op| op.dir.join(&op.name);
    if is_dropped(places.iter().map(Place::seen)) {
        finish(root, record, open)?;
        let drop_staged = |place: &Place<'_>| {
            if let (Some(dir), Some((name, _)), true) = (&place.dir, &place.op.staged, place.has_staged()) {
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
    let moved = moved_files(places)?;
    let mut files: Vec<_> = places.iter().map(|place| (path(place.op), Done::Stood)).collect();
    // Removals last, as in the commit: what is moved has one of its names at any time.
    for removes in [false, true] {
        let found = places.iter().zip(&mut files).filter(|(place, _)| place.op.staged.is_none() == removes);
        for (place, (_, done)) in found {
            let is_nowhere = |file: &FileId| home.moves(file) && !moved.contains(&file.number());
            *done = match place.found() {
                // Somebody has moved it back: this is its only name.
                Some(file) if removes && is_nowhere(file) => Done::Superseded(None),
                _ => complete(place, &taker)?,
            };
        }
    }
    for ((_, done), aside) in files.iter_mut().zip(asides) {
        if aside.is_some() {
            *done = Done::Superseded(aside);
        }
    }
    let applied = State { applied: record.txid, ..state };
    root.write_state(&applied)?;
    flush_directories(places)?;
    finish(root, record, applied)?;
    Ok(Recovered { outcome: Outcome::Completed, transaction: Some(record.txid), files })
}

/// Notes that nothing is left to do. If that does not reach the disk it does not stay noted, so that the next recovery comes
/// this far again and frees the locks.
fn finish(root: &Root, record: &Record, state: State) -> Result<()> {
    let finished = State { finished: record.txid, applied: record.txid, ..state };
    root.write_state(&finished).and_then(|()| root.flush()).inspect_err(|_| drop(root.write_state(&state)))
}

fn flush(places: &mut [Place<'_>]) -> Result<()> {
    let sync = |_, place: &mut Place<'_>| match place.staged() {
        Some(file) if !leaves_out(Step::StagedSync) => flush::file(file).named("fsync").map(drop),
        _ => Ok(()),
    };
    each_at_once(places, FLUSHERS, sync).map_err(|(_, error)| error)?;
    flush_directories(places)
}

fn flush_directories(places: &[Place<'_>]) -> Result<()> {
    if leaves_out(Step::NamesSync) {
        return Ok(());
    }
    let mut dirs = Directory::distinct(places.iter().filter_map(|place| place.dir.clone()).collect());
    each_at_once(&mut dirs, FLUSHERS, |_, dir| dir.sync().map(drop)).map_err(|(_, error)| error)
}

/// The inodes of files that were moved, or are to be, and stand where they are to go or are still staged.
fn moved_files(places: &[Place<'_>]) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    for place in places {
        if let (Some(dir), Some((staged, Mark { hash: None, .. }))) = (&place.dir, &place.op.staged) {
            for name in [staged, &place.op.name] {
                found.extend(dir.stat(name).named("stat")?.map(|stat| stat.version.id.number()));
            }
        }
    }
    Ok(found)
}

fn complete(place: &Place<'_>, taker: &Taker) -> Result<Done> {
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
        // Nobody looked at the name while all was flushed.
        Todo::Unlink => match away::remove_if_same(dir, &op.name, place.found().as_slice(), taker) {
            Ok(Gone::Removed) => Done::Removed,
            Ok(Gone::Before) => Done::Stood,
            Ok(Gone::Another) => Done::Superseded(None),
            Err(error) => return Err(error.about(&op.name)),
        },
        Todo::DropStaged => {
            drop(dir.unlink(staged_name));
            Done::Stood
        }
        Todo::SetAside => Done::Superseded(set_aside(dir, op)?),
        Todo::Leave => Done::Superseded(None),
        Todo::Nothing if target == Seen::Other => Done::Superseded(None),
        Todo::Nothing => Done::Stood,
        Todo::Lost => Done::Lost,
    })
}

/// Gives back what was taken away from the name of a removal; where it is, if it could only be set aside.
fn brought_back(
    dir: &Directory,
    op: &Op,
    taker: &Taker,
    is_moved: impl Fn(&FileId) -> bool,
) -> Result<Option<PathBuf>> {
    let aside = away::bring_back(dir, &op.name, taker, is_moved).map_err(|error| error.about(&op.name))?;
    Ok(aside.map(|name| op.dir.join(name)))
}

/// Gives the staged file a name that no sweep takes.
fn set_aside(dir: &Directory, op: &Op) -> Result<Option<PathBuf>> {
    let Some((staged, _)) = &op.staged else { return Ok(None) };
    Ok(away::set_aside(dir, &op.name, staged)?.map(|name| op.dir.join(name)))
}
