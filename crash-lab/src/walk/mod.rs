//! The walk that kills and errors share: a baseline trace of a call, then the same call once for each line
//! of it, with something done to that line.

mod bench;
pub mod check;
mod refuse;
pub mod scene;
pub mod session;
pub mod strace;

use std::collections::HashSet;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::lab::Lab;
use crate::problem::Problem;
use crate::report::{Expect, Row};
pub use bench::{Bench, in_parallel};
use scene::{SCENES, Scene};
use session::{Ground, Said, Session, all_durable};
use strace::{Call, Inject, Object, Tracer};

/// For what takes milliseconds when all is well.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a call is made again because the clock had its way with it.
const TRIES: usize = 10;

/// Which thread of the process is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// libuv's worker, which does the I/O.
    Worker,
    /// tokio's thread, which waits for locks.
    Waiter,
}

/// One line of a baseline.
#[derive(Clone, Debug)]
pub struct Point {
    pub scene: &'static Scene,
    pub ground: Ground,
    pub thread: Thread,
    pub call: Call,
    /// The new file has its name by then.
    pub committed: bool,
}

impl Point {
    /// For messages.
    pub fn describe(&self) -> String {
        format!("{} ({}): {} #{}", self.scene.name, self.ground.name(), self.call.name, self.call.nth)
    }
}

/// What came of one traced call.
#[derive(Debug)]
pub struct Attempt {
    pub session: Session,
    /// What the workload reported.
    pub said: Option<Value>,
    /// Those of a group that were acknowledged.
    pub resolved: Vec<u64>,
    /// It ended instead.
    pub ended: Option<ExitStatus>,
    pub calls: Vec<Call>,
}

/// Makes the scene's call under strace.
pub fn attempt(
    lab: &Lab,
    bench: &Bench,
    (scene, ground, thread): (&Scene, Ground, Thread),
    inject: Option<&Inject>,
    patience: Duration,
) -> Result<Attempt> {
    scene.prepare(&bench.folder)?;
    let mut held = scene.waits.then(|| scene.hold_lock(&bench.folder)).transpose()?;
    let spec = scene.spec(&bench.folder, 2, true, &bench.warm)?;
    let mut warm = scene.waits.then(|| scene.hold_lock(&bench.warm)).transpose()?;
    let mut session = Session::start(lab, "call.mjs", &spec, ground)?;
    let ready = loop {
        match session.expect_line(PATIENCE)? {
            line if line["waiting"] == true => warm = None,
            line => break line,
        }
    };
    drop(warm);
    let tid = match thread {
        Thread::Worker => &ready["worker"],
        Thread::Waiter => &ready["waiter"],
    };
    let tid = tid.as_u64().and_then(|tid| u32::try_from(tid).ok()).context("no thread to trace")?;
    let tracer = Tracer::attach(tid, inject, &bench.trace)?;
    session.go()?;
    let mut resolved = Vec::new();
    let said = loop {
        match session.line(patience)? {
            Said::Line(line) if line["resolved"].is_u64() => resolved.extend(line["resolved"].as_u64()),
            Said::Line(line) if line["waiting"] == true => held = None,
            Said::Line(line) => break Some(line),
            Said::Gone | Said::Nothing => break None,
        }
    };
    drop(held);
    let ended = if said.is_none() { session.end(Duration::from_secs(1))? } else { None };
    let calls = tracer.finish(&bench.folder)?;
    Ok(Attempt { session, said, resolved, ended, calls })
}

/// As [`attempt`], again if it did not `hit`: when the machine is busy, who waits for a lock may find it gone
/// between two calls and look once more, a group may part in another place, and a file whose replacement took
/// long is closed by another thread.
pub fn attempt_until(
    lab: &Lab,
    bench: &Bench,
    at: (&Scene, Ground, Thread),
    inject: &Inject,
    patience: Duration,
    hit: impl Fn(&Attempt) -> bool,
) -> Result<Attempt> {
    for _ in 1..TRIES {
        let done = attempt(lab, bench, at, Some(inject), patience)?;
        if hit(&done) {
            return Ok(done);
        }
    }
    attempt(lab, bench, at, Some(inject), patience)
}

/// Every scene on each ground, for the long or the short form.
pub fn scenes(lab: &Lab) -> Vec<(&'static Scene, Ground)> {
    let wanted = SCENES.iter().filter(|scene| !(lab.short && scene.long) && scene.name.contains(&lab.scene));
    let once = |scene: &Scene| scene.is_control() || (lab.short && scene.group > 0);
    let grounds = |scene: &Scene| if once(scene) { &[Ground::Unnamed][..] } else { &Ground::ALL };
    wanted.flat_map(|scene| grounds(scene).iter().map(move |ground| (scene, *ground))).collect()
}

