//! Lock files as they are found: of a living holder, or left by one that was killed.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dir::{Directory, Resolve, Target, names};
use crate::error::{Named, Result};
use crate::job::{Job, Step};
use crate::lock::holder::{Holder, LONGEST_RECORD};
use crate::lock::sidecar::not_locked;
use crate::sys::{self, Dir, Kind};
use crate::transaction::recover;

/// A lock file, and what is known of it.
#[derive(Debug)]
pub struct Left {
    /// Who has it, or had it last.
    pub holder: Option<Holder>,
    /// Whether it may go.
    pub state: State,
}

/// Whether a lock file may go.
#[derive(Debug)]
pub enum State {
    /// A living process has it.
    Held,
    /// Nobody has it, as long as this is kept.
    Free(File),
    /// Who had it was killed in a transaction that is to be recovered first.
    Pending,
    /// It says of nobody: a holder that was about to, or another program has made it.
    Silent,
}

/// Looks at the lock file `name`, and takes the lock if it is free. `None`: it is gone, or it is another program's.
///
/// # Errors
/// Those of open(2); [`ErrorKind::NoLocks`](crate::error::ErrorKind::NoLocks).
pub fn take(dir: &Arc<Directory>, name: &OsStr) -> Result<Option<Left>> {
    let file = match dir.open_file(name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
        opened => opened.named("open")?,
    };
    let (kind, version) = Dir::stat_file(&file).named("fstat")?;
    // A waiter makes it one byte longer than any record.
    if kind != Kind::File || version.size > LONGEST_RECORD + 1 {
        return Ok(None);
    }
    let mut record = [0; LONGEST_RECORD as usize];
    let holder = Holder::of_ours(&file);
    // It may be another program's, whose lock is not to be taken even for a moment.
    if holder.is_none()
        && let Ok(got) = sys::read_at(&file, &mut record, 0)
    {
        let is_silent = record[..got].iter().all(|byte| *byte == 0);
        return Ok(is_silent.then_some(Left { holder, state: State::Silent }));
    }
    // Ours are never locked in that way. Asked before ours is taken, which some network file systems make of such locks.
    if sys::has_record_lock(&file) || !sys::try_lock(&file).map_err(not_locked)? {
        return Ok(Some(Left { holder, state: State::Held }));
    }
    if !dir.is_same(name, &file).named("stat")? {
        return Ok(None);
    }
    let state = match Holder::root_of(&file) {
        Some(up) if !recover::is_settled(dir, up)? => State::Pending,
        _ if holder.is_none() => State::Silent,
        _ => State::Free(file),
    };
    Ok(Some(Left { holder, state }))
}

/// The lock of an index, as it is at a moment.
#[derive(Debug)]
pub struct Seen {
    /// The lock file.
    pub path: PathBuf,
    /// A process has it.
    pub held: bool,
    /// Which one has it, or was killed with it.
    pub holder: Option<Holder>,
}

/// Looks at the lock of the index at this path, which need not be there.
pub struct LookJob(pub PathBuf);

impl LookJob {
    fn look(&self) -> Result<Seen> {
        let target = Target::resolve(&self.0, Resolve { mkdir: false, exclusive: false })?;
        let name = names::lock(&target.name);
        let path = target.path().with_file_name(&name);
        let file = match target.dir.open_file(&name) {
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => {
                return Ok(Seen { path, held: false, holder: None });
            }
            opened => opened.named("open").map_err(|error| error.about(&path))?,
        };
        // Shared, for others may be looking too.
        let held = !sys::try_lock_shared(&file).map_err(not_locked)?;
        Ok(Seen { path, held, holder: Holder::of(&file) })
    }
}

impl Job for LookJob {
    type Output = Seen;

    fn run(self) -> Step<Self> {
        match self.look() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            seen => Step::Done(seen),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::lock::sidecar::{Lock, Taking, Tried};

    #[test]
    fn a_lock_is_held_while_it_is_taken_and_free_when_its_holder_left_it() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index.json");
        let target = Target::resolve(&index, Resolve { mkdir: false, exclusive: false }).unwrap();
        let name = names::lock(&target.name);
        let state = || take(&target.dir, &name).unwrap().map(|left| left.state);
        assert!(state().is_none());
        let Tried::Ours(lock) = Lock::try_acquire(&target, Taking::Now).unwrap() else {
            panic!("it is free")
        };
        assert!(matches!(state(), Some(State::Held)));
        let seen = LookJob(index).look().unwrap();
        assert!(seen.held && seen.holder.is_some_and(|holder| holder.is_this()));
        // As a kill leaves it.
        lock.leave();
        let left = take(&target.dir, &name).unwrap().unwrap();
        assert!(matches!(left.state, State::Free(_)) && left.holder.is_some());
        // It is kept from others as long as it is looked at.
        assert!(matches!(Lock::try_acquire(&target, Taking::Now).unwrap(), Tried::Busy));
    }

    #[test]
    fn the_lock_of_another_program_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(None, dir.path(), false).unwrap();
        for (text, is_told) in
            [("# of another program", false), ("", true), ("\0\0\0", true), ("1 x\n", false)]
        {
            std::fs::write(dir.path().join(".x.lock"), text).unwrap();
            let file = File::open(dir.path().join(".x.lock")).unwrap();
            let left = take(&open, ".x.lock".as_ref()).unwrap();
            assert_eq!(matches!(left, Some(Left { state: State::Silent, .. })), is_told, "{text:?}");
            assert!(sys::try_lock(&file).unwrap());
        }
    }
}
