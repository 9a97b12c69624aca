//! Which processes stage files below a root: each has a locked file in `.atomic` as long as it lives, whose name is in the names
//! of the files that it stages.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::sync::Mutex;

use super::{LIVE, Root, new_tag};
use crate::dir::names;
use crate::dir::orphan::{self, Taken};
use crate::error::{Named, Result};
use crate::lock::sidecar::not_locked;
use crate::process::lock;
use crate::sys::{self, Dir, FileId};
use crate::transaction::journal::Tag;

impl Root {
    /// What this process puts into the names of the files that it stages here. As long as it lives, nobody sweeps them.
    ///
    /// # Errors
    /// Those of making a file.
    pub fn process_tag(&self) -> Result<String> {
        static TAGS: Mutex<Option<HashMap<FileId, (String, File)>>> = Mutex::new(None);
        let mut tags = lock(&TAGS);
        let tags = tags.get_or_insert_default();
        if let Some((tag, file)) = tags.get(&self.folder_id)
            && self.folder.is_same(format!("{tag}{LIVE}").as_ref(), file).unwrap_or(false)
        {
            return Ok(tag.clone());
        }
        loop {
            let tag = String::from_utf8_lossy(&new_tag()).into_owned();
            // A staged file would look like one that was taken away.
            if tag == self.tag_text()? {
                continue;
            }
            let name = format!("{tag}{LIVE}");
            let file = match self.folder.create_new(name.as_ref(), 0o600) {
                Err(error) if error.raw_os_error() == Some(sys::EEXIST) => continue,
                made => made.named("open").map_err(|error| self.about(error))?,
            };
            // A sweeper may have found it before it was locked.
            if sys::try_lock(&file).map_err(not_locked)?
                && self.folder.is_same(name.as_ref(), &file).named("stat")?
            {
                tags.insert(self.folder_id.clone(), (tag.clone(), file));
                // Each process leaves one, and most leave nothing that is to be recovered.
                if let Ok(Some(_root_lock)) = self.try_lock() {
                    self.sweep();
                }
                return Ok(tag);
            }
        }
    }

    /// Whether the process with this tag lives. When in doubt, it does.
    pub fn is_alive(&self, tag: &str) -> bool {
        match self.folder.open_orphan(format!("{tag}{LIVE}").as_ref()) {
            Ok(orphan) => orphan.is_none(),
            Err(error) => error.raw_os_error() != Some(sys::ENOENT),
        }
    }

    /// Removes what dead processes have left in `.atomic`. The caller has the lock.
    pub fn sweep(&self) {
        let Ok(entries) = self.folder.names() else { return };
        for name in entries.filter(|name| is_mark(name) || names::is_temp(name)) {
            // Locked until it is gone: its maker may be about to lock it, and then makes another one.
            if let Ok(Taken::File(_held)) = orphan::take(&self.folder, &name) {
                drop(self.folder.unlink(&name));
            }
        }
    }

    /// The characters that are in the names of all files of this root.
    ///
    /// # Errors
    /// As [`Root::tag`].
    pub fn tag_text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.tag()?).into_owned())
    }

    /// What the folder consists of.
    pub fn folder(&self) -> &Dir {
        &self.folder
    }
}

/// Whether a name in the folder is that of a process.
pub fn is_mark(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_suffix(LIVE)).is_some_and(|tag| tag.len() == size_of::<Tag>())
}
