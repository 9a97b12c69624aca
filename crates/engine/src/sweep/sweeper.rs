//! Goes through directories, and decides of each name of ours whether it may go. Neither links nor mounts are followed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::dir::names::{self, Ours};
use crate::dir::orphan::{self, Taken};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::lock::holder::Holder;
use crate::lock::left::{self, Left, State};
use crate::process::retry_transient;
use crate::stats;
use crate::sweep::{Kept, Leftover, Options, Purpose, Reason, Report};
use crate::sys::{self, Dir, FileId, Kind, Stat};
use crate::walk::remove::remove_unless;
use crate::walk::{Node, Visitor, walk};

/// A sweep under way.
pub struct Sweeper<'a> {
    pub(super) options: Options,
    pub(super) cancel: &'a Cancel,
    pub(super) report: Report,
}

/// What is to be said of a leftover.
pub(super) enum Verdict {
    /// It is gone, or would be.
    Removed,
    /// It stays.
    Kept(Reason),
    /// Somebody else has removed it.
    Gone,
}

/// A directory on the way.
pub(super) struct Level(pub Arc<Directory>);

impl Node for Level {
    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let opened = retry_transient(|| Directory::open_own(&self.0, Path::new(name)).named("open"));
        opened.map(Self).map_err(number)
    }

    fn back(&self) -> io::Result<Self> {
        Directory::open(Some(&self.0), Path::new(".."), false).map(Self).map_err(number)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(self.0.id().clone())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn number(error: Error) -> io::Error {
    error.errno_of("open").map_or_else(|| io::ErrorKind::Other.into(), io::Error::from_raw_os_error)
}

impl<'a> Sweeper<'a> {
    /// With nothing found yet.
    pub fn new(options: Options, cancel: &'a Cancel) -> Self {
        Self { options, cancel, report: Report::default() }
    }

    /// Sweeps `dir`; paths that are reported begin with `shown`.
    ///
    /// # Errors
    /// If the directory cannot be listed; [`ErrorKind::Aborted`].
    pub fn sweep(mut self, dir: Arc<Directory>, shown: &Path) -> Result<Report> {
        match walk(Arc::new(Level(dir)), shown, &mut self) {
            // Somebody has moved directories meanwhile: what is behind is not known.
            Err(error) if self.report.directories > 0 => self.failed(error)?,
            walked => walked?,
        }
        // A tree that is being removed when the caller cancels ends the walk no sooner than the next entry.
        self.cancel.check()?;
        Ok(self.report)
    }

    fn entry(&mut self, dir: &Arc<Directory>, path: PathBuf, name: &OsStr, purpose: Purpose, stat: &Stat) {
        let (size, changed) = match purpose {
            Purpose::Tree | Purpose::Previous => self.sum_of(dir, name, stat.version.changed),
            _ => (stat.version.size, stat.version.changed),
        };
        let leftover = Leftover { path, purpose, size, age: age(changed) };
        self.judge(leftover, |sweeper, path| match purpose {
            Purpose::Previous | Purpose::Lost => (Verdict::Kept(Reason::OnlyCopy), None),
            Purpose::Lock => sweeper.lock(dir, name),
            _ => (sweeper.temp(dir, name, path), None),
        });
    }

    /// Has `found` decided upon, by its path, unless it is too young to be removed; and reports it.
    pub(super) fn judge(
        &mut self,
        found: Leftover,
        decide: impl FnOnce(&Self, &Path) -> (Verdict, Option<Holder>),
    ) {
        let may_go = !matches!(found.purpose, Purpose::Previous | Purpose::Lost | Purpose::Journal);
        let (verdict, holder) = if may_go && found.age < self.options.older_than {
            (Verdict::Kept(Reason::Recent), None)
        } else {
            decide(self, &found.path)
        };
        self.tell(found, verdict, holder);
    }

    /// A file or a tree with a temp name.
    pub(super) fn temp(&self, dir: &Dir, name: &OsStr, path: &Path) -> Verdict {
        match orphan::take(dir, name) {
            Ok(Taken::File(_held)) => self.unlink(dir, name),
            Ok(Taken::Tree(_)) if self.options.dry_run => Verdict::Removed,
            Ok(Taken::Tree(_held)) => match remove_unless(self.cancel, dir, name, path) {
                Ok(()) => Verdict::Removed,
                Err(error) => Verdict::Kept(Reason::Failed(Box::new(error))),
            },
            Ok(Taken::Held) => Verdict::Kept(Reason::InUse),
            Ok(Taken::NotOurs) => Verdict::Kept(Reason::NotYours),
            Ok(Taken::Gone) => Verdict::Gone,
            Err(error) => not_taken(Error::system("open", error)),
        }
    }

    fn lock(&self, dir: &Arc<Directory>, name: &OsStr) -> (Verdict, Option<Holder>) {
        match left::take(dir, name) {
            Ok(Some(Left { state, holder })) => {
                let verdict = match state {
                    State::Held => Verdict::Kept(Reason::InUse),
                    State::Pending => Verdict::Kept(Reason::Pending),
                    State::Silent => Verdict::Kept(Reason::Undecided),
                    State::Free(_held) => self.unlink(dir, name),
                };
                (verdict, holder)
            }
            Ok(None) => (Verdict::Gone, None),
            Err(error) => (not_taken(error), None),
        }
    }

    pub(super) fn unlink(&self, dir: &Dir, name: &OsStr) -> Verdict {
        if self.options.dry_run {
            return Verdict::Removed;
        }
        match dir.unlink(name) {
            Ok(()) => Verdict::Removed,
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Verdict::Gone,
            Err(error) => Verdict::Kept(Reason::Failed(Box::new(Error::system("unlink", error)))),
        }
    }

    fn tell(&mut self, leftover: Leftover, verdict: Verdict, holder: Option<Holder>) {
        match verdict {
            Verdict::Gone => {}
            Verdict::Removed => {
                if !self.options.dry_run {
                    stats::swept();
                }
                self.report.removed.push(leftover);
            }
            Verdict::Kept(Reason::Failed(error)) => {
                let error =
                    if error.other_path().is_some() { error } else { Box::new(error.about(&leftover.path)) };
                self.report.kept.push(Kept { leftover, reason: Reason::Failed(error), holder });
            }
            Verdict::Kept(reason) => self.report.kept.push(Kept { leftover, reason, holder }),
        }
    }

    /// The size of a tree and its newest change, as far as they can be seen.
    fn sum_of(&self, dir: &Dir, name: &OsStr, changed: i128) -> (u64, i128) {
        let mut sum = Sum { cancel: self.cancel, size: 0, changed };
        if let Ok(root) = dir.open_own_child(name) {
            drop(walk(Arc::new(root), Path::new(""), &mut sum));
        }
        (sum.size, sum.changed)
    }
}

impl Visitor<Level> for Sweeper<'_> {
    fn look(&mut self, level: &Arc<Level>, path: &Path) -> Result<Vec<OsString>> {
        let dir = &level.0;
        let failed = |error: io::Error| Error::system("scandir", error).about(path);
        let entries =
            retry_transient(|| dir.each_entry().named("scandir")).map_err(|error| error.about(path))?;
        self.report.directories += 1;
        let (mut below, mut staged) = (Vec::new(), Vec::new());
        for entry in entries {
            self.cancel.check()?;
            let (name, mut kind) = entry.map_err(failed)?;
            let ours = names::ours(&name);
            if ours.is_none() && kind.is_some_and(|kind| kind != Kind::Directory) {
                continue;
            }
            if ours.is_some() || kind.is_none() {
                // What cannot be asked for is gone, as a rule.
                let Ok(Some(stat)) = dir.stat(&name) else { continue };
                kind = Some(stat.kind);
                let purpose = match (ours, stat.kind) {
                    (Some(Ours::Temp), Kind::File) => Some(Purpose::Temp),
                    (Some(Ours::Temp), Kind::Directory) => Some(Purpose::Tree),
                    (Some(Ours::Old), Kind::Directory) => Some(Purpose::Previous),
                    (Some(Ours::Lost), Kind::File) => Some(Purpose::Lost),
                    (Some(Ours::Lock), Kind::File) => Some(Purpose::Lock),
                    (Some(Ours::Staged), Kind::File) => {
                        staged.push(name);
                        continue;
                    }
                    _ => None,
                };
                if let Some(purpose) = purpose {
                    self.entry(dir, path.join(&name), &name, purpose, &stat);
                    continue;
                }
            }
            if kind == Some(Kind::Directory) && !self.is_root(dir, path, &name) && self.options.recursive {
                below.push(name);
            }
        }
        self.staged(dir, path, staged)?;
        Ok(below)
    }

    fn left(&mut self, _level: &Level, _name: &OsStr, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn failed(&mut self, error: Error) -> Result<()> {
        match error.errno_of("open") {
            _ if matches!(error.kind(), ErrorKind::Aborted) => return Err(error),
            Some(sys::EXDEV) => self.report.mounts.extend(error.other_path().map(Path::to_owned)),
            // Gone, or something else by now.
            Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP) => {}
            _ => self.report.errors.push(error),
        }
        Ok(())
    }
}

