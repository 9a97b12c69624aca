//! Section: a kill at every system call. The process dies on entering the k-th call of each kind, for every k of a
//! baseline trace. That call does not happen; the state after it is that of the next point.

mod together;

use std::os::unix::process::ExitStatusExt;

use anyhow::Result;

use crate::disk::filesystem::Kind;
use crate::disk::mounted::Mounted;
use crate::lab::Lab;
use crate::lab::budget::Budget;
use crate::lab::order::Order;
use crate::lab::parallel::Plan;
use crate::report::Findings;
use crate::report::problem::Harm::{self, FalseSuccess, Lost, Stuck, Untested};
use crate::report::problem::Problem;
use crate::walk::check::{Content, Found};
use crate::walk::session::{all_durable, call_again};
use crate::walk::strace::{Call, Inject, Object};
use crate::walk::{self, At, Attempt, Patience, Point, Workspace};
use together::Next;

const SECTION: &str = "kill";

/// Runs the section.
pub fn run(lab: &Lab, budget: Budget) -> Result<Findings> {
    if let Some(why) = Kind::FIRST.missing() {
        return Ok(Findings::skipped(SECTION, why));
    }
    let Some(points) = walk::points(lab, budget)? else {
        return Ok(Findings::without_plan(SECTION, "points"));
    };
    let points = points.iter().filter(|point| is_ours(point));
    let deaths: Vec<(&Point, Option<Next>)> = points
        .enumerate()
        .flat_map(|(number, point)| together::next(point.at.scene, number).map(move |next| (point, next)))
        .collect();
    let order = Order::new(deaths.len(), budget, &mut lab.rng(SECTION))
        .one_of_each(|death| deaths[death].0.kind())
        .at_least_one_of_each(|death| deaths[death].0.floor());
    let disk = Mounted::new(Kind::FIRST, &lab.scratch.join(SECTION))?;
    let plan = Plan { name: SECTION, items: &deaths, order, budget, threads: walk::THREADS };
    let killed = walk::in_parallel(lab, disk.folder(), &plan, |workspace, (point, next)| {
        let problem = match next {
            None => kill(lab, workspace, point)?,
            Some(next) => together::kill(lab, workspace, point, *next)?,
        };
        Ok(walk::row(lab, SECTION, point, problem))
    })?;
    let parts =
        deaths.iter().zip(killed).map(|((point, _), row)| (1, row.or_else(|| walk::missed(SECTION, point))));
    Ok(Findings::sum(SECTION, "points", parts))
}

/// A job ends with libuv's write to its eventfd: a process that dies there has done everything and reported nothing.
/// Node's other calls show nothing about the routine.
fn is_ours(point: &Point) -> bool {
    point.call.object != Object::Node || ["write", "getrandom"].contains(&point.call.name.as_str())
}

/// One death. `Some`: what was wrong after it.
fn kill(lab: &Lab, workspace: &Workspace, point: &Point) -> Result<Option<Problem>> {
    let problem = match die(lab, workspace, point)? {
        Some(problem) => Some(problem),
        None => go_on(lab, workspace, point)?,
    };
    Ok(problem.map(|problem| problem.at(point.describe()).in_trace(&point.call.line)))
}

fn die(lab: &Lab, workspace: &Workspace, point: &Point) -> Result<Option<Problem>> {
    let Point { at, call, .. } = point;
    let scene = at.scene;
    let inject =
        Inject { call: call.name.clone(), what: "signal=SIGKILL".into(), when: call.nth.to_string() };
    let here = |last: &Call| last.matches(call) && last.result.starts_with('?');
    let hit = |done: &Attempt| done.calls.last().is_some_and(here);
    let done = walk::attempt_until(lab, workspace, *at, &inject, Patience::USUAL, hit)?;
    if done.ended.and_then(|status| status.signal()) != Some(libc::SIGKILL) {
        return Ok(Some(
            Untested.problem(format!("it was not killed ({:?}, {:?})", done.answer, done.ended)),
        ));
    }
    // How a group divides depends on the clock. Every death in it is judged by what had been reported until then.
    if !hit(&done) && scene.group == 0 {
        return Ok(Some(Untested.problem(format!("it died elsewhere: {:?}", done.calls.last()))));
    }
    let found = Found::look(scene, &workspace.folder)?;
    if let Some(problem) = found.broken(scene, point.overwriting) {
        return Ok(Some(problem));
    }
    if scene.group > 0 {
        return Ok(found.misses(&done.resolved));
    }
    let gone = point.committed && !found.is(Content::Version(2));
    Ok(gone.then(|| Lost.problem(format!("after the rename the target is {:?}", found.target))))
}

/// The same call in a fresh process succeeds without waiting, and leaves nothing behind.
fn go_on(lab: &Lab, workspace: &Workspace, point: &Point) -> Result<Option<Problem>> {
    let At { scene, staging, .. } = point.at;
    let before = Found::look(scene, &workspace.folder)?;
    let Some(answer) = call_again(lab, scene, &workspace.folder, staging)? else {
        return Ok(Some(Stuck.problem("the next call waits, hangs or dies")));
    };
    if scene.is_exclusive() && before.target == Content::Version(2) {
        let right = answer["error"]["code"] == "EEXIST";
        return Ok((!right).then(|| FalseSuccess.problem(format!("wx over a file: {answer}"))));
    }
    if !all_durable(&answer, true) {
        return Ok(Some(Stuck.problem(format!("the next call answers {answer}"))));
    }
    let next = match before.target {
        Content::Version(version) => Content::Version(scene.next(version)),
        _ => Content::Version(2),
    };
    let found = Found::look(scene, &workspace.folder)?;
    if !found.is(next) {
        let made = format!("the next call made {:?} of {:?}", found.target, before.target);
        return Ok(Some(FalseSuccess.problem(made)));
    }
    let left = [found.leftovers, found.unexpected].concat();
    Ok((!left.is_empty()).then(|| Harm::of_leftovers(&left).problem(format!("the next call left {left:?}"))))
}
