//! One error that strace makes, and what the library does with it.

use anyhow::{Context, Result, ensure};

use super::trial::Trial;
use super::{append, group, judge, together};
use crate::lab::Lab;
use crate::report::problem::{Harm, Problem};
use crate::walk::scene::Op;
use crate::walk::session::{Reply, call_again};
use crate::walk::strace::{Call, Inject, Object};
use crate::walk::{self, At, Attempt, Patience, Point, Workspace};

/// Node's own calls are not the library's.
pub fn is_ours(point: &Point) -> bool {
    point.call.object != Object::Node || point.call.name == "mincore"
}

/// Makes one call fail. `Some`: what was wrong about it.
pub fn fail(lab: &Lab, workspace: &Workspace, trial: &Trial) -> Option<Problem> {
    // A failure of the lab is reported with the point, and does not end the walk.
    let problem = fail_once(lab, workspace, trial)
        .unwrap_or_else(|error| Some(Harm::Untested.problem(format!("{error:#}"))));
    problem.map(|problem| problem.at(trial).in_trace(&trial.point.call.line))
}

fn fail_once(lab: &Lab, workspace: &Workspace, trial: &Trial) -> Result<Option<Problem>> {
    let Trial { point, error, persistent } = trial;
    let Point { at, call, .. } = point;
    let At { scene, staging, .. } = *at;
    let inject = Inject {
        call: call.name.clone(),
        what: format!("error={error}"),
        when: format!("{}{}", call.nth, if *persistent { "+" } else { "" }),
    };
    let patience = if *error == "EMFILE" { Patience::FOR_DESCRIPTORS } else { Patience::USUAL };
    let injected = |calls: &[Call]| calls.iter().find(|call| call.is_injected()).cloned();
    let hit = |done: &Attempt| injected(&done.calls).is_some_and(|injected| injected.matches(call));
    let mut done = walk::attempt_until(lab, workspace, *at, &inject, patience, hit)?;
    let mut trial = trial.clone();
    if !hit(&done) {
        let elsewhere = injected(&done.calls).context("nothing was injected")?;
        ensure!(scene.group > 0, "it was injected elsewhere: {elsewhere:?}");
        // How a group divides depends on the clock.
        trial.point.call = elsewhere;
    }
    let trial = &trial;
    let Some(answer) = &done.answer else {
        return Ok(Some(Harm::Stuck.problem(format!("no answer ({:?})", done.ended))));
    };
    if scene.op.is_together() {
        let answer = answer.clone();
        return together::judge(lab, workspace, trial, &mut done, &answer);
    }
    let judge = match scene.op {
        Op::Append => append::first_call,
        _ if scene.group > 0 => group::first_call,
        _ => judge::first_call,
    };
    if let Some(problem) = judge(trial, workspace, answer, &done.calls)? {
        return Ok(Some(problem));
    }
    let before = judge::look(scene, workspace)?;
    done.session.go()?;
    let Reply::Line(answer) = done.session.answer(Patience::USUAL)? else {
        return Ok(Some(Harm::Stuck.problem("the next call in this process hangs or dies")));
    };
    let durable = !trial.casts_doubt();
    if let Some(problem) = judge::next_call(scene, workspace, &before, &answer, &done.calls, durable)? {
        return Ok(Some(problem.at("the next call in this process")));
    }
    done.session.kill();
    // A process sweeps a folder once: the next process removes what could not be removed.
    let before = judge::look(scene, workspace)?;
    if before.leftovers.is_empty() {
        return Ok(None);
    }
    let Some(answer) = call_again(lab, scene, &workspace.folder, staging)? else {
        return Ok(Some(Harm::Stuck.problem("the next process hangs or dies")));
    };
    let problem = judge::next_call(scene, workspace, &before, &answer, &[], true)?;
    let left = judge::look(scene, workspace)?.leftovers;
    let stays = || Harm::of_leftovers(&left).problem(format!("the next process leaves {left:?}"));
    Ok(problem.or_else(|| (!left.is_empty()).then(stays)))
}
