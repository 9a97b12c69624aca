//! Section: an error at every system call. Each call of a baseline trace fails with each error that it can return, once
//! and from then on. The promise must reject with it, or the result must be right and true all the same.

mod append;
mod fallback;
mod group;
mod injected;
mod judge;
mod real;
mod table;
mod together;
mod trial;

use std::hash::Hash;
use std::path::Path;

use anyhow::{Result, anyhow};

use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::lab::Lab;
use crate::lab::budget::Budget;
use crate::lab::order::Order;
use crate::lab::parallel::Plan;
use crate::report::{Findings, Row};
use crate::walk::{self, Point, Workspace};
use real::Fault;
use trial::Trial;

const SECTION: &str = "errors";

/// Waiting for descriptors costs no processor.
const WAITERS: usize = 16;

/// How many trials that wait for descriptors a sample has: they take long, and show the same.
const WAITING: usize = 3;

/// Runs the section.
pub fn run(lab: &Lab, budget: Budget) -> Result<Findings> {
    if let Some(why) = Kind::FIRST.missing() {
        return Ok(Findings::skipped(SECTION, why));
    }
    let Some(points) = walk::points(lab, budget)? else {
        return Ok(Findings::without_plan(SECTION, "errors"));
    };
    let points = points.iter().filter(|point| injected::is_ours(point));
    let (waiting, trials): (Vec<Trial>, Vec<Trial>) = points.flat_map(trial::of).partition(Trial::takes_long);
    // They are many at a time: small files only.
    let waiting: Vec<_> = waiting.into_iter().filter(|trial| trial.point.at.scene.size < 1 << 20).collect();
    let (faults, skipped) = real::faults();
    let skipped = skipped.into_iter().map(|(what, why)| Row::skipped(SECTION, what, why));
    let errors: Vec<Error> =
        trials.into_iter().map(Error::Injected).chain(faults.into_iter().map(Error::Real)).collect();

    let disk = Mounted::new(Kind::FIRST, &lab.scratch.join(SECTION))?;
    let elsewhere = disk.folder().join("waiting");
    let (slow, quick) = std::thread::scope(|scope| {
        let slow = scope.spawn(|| wait(lab, &elsewhere, &waiting, budget));
        let order = Order::new(errors.len(), budget, &mut lab.rng(SECTION))
            .one_of_each(|error| errors[error].kind())
            .at_least_one_of_each(|error| errors[error].floor());
        let plan = Plan { name: SECTION, items: &errors, order, budget, threads: walk::THREADS };
        let quick =
            walk::in_parallel(lab, disk.folder(), &plan, |workspace, error| error.make(lab, workspace));
        (slow.join(), quick)
    });
    let slow = slow.map_err(|_| anyhow!("a thread panicked"))??;
    let missed = |error: &Error| error.point().and_then(|point| walk::missed(SECTION, point));
    let quick = errors.iter().zip(quick?).map(|(error, row)| row.or_else(|| missed(error)));
    let slow =
        waiting.iter().zip(slow).map(|(trial, row)| row.or_else(|| walk::missed(SECTION, &trial.point)));
    let mut findings = Findings::sum(SECTION, "errors", quick.chain(slow).map(|row| (1, row)));
    findings.rows.extend(skipped);
    Ok(findings)
}

/// The trials that wait for descriptors.
fn wait(lab: &Lab, folder: &Path, trials: &[Trial], budget: Budget) -> Result<Vec<Option<Row>>> {
    let name = "errors, waiting for descriptors";
    let mut order = Order::new(trials.len(), budget, &mut lab.rng(name))
        .one_of_each(|trial| trials[trial].point.at.scene.op.is_together());
    if budget.is_limited() {
        order.items.truncate(WAITING);
        order.floor = WAITING;
    }
    let plan = Plan { name, items: trials, order, budget, threads: WAITERS };
    walk::in_parallel(lab, folder, &plan, |workspace, trial| {
        Ok(walk::row(lab, SECTION, &trial.point, injected::fail(lab, workspace, trial)))
    })
}

/// One error of a call.
#[derive(Debug)]
enum Error {
    /// By strace.
    Injected(Trial),
    /// By a disk that is full or fails, or by a limit.
    Real(Fault),
}

impl Error {
    fn make(&self, lab: &Lab, workspace: &Workspace) -> Result<Row> {
        match self {
            Self::Injected(trial) => {
                Ok(walk::row(lab, SECTION, &trial.point, injected::fail(lab, workspace, trial)))
            }
            Self::Real(fault) => {
                let mut row = Row::new(SECTION, fault.name(), fault.place());
                row.count(fault.make(lab)?);
                lab.tally.add(&row);
                Ok(row)
            }
        }
    }

    /// Where it is made, of one that is injected.
    fn point(&self) -> Option<&Point> {
        match self {
            Self::Injected(trial) => Some(&trial.point),
            Self::Real(_) => None,
        }
    }

    /// Errors of one kind are expected to show the same.
    fn kind(&self) -> impl Eq + Hash + use<> {
        match self {
            Self::Injected(trial) => (Some(trial.point.kind()), None),
            Self::Real(fault) => (None, Some((fault.name(), fault.place()))),
        }
    }

    /// A sample has at least one error of each scene, of each call of a control, and of each fault.
    fn floor(&self) -> impl Eq + Hash + use<> {
        match self {
            Self::Injected(trial) => (Some(trial.point.floor()), None),
            Self::Real(fault) => (None, Some(fault.name())),
        }
    }
}
