//! Kill at every system call: the process dies on entering the k-th call of each kind, for every k of a
//! baseline trace. The call itself does not happen then; the state after it is that of the next point.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::Result;

use crate::disk;
use crate::lab::Lab;
use crate::problem::Harm::{self, FalseSuccess, Lost, Stuck, Untested};
use crate::problem::Problem;
use crate::report::Row;
use crate::walk::check::{Content, Found};
use crate::walk::session::{all_durable, call_again};
use crate::walk::strace::{Call, Inject, Object};
use crate::walk::{self, Attempt, Bench, PATIENCE, Point};

const SECTION: &str = "kill";
/// A call takes milliseconds. Whoever waits for the dead waits for a lock's time-out, which is longer.
const AT_ONCE_MS: f64 = 2000.0;

/// Section 3 of the lab.
pub fn run(lab: &Lab) -> Result<Vec<Row>> {
    let kind = match disk::kind("ext4")? {
        Ok(kind) => kind,
        Err(why) => return Ok(vec![Row::skipped(SECTION, "all", why)]),
    };
    let disk = disk::mounted(lab, kind, SECTION)?;
    let disk = disk.folder();
    let scenes = walk::scenes(lab);
    let baselines = walk::in_parallel(lab, disk, &scenes, 2, |bench, (scene, ground)| {
        walk::baseline(lab, bench, scene, *ground)
    })?;
    let mut points: Vec<Point> = baselines.into_iter().flatten().filter(is_ours).collect();
    if lab.short {
        points = walk::sample(points);
    }
    let problems = walk::in_parallel(lab, disk, &points, 2, |bench, point| kill(lab, bench, point))?;
    let mut rows: Vec<Row> = Vec::new();
    for (point, problem) in points.iter().zip(problems) {
        walk::tally(&mut rows, SECTION, point, problem);
    }
    Ok(rows)
}

/// The end of a job is libuv's write to its eventfd: to die there is to die with all done and nothing said.
/// Its other calls say nothing about the routine.
fn is_ours(point: &Point) -> bool {
    point.call.object != Object::Node || ["write", "getrandom"].contains(&point.call.name.as_str())
}

/// One death. `Some`: what was wrong after it.
fn kill(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<Problem>> {
    let problem = match die(lab, bench, point)? {
        Some(problem) => Some(problem),
        None => go_on(lab, bench, point)?,
    };
    Ok(problem.map(|problem| problem.at(point.describe()).after(&point.call.line)))
}

fn die(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<Problem>> {
    let Point { scene, ground, thread, call, .. } = point;
    let inject =
        Inject { call: call.name.clone(), what: "signal=SIGKILL".into(), when: call.nth.to_string() };
    let here = |last: &Call| last.matches(call) && last.result.starts_with('?');
    let hit = |done: &Attempt| done.calls.last().is_some_and(here);
    let done = walk::attempt_until(lab, bench, (scene, *ground, *thread), &inject, PATIENCE, hit)?;
    if done.ended.and_then(|status| status.signal()) != Some(libc::SIGKILL) {
        return Ok(Some(Untested.told(format!("it was not killed ({:?}, {:?})", done.said, done.ended))));
    }
    // A group parts where the clock will have it; every death in it is judged by what had been told until then.
    if !hit(&done) && scene.group == 0 {
        return Ok(Some(Untested.told(format!("it died elsewhere: {:?}", done.calls.last()))));
    }
    let found = Found::look(scene, &bench.folder)?;
    if let Some(problem) = found.broken(scene) {
        return Ok(Some(problem));
    }
    if scene.group > 0 {
        return Ok(found.misses(&done.resolved));
    }
    let gone = point.committed && !found.is(Content::Version(2));
    Ok(gone.then(|| Lost.told(format!("after the rename the target is {:?}", found.target))))
}

/// The same call in a fresh process: at once, and nothing is left.
fn go_on(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<Problem>> {
    let scene = point.scene;
    let before = Found::look(scene, &bench.folder)?;
    let Some(said) = call_again(lab, scene, &bench.folder, point.ground, Duration::from_secs(8))? else {
        return Ok(Some(Stuck.told("the next call hangs or dies")));
    };
    if scene.is_exclusive() && before.target == Content::Version(2) {
        let right = said["error"]["code"] == "EEXIST";
        return Ok((!right).then(|| FalseSuccess.told(format!("wx over a file: {said}"))));
    }
    if !all_durable(&said, true) {
        return Ok(Some(Stuck.told(format!("the next call says {said}"))));
    }
    if said["ms"].as_f64().is_none_or(|ms| ms > AT_ONCE_MS) {
        return Ok(Some(Stuck.told(format!("the next call took {} ms", said["ms"]))));
    }
    let next = match before.target {
        Content::Version(version) => Content::Version(scene.next(version)),
        _ => Content::Version(2),
    };
    let found = Found::look(scene, &bench.folder)?;
    if !found.is(next) {
        let made = format!("the next call made {:?} of {:?}", found.target, before.target);
        return Ok(Some(FalseSuccess.told(made)));
    }
    let left = [found.leftovers, found.strangers].concat();
    Ok((!left.is_empty()).then(|| Harm::of_leftovers(&left).told(format!("the next call left {left:?}"))))
}