/// How large the files of a tree are together, and when the last of all entries was changed.
struct Sum<'a> {
    cancel: &'a Cancel,
    size: u64,
    changed: i128,
}

impl Visitor<Dir> for Sum<'_> {
    fn look(&mut self, level: &Arc<Dir>, _path: &Path) -> Result<Vec<OsString>> {
        let mut below = Vec::new();
        for entry in level.each_entry().named("scandir")? {
            self.cancel.check()?;
            let (name, _) = entry.named("scandir")?;
            let Some(stat) = level.stat(&name).ok().flatten() else { continue };
            self.changed = self.changed.max(stat.version.changed);
            match stat.kind {
                Kind::Directory => below.push(name),
                Kind::File => self.size += stat.version.size,
                _ => {}
            }
        }
        Ok(below)
    }

    fn left(&mut self, _level: &Dir, _name: &OsStr, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn failed(&mut self, error: Error) -> Result<()> {
        if matches!(error.kind(), ErrorKind::Aborted) { Err(error) } else { Ok(()) }
    }
}

/// Why nothing could be found out, or done.
pub(super) fn not_taken(error: Error) -> Verdict {
    Verdict::Kept(match error.kind() {
        ErrorKind::NoLocks { .. } => Reason::Undecided,
        ErrorKind::System { source, .. } => match source.raw_os_error() {
            Some(sys::ENOENT) => return Verdict::Gone,
            Some(errno) if sys::has_no_locks(errno) => Reason::Undecided,
            _ if source.kind() == io::ErrorKind::PermissionDenied => Reason::NotYours,
            _ => Reason::Failed(Box::new(error)),
        },
        _ => Reason::Failed(Box::new(error)),
    })
}

/// Since then, in nanoseconds since 1970.
pub(super) fn age(changed: i128) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().cast_signed();
    Duration::from_nanos(u64::try_from(now - changed).unwrap_or(0))
}
