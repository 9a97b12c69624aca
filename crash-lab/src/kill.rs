//! Kill at every system call: the process dies on entering the k-th call of each kind, for every k of a
//! baseline trace. The call itself does not happen then; the state after it is that of the next point.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::Result;

use crate::disk;
use crate::lab::Lab;
use crate::report::Row;
use crate::walk::check::{Content, Found};
use crate::walk::session::call_again;
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
fn kill(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<String>> {
    let problem = match die(lab, bench, point)? {
        Some(problem) => Some(problem),
        None => go_on(lab, bench, point)?,
    };
    Ok(problem.map(|problem| format!("{}: {problem} [{}]", point.describe(), point.call.line)))
}

fn die(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<String>> {
    let Point { scene, ground, thread, call, .. } = point;
    let inject =
        Inject { call: call.name.clone(), what: "signal=SIGKILL".into(), when: call.nth.to_string() };
    let here = |last: &Call| last.matches(call) && last.result.starts_with('?');
    let hit = |done: &Attempt| done.calls.last().is_some_and(here);
    let done = walk::attempt_until(lab, bench, (scene, *ground, *thread), &inject, PATIENCE, hit)?;
    if done.ended.and_then(|status| status.signal()) != Some(libc::SIGKILL) {
        return Ok(Some(format!("the lab: it was not killed ({:?}, {:?})", done.said, done.ended)));
    }
    if !hit(&done) {
        return Ok(Some(format!("the lab: it died elsewhere: {:?}", done.calls.last())));
    }
    let found = Found::look(scene, &bench.folder)?;
    let expected = point.committed.then_some(Content::Version(2));
    if expected.is_some_and(|expected| found.target != expected) {
        return Ok(Some(format!("after the rename the target is {:?}", found.target)));
    }
    Ok(found.broken(scene))
}

/// The same call in a fresh process: at once, and nothing is left.
fn go_on(lab: &Lab, bench: &Bench, point: &Point) -> Result<Option<String>> {
    let scene = point.scene;
    let before = Found::look(scene, &bench.folder)?;
    let Some(said) = call_again(lab, scene, &bench.folder, point.ground, Duration::from_secs(8))? else {
        return Ok(Some("the next call hangs or dies".into()));
    };
    if scene.is_exclusive() && before.target == Content::Version(2) {
        return Ok((said["error"]["code"] != "EEXIST").then(|| format!("wx over a file: {said}")));
    }
    if said["result"]["durable"] != true {
        return Ok(Some(format!("the next call says {said}")));
    }
    if said["ms"].as_f64().is_none_or(|ms| ms > AT_ONCE_MS) {
        return Ok(Some(format!("the next call took {} ms", said["ms"])));
    }
    let next = match before.target {
        Content::Version(version) if scene.update => Content::Version(version + 1),
        _ => Content::Version(2),
    };
    let found = Found::look(scene, &bench.folder)?;
    if found.target != next {
        return Ok(Some(format!("the next call made {:?} of {:?}", found.target, before.target)));
    }
    if !found.leftovers.is_empty() || !found.strangers.is_empty() {
        return Ok(Some(format!("the next call left {:?} {:?}", found.leftovers, found.strangers)));
    }
    Ok(None)
}
