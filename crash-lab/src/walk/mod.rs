//! The walk that kills and errors share: a baseline trace of a call, then the same call once for each line
//! of it, with something done to that line.

pub mod check;
pub mod four_files;
mod patience;
pub mod scene;
pub mod session;
pub mod strace;
pub mod together;
mod workspace;

use std::hash::Hash;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use serde_json::Value;

use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::lab::budget::Budget;
use crate::lab::order::Order;
use crate::lab::parallel::Plan;
use crate::lab::staging::Staging;
use crate::lab::{Lab, stop};
use crate::report::problem::Problem;
use crate::report::{Expect, Row};
pub use patience::Patience;
use scene::{SCENES, Scene};
use session::{Reply, Session, all_durable};
use strace::{Call, Inject, Object, Tracer};
pub use workspace::{Workspace, in_parallel};

/// A walk takes a processor; the rest of its time it waits.
pub const THREADS: usize = 2;

/// How often a call is made again because it took another course.
const TRIES: usize = 60;

/// How often if that takes long: a call that waits for descriptors takes half a minute.
const LONG_TRIES: usize = 8;

/// What takes long.
const LONG: Duration = Duration::from_secs(60);

/// Which thread of the process is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thread {
    /// libuv's worker, which does the I/O.
    Worker,
    /// tokio's thread, which waits for locks.
    Waiter,
}

/// A call, and where it is traced.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub scene: &'static Scene,
    pub staging: Staging,
    pub thread: Thread,
}

/// One line of a baseline.
#[derive(Clone, Debug)]
pub struct Point {
    pub at: At,
    pub call: Call,
    /// The new file has its name already; in place, all of its bytes and no more.
    pub committed: bool,
    /// A file is being overwritten: a death leaves a part of it.
    pub overwriting: bool,
}

impl Point {
    /// For messages.
    pub fn describe(&self) -> String {
        let At { scene, staging, .. } = self.at;
        format!("{} ({}): {} #{}", scene.name, staging.name(), self.call.name, self.call.nth)
    }

    /// Points of one kind are expected to show the same.
    pub fn kind(&self) -> impl Eq + Hash + use<> {
        let At { scene, staging, thread } = self.at;
        // The others make the same calls at other times.
        let op = scene.op.is_composed().then_some(scene.op);
        (self.call.name.clone(), self.call.object, self.committed, staging, thread, scene.group, op)
    }

    /// A sample has at least one point of each scene, and every point of a control, in which the lab has to find faults.
    pub fn floor(&self) -> impl Eq + Hash + use<> {
        let control = self.at.scene.is_control().then(|| (self.call.name.clone(), self.call.nth));
        (self.at.scene.name, control)
    }
}

/// What came of one traced call.
#[derive(Debug)]
pub struct Attempt {
    pub session: Session,
    /// What the workload reported.
    pub answer: Option<Value>,
    /// Those of a group that were acknowledged.
    pub resolved: Vec<u64>,
    /// How the process ended, if it did not answer.
    pub ended: Option<ExitStatus>,
    pub calls: Vec<Call>,
}

impl Attempt {
    /// Whether the process neither answered nor ended.
    fn is_stuck(&self) -> bool {
        self.answer.is_none() && self.ended.is_none()
    }
}

/// Makes the scene's call under strace.
pub fn attempt(
    lab: &Lab,
    workspace: &Workspace,
    at: At,
    inject: Option<&Inject>,
    patience: Patience,
) -> Result<Attempt> {
    attempt_beside(lab, workspace, at, inject, patience, || Ok(())).map(|(done, ())| done)
}

