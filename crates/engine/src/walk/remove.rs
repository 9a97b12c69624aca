//! Removes a tree, from the leaves up: never through a link, never into a mount in it.
//!
//! As much as possible is removed, whatever fails, and the first failure is reported. Another program may still be
//! writing into the tree, so entries that appear meanwhile are removed too, for a while.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Named, Result};
use crate::process::retry_transient;
use crate::sys::{self, Dir, FileId, Kind};
use crate::walk::{Node, Visitor, walk};

/// How often a directory that was not empty is tried again, and after what pause.
const ROUNDS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// No round begins later than this, but for the first few. On Windows each file that another program has open takes its time in each.
const PATIENCE: Duration = Duration::from_secs(10);
/// A round through a large tree takes longer than the patience, and may end with an entry that only appeared meanwhile.
const FEWEST_ROUNDS: u32 = 3;

/// Removes `name` in `dir` and all below it; if there is nothing, that is no error. What is no directory is removed as
/// well. `path` is for messages.
///
/// # Errors
/// The first; the rest is removed all the same.
pub fn remove(dir: &Dir, name: &OsStr, path: &Path) -> Result<()> {
    remove_unless(&Cancel::default(), dir, name, path)
}

/// As [`remove`], but for what is there when the caller cancels.
///
/// # Errors
/// Those of [`remove`]; [`ErrorKind::Aborted`].
pub fn remove_unless(cancel: &Cancel, dir: &Dir, name: &OsStr, path: &Path) -> Result<()> {
    let since = Instant::now();
    let mut last = None;
    for _ in (0..ROUNDS).take_while(|&round| is_worth(round, since.elapsed())) {
        let root = match retry_transient(|| open(dir, name).named("open")) {
            Ok(root) => Arc::new(Doomed(root)),
            Err(error) if error.errno_of("open") == Some(sys::ENOENT) => return Ok(()),
            Err(error) if matches!(error.errno_of("open"), Some(sys::ENOTDIR | sys::ELOOP)) => {
                return dir.unlink(name).named("unlink").map_err(|error| error.about(path));
            }
            Err(error) => return Err(error.about(path)),
        };
        let mut remover = Remover { cancel, first: None, passing: None };
        walk(root, path, &mut remover)?;
        if let Some(error) = remover.first {
            return Err(error);
        }
        match dir.remove_dir(name) {
            Err(error) if is(&error, sys::ENOENT) => return Ok(()),
            Err(error) if is(&error, sys::ENOTEMPTY) || remover.passing.is_some() => {
                let refused = || Error::system("rmdir", error).about(path);
                last = Some(remover.passing.unwrap_or_else(refused));
            }
            removed => return removed.named("rmdir").map_err(|error| error.about(path)),
        }
        std::thread::sleep(PAUSE);
    }
    Err(last.unwrap_or_else(|| Error::raw("rmdir", sys::ENOTEMPTY).about(path)))
}

/// Whether another round is, after so many.
fn is_worth(rounds: u32, since: Duration) -> bool {
    rounds < FEWEST_ROUNDS || since < PATIENCE
}

fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}

fn open(dir: &Dir, name: &OsStr) -> io::Result<Dir> {
    match dir.open_own_child(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            dir.let_owner_into(name);
            dir.open_own_child(name)
        }
        opened => opened,
    }
}

/// A directory to be emptied.
struct Doomed(Dir);

impl Node for Doomed {
    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        open(&self.0, name).map(Self)
    }

    fn back(&self) -> io::Result<Self> {
        self.0.open_parent().map(Self)
    }

    fn id(&self) -> io::Result<FileId> {
        self.0.id()
    }
}

struct Remover<'a> {
    cancel: &'a Cancel,
    first: Option<Error>,
    /// What kept an entry there and passes by itself: it is tried again.
    passing: Option<Error>,
}

impl Remover<'_> {
    fn note(
        &mut self,
        operation: &'static str,
        removed: io::Result<()>,
        path: impl FnOnce() -> std::path::PathBuf,
    ) {
        match removed {
            Ok(()) => {}
            Err(error) if is(&error, sys::ENOENT) => {}
            Err(error) if is(&error, sys::ENOTEMPTY) => {
                // An entry appeared again.
                self.passing.get_or_insert_with(|| Error::system(operation, error).about(path()));
            }
            Err(error) => self.fail(Error::system(operation, error).about(path())),
        }
    }

    fn fail(&mut self, error: Error) {
        let kept = if error.is_transient() { &mut self.passing } else { &mut self.first };
        kept.get_or_insert(error);
    }
}

impl Visitor<Doomed> for Remover<'_> {
    fn look(&mut self, level: &Arc<Doomed>, path: &Path) -> Result<Vec<OsString>> {
        level.0.let_owner_in();
        let mut directories = Vec::new();
        let entries = match level.0.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.fail(Error::system("scandir", error).about(path));
                return Ok(directories);
            }
        };
        for (name, kind) in entries {
            self.cancel.check()?;
            let kind = kind.or_else(|| Some(level.0.stat(&name).ok()??.kind));
            match kind {
                Some(Kind::Directory) => directories.push(name),
                Some(_) => self.note("unlink", level.0.unlink(&name), || path.join(&name)),
                None => {}
            }
        }
        Ok(directories)
    }

    fn left(&mut self, level: &Doomed, name: &OsStr, path: &Path) -> Result<()> {
        // The first failure is the reason.
        let failed = self.first.is_some();
        match level.0.remove_dir(name) {
            Err(error) if failed && is(&error, sys::ENOTEMPTY) => {}
            removed => self.note("rmdir", removed, || path.to_owned()),
        }
        Ok(())
    }

    fn failed(&mut self, error: Error) -> Result<()> {
        match error.errno_of("open") {
            _ if matches!(error.kind(), ErrorKind::Aborted) => return Err(error),
            Some(sys::ENOENT) => {}
            _ => self.fail(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_whose_rounds_take_long_gets_some_and_others_no_more_time_than_the_patience() {
        assert!(is_worth(FEWEST_ROUNDS - 1, Duration::from_secs(3600)));
        assert!(is_worth(ROUNDS, PATIENCE - Duration::from_millis(1)));
        assert!(!is_worth(FEWEST_ROUNDS, PATIENCE));
    }
}
