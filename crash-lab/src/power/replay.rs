//! Mounts one crash state after the other and looks at each.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::check::check;
use super::history::History;
use super::image::Image;
use super::record::Recording;
use super::states::{State, epochs, written};
use crate::filesystem::{Kind, Mounted};
use crate::recorder::Entry;

/// A recording that is played again.
#[derive(Debug)]
pub struct Replay<'a> {
    kind: &'a Kind,
    log: &'a [Entry],
    history: &'a History,
    image: Image,
    folder: PathBuf,
    epoch: usize,
}

impl<'a> Replay<'a> {
    /// Nothing has reached the medium yet. Works in `folder`.
    pub fn new(kind: &'a Kind, recording: &'a Recording, folder: &Path) -> Result<Self> {
        let image = Image::new(&folder.join("replay"), kind.size, recording.base.clone())?;
        let Recording { log, history, .. } = recording;
        Ok(Self { kind, log, history, image, folder: folder.join("state"), epoch: 0 })
    }

    /// What is wrong with a state. They come in the order of their epochs.
    pub fn look(&mut self, state: &State) -> Result<Option<String>> {
        for epoch in &epochs(self.log)[self.epoch..state.epoch] {
            let pages = written(self.log, epoch.clone(), self.image.below());
            self.image.settle(pages)?;
        }
        self.epoch = state.epoch;
        let pages = state.image(self.log, self.image.below());
        self.image.show(&pages)?;
        let mounted = match Mounted::mount(self.kind, self.image.path(), &self.folder, true) {
            Ok(mounted) => mounted,
            Err(error) => return Ok(Some(format!("cannot be mounted: {error:#}"))),
        };
        let problem = check(mounted.folder(), self.history, state.window);
        mounted.unmount()?;
        Ok(problem)
    }
}
