//! The sidecar lock of an index: one holder among all processes, and none when the holder is dead.
//!
//! flock(2), by way of std: it belongs to the open file, so the kernel releases it with its process.
//! (fcntl locks would go when *any* descriptor of the file is closed.) The file is removed on
//! release. Another process may have opened it just before, and would lock a file that has no name: so a process that
//! gets the lock compares the file with the name, and starts over if they differ.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dir::{Directory, Target, names};
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::lock::backoff::LONGEST_WAIT;
use crate::lock::foreign::is_foreign;
use crate::lock::holder::{Holder, LONGEST_LOCK, LONGEST_RECORD};
use crate::lock::share;
use crate::mutant::{Step, leaves_out};
use crate::process::sync::between_calls;
use crate::process::{Key, Slot, lock};
use crate::sys::{self, Dir, FileId, Kind, Stat};

/// Each round means that another process held and released the lock meanwhile, so there is progress.
const ROUNDS: usize = 16;

/// How long a lock file may be closed to those who may use it.
const NEW: Duration = Duration::from_secs(1);

/// Until when this process leaves a lock to others. A waiter looks again only after a pause, while the next call in
/// our own queue would have the lock within microseconds, and so every time.
fn yield_until() -> MutexGuard<'static, BTreeMap<Key, Instant>> {
    static YIELD_UNTIL: Mutex<BTreeMap<Key, Instant>> = Mutex::new(BTreeMap::new());
    lock(&YIELD_UNTIL)
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    dir: Arc<Directory>,
    name: OsString,
    file: File,
    id: FileId,
    /// The file is not removed when the lock is released.
    stays: bool,
    slot: Option<Slot>,
}

/// What came of trying to get a lock.
#[derive(Debug)]
pub enum Tried {
    /// It is ours.
    Ours(Lock),
    /// Another call has it, or is to have it.
    Busy,
    /// Its last holder was killed in a transaction, whose root is so many directories up: that is to be recovered first.
    Left(usize),
}

/// How to take a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Unless it is to be left to others for now.
    Fairly,
    /// For a call that cannot wait any longer.
    Now,
    /// For a recovery: what the last holder has written into it stays, until the lock is released.
    ToRecover,
}

impl Lock {
    /// The lock, if it is free.
    ///
    /// # Errors
    /// Those of open(2); [`ErrorKind::NotRegular`] if something else has the lock's name; [`ErrorKind::NoLocks`].
    pub fn try_acquire(target: &Target, taking: Taking) -> Result<Tried> {
        Self::try_with(target, taking, &mut None)
    }

    /// As [`Lock::try_acquire`], with a slot that was gathered before. It stays with the caller, unless the lock is ours.
    ///
    /// # Errors
    /// Those of [`Lock::try_acquire`].
    pub fn try_with(target: &Target, taking: Taking, slot: &mut Option<Slot>) -> Result<Tried> {
        let name = names::lock(&target.name);
        let key = Key::File(target.dir.id().clone(), name.clone());
        if taking == Taking::Fairly && yield_until().get(&key).is_some_and(|until| Instant::now() < *until) {
            return Ok(Tried::Busy);
        }
        if slot.is_none() {
            *slot = share::take(taking);
        }
        if slot.is_none() {
            return Ok(Tried::Busy);
        }
        Self::try_name(target, &name, taking, slot)
            .map_err(|error| error.about(target.path().with_file_name(&name)))
    }

