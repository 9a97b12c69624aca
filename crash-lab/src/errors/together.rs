//! An error during a transaction, or during the recovery of one: nothing has changed, or all of it has in the end.

use anyhow::Result;
use serde_json::Value;

use super::table::is_error;
use super::trial::{TRANSIENT, Trial};
use crate::lab::Lab;
use crate::lab::staging::Staging;
use crate::report::problem::Harm::{self, FalseFailure, FalseSuccess, Leftover, Stuck, Torn};
use crate::report::problem::Problem;
use crate::walk::scene::{Op, Scene};
use crate::walk::session::{Reply, all_durable, call_again};
use crate::walk::strace::{Call, Object};
use crate::walk::together::Together;
use crate::walk::{Attempt, Patience, Workspace};

/// The version that all files have before the call, or would have if what was interrupted had been recovered.
fn before(scene: &Scene) -> u32 {
    1 + u32::from(scene.is_rooted()) + u32::from(!scene.interrupted.is_empty())
}

/// What the call that met the error, and those after it, made of the files. `Some`: what was wrong.
pub fn judge(
    lab: &Lab,
    workspace: &Workspace,
    trial: &Trial,
    done: &mut Attempt,
    answer: &Value,
) -> Result<Option<Problem>> {
    let (scene, folder) = (trial.point.at.scene, &workspace.folder);
    let old = before(scene);
    let new = old + u32::from(scene.op == Op::Transaction);
    let found = Together::look(scene, folder)?;
    if let Some(problem) = found.torn(new).or_else(|| leaked(answer, &done.calls)) {
        return Ok(Some(problem));
    }
    let error = &answer["error"];
    // The version of all files before the next call, as far as the answer says.
    let possible = if error.is_object() {
        match outcome(trial, error, old, new) {
            Ok(possible) => possible,
            Err(problem) => return Ok(Some(problem)),
        }
    } else {
        if !found.is(new, 0) {
            return Ok(Some(FalseSuccess.problem(format!("resolved, and {found:?}: {answer}"))));
        }
        if let Some(problem) = swallowed(trial, &answer["result"], &done.calls) {
            return Ok(Some(problem));
        }
        vec![new]
    };
    if error.is_object() && possible == [old] && scene.interrupted.is_empty() && !found.is(old, 0) {
        return Ok(Some(FalseFailure.problem(format!("rejected, and {found:?}: {error}"))));
    }
    done.session.go()?;
    let Reply::Line(next) = done.session.answer(Patience::USUAL)? else {
        return Ok(Some(Stuck.problem("the next call in this process hangs or dies")));
    };
    let step = u32::from(scene.op == Op::Transaction);
    let after = Together::look(scene, folder)?;
    let right = possible.iter().any(|version| after.is(version + step, 0));
    // A folder that may not be on the disk casts a doubt on all that is below it, as long as the process remembers it.
    let succeeds = all_durable(&next, true) || trial.casts_doubt() && all_durable(&next, false);
    if !right || !succeeds {
        let harm = if next["error"].is_object() { Stuck } else { Torn };
        return Ok(Some(harm.problem(format!("{possible:?} became {after:?}: {answer}, then {next}"))));
    }
    if !left(&after, trial).is_empty() {
        return Ok(Some(Harm::of_leftovers(&after.leftovers).problem(format!("left {:?}", after.leftovers))));
    }
    done.session.kill();
    end(lab, scene, workspace)
}

/// Names that stay, and should have been removed. What could not be removed is swept by the next process.
fn left<'a>(found: &'a Together, trial: &Trial) -> Vec<&'a String> {
    let looks = ["fstat", "statx", "newfstatat", "flock", "unlinkat", "openat", "getdents64"];
    let could = !looks.contains(&trial.point.call.name.as_str()) && !trial.persistent;
    found.leftovers.iter().filter(|_| could).collect()
}

fn end(lab: &Lab, scene: &Scene, workspace: &Workspace) -> Result<Option<Problem>> {
    let last = Scene { op: Op::Transaction, ..*scene };
    let answer = call_again(lab, &last, &workspace.folder, Staging::Unnamed)?;
    let Some(answer) = answer else {
        return Ok(Some(Stuck.problem("the next process hangs or dies")));
    };
    if !all_durable(&answer, true) {
        return Ok(Some(Stuck.problem(format!("the next process answers {answer}"))));
    }
    let found = Together::look(scene, &workspace.folder)?;
    let stays = || {
        let harm = Harm::of_leftovers(&found.leftovers);
        harm.problem(format!("the next process leaves {:?}: {answer}", found.leftovers))
    };
    Ok((!found.leftovers.is_empty()).then(stays))
}

/// Which versions an error leaves possible.
fn outcome(trial: &Trial, error: &Value, old: u32, new: u32) -> Result<Vec<u32>, Problem> {
    let wrong = |what: &str| Err(FalseFailure.problem(format!("{what}: {error}")));
    if TRANSIENT.contains(&trial.error) && !trial.persistent {
        return wrong("a transient error");
    }
    let code = error["code"].as_str().unwrap_or_default();
    match code {
        "ERR_ATOMIC_UNKNOWN" => Ok(vec![old, new]),
        "ERR_ATOMIC_PENDING" if error["committed"] == true => Ok(vec![new]),
        "ERR_ATOMIC_LOCK_TIMEOUT" if trial.error == "EMFILE" => Ok(vec![old]),
        _ if !is_error(error, trial.error) => wrong("the code"),
        _ if !error["stack"].as_str().unwrap_or_default().contains("call.mjs") => {
            wrong("the stack does not reach the caller")
        }
        _ => Ok(vec![if error["committed"] == true { new } else { old }]),
    }
}

/// The marks of processes stay open as long as these live, and a close(2) that strace makes fail never happens.
fn leaked(answer: &Value, calls: &[Call]) -> Option<Problem> {
    let leaked = answer["leaked"].as_array().into_iter().flatten();
    let leaked: Vec<_> = leaked.filter(|link| !link.as_str().unwrap_or_default().contains(".live")).collect();
    let unclosed = calls.iter().filter(|call| call.name == "close" && call.is_injected()).count();
    (leaked.len() > unclosed).then(|| Leftover.problem(format!("descriptors leaked: {leaked:?}")))
}

/// What must not fail without a report: bytes on their way to the disk, and names.
fn swallowed(trial: &Trial, result: &Value, calls: &[Call]) -> Option<Problem> {
    if TRANSIENT.contains(&trial.error) {
        return None;
    }
    let matters = |call: &Call| match (call.name.as_str(), call.object) {
        ("fsync" | "fdatasync", _) => !["EINVAL", "ENOSYS", "EOPNOTSUPP", "EBADF"].contains(&trial.error),
        ("write" | "pwrite64" | "fchmod" | "fchown", Object::Staged) => true,
        // What was moved or is to be removed is unlinked where there is no room for another name, in which it would be looked at.
        ("renameat2", Object::Staged) if is_taken_away(call) => !["ENOSPC", "EDQUOT"].contains(&trial.error),
        ("renameat" | "renameat2", Object::Staged | Object::Backup) => true,
        _ => false,
    };
    let failed = calls.iter().find(|call| call.is_injected() && matters(call));
    failed.map(|call| FalseSuccess.problem(format!("the error was swallowed ({}): {result}", call.line)))
}

/// Whether it is the rename that takes away a name that is to go.
fn is_taken_away(call: &Call) -> bool {
    let mut names = call.line.split('"').skip(1).step_by(2).map(|name| name.ends_with(".atomic-txn"));
    (names.next(), names.next()) == (Some(false), Some(true))
}
