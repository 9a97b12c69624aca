//! Mounts one crash state after the other and checks each. After a cut in transactions, what is pending is recovered first;
//! and the recovery itself may be recorded, and the power cut in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use fastrand::Rng;

use super::check::check;
use super::history::Window;
use super::names::NOISE;
use super::record::{Recording, make_noise};
use super::setting::Setting;
use super::states::{State, epochs, sample, written};
use super::together::{self, Recoverer, Recoverers};
use super::work::Promises;
use crate::disk::drive::Drive;
use crate::disk::filesystem::Kind;
use crate::disk::image::Image;
use crate::disk::mounted::Mounted;
use crate::disk::recorder::Recorder;
use crate::lab::stop;
use crate::report::Row;
use crate::report::problem::{Harm, Problem};

/// How many states of a recovery are checked.
const AGAIN: usize = 12;

/// A recording that is replayed.
#[derive(Debug)]
pub struct Replay<'a> {
    kind: &'a Kind,
    recording: &'a Recording,
    /// For transactions.
    recoverers: Option<&'a Recoverers>,
    image: Image,
    setting: Setting,
    folder: PathBuf,
    epoch: usize,
    /// Of a recovery: when the power had been cut before it.
    window: Option<Window>,
    has_recovered: bool,
}

impl<'a> Replay<'a> {
    /// Nothing has reached the medium yet. Works in `folder`.
    pub fn new(
        kind: &'a Kind,
        setting: Setting,
        recording: &'a Recording,
        recoverers: Option<&'a Recoverers>,
        folder: &Path,
    ) -> Result<Self> {
        let image = Image::new(&folder.join("replay"), kind.size, recording.base.clone())?;
        let folder = folder.to_owned();
        let (epoch, window, has_recovered) = (0, None, false);
        Ok(Self { kind, recording, recoverers, image, setting, folder, epoch, window, has_recovered })
    }

    /// What is wrong with a state. The states come in the order of their epochs.
    pub fn look(&mut self, state: &State) -> Result<Option<Problem>> {
        let log = &self.recording.log;
        for epoch in &epochs(log)[self.epoch..state.epoch] {
            let pages = written(log, epoch.clone(), self.image.below());
            self.image.settle(pages)?;
        }
        self.epoch = state.epoch;
        let pages = state.image(log, self.image.below());
        self.image.show(&pages)?;
        self.has_recovered = false;
        let broken = |error: anyhow::Error| Ok(Some(Harm::Torn.problem(format!("{error:#}"))));
        let only_read = self.recoverers.is_none();
        let disk =
            match Mounted::mount(self.kind.name, self.image.path(), &self.folder.join("state"), only_read) {
                Ok(disk) => disk,
                Err(error) => return broken(error),
            };
        let merged = self.folder.join("merged");
        let over = if only_read {
            self.setting.look(disk.folder(), &merged)
        } else {
            self.setting.enter(disk.folder(), &merged)
        };
        let over = match over {
            Ok(over) => over,
            Err(error) => return broken(error),
        };
        let checked =
            self.check(over.as_ref().unwrap_or(&disk).folder(), self.window.unwrap_or(state.window))?;
        over.map(Mounted::unmount).transpose()?;
        disk.unmount()?;
        Ok(checked.err())
    }

    fn check(&mut self, root: &Path, window: Window) -> Result<Result<(), Problem>> {
        let history = match &*self.recording.promises {
            Promises::Files(history) => return Ok(check(root, history, window)),
            Promises::Together(history) => history,
        };
        if let Err(problem) = together::check(root, history, window, false) {
            return Ok(Err(problem.at("before recovery")));
        }
        let recoverers = self.recoverers.context("nobody recovers")?;
        match quietly(&recoverers.quick, root)? {
            Err(problem) => return Ok(Err(problem)),
            Ok(has_recovered) => self.has_recovered = has_recovered,
        }
        Ok(together::check(root, history, window, true))
    }

    /// Whether there was something to recover in the last state.
    pub fn has_recovered(&self) -> bool {
        self.has_recovered
    }

    /// Records the recovery after the last state, and adds states in which it is cut itself to `row`.
    pub fn cut_again(&self, state: &State, rng: &mut Rng, row: &mut Row) -> Result<()> {
        let mut base = self.image.below().clone();
        base.absorb(&state.image(&self.recording.log, self.image.below()));
        let folder = self.folder.join("again");
        std::fs::create_dir_all(&folder)?;
        let recorder = Arc::new(Recorder::new(self.kind.size, base));
        let drive = Drive::serve(recorder.clone(), &folder.join("record"))?;
        let base = recorder.start();
        let disk = Mounted::mount(self.kind.name, &drive.image(), &folder.join("mounted"), false)?;
        let over = self.setting.enter(disk.folder(), &folder.join("merged"))?;
        let stop = AtomicBool::new(false);
        let recovered = std::thread::scope(|scope| {
            let noise = disk.folder().join(NOISE);
            let noise = scope.spawn(|| {
                let noise = noise;
                make_noise(&noise, &stop)
            });
            let recoverers = self.recoverers.context("nobody recovers");
            let root = over.as_ref().unwrap_or(&disk).folder();
            let recovered = recoverers.and_then(|recoverers| quietly(&recoverers.slow, root));
            stop.store(true, Ordering::Relaxed);
            noise.join().map_err(|_| anyhow::anyhow!("the noise panicked"))?.context("noise")?;
            recovered
        })?;
        let log = recorder.log();
        over.map(Mounted::unmount).transpose()?;
        disk.unmount()?;
        drop(drive);
        if let Err(problem) = recovered {
            row.count(Some(problem));
            return Ok(());
        }
        let recording = Recording { base, log, promises: self.recording.promises.clone() };
        let states = sample(&recording.log, &recording.base, AGAIN, rng);
        let mut replay = Replay::new(self.kind, self.setting, &recording, self.recoverers, &folder)?;
        replay.window = Some(state.window);
        for state in &states {
            if stop::is_asked() {
                row.interrupted = true;
                break;
            }
            row.count(replay.look(state)?.map(|problem| problem.at("cut again in the recovery")));
        }
        Ok(std::fs::remove_dir_all(folder)?)
    }
}

/// Whether there was something to recover.
fn quietly(recoverer: &Mutex<Recoverer>, root: &Path) -> Result<Result<bool, Problem>> {
    recoverer.lock().unwrap_or_else(PoisonError::into_inner).recover(root)
}
