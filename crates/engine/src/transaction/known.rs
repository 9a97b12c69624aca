//! What this process knows to be on disk, because it has flushed it and nothing has changed since.
//!
//! A record names what each file was before. If that was not on disk, a power cut can bring back what was there before it,
//! and recovery would take that for somebody's change. So what is not known is flushed before the record, which costs a round
//! of flushes; transactions that follow each other need it once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use crate::dir::Directory;
use crate::process;
use crate::sys::{FileId, Version};

/// A process that works on more than this does not return to each soon.
const MOST: usize = 4096;

#[derive(Default)]
struct Known {
    directories: HashMap<FileId, Times>,
    files: HashMap<FileId, Version>,
}

impl Known {
    fn note_file(&mut self, version: Version, replaced: Option<&FileId>) {
        // Or those that are gone would soon drive out those that are there.
        replaced.map(|replaced| self.files.remove(replaced));
        if self.files.len() >= MOST {
            self.files.clear();
        }
        self.files.insert(version.id.clone(), version);
    }
}

/// Those of a directory's last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times(i128, i128);

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

fn known() -> MutexGuard<'static, Option<Known>> {
    process::lock(&KNOWN)
}

/// The times of a directory, to be asked before it is flushed. `None`: they tell nothing here.
pub fn times(dir: &Directory) -> Option<Times> {
    if !dir.file_system().tells_changes {
        return None;
    }
    let times = dir.stat_self().ok().map(|stat| Times(stat.version.modified, stat.version.changed));
    times.filter(|times| is_fine(times.1))
}

/// Whether the time of a change is finer than a second: on an ext4 with small inodes it is not, and tells nothing.
/// (One of a thousand million others is taken for such a time, and costs a flush.)
fn is_fine(changed: i128) -> bool {
    changed % 1_000_000_000 != 0
}

/// The names in `dir` are on disk as of these times.
pub fn note_directory(dir: &Directory, times: Option<Times>) {
    let Some(times) = times else { return };
    let mut known = known();
    let Known { directories, .. } = known.get_or_insert_default();
    if directories.len() >= MOST {
        directories.clear();
    }
    directories.insert(dir.id().clone(), times);
}

/// Whether all names in `dir` are on disk.
pub fn has_directory(dir: &Directory) -> bool {
    let times = times(dir);
    times.is_some() && known().as_ref().is_some_and(|known| known.directories.get(dir.id()).copied() == times)
}

/// A file is on disk as of this version. `replaced`: the one that had its name before.
pub fn note_file(dir: &Directory, version: Version, replaced: Option<&FileId>) {
    if dir.file_system().tells_changes && is_fine(version.changed) {
        known().get_or_insert_default().note_file(version, replaced);
    }
}

/// Whether the content of a file is on disk.
pub fn has_file(version: &Version) -> bool {
    known().as_ref().is_some_and(|known| known.files.get(&version.id) == Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: usize) -> Version {
        Version { id: FileId::for_tests(&name.to_string()), size: 1, modified: 0, changed: 1, links: 1 }
    }

    #[test]
    fn files_that_are_replaced_again_and_again_drive_out_no_others() {
        let mut known = Known::default();
        known.note_file(version(0), None);
        for name in 1..2 * MOST {
            known.note_file(version(name), (name > 1).then(|| version(name - 1).id).as_ref());
        }
        assert_eq!(known.files.len(), 2);
        assert!(known.files.contains_key(&version(0).id));
    }
}