/// As [`attempt`], beside what is started as soon as all that is there before has been made.
pub fn attempt_beside<T>(
    lab: &Lab,
    workspace: &Workspace,
    At { scene, staging, thread }: At,
    inject: Option<&Inject>,
    patience: Patience,
    beside: impl Fn() -> Result<T>,
) -> Result<(Attempt, T)> {
    scene.prepare(&workspace.folder)?;
    let beside = beside()?;
    if !scene.interrupted.is_empty() {
        together::interrupt(lab, scene, &workspace.folder)?;
    }
    let mut held = scene.waits.then(|| scene.hold_lock(&workspace.folder)).transpose()?;
    let mut spec = scene.spec(&workspace.folder, 2, true, &workspace.warm)?;
    if let Some(timeout) = patience.lock_timeout().filter(|_| scene.is_update() || scene.is_append()) {
        spec["options"]["timeout"] = timeout.into();
    }
    let mut warm = scene.waits.then(|| scene.hold_lock(&workspace.warm)).transpose()?;
    let mut session = Session::start(lab, "call.mjs", &spec, staging)?;
    let ready = loop {
        match session.expect_line()? {
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
    let tracer = Tracer::attach(tid, scene.op.is_together(), inject, &workspace.trace)?;
    session.go()?;
    let mut resolved = Vec::new();
    let (answer, ended) = loop {
        match session.line(patience)? {
            Reply::Line(line) if line["resolved"].is_u64() => resolved.extend(line["resolved"].as_u64()),
            Reply::Line(line) if line["waiting"] == true => held = None,
            Reply::Line(line) => break (Some(line), None),
            Reply::Closed => break (None, session.end()?),
            Reply::Stuck => break (None, None),
        }
    };
    drop(held);
    let calls = tracer.finish(&workspace.folder)?;
    Ok((Attempt { session, answer, resolved, ended, calls }, beside))
}

/// As [`attempt`], and again if it did not `hit`. On a busy machine a call may find the lock free between two looks and
/// look once more, a group may divide differently, and another thread may close a file whose replacement took long.
/// A process that is stuck is a finding, whatever was hit.
pub fn attempt_until(
    lab: &Lab,
    workspace: &Workspace,
    at: At,
    inject: &Inject,
    patience: Patience,
    hit: impl Fn(&Attempt) -> bool,
) -> Result<Attempt> {
    attempt_beside_until(lab, workspace, at, inject, patience, hit, || Ok(())).map(|(done, ())| done)
}

/// As [`attempt_until`] and [`attempt_beside`].
pub fn attempt_beside_until<T>(
    lab: &Lab,
    workspace: &Workspace,
    at: At,
    inject: &Inject,
    patience: Patience,
    hit: impl Fn(&Attempt) -> bool,
    beside: impl Fn() -> Result<T>,
) -> Result<(Attempt, T)> {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let done = attempt_beside(lab, workspace, at, Some(inject), patience, &beside)?;
        tries += 1;
        let is_long = begun.elapsed() >= LONG;
        let enough = tries >= if is_long { LONG_TRIES } else { TRIES };
        if enough || hit(&done.0) || done.0.is_stuck() {
            return Ok(done);
        }
        if is_long {
            let took = begun.elapsed().as_secs();
            eprintln!("{}: {inject:?} was missed {tries} times in {took} s", at.scene.name);
        }
    }
}

/// With less time than this, scenes are traced where files are staged in one way, which is left to chance: tracing all would take longer than
/// all that is looked at then.
const FOR_ALL_WAYS: Duration = Duration::from_secs(60);

/// Every line of every scene's undisturbed trace. The first call traces them, on a disk of their own; `None`: the run was stopped
/// before all were traced. `for_them`: the time that there is to look at them.
pub fn points(lab: &Lab, for_them: Budget) -> Result<Option<&'static [Point]>> {
    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
    if let Some(points) = POINTS.get() {
        return Ok(Some(points));
    }
    let disk = Mounted::new(Kind::FIRST, &lab.scratch.join("baseline"))?;
    let scenes = scenes(&lab.scene, for_them.is_below(FOR_ALL_WAYS).then(|| lab.rng("staging")));
    let budget = Budget::new(None);
    let order = Order::new(scenes.len(), budget, &mut lab.rng("baseline"));
    let plan = Plan { name: "calls traced", items: &scenes, order, budget, threads: THREADS };
    let traced = in_parallel(lab, disk.folder(), &plan, |workspace, (scene, staging)| {
        baseline(lab, workspace, scene, *staging).with_context(|| scene.name)
    })?;
    let traced: Option<Vec<_>> = traced.into_iter().collect();
    Ok(traced.map(|traced| &**POINTS.get_or_init(|| traced.into_iter().flatten().collect())))
}

/// Those with `words` in their names, in each way in which files can be staged, or in one that is left to `chance`.
fn scenes(words: &str, mut chance: Option<Rng>) -> Vec<(&'static Scene, Staging)> {
    let wanted = SCENES.iter().filter(|scene| scene.name.contains(words));
    // What a transaction has staged has a name in any case.
    let is_one_way = |scene: &Scene| scene.is_control() || scene.op.is_together();
    let mut ways = |scene: &Scene| match &mut chance {
        _ if is_one_way(scene) => &Staging::ALL[..1],
        None => &Staging::ALL[..],
        Some(rng) => std::slice::from_ref(&Staging::ALL[rng.usize(..Staging::ALL.len())]),
    };
    wanted.flat_map(|scene| ways(scene).iter().map(move |staging| (scene, *staging))).collect()
}

