//! The version of an index that is about to be replaced is kept under another name.
//!
//! It is still an inode: a link keeps it, however large it is. Where that is not possible (another file system,
//! another user's file) its text is written once more.

use std::fs::File;

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target, names};
use crate::error::{Error, Named, Result};
use crate::index::options::UpdateOptions;
use crate::index::snapshot::Snapshot;
use crate::sys;
use crate::write::{Options, TempName, commit};

/// Keeps `old`, the version that `index` has now, if the options say where.
///
/// # Errors
/// Those of link(2) or of a write, [about](Error::other_path) the backup; `EINVAL` if that is the index itself.
pub fn back_up(index: &Target, old: &Snapshot, options: &UpdateOptions, cancel: &Cancel) -> Result<()> {
    let Some(path) = &options.backup else { return Ok(()) };
    Target::resolve(path, Resolve { mkdir: options.mkdir, exclusive: false })
        .and_then(|backup| keep(index, old, &backup, &options.commit, cancel))
        .map_err(|error| error.about(path))
}

fn keep(index: &Target, old: &Snapshot, backup: &Target, options: &Options, cancel: &Cancel) -> Result<()> {
    if backup.key() == index.key() {
        return Err(Error::raw("link", sys::EINVAL));
    }
    match backup.existing()? {
        // From an update that was cut short. Renaming one name of a file over another does nothing.
        Some(there) if there.version.id == old.version.id => return Ok(()),
        _ => {}
    }
    // A sweeper must not take the link for an orphan while it has its temp name. If another process has locked the
    // file, that lock serves too.
    sys::hold(&old.file);
    let linked = link_over(index, backup, options.flush.then_some(&old.file));
    sys::release(&old.file);
    match linked {
        Ok(()) if options.flush && backup.dir.id() != index.dir.id() => backup.dir.sync().map(drop),
        Err(error) if error.cannot_link() => {
            let mode = index.existing()?.map(|stat| stat.access.mode);
            let copy = Options { mode, exclusive: false, if_changed: false, ..options.clone() };
            commit::write(backup, &old.bytes()?, &copy, cancel).map(drop)
        }
        linked => linked,
    }
}

/// A second name for a file that is already there; the two are one inode, nothing is copied.
///
/// The content of `flush`, the open file, is flushed first: the program that wrote it may not have. An overlay
/// makes the two names one by copying the file up, unflushed (on btrfs it was empty after a power cut):
/// there the copy is flushed, by its new name.
///
/// # Errors
/// `EXDEV`, `EPERM`, `EMLINK`, … where links cannot be made; nothing has changed then.
fn link_over(from: &Target, to: &Target, flush: Option<&File>) -> Result<()> {
    let copies_up = flush.is_some() && from.dir.copies_up();
    if let (Some(file), false) = (flush, copies_up) {
        sys::sync_file(file).named("fsync")?;
    }
    let (name, ()) =
        names::with_temp_name(&to.name, |name| from.dir.link(&from.name, &to.dir, name)).named("link")?;
    let mut temp = TempName { dir: to.dir.clone(), name };
    if copies_up {
        let file = to.dir.open_file(&temp.name).named("open")?;
        sys::hold(&file);
        sys::sync_file(&file).named("fsync")?;
    }
    temp.replace(to)
}
