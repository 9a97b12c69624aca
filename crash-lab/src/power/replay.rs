//! Mounts one crash state after the other and checks each.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::check::check;
use super::history::History;
use super::record::Recording;
use super::setting::Setting;
use super::states::{State, epochs, written};
use crate::disk::filesystem::Kind;
use crate::disk::image::Image;
use crate::disk::mounted::Mounted;
use crate::disk::recorder::Entry;
use crate::report::problem::{Harm, Problem};

/// A recording that is replayed.
#[derive(Debug)]
pub struct Replay<'a> {
    kind: &'a Kind,
    log: &'a [Entry],
    history: &'a History,
    image: Image,
    setting: Setting,
    folder: PathBuf,
    epoch: usize,
}

impl<'a> Replay<'a> {
    /// Nothing has reached the medium yet. Works in `folder`.
    pub fn new(kind: &'a Kind, setting: Setting, recording: &'a Recording, folder: &Path) -> Result<Self> {
        let image = Image::new(&folder.join("replay"), kind.size, recording.base.clone())?;
        let Recording { log, history, .. } = recording;
        Ok(Self { kind, log, history, image, setting, folder: folder.to_owned(), epoch: 0 })
    }

    /// What is wrong with a state. The states come in the order of their epochs.
    pub fn look(&mut self, state: &State) -> Result<Option<Problem>> {
        for epoch in &epochs(self.log)[self.epoch..state.epoch] {
            let pages = written(self.log, epoch.clone(), self.image.below());
            self.image.settle(pages)?;
        }
        self.epoch = state.epoch;
        let pages = state.image(self.log, self.image.below());
        self.image.show(&pages)?;
        let broken = |error: anyhow::Error| Ok(Some(Harm::Torn.problem(format!("{error:#}"))));
        let disk = match Mounted::mount(self.kind.name, self.image.path(), &self.folder.join("state"), true) {
            Ok(disk) => disk,
            Err(error) => return broken(error),
        };
        let over = match self.setting.look(disk.folder(), &self.folder.join("merged")) {
            Ok(over) => over,
            Err(error) => return broken(error),
        };
        let checked = check(over.as_ref().unwrap_or(&disk).folder(), self.history, state.window);
        over.map(Mounted::unmount).transpose()?;
        disk.unmount()?;
        Ok(checked.err())
    }
}