fn baseline(lab: &Lab, workspace: &Workspace, scene: &'static Scene, staging: Staging) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for thread in [Thread::Worker, Thread::Waiter] {
        if thread == Thread::Waiter && !scene.waits {
            continue;
        }
        let at = At { scene, staging, thread };
        let trace = || undisturbed(lab, workspace, at);
        // Waiting, and how a group divides, depend on the clock: what is in every trace will come again.
        let (calls, others) = if scene.group > 0 || scene.waits {
            (trace()?, vec![trace()?, trace()?, trace()?])
        } else {
            (twice(trace)?, vec![])
        };
        let published = calls.iter().rposition(|call| publishes(scene, call));
        let overwrites = |call: &Call| call.name == "write" && call.object == Object::Target;
        let begun = calls.iter().position(overwrites).filter(|_| scene.is_in_place());
        if thread == Thread::Worker && published.is_none() && !scene.is_control() {
            bail!("nothing publishes the file in {calls:#?}");
        }
        let always = |call: &Call| others.iter().all(|calls| calls.iter().any(|other| other.matches(call)));
        let calls = calls.into_iter().enumerate();
        let certain = calls.filter(|(_, call)| is_certain(call, thread) && always(call));
        points.extend(certain.map(|(number, call)| {
            let after = |call: Option<usize>| call.is_some_and(|call| number > call);
            let committed = after(published);
            Point { at, call, committed, overwriting: after(begun) && !committed }
        }));
    }
    Ok(points)
}

/// What a call does when nothing is injected.
fn undisturbed(lab: &Lab, workspace: &Workspace, at: At) -> Result<Vec<Call>> {
    let done = attempt(lab, workspace, at, None, Patience::USUAL)?;
    let answer = done.answer.context("no baseline")?;
    ensure!(all_durable(&answer, true), "the baseline answers {answer}");
    Ok(done.calls)
}

/// A trace that came twice. One that came once may not come again.
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

/// Whether two runs made the same calls, except for Node's own.
fn are_alike(one: &[Call], other: &[Call]) -> bool {
    let ours = |calls: &[Call]| {
        let ours = calls.iter().filter(|call| call.object != Object::Node);
        ours.map(|call| (call.name.clone(), call.object, call.nth)).collect::<Vec<_>>()
    };
    ours(one) == ours(other)
}

/// The call that gives the new file its name: the last that links or renames anything but a backup. In place it is the
/// one that cuts off what is left of the old content, and of lines it is the one that writes them.
pub fn publishes(scene: &Scene, call: &Call) -> bool {
    if scene.is_in_place() {
        return call.name == "ftruncate" && call.object == Object::Target;
    }
    if scene.is_append() {
        return call.name == "write" && call.object == Object::Target;
    }
    call.object != Object::Backup && (call.name.starts_with("rename") || call.name == "linkat")
}

/// How often the waiter looks before the lock is free depends on the clock, but it looks at least twice. What is
/// different about the look that succeeds is the same code that the worker runs.
fn is_certain(call: &Call, thread: Thread) -> bool {
    let looks = ["openat", "fstat", "newfstatat", "flock"].contains(&call.name.as_str());
    thread == Thread::Worker || (looks && call.nth <= 2)
}

/// What came of a point, as a part of the row of its scene and staging. A problem is printed at once, unless it is that
/// of a control.
pub fn row(lab: &Lab, section: &'static str, point: &Point, problem: Option<Problem>) -> Row {
    let mut row = empty(section, point);
    row.count(problem);
    lab.tally.add(&row);
    row
}

/// What there is of a point that was not looked at: in a run that was stopped, that its row is not whole. A control may be caught at
/// any of its points.
pub fn missed(section: &'static str, point: &Point) -> Option<Row> {
    stop::is_asked().then(|| Row { interrupted: true, ..empty(section, point) })
}

fn empty(section: &'static str, point: &Point) -> Row {
    let At { scene, staging, .. } = point.at;
    let expect = if scene.is_control() { Expect::Caught } else { Expect::NoneBad };
    Row { expect, ..Row::new(section, scene.name, staging.name()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sample_has_each_scene_in_one_way_and_all_samples_together_in_each() {
        let of = |chance| scenes("", chance).into_iter().map(|(scene, way)| (scene.name, way));
        let all: Vec<_> = of(None).collect();
        assert!(all.len() > SCENES.len());
        let mut seen = std::collections::HashSet::new();
        for seed in 0..20 {
            let sample: Vec<_> = of(Some(Rng::with_seed(seed))).collect();
            let names = |scenes: &[(&str, Staging)]| {
                scenes.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(names(&sample), SCENES.iter().map(|scene| scene.name).collect::<Vec<_>>());
            seen.extend(sample);
        }
        assert_eq!(seen, all.into_iter().collect());
    }
}
