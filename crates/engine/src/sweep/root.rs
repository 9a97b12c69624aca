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
            self.judge(dir, path, &name, Purpose::Staged, |sweeper, _| match roots.fate(&name) {
                Fate::Orphan => sweeper.unlink(dir, &name),
                Fate::Live => Verdict::Kept(Reason::InUse),
                Fate::Pending => Verdict::Kept(Reason::Pending),
                // Its tree was moved out of its root, or the folder of the root is gone.
                Fate::Unknown => Verdict::Kept(Reason::Undecided),
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
                self.judge(folder, path, JOURNAL.as_ref(), Purpose::Journal, |_, _| {
                    let is_live = root.try_lock().is_ok_and(|root_lock| root_lock.is_none());
                    Verdict::Kept(if is_live { Reason::InUse } else { Reason::Pending })
                });
            }
            Ok(_) => {}
            Err(error) => self.report.errors.push(error.about(path.join(JOURNAL))),
        }
        let Ok(entries) = folder.names() else { return };
        let found: Vec<_> = entries.filter(|name| is_mark(name) || names::is_temp(name)).collect();
        if found.is_empty() {
            return;
        }
        let root_lock = root.try_lock();
        for name in found {
            let purpose = if is_mark(&name) { Purpose::Mark } else { Purpose::Temp };
            self.judge(folder, path, &name, purpose, |sweeper, path| match &root_lock {
                Ok(Some(_)) => sweeper.temp(folder, &name, path),
                Ok(None) => Verdict::Kept(Reason::InUse),
                Err(_) => Verdict::Kept(Reason::Undecided),
            });
        }
    }

    /// Looks at something, has it decided upon unless it is too young, and reports it.
    fn judge(
        &mut self,
        dir: &Dir,
        path: &Path,
        name: &OsStr,
        purpose: Purpose,
        decide: impl FnOnce(&Self, &Path) -> Verdict,
    ) {
        // What cannot be asked for is gone, as a rule.
        let Ok(Some(stat)) = dir.stat(name) else { return };
        let age = age(stat.version.changed);
        let leftover = Leftover { path: path.join(name), purpose, size: stat.version.size, age };
        let verdict = match purpose {
            Purpose::Journal => decide(self, &leftover.path),
            _ if age < self.options.older_than => Verdict::Kept(Reason::Recent),
            _ => decide(self, &leftover.path),
        };
        self.tell(leftover, verdict, None);
    }
}
