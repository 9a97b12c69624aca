//! Errors at every system call: each call of a baseline trace fails with each error that it can return, once
//! and from then on. The promise must say so, or the result must be right and true all the same.

mod disk;
mod fallback;
mod group;
mod judge;
mod table;
mod trial;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::disk as disks;
use crate::lab::Lab;
use crate::problem::{Harm, Problem};
use crate::report::Row;
use crate::walk::session::{Said, call_again};
use crate::walk::strace::{Call, Inject, Object};
use table::possible;
use trial::Trial;

use crate::walk::{self, Attempt, Bench, PATIENCE, Point};

const SECTION: &str = "errors";
/// The library waits ten seconds for descriptors, in each of the steps of an update.
const FOR_DESCRIPTORS: Duration = Duration::from_secs(40);
/// Waiting for descriptors costs no processor.
const WAITERS: usize = 16;

/// Section 4 of the lab.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let mut rows = injected(lab)?;
    rows.extend(disk::run(lab)?);
    Ok(rows)
}

/// The errors that strace makes.
fn injected(lab: &Lab) -> Result<Vec<Row>> {
    let kind = match disks::kind("ext4")? {
        Ok(kind) => kind,
        Err(why) => return Ok(vec![Row::skipped(SECTION, "all", why)]),
    };
    let disk = disks::mounted(lab, kind, SECTION)?;
    let disk = disk.folder();
    let scenes = walk::scenes(lab);
    let points: Vec<Point> = walk::in_parallel(lab, disk, &scenes, 2, |bench, (scene, ground)| {
        walk::baseline(lab, bench, scene, *ground)
    })?
    .into_iter()
    .flatten()
    .filter(|point| point.call.object != Object::Node || point.call.name == "mincore")
    .collect();
    let points = if lab.short { walk::sample(points) } else { points };
    let trials = points.iter().flat_map(|point| trials(lab, point));
    let (slow, quick): (Vec<Trial>, Vec<Trial>) = trials.partition(Trial::takes_long);
    // They are many at a time: small files only. In the short form, one of a kind shows what the others would.
    let slow = slow.into_iter().filter(|trial| trial.point.scene.size < 1 << 20);
    let slow: Vec<Trial> = slow.take(if lab.short { 3 } else { usize::MAX }).collect();
    let elsewhere = lab.folder(&format!("{SECTION}/slow"))?;
    let walk = |disk: &Path, trials: &[Trial], threads| {
        walk::in_parallel(lab, disk, trials, threads, |bench, trial| fail(lab, bench, trial))
    };
    let (slowly, quickly) = std::thread::scope(|scope| {
        let slowly = scope.spawn(|| walk(&elsewhere, &slow, WAITERS));
        let quickly = walk(disk, &quick, 2);
        (slowly.join(), quickly)
    });
    let slowly = slowly.map_err(|_| anyhow!("a walker panicked"))??;
    let mut rows = Vec::new();
    for (trial, problem) in quick.iter().zip(quickly?).chain(slow.iter().zip(slowly)) {
        walk::tally(&mut rows, SECTION, &trial.point, problem);
    }
    Ok(rows)
}

/// What is to be tried at one call.
fn trials(lab: &Lab, point: &Point) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (at, error) in possible(&point.call).iter().enumerate() {
        for persistent in [false, true] {
            if lab.short && persistent && at > 0 && *error != "EMFILE" {
                continue;
            }
            // A loop over EINTR is what POSIX asks for; it ends because signals do. And libuv writes to its
            // eventfd from the same thread: if that fails, it aborts. Full disks come with `errors_disk`.
            if persistent && (*error == "EINTR" || point.call.name == "write") {
                continue;
            }
            trials.push(Trial { point: point.clone(), error, persistent });
        }
    }
    for (error, may_last) in fallback::errors(&point.call) {
        trials.push(Trial { point: point.clone(), error, persistent: false });
        if may_last {
            trials.push(Trial { point: point.clone(), error, persistent: true });
        }
    }
    trials
}

/// One call that fails. `Some`: what was wrong about it.
fn fail(lab: &Lab, bench: &Bench, trial: &Trial) -> Result<Option<Problem>> {
    let problem = match fail_once(lab, bench, trial) {
        // The lab's own trouble is told with the point it had it at, and does not end the walk.
        Err(error) => Some(Harm::Untested.told(format!("{error:#}"))),
        Ok(problem) => problem,
    };
    Ok(problem.map(|problem| problem.at(trial).after(&trial.point.call.line)))
}

fn fail_once(lab: &Lab, bench: &Bench, trial: &Trial) -> Result<Option<Problem>> {
    let Trial { point, error, persistent } = trial;
    let Point { scene, ground, thread, call, .. } = point;
    let inject = Inject {
        call: call.name.clone(),
        what: format!("error={error}"),
        when: format!("{}{}", call.nth, if *persistent { "+" } else { "" }),
    };
    let patience = if *error == "EMFILE" { FOR_DESCRIPTORS } else { PATIENCE };
    let seen = |calls: &[Call]| calls.iter().find(|call| call.is_injected()).cloned();
    let hit = |done: &Attempt| seen(&done.calls).is_some_and(|injected| injected.matches(call));
    let at = (*scene, *ground, *thread);
    let mut done = walk::attempt_until(lab, bench, at, &inject, patience, hit)?;
    let mut trial = trial.clone();
    if !hit(&done) {
        let elsewhere = seen(&done.calls).context("nothing was injected")?;
        ensure!(scene.group > 0, "it was injected elsewhere: {elsewhere:?}");
        // A group parts where the clock will have it.
        trial.point.call = elsewhere;
    }
    let trial = &trial;
    let Some(said) = &done.said else {
        return Ok(Some(Harm::Stuck.told(format!("no answer ({:?})", done.ended))));
    };
    let judge = if scene.group > 0 { group::first_call } else { judge::first_call };
    if let Some(problem) = judge(trial, bench, said, &done.calls)? {
        return Ok(Some(problem));
    }
    let before = judge::look(scene, bench)?;
    done.session.go()?;
    let Said::Line(said) = done.session.answer(PATIENCE)? else {
        return Ok(Some(Harm::Stuck.told("the next call in this process hangs or dies")));
    };
    let durable = !trial.casts_doubt();
    if let Some(problem) = judge::next_call(scene, bench, &before, &said, &done.calls, durable)? {
        return Ok(Some(problem.at("the next call in this process")));
    }
    done.session.kill();
    // A process sweeps a folder once: what could not be removed is for the next one.
    let before = judge::look(scene, bench)?;
    if before.leftovers.is_empty() {
        return Ok(None);
    }
    let Some(said) = call_again(lab, scene, &bench.folder, *ground, PATIENCE)? else {
        return Ok(Some(Harm::Stuck.told("the next process hangs or dies")));
    };
    let problem = judge::next_call(scene, bench, &before, &said, &[], true)?;
    let left = judge::look(scene, bench)?.leftovers;
    let stays = || Harm::of_leftovers(&left).told(format!("the next process leaves {left:?}"));
    Ok(problem.or_else(|| (!left.is_empty()).then(stays)))
}
