//! What is between the workload and the disk: nothing, a filter, or an overlay whose folders are all on the disk.
//!
//! The lower folder holds the first version of some targets, so that the overlay has to copy them up.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::history::{Filler, History, Index, Update, Version, index_text};
use super::work::Work;
use crate::disk::mounted::Mounted;
use crate::lab::staging::Staging;
use crate::walk::scene::repeated;

/// Files of the workload that are in the lower folder at first; one is in a folder that only the lower one has.
const BELOW: [&str; 2] = ["steady", "below/deep"];
const INDEX_BELOW: &str = "index.json";

/// A file and an index that are mounted on themselves, so that they cannot be replaced.
const IN_PLACE: &str = "in-place";
const INDEX_IN_PLACE: &str = "in-place.json";

/// A way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    Plain,
    /// `O_TMPFILE` and hard links are refused: staged files have a temp name from the start.
    Named,
    Overlay,
    /// An overlay that drops every flush: no result may say `durable: true`.
    Volatile,
}

impl Setting {
    /// For a table; empty for the usual way.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Named => "temp names",
            Self::Overlay => "overlay",
            Self::Volatile => "overlay, volatile",
        }
    }

    /// How the library can stage files there.
    pub fn staging(self) -> Staging {
        if self == Self::Named { Staging::Named } else { Staging::Unnamed }
    }

    fn is_overlay(self) -> bool {
        matches!(self, Self::Overlay | Self::Volatile)
    }

    /// Prepares `disk` before anything is recorded. Returns what the workload will find.
    pub fn lay(self, work: Work, disk: &Path, size: usize) -> Result<History> {
        let mut before = History::default();
        if !self.is_overlay() {
            return Ok(before);
        }
        let [lower, upper, inner] = ["lower", "upper", "work"].map(|name| disk.join(name));
        // A folder that only the lower one has.
        let below = if work == Work::Together { "blog" } else { "below" };
        for folder in [&lower.join(below), &upper, &inner] {
            fs::create_dir_all(folder)?;
        }
        if work == Work::Together {
            return Ok(before);
        }
        for path in BELOW {
            first_version(&lower, path, size, &mut before)?;
        }
        first_index(&lower, INDEX_BELOW, size, &mut before)?;
        Ok(before)
    }

    /// Mounts the overlay over `disk` at `merged`. `None`: the workload runs on the disk itself.
    pub fn enter(self, disk: &Path, merged: &Path) -> Result<Option<Mounted>> {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| disk.join(name));
        let volatile = self == Self::Volatile;
        let mount = || Mounted::overlay(&[&lower], Some((&upper, &work)), volatile, merged);
        self.is_overlay().then(mount).transpose()
    }

    /// Makes what is overwritten in `folder`, where the workload runs.
    pub fn lay_in_place(folder: &Path, size: usize, before: &mut History) -> Result<Vec<Mounted>> {
        first_version(folder, IN_PLACE, size, before)?;
        first_index(folder, INDEX_IN_PLACE, size, before)?;
        let names = [IN_PLACE, INDEX_IN_PLACE];
        before.in_place.extend(names.map(str::to_owned));
        names.into_iter().map(|name| Mounted::on_itself(&folder.join(name))).collect()
    }

    /// As [`Setting::enter`], for a disk that can only be read.
    pub fn look(self, disk: &Path, merged: &Path) -> Result<Option<Mounted>> {
        let [lower, upper] = ["lower", "upper"].map(|name| disk.join(name));
        let mount = || Mounted::overlay(&[&upper, &lower], None, false, merged);
        self.is_overlay().then(mount).transpose()
    }
}

fn first_version(folder: &Path, path: &str, size: usize, before: &mut History) -> Result<()> {
    let bytes = repeated(&format!("from before {path}\n"), size);
    fs::write(folder.join(path), &bytes)?;
    before.files.insert(path.into(), vec![Version { started: None, durable: Some(0), bytes }]);
    Ok(())
}

fn first_index(folder: &Path, path: &str, size: usize, before: &mut History) -> Result<()> {
    let (filler, entry) = (Filler::from(&*"below".repeat(size / 5)), "from before".to_owned());
    fs::write(folder.join(path), index_text(&filler, &[&entry])?)?;
    let updates = vec![Update { started: None, durable: Some(0), entry, batch: 1 }];
    before.indexes.insert(path.into(), Index { filler, updates, ..Index::default() });
    Ok(())
}
