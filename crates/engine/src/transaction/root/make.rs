//! What a root has in `.atomic`, made before its first transaction.

use std::ffi::OsStr;
use std::io::Write;
use std::sync::Arc;

use super::{FOLDER, IGNORE, JOURNAL, LOCK, Root, TURN, new_tag};
use crate::dir::place::moved;
use crate::dir::{Directory, names};
use crate::error::{Error, Named, Result};
use crate::process::flush;
use crate::sys::{self, Dir};
use crate::transaction::journal::{LENGTH, STATE_LENGTH, State};

impl Root {
    pub(super) fn make(dir: &Arc<Directory>) -> Result<Self> {
        let about = |error: Error| match dir.path() {
            Ok(path) => error.about(path.join(FOLDER)),
            Err(_) => error,
        };
        Self::try_make(dir).map_err(about)
    }

    fn try_make(dir: &Arc<Directory>) -> Result<Self> {
        let mode = dir.stat_self().named("fstat")?.access.mode & 0o777;
        let is_new = match dir.make_dir_with(FOLDER.as_ref(), 0o700) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => false,
            Err(error) => return Err(error).named("mkdir"),
        };
        let folder = Self::open_folder(dir).named("open")?;
        if is_new {
            // As far as the file system permits.
            drop(sys::set_mode(&folder.as_file().named("open")?, mode, &|_, _| true));
        }
        // All who may change the directory take part, and all who may read it read the journal.
        let writers =
            0o600 | if mode & 0o020 != 0 { 0o060 } else { 0 } | if mode & 0o002 != 0 { 0o006 } else { 0 };
        let file = |name: &str, mode, content: &[u8]| match folder.create_new(name.as_ref(), 0o600) {
            Ok(mut file) => {
                drop(sys::set_mode(&file, mode, &|_, _| true));
                file.write_all(content)
            }
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => Ok(()),
            Err(error) => Err(error),
        };
        file(LOCK, writers, b"").named("open")?;
        file(TURN, writers, b"").named("open")?;
        file(IGNORE.0, writers | mode & 0o044, IGNORE.1).named("open")?;
        Self::make_journal(&folder, writers | mode & 0o044)?;
        Self::with(dir, folder)?.ok_or_else(moved)
    }

    pub(super) fn make_journal(folder: &Dir, mode: u32) -> Result<()> {
        let (name, mut file) = loop {
            let temp = |name: &OsStr| folder.create_new(name, 0o600);
            let (name, file) = names::with_temp_name(JOURNAL.as_ref(), temp).named("open")?;
            // A sweeper may have found it before it was locked.
            if sys::hold(&file) && folder.is_same(&name, &file).named("fstat")? {
                break (name, file);
            }
        };
        let mut fill = || {
            drop(sys::set_mode(&file, mode, &|_, _| true));
            // Zeros that are written: no metadata changes with a record, whose flush is then one of data alone.
            let mut content = vec![0; LENGTH];
            content[..STATE_LENGTH].copy_from_slice(&State { root: new_tag(), ..State::default() }.encode());
            file.write_all(&content).named("write")?;
            flush::file(&file).named("fsync")
        };
        let named = fill().and_then(|_| match folder.rename_new(&name, JOURNAL.as_ref()) {
            Ok(true) => Ok(()),
            // Without a step that refuses a taken name there may be two makers at once: the last journal counts, and
            // neither has a record yet.
            Ok(false) => folder.rename(&name, folder, JOURNAL.as_ref()).named("rename"),
            // There is one by now.
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => Ok(()),
            Err(error) => Err(error).named("rename"),
        });
        // It may be the name of nothing by now.
        drop(folder.unlink(&name));
        named
    }
}
