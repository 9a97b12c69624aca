//! What is in a tree that was built: counted, checked and flushed.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cancel::Cancel;
use crate::dir::names;
use crate::error::{Error, ErrorKind, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::process::retry_transient;
use crate::sys::{Dir, Kind};
use crate::walk::crew::{Crew, with_crew};
use crate::walk::{Visitor, walk};

/// What a tree consists of, without its root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Sizes of the files.
    pub bytes: u64,
}

/// Counts what is below `root`, which is `path` in messages, and with `flush` flushes it, all but `root` itself. Also says whether the file
/// system could flush all of it.
///
/// # Errors
/// [`ErrorKind::NotRegular`] for a device, a FIFO or a socket; `EINVAL` for a [temp name](names::is_temp); whatever the system says; [`ErrorKind::Aborted`].
pub fn take(root: &Arc<Dir>, path: &Path, flush: bool, cancel: &Cancel) -> Result<(Census, bool)> {
    let flushed = AtomicBool::new(flush);
    let task = |work: Work| {
        cancel.check()?;
        if !work.flush()? {
            flushed.store(false, Ordering::Relaxed);
        }
        Ok(())
    };
    let census = with_crew(&task, |crew| {
        let mut visitor = Taker { crew, census: Census::default(), flush, cancel, root: path };
        walk(root.clone(), path, &mut visitor)?;
        Ok(visitor.census)
    })?;
    Ok((census, flushed.into_inner()))
}

/// Something to flush: a file in a directory, or the directory.
struct Work {
    level: Arc<Dir>,
    name: Option<OsString>,
    path: Arc<Path>,
}

impl Work {
    fn flush(&self) -> Result<bool> {
        let Some(name) = &self.name else {
            if leaves_out(Step::DirSync) {
                return Ok(true);
            }
            return flush::directory(&self.level).named("fsync").map_err(|error| error.about(&*self.path));
        };
        if leaves_out(Step::FileSync) || leaves_out(Step::TreeSync) {
            return Ok(true);
        }
        let synced = retry_transient(|| self.level.open_to_flush(name).named("open"))
            .and_then(|file| flush::file(&file).named("fsync"));
        synced.map_err(|error| error.about(self.path.join(name)))
    }
}

struct Taker<'crew, 'scope, 'env> {
    crew: &'crew mut Crew<'scope, 'env, Work>,
    census: Census,
    flush: bool,
    cancel: &'crew Cancel,
    /// Counted and flushed by the caller.
    root: &'crew Path,
}

impl Taker<'_, '_, '_> {
    fn flush(&mut self, level: &Arc<Dir>, name: Option<OsString>, path: &Arc<Path>) -> Result<()> {
        if !self.flush {
            return Ok(());
        }
        self.crew.give(Work { level: level.clone(), name, path: path.clone() })
    }
}

impl Visitor<Dir> for Taker<'_, '_, '_> {
    fn look(&mut self, level: &Arc<Dir>, path: &Path) -> Result<Vec<OsString>> {
        self.census.directories += u64::from(path != self.root);
        let path: Arc<Path> = path.into();
        let mut directories = Vec::new();
        let entries =
            retry_transient(|| level.entries().named("scandir")).map_err(|error| error.about(&*path))?;
        for (name, _) in entries {
            self.cancel.check()?;
            let stat = level.stat(&name).named("lstat").map_err(|error| error.about(path.join(&name)))?;
            // Gone again: a builder that is still at work removed it, and does not want it in the tree.
            let Some(stat) = stat else { continue };
            // It would be published, and removed by the next write there.
            if names::is_temp(&name) {
                return Err(Error::swept("scandir").about(path.join(name)));
            }
            match stat.kind {
                Kind::Directory => directories.push(name),
                Kind::Symlink => self.census.links += 1,
                Kind::File => {
                    self.census.files += 1;
                    self.census.bytes += stat.version.size;
                    self.flush(level, Some(name), &path)?;
                }
                Kind::Other(what) => {
                    return Err(Error::from(ErrorKind::NotRegular { what }).about(path.join(name)));
                }
            }
        }
        Ok(directories)
    }

    fn left(&mut self, _level: &Dir, _name: &OsStr, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn done(&mut self, level: &Arc<Dir>, path: &Path) -> Result<()> {
        if path == self.root { Ok(()) } else { self.flush(level, None, &path.into()) }
    }
}