    fn try_name(target: &Target, name: &OsStr, taking: Taking, slot: &mut Option<Slot>) -> Result<Tried> {
        for _ in 0..ROUNDS {
            let (file, is_new) = match open(&target.dir, name)? {
                Opened::File(file) => (file, false),
                Opened::Made(file) => (file, true),
                Opened::Changed => continue,
                Opened::Closed => return Ok(Tried::Busy),
            };
            let undo = || {
                if is_new {
                    drop(target.dir.unlink(name));
                }
            };
            between_calls();
            match sys::try_lock(&file) {
                Ok(true) => between_calls(),
                Ok(false) => {
                    // Tells the holder that there is a waiter; it goes with the lock file.
                    drop(file.set_len(LONGEST_RECORD + 1));
                    return Ok(Tried::Busy);
                }
                Err(error) => {
                    undo();
                    return Err(not_locked(error));
                }
            }
            let Some(id) = seen(Dir::stat_file(&file)).inspect_err(|_| undo())?.map(|(_, seen)| seen.id)
            else {
                continue;
            };
            let held = |slot: &mut Option<Slot>, file, id| Self {
                dir: target.dir.clone(),
                name: name.to_owned(),
                file,
                id,
                stays: taking == Taking::ToRecover,
                slot: slot.take(),
            };
            // Another machine may have replaced the index, and this file, since the directory was last opened here.
            if target.dir.file_system().network.is_some()
                && let Err(error) = target.open_anew()
            {
                *slot = held(slot, file, id).release();
                return Err(error);
            }
            let named = seen(target.dir.stat(name)).inspect_err(|_| undo())?.flatten();
            let is_same = named.is_some_and(|named| named.version.id == id);
            if is_same || leaves_out(Step::LockIdentity) {
                if taking != Taking::ToRecover {
                    if !is_new
                        && let Some(up) = Holder::root_of(&file)
                        && !leaves_out(Step::LockPointer)
                    {
                        drop(sys::unlock(&file));
                        return Ok(Tried::Left(up));
                    }
                    let holder = Holder::this();
                    if is_new { holder.write(&file) } else { holder.write_over(&file) }
                }
                return Ok(Tried::Ours(held(slot, file, id)));
            }
        }
        Ok(Tried::Busy)
    }

    /// Whether another program has removed or replaced the lock file, so that another call may have the lock as well. (Windows: one that is
    /// removed as soon as it is closed keeps others from its name until then.) It is looked at right before what the lock is for becomes visible.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn is_lost(&self) -> Result<bool> {
        if leaves_out(Step::LockIdentity) {
            return Ok(false);
        }
        let is_named = match self.is_named() {
            Err(error) if error.errno_of("stat").is_some_and(sys::is_being_removed) => Ok(true),
            is_named => is_named,
        };
        is_named.map(|is_named| !is_named).map_err(|error| match self.dir.path() {
            Ok(dir) => error.about(dir.join(&self.name)),
            Err(_) => error.about(&self.name),
        })
    }

    /// Whether the file has its name.
    fn is_named(&self) -> Result<bool> {
        let named = seen(self.dir.stat(&self.name))?.flatten();
        Ok(named.is_some_and(|named| named.version.id == self.id))
    }

    /// Says that a transaction is about to be committed, whose root is `up` directories up: who gets the lock after this
    /// process was killed is to recover it first. Only processes that live on read it, so it is not flushed.
    pub fn point_to_root(&self, up: usize) {
        if !leaves_out(Step::LockPointer) {
            Holder::point_to_root(&self.file, up);
        }
    }

    /// Lets the lock go, and keeps the right to have one.
    pub fn release(mut self) -> Option<Slot> {
        self.slot.take()
    }

    /// Lets the lock go, and leaves what it says to the next holder.
    pub fn leave(mut self) {
        self.stays = true;
    }

    /// What it says, as it was taken [to recover](Taking::ToRecover), counts for nothing any more.
    pub fn settle(mut self) {
        // A file that cannot be removed would lead all who come after it to a recovery.
        drop(self.file.set_len(0));
        self.stays = false;
    }
}

/// What opening a lock file comes to.
enum Opened {
    File(File),
    /// There was none.
    Made(File),
    /// It was made or removed meanwhile.
    Changed,
    /// It is closed to this user, but was made just now: whoever made it may be about to open it to others.
    Closed,
}

fn open(dir: &Directory, name: &OsStr) -> Result<Opened> {
    let file = match dir.open_lock(name, false) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => {
            between_calls();
            return match dir.open_lock(name, true) {
                Err(error) if error.raw_os_error() == Some(sys::EEXIST) => Ok(Opened::Changed),
                made => made.map(Opened::Made).map_err(|error| Error::not_made(error, Advice::MakesLock)),
            };
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_new(dir, name) => {
            return Ok(Opened::Closed);
        }
        opened => opened.named("open")?,
    };
    match Dir::stat_file(&file).named("fstat")? {
        // What has never been one would be written over and removed, and cut by a waiter.
        (Kind::File, version) if version.size > LONGEST_LOCK || is_foreign(&file) => {
            Err(Error::taken().advise(Advice::NoLock))
        }
        (Kind::File, _) => Ok(Opened::File(file)),
        (Kind::Other(what), _) => Err(ErrorKind::NotRegular { what }.into()),
        _ => Err(ErrorKind::NotRegular { what: "a directory where the lock belongs" }.into()),
    }
}

