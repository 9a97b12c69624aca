//! What transactions have left: staged files, and in the folder of a root the marks of dead processes.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use crate::dir::{Directory, names};
use crate::error::Result;
use crate::sweep::sweeper::{Sweeper, Verdict, age};
use crate::sweep::{Leftover, Purpose, Reason};
use crate::sys::Dir;
use crate::transaction::root::{FOLDER, JOURNAL, Root, is_mark};
use crate::transaction::staged::{Fate, Roots};

impl Sweeper<'_> {
    /// Removes of `names` in `dir` what dead processes have staged.
    pub(super) fn staged(&mut self, dir: &Directory, path: &Path, names: Vec<OsString>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut roots = Roots::around(&dir.path().unwrap_or_default());
        for name in names {
            self.cancel.check()?;
            let Some(found) = found(dir, path, &name, Purpose::Staged) else { continue };
            self.judge(found, |sweeper, _| {
                let verdict = match roots.fate(dir, &name) {
                    Fate::Orphan => sweeper.unlink(dir, &name),
                    Fate::Live => Verdict::Kept(Reason::InUse),
                    Fate::Pending => Verdict::Kept(Reason::Pending),
                    Fate::OnlyCopy => Verdict::Kept(Reason::OnlyCopy),
                    // Its tree was moved out of its root, or the folder of the root is gone.
                    Fate::Unknown => Verdict::Kept(Reason::Undecided),
                };
                (verdict, None)
            });
        }
        Ok(())
    }

    /// Whether `name` in `dir`, a directory, is the folder of a root. If it is, it is swept.
    pub(super) fn is_root(&mut self, dir: &Arc<Directory>, path: &Path, name: &OsStr) -> bool {
        if name != FOLDER {
            return false;
        }
        let path = path.join(name);
        match Root::open(dir) {
            Ok(None) => return false,
            Ok(Some(root)) => self.folder(&root, &path),
            Err(error) => self.report.errors.push(error.about(path)),
        }
        true
    }

    fn folder(&mut self, root: &Root, path: &Path) {
        let folder = root.folder();
        match root.read() {
            Ok(journal) if journal.pending().is_some() => {
                if let Some(found) = found(folder, path, JOURNAL.as_ref(), Purpose::Journal) {
                    let is_live = root.try_lock().is_ok_and(|root_lock| root_lock.is_none());
                    let reason = if is_live { Reason::InUse } else { Reason::Pending };
                    self.judge(found, |_, _| (Verdict::Kept(reason), None));
                }
            }
            Ok(_) => {}
            Err(error) => self.report.errors.push(error.about(path.join(JOURNAL))),
        }
        let Ok(entries) = folder.names() else { return };
        let names: Vec<_> = entries.filter(|name| is_mark(name) || names::is_temp(name)).collect();
        if names.is_empty() {
            return;
        }
        let root_lock = root.try_lock();
        for name in names {
            let purpose = if is_mark(&name) { Purpose::Mark } else { Purpose::Temp };
            let Some(found) = found(folder, path, &name, purpose) else { continue };
            self.judge(found, |sweeper, path| {
                let verdict = match &root_lock {
                    Ok(Some(_)) => sweeper.temp(folder, &name, path),
                    Ok(None) => Verdict::Kept(Reason::InUse),
                    Err(_) => Verdict::Kept(Reason::Undecided),
                };
                (verdict, None)
            });
        }
    }
}

/// What is there by this name. What cannot be asked for is gone, as a rule.
fn found(dir: &Dir, path: &Path, name: &OsStr, purpose: Purpose) -> Option<Leftover> {
    let stat = dir.stat(name).ok().flatten()?;
    let age = age(stat.version.changed);
    Some(Leftover { path: path.join(name), purpose, size: stat.version.size, age })
}
