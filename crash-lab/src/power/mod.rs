//! Section 1: the power is cut at block level, at every moment of a workload.

mod check;
mod history;
mod image;
mod names;
mod record;
mod replay;
pub mod setting;
mod states;
mod trees;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::filesystem::{KINDS, Kind};
use crate::lab::Lab;
use crate::parallel::{self, Job};
use crate::problem::Harm;
use crate::report::{Row, grouped};
use record::Workload;
use setting::Setting;

const SECTION: &str = "power cuts";

/// How large the files are that are written.
pub const SIZES: [(&str, usize); 3] = [("200 B", 200), ("10 KB", 10_000), ("300 KB", 300_000)];

/// How often the workload goes round in one recording. More rounds leave more files, and every state has to
/// be read to its last byte: so there are many short recordings.
const ROUNDS: usize = 2;

/// From one recording, where one bad state is enough: what a mutant does shows in some recordings and not in others.
const FROM_ONE: usize = 50;

/// Results are counted there, not states.
const RESULTS: usize = 400;

/// Runs the section.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let addon = lab.addon()?;
    let (here, missing): (Vec<&Kind>, Vec<&Kind>) = KINDS.iter().partition(|kind| kind.missing().is_none());
    let mut rows: Vec<Row> =
        missing.iter().filter_map(|kind| Some(Row::skipped(SECTION, kind.name, kind.missing()?))).collect();
    let mut jobs: Vec<Job<'_, Row>> = Vec::new();
    for (setting, kind, size) in plan(lab, &here) {
        let states = match setting {
            Setting::Volatile => RESULTS,
            _ if lab.short => 220,
            Setting::Plain => kind.states,
            Setting::Named | Setting::Overlay => kind.states / 4,
        };
        let (size_name, size) = SIZES[size];
        let name = match setting {
            Setting::Plain => size_name.to_owned(),
            other => format!("{size_name}, {}", other.name()),
        };
        let cut = Cut { kind, addon: &addon, mutant: None, setting, size, states, until_bad: false };
        jobs.push(Box::new(move || cut.run(lab, Row::new(SECTION, &name, kind.name))));
    }
    rows.extend(parallel::all(&jobs)?);
    Ok(rows)
}

/// What is done where, and at which of the sizes. In the short form the other settings are seen once each.
fn plan<'a>(lab: &Lab, kinds: &[&'a Kind]) -> Vec<(Setting, &'a Kind, usize)> {
    let others = [Setting::Named, Setting::Overlay];
    let each = |setting, sizes: std::ops::Range<usize>| {
        kinds.iter().flat_map(move |kind| sizes.clone().map(move |size| (setting, *kind, size)))
    };
    let mut plan: Vec<_> = each(Setting::Plain, 0..SIZES.len()).collect();
    if lab.short {
        // btrfs last: overlays are the hardest for it, as they clone what they copy up.
        let once =
            [Setting::Named, Setting::Volatile, Setting::Overlay].into_iter().zip(kinds.iter().cycle());
        plan.extend(once.map(|(setting, kind)| (setting, *kind, 1)));
    } else {
        plan.extend(others.into_iter().flat_map(|setting| each(setting, 0..SIZES.len())));
        plan.extend(each(Setting::Volatile, 1..2));
    }
    plan
}

/// One workload on one file system, and the power cuts in it.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    pub kind: &'a Kind,
    pub addon: &'a Path,
    /// The step to leave out; the addon must be one that can.
    pub mutant: Option<&'a str>,
    pub setting: Setting,
    /// Bytes of a file.
    pub size: usize,
    /// How many to look at.
    pub states: usize,
    /// One bad state is enough.
    pub until_bad: bool,
}

impl Cut<'_> {
    /// Records the workload, and adds the states that power cuts could have left to `row`; again, until there
    /// are enough.
    pub fn run(&self, lab: &Lab, mut row: Row) -> Result<Row> {
        let what =
            format!("{}-{}-{}-{:?}", self.kind.name, self.size, self.mutant.unwrap_or("whole"), self.setting);
        let mut rng = Rng::with_seed(lab.seed);
        let enough = row.states + self.states as u64;
        let (before, bad_before, start) = (row.states, row.bad, Instant::now());
        while row.states < enough && !(self.until_bad && row.bad > 0) {
            let left = (enough - row.states) as usize;
            let most = if self.until_bad { left.min(FROM_ONE) } else { left };
            self.once(lab, &what, most, &mut rng, &mut row).with_context(|| what.clone())?;
        }
        let seen = row.states - before;
        let rate = seen as f64 / start.elapsed().as_secs_f64() * 60.0;
        let (seen, bad, rate) = (grouped(seen), grouped(row.bad - bad_before), grouped(rate as u64));
        eprintln!("{what}: {seen} states, {bad} bad; {rate} a minute");
        Ok(row)
    }

    fn once(&self, lab: &Lab, name: &str, most: usize, rng: &mut Rng, row: &mut Row) -> Result<()> {
        let folder = lab.folder(name)?;
        let Self { kind, addon, mutant, setting, size, .. } = *self;
        let workload = Workload { addon, mutant, size, rounds: ROUNDS, setting };
        let recording = record::record(lab, kind, &folder, &workload)?;
        row.batch = row.batch.max(recording.history.largest_batch());
        let keeps = setting != Setting::Volatile;
        for durable in recording.history.results.iter().filter(|durable| **durable != keeps) {
            let harm = if *durable { Harm::FalseSuccess } else { Harm::FalseFailure };
            row.count(Some(harm.told(format!("a result says durable: {durable}"))));
        }
        if !keeps {
            // What is left after a power cut was promised by nobody: only the claims are judged.
            let right = recording.history.results.iter().filter(|durable| !**durable);
            right.for_each(|_| row.count(None));
            return Ok(std::fs::remove_dir_all(folder)?);
        }
        let mut states = states::enumerate(&recording.log, &recording.base, rng);
        rng.shuffle(&mut states);
        states.truncate(most);
        states.sort_by_key(|state| state.epoch);
        let mut replay = replay::Replay::new(kind, setting, &recording, &folder)?;
        for state in &states {
            row.count(replay.look(state)?);
            if self.until_bad && row.bad > 0 {
                break;
            }
        }
        Ok(std::fs::remove_dir_all(folder)?)
    }
}