/// What the system says of the lock file; `None`: it is gone, and its number with it.
fn seen<T>(found: io::Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.raw_os_error() == Some(sys::ESTALE) => Ok(None),
        found => found.map(Some).named("stat"),
    }
}

/// flock(2) failed.
pub fn not_locked(error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) if sys::has_no_locks(errno) => ErrorKind::NoLocks { source: error }.into(),
        _ => Error::system("flock", error),
    }
}

fn is_new(dir: &Directory, name: &OsStr) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_new =
        |stat: &Stat| stat.version.changed + NEW.as_nanos().cast_signed() > now.as_nanos().cast_signed();
    dir.stat(name).ok().flatten().is_some_and(|stat| is_new(&stat))
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() > LONGEST_RECORD) {
            let key = Key::File(self.dir.id().clone(), self.name.clone());
            let now = Instant::now();
            let mut yield_until = yield_until();
            yield_until.retain(|_, until| *until > now);
            yield_until.insert(key, now + LONGEST_WAIT);
        }
        // Removed first, released then: the other way round, the next holder's file would be removed.
        if !self.stays && self.is_named().unwrap_or(false) {
            between_calls();
            drop(self.dir.unlink(&self.name));
        }
        between_calls();
        // Closing would do, but for a child process that was forked just now and has a copy.
        drop(sys::unlock(&self.file));
    }
}

#[cfg(all(test, shuttle))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod interleavings;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::dir::Resolve;
    use crate::lock::backoff::{Backoff, FIRST_WAIT};

    #[test]
    fn a_lock_that_many_want_has_one_holder_at_a_time_and_no_error() {
        const THREADS: usize = 4;
        const ROUNDS: usize = 25;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let holders = AtomicUsize::new(0);
        let acquire = || loop {
            match Lock::try_acquire(&target, Taking::Now) {
                Ok(Tried::Ours(lock)) => return lock,
                Ok(Tried::Busy) => thread::sleep(FIRST_WAIT),
                // As a call that waits for the lock does.
                Err(error) if error.is_transient() => thread::sleep(FIRST_WAIT),
                other => panic!("{other:?}"),
            }
        };
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let lock = acquire();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn a_lock_that_is_longer_than_it_should_be_is_taken_and_a_long_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let name = dir.path().join(names::lock(&target.name));
        // As it was once left on Windows, with its record behind where a look had ended.
        std::fs::write(&name, [0; 2 * LONGEST_RECORD as usize]).unwrap();
        assert!(matches!(Lock::try_acquire(&target, Taking::Now), Ok(Tried::Ours(_))));
        std::fs::write(&name, [0; LONGEST_LOCK as usize + 1]).unwrap();
        let refused = Lock::try_acquire(&target, Taking::Now).unwrap_err();
        assert_eq!(refused.errno_of("open"), Some(sys::EEXIST));
        assert!(name.exists());
    }

    #[test]
    fn a_pointer_that_was_followed_is_gone_even_if_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let taken = |taking| Lock::try_acquire(&target, taking).unwrap();
        let Tried::Ours(lock) = taken(Taking::Now) else { panic!("it is free") };
        lock.point_to_root(1);
        lock.leave();
        assert!(matches!(taken(Taking::Now), Tried::Left(1)));
        let Tried::Ours(lock) = taken(Taking::ToRecover) else { panic!("it is free") };
        let (name, other) = (dir.path().join(names::lock(&target.name)), dir.path().join("other"));
        std::fs::hard_link(&name, &other).unwrap();
        lock.settle();
        assert!(!name.exists());
        // As if it had not been removed.
        std::fs::rename(&other, &name).unwrap();
        assert!(matches!(taken(Taking::Now), Tried::Ours(_)));
    }

    #[test]
    fn a_waiter_looks_a_last_time_when_its_time_is_up() {
        let mut wait = Backoff::new(Instant::now(), Duration::from_micros(100));
        while let Ok(pause) = wait.pause() {
            assert!(pause <= Duration::from_micros(100));
            std::thread::sleep(pause);
        }
        assert!(wait.pause().is_err_and(|waited| waited >= Duration::from_micros(100)));
    }
}
