//! Section 2: the lab must be able to fail. Each step of the protocol is left out, and the lab has to
//! notice: a power cut where the step is about those, else the fault that the step is there for.

use anyhow::Result;

use crate::fault::Fault;
use crate::filesystem::{KINDS, Kind};
use crate::lab::Lab;
use crate::parallel::{self, Job};
use crate::power::setting::Setting;
use crate::power::{Cut, SIZES};
use crate::report::{Expect, Row};

const SECTION: &str = "mutants";

/// What only a power cut brings to light.
const FOR_POWER: [&str; 7] =
    ["fsync", "file-fsync", "dir-fsync", "fsync-order", "next-flush", "batch-fsync", "tree-fsync"];

/// Once more where a flush takes another way.
const ELSEWHERE: [(&str, Setting); 4] = [
    ("file-fsync", Setting::Named),
    ("dir-fsync", Setting::Named),
    ("file-fsync", Setting::Overlay),
    ("dir-fsync", Setting::Overlay),
];

/// What other faults bring to light.
const FOR_FAULTS: [(&str, Fault); 3] = [
    ("write-loop", Fault::ShortWrite),
    ("verify", Fault::LyingDrive),
    ("lock-identity", Fault::ManyProcesses),
];

/// Runs the section.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (here, missing): (Vec<&Kind>, Vec<&Kind>) = KINDS.iter().partition(|kind| kind.missing().is_none());
    let mut rows: Vec<Row> =
        missing.iter().filter_map(|kind| Some(Row::skipped(SECTION, kind.name, kind.missing()?))).collect();
    // In the short form one file system has to do for each, another one for the next.
    let grounds = |turn: usize| {
        let count = if lab.short { 1.min(here.len()) } else { here.len() };
        here.iter().cycle().skip(turn).take(count).copied().collect::<Vec<_>>()
    };
    let mut jobs: Vec<Job<'_, Row>> = Vec::new();
    let elsewhere = ELSEWHERE.into_iter().filter(|_| !lab.short);
    let for_power = FOR_POWER.map(|mutant| (mutant, Setting::Plain)).into_iter().chain(elsewhere);
    for (turn, (mutant, setting)) in for_power.enumerate() {
        for kind in grounds(turn) {
            jobs.push(Box::new(move || cut(lab, mutant, setting, kind)));
        }
    }
    for (turn, (mutant, fault)) in FOR_FAULTS.into_iter().enumerate() {
        if let Some(why) = fault.missing() {
            rows.push(Row::skipped(SECTION, mutant, why));
            continue;
        }
        for kind in grounds(turn) {
            jobs.push(Box::new(move || {
                let row = Row { expect: Expect::Caught, ..Row::new(SECTION, mutant, kind.name) };
                fault.run(lab, kind, &lab.mutant_addon()?, Some(mutant), row)
            }));
            jobs.push(Box::new(move || {
                let row = Row::new(SECTION, format!("nothing ({})", fault.name()), kind.name);
                fault.run(lab, kind, &lab.addon()?, None, row)
            }));
        }
    }
    lab.mutant_addon()?;
    rows.extend(parallel::all(&jobs)?);
    Ok(rows)
}

fn cut(lab: &Lab, mutant: &str, setting: Setting, kind: &Kind) -> Result<Row> {
    let name = match setting {
        Setting::Plain => mutant.to_owned(),
        other => format!("{mutant}, {}", other.name()),
    };
    let mut row = Row { expect: Expect::Caught, ..Row::new(SECTION, name, kind.name) };
    let addon = lab.mutant_addon()?;
    for (_, size) in SIZES {
        let states = match setting {
            // At most; the first bad one is the last.
            _ if lab.short => 600,
            Setting::Plain => 400,
            _ => 200,
        };
        let mutant = Some(mutant);
        let cut = Cut { kind, addon: &addon, mutant, setting, size, states, until_bad: lab.short };
        row = cut.run(lab, row)?;
        if lab.short && row.bad > 0 {
            break;
        }
    }
    Ok(row)
}
