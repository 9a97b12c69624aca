//! Section 1: the power is cut at block level, at every moment of a workload.

mod check;
mod history;
mod image;
mod names;
mod record;
mod replay;
mod states;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::filesystem::{KINDS, Kind};
use crate::lab::Lab;
use crate::parallel::{self, Job};
use crate::report::{Row, grouped};
use record::Workload;

const SECTION: &str = "power cuts";

/// How large the files are that are written.
pub const SIZES: [(&str, usize); 3] = [("200 B", 200), ("10 KB", 10_000), ("300 KB", 300_000)];

/// How often the workload goes round in one recording. More rounds leave more files, and every state has to
/// be read to its last byte: so there are many short recordings.
const ROUNDS: usize = 2;

/// Runs the section.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let addon = lab.addon()?;
    let mut rows = Vec::new();
    let mut jobs: Vec<Job<'_, Row>> = Vec::new();
    for kind in &KINDS {
        if let Some(why) = kind.missing() {
            rows.push(Row::skipped(SECTION, kind.name, why));
            continue;
        }
        for (name, size) in SIZES {
            let states = if lab.short { 220 } else { kind.states };
            let cut = Cut { kind, addon: &addon, mutant: None, size, states, until_bad: false };
            jobs.push(Box::new(move || cut.run(lab, Row::new(SECTION, name, kind.name))));
        }
    }
    rows.extend(parallel::all(jobs)?);
    Ok(rows)
}

/// One workload on one file system, and the power cuts in it.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    pub kind: &'a Kind,
    pub addon: &'a Path,
    /// The step to leave out; the addon must be one that can.
    pub mutant: Option<&'a str>,
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
        let what = format!("{}-{}-{}", self.kind.name, self.size, self.mutant.unwrap_or("whole"));
        let mut rng = Rng::with_seed(lab.seed);
        let enough = row.states + self.states as u64;
        let (before, bad_before, start) = (row.states, row.bad, Instant::now());
        while row.states < enough && !(self.until_bad && row.bad > 0) {
            let most = (enough - row.states) as usize;
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
        let Self { kind, addon, mutant, size, .. } = *self;
        let workload = Workload { addon, mutant, size, rounds: ROUNDS };
        let recording = record::record(lab, kind, &folder, &workload)?;
        let mut states = states::enumerate(&recording.log, &recording.base, rng);
        rng.shuffle(&mut states);
        states.truncate(most);
        states.sort_by_key(|state| state.epoch);
        let mut replay = replay::Replay::new(kind, &recording, &folder)?;
        for state in &states {
            row.count(replay.look(state)?);
            if self.until_bad && row.bad > 0 {
                break;
            }
        }
        Ok(std::fs::remove_dir_all(folder)?)
    }
}
