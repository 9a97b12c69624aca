//! Section: the power is cut at block level, at every moment of a workload.

mod check;
pub mod cut;
mod fingerprints;
mod history;
mod lines;
mod names;
mod record;
mod replay;
pub mod setting;
mod states;
mod together;
mod trees;
pub mod work;

use anyhow::Result;

use crate::disk::filesystem::Kind;
use crate::lab::Lab;
use crate::lab::budget::Budget;
use crate::lab::order::Order;
use crate::lab::parallel::{self, Plan};
use crate::report::{Findings, Row};
use cut::{Cut, SIZES};
use setting::Setting;
pub use together::slowed;
use work::Work;

const SECTION: &str = "power";

/// More than there are cores: half of the time of a mount is spent waiting for threads of the kernel.
const THREADS: usize = 4;

/// How many states of one recording are checked. With a budget they are few, so that it is kept to. How transactions of two processes
/// mix differs from one recording to the next, so there are more of these.
const OF_ONE: usize = 400;
const OF_ONE_TOGETHER: usize = 100;
const OF_ONE_IN_A_SAMPLE: usize = 20;

/// How many results one recording has. On a volatile overlay these are counted, of so many recordings.
const RESULTS: usize = 120;
const VOLATILE: usize = 4;

/// One recording, of those that a full run makes.
#[derive(Clone, Copy, Debug)]
struct Part {
    work: Work,
    setting: Setting,
    kind: &'static Kind,
    /// Its place in [`SIZES`].
    size: usize,
    states: usize,
    /// Its number among those like it.
    number: usize,
}

/// Runs the section.
pub fn run(lab: &Lab, budget: Budget) -> Result<Findings> {
    let (here, missing) = Kind::all();
    if here.is_empty() {
        return Ok(Findings::skipped(SECTION, missing[0].1.clone()));
    }
    let mut parts = plan(&here, budget);
    parts.retain(|part| name(part).contains(&lab.scene));
    let order = Order::new(parts.len(), budget, &mut lab.rng(SECTION))
        .at_least_one_of_each(|part| floor(&parts[part]));
    let plan = Plan { name: "power, recordings", items: &parts, order, budget, threads: THREADS };
    let done = parallel::each(&plan, |_| Ok(()), |(), part| check(lab, part))?;
    let done = parts.iter().zip(done).map(|(part, row)| (part.states as u64, row));
    let mut findings = Findings::sum(SECTION, "states", done);
    findings.rows.extend(missing.into_iter().map(|(kind, why)| Row::skipped(SECTION, kind.name, why)));
    Ok(findings)
}

/// Every kind of file system is looked at, and every other setting on one of them.
fn floor(part: &Part) -> (Work, Setting, &'static str) {
    match part.setting {
        Setting::Plain => (part.work, Setting::Plain, part.kind.name),
        other => (part.work, other, ""),
    }
}

/// What a full run does; with a budget, in smaller parts.
fn plan(kinds: &[&'static Kind], budget: Budget) -> Vec<Part> {
    let mut parts = Vec::new();
    for (work, setting) in [
        (Work::Files, Setting::Plain),
        (Work::Files, Setting::Named),
        (Work::Files, Setting::Overlay),
        (Work::Files, Setting::Volatile),
        (Work::Together, Setting::Plain),
        (Work::Together, Setting::Overlay),
    ] {
        let at_once = match work {
            _ if budget.is_limited() => OF_ONE_IN_A_SAMPLE,
            Work::Files => OF_ONE,
            Work::Together => OF_ONE_TOGETHER,
        };
        for kind in kinds {
            let (sizes, all, at_once) = match setting {
                // The largest files show nothing that those of three pages do not.
                Setting::Plain if work == Work::Together => (0..2, kind.states, at_once),
                Setting::Overlay if work == Work::Together => (1..2, kind.states / 2, at_once),
                Setting::Plain => (0..SIZES.len(), kind.states, at_once),
                Setting::Named | Setting::Overlay => (0..SIZES.len(), kind.states / 4, at_once),
                Setting::Volatile => (1..2, VOLATILE * RESULTS, RESULTS),
            };
            for size in sizes {
                let starts = (0..all).step_by(at_once).enumerate();
                parts.extend(starts.map(|(number, start)| {
                    let states = at_once.min(all - start);
                    Part { work, setting, kind, size, states, number }
                }));
            }
        }
    }
    parts
}

/// For a table.
fn name(part: &Part) -> String {
    let name = format!("{}{}", part.work.name(), SIZES[part.size].0);
    match part.setting {
        Setting::Plain => name,
        other => format!("{name}, {}", other.name()),
    }
}

fn check(lab: &Lab, part: &Part) -> Result<Row> {
    let Part { work, setting, kind, size, states, number } = *part;
    let (name, size) = (name(part), SIZES[size].1);
    let mut rng = lab.rng(&format!("{name} {} {number}", kind.name));
    let mut row = Row::new(SECTION, name, kind.name);
    let cut = Cut { kind, addon: &lab.addon, mutant: None, setting, work, size, states, until_bad: false };
    let ran = cut.run(lab, &mut rng, &mut row);
    lab.tally.add(&row);
    ran.map(|()| row)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::disk::filesystem::KINDS;

    #[test]
    fn a_sample_is_of_as_many_states_as_a_full_run() {
        let kinds: Vec<&Kind> = KINDS.iter().collect();
        let states = |budget| plan(&kinds, budget).iter().map(|part| part.states).sum::<usize>();
        assert_eq!(states(Budget::new(None)), states(Budget::new(Some(Duration::ZERO))));
    }
}
