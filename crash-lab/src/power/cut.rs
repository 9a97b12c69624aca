//! One recording of the workload, and a random choice of the states that power cuts can leave in it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use fastrand::Rng;

use super::record::{Workload, record};
use super::replay::Replay;
use super::setting::Setting;
use super::states;
use super::together::Recoverers;
use super::work::Work;
use crate::disk::filesystem::Kind;
use crate::lab::{Lab, stop};
use crate::report::Row;
use crate::report::problem::Harm;

/// How large the files are that are written.
pub const SIZES: [(&str, usize); 3] = [("200 B", 200), ("10 KB", 10_000), ("300 KB", 300_000)];

/// How often one recording repeats the workload. More rounds leave more files, and every state is read to its last
/// byte, so there are many short recordings.
const ROUNDS: usize = 2;

/// After so many states the recovery after one of them is recorded, and the power is cut in it once more.
const STATES_TO_CUT_AGAIN: usize = 40;

/// One workload on one file system, and the power cuts in it.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    pub kind: &'a Kind,
    pub addon: &'a Path,
    /// The step to leave out; the addon must be one that can.
    pub mutant: Option<&'a str>,
    pub setting: Setting,
    pub work: Work,
    /// Bytes of a file.
    pub size: usize,
    /// How many states to check; fewer if there are not as many.
    pub states: usize,
    /// One bad state is enough.
    pub until_bad: bool,
}

impl Cut<'_> {
    /// Records the workload, and adds the states that were checked to `row`.
    pub fn run(&self, lab: &Lab, rng: &mut Rng, row: &mut Row) -> Result<()> {
        let Self { kind, addon, mutant, setting, work, size, .. } = *self;
        static RECORDINGS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("recording-{}", RECORDINGS.fetch_add(1, Ordering::Relaxed));
        let context = || format!("{} {size} {setting:?} {work:?} {}", kind.name, mutant.unwrap_or_default());
        let folder = lab.folder(&name)?;
        let workload = Workload { addon, mutant, size, rounds: ROUNDS, setting, work };
        let recording = record(lab, kind, &folder, &workload).with_context(context)?;
        row.batch = row.batch.max(recording.promises.largest_batch());
        let keeps = setting != Setting::Volatile;
        for durable in recording.promises.results().iter().filter(|durable| **durable != keeps) {
            let harm = if *durable { Harm::FalseSuccess } else { Harm::FalseFailure };
            row.count(Some(harm.problem(format!("a result says durable: {durable}"))));
        }
        if keeps {
            let states = states::sample(&recording.log, &recording.base, self.states, rng);
            let recoverers = match work {
                Work::Files => None,
                Work::Together => Some(Recoverers::start(lab, addon, mutant)?),
            };
            let mut replay = Replay::new(kind, setting, &recording, recoverers.as_ref(), &folder)?;
            // From a moment on, the next state with something to recover: the first ones are all of the first transactions.
            // What is looked for in a few states is found in these: to record a recovery takes longer than to look at them.
            let times = if self.until_bad { 0 } else { states.len().div_ceil(STATES_TO_CUT_AGAIN) };
            let mut again: Vec<usize> = (0..times).map(|_| rng.usize(..states.len())).collect();
            again.sort_unstable();
            for (number, state) in states.iter().enumerate() {
                row.count(replay.look(state).with_context(context)?);
                if self.until_bad && row.bad > 0 {
                    break;
                }
                if stop::is_asked() {
                    row.interrupted |= number + 1 < states.len() || !again.is_empty();
                    break;
                }
                if again.first().is_some_and(|from| *from <= number) && replay.has_recovered() {
                    again.remove(0);
                    replay.cut_again(state, rng, row).with_context(context)?;
                }
            }
        } else {
            // Nothing is promised about what a power cut leaves: only the results are checked.
            let right = recording.promises.results().iter().filter(|durable| !**durable);
            right.for_each(|_| row.count(None));
        }
        Ok(std::fs::remove_dir_all(folder)?)
    }
}