/// Every line of the scene's undisturbed trace.
pub fn baseline(lab: &Lab, bench: &Bench, scene: &'static Scene, ground: Ground) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for thread in [Thread::Worker, Thread::Waiter] {
        if thread == Thread::Waiter && !scene.waits {
            continue;
        }
        let trace = || undisturbed(lab, bench, (scene, ground, thread));
        // Who waits, and where a group parts, depends on the clock: what is in every trace can be met again.
        let (calls, others) = if scene.group > 0 || scene.waits {
            (trace()?, vec![trace()?, trace()?, trace()?])
        } else {
            (twice(trace).with_context(|| scene.name)?, vec![])
        };
        let published = calls.iter().rposition(publishes);
        if thread == Thread::Worker && published.is_none() && !scene.is_control() {
            bail!("{}: nothing publishes the file in {calls:#?}", scene.name);
        }
        let always = |call: &Call| others.iter().all(|calls| calls.iter().any(|other| other.matches(call)));
        let calls = calls.into_iter().enumerate();
        let certain = calls.filter(|(_, call)| is_certain(call, thread) && always(call));
        points.extend(certain.map(|(at, call)| Point {
            scene,
            ground,
            thread,
            call,
            committed: published.is_some_and(|published| at > published),
        }));
    }
    Ok(points)
}

/// What a call does when it is let alone.
fn undisturbed(lab: &Lab, bench: &Bench, at: (&Scene, Ground, Thread)) -> Result<Vec<Call>> {
    let done = attempt(lab, bench, at, None, PATIENCE)?;
    let said = done.said.with_context(|| format!("{}: no baseline", at.0.name))?;
    ensure!(all_durable(&said, true), "{}: the baseline says {said}", at.0.name);
    Ok(done.calls)
}

/// A trace that came twice: one that the clock has had a hand in is no measure.
fn twice(trace: impl Fn() -> Result<Vec<Call>>) -> Result<Vec<Call>> {
    let mut seen: Vec<Vec<Call>> = Vec::new();
    for _ in 0..TRIES {
        let calls = trace()?;
        if seen.iter().any(|other| are_alike(other, &calls)) {
            return Ok(calls);
        }
        seen.push(calls);
    }
    bail!("no two traces are alike, of {TRIES}")
}

/// Whether two runs made the same calls, but for Node's own.
fn are_alike(one: &[Call], other: &[Call]) -> bool {
    let ours = |calls: &[Call]| {
        let ours = calls.iter().filter(|call| call.object != Object::Node);
        ours.map(|call| (call.name.clone(), call.object, call.nth)).collect::<Vec<_>>()
    };
    ours(one) == ours(other)
}

/// The call that gives the new file its name: the last that links or renames anything but a backup.
fn publishes(call: &Call) -> bool {
    call.object != Object::Backup && (call.name.starts_with("rename") || call.name == "linkat")
}

/// How often the waiter looks before the lock is free depends on the clock; two looks come in any case. What is
/// different about the one that succeeds is the same code that the worker runs.
fn is_certain(call: &Call, thread: Thread) -> bool {
    let looks = ["openat", "fstat", "newfstatat", "flock"].contains(&call.name.as_str());
    thread == Thread::Worker || (looks && call.nth <= 2)
}

/// One point of every kind: call, object, scene's first only. For the short form.
pub fn sample(points: Vec<Point>) -> Vec<Point> {
    let mut seen = HashSet::new();
    points
        .into_iter()
        .filter(|point| {
            let call = &point.call;
            point.scene.is_control()
                || seen.insert((
                    call.name.clone(),
                    call.object,
                    point.committed,
                    point.ground.name(),
                    point.thread as u8,
                    point.scene.group,
                    // The others make the same calls at other times.
                    point.scene.op.is_composed().then_some(point.scene.op as u8),
                ))
        })
        .collect()
}

/// Counts a result in the row of its scene and ground; what is wrong is told at once, and in full.
pub fn tally(rows: &mut Vec<Row>, section: &'static str, point: &Point, problem: Option<Problem>) {
    let at = (point.scene.name, point.ground.name());
    let same = |row: &Row| (row.name.as_str(), row.ground.as_str()) == at;
    let index = rows.iter().position(same).unwrap_or_else(|| {
        rows.push(Row::new(section, at.0, at.1));
        rows.len() - 1
    });
    if point.scene.is_control() {
        rows[index].expect = Expect::Caught;
    } else if let Some(problem) = &problem {
        eprintln!("bad: {problem}");
    }
    rows[index].count(problem);
}
