//! An error during several updates of one index. Some may be rejected, together or alone, and some tried again: each is
//! judged by the outcome of its own promise.

use anyhow::Result;
use serde_json::Value;

use super::judge;
use super::trial::Trial;
use crate::report::problem::Harm::{FalseFailure, FalseSuccess, Torn};
use crate::report::problem::Problem;
use crate::walk::Workspace;
use crate::walk::session::{all_durable, outcomes};
use crate::walk::strace::{Call, Object};

/// The call that met the error. `Some`: what was wrong.
pub fn first_call(
    trial: &Trial,
    workspace: &Workspace,
    answer: &Value,
    calls: &[Call],
) -> Result<Option<Problem>> {
    let found = judge::look(trial.point.at.scene, workspace)?;
    if let Some(problem) = judge::around(trial, &found, answer, calls) {
        return Ok(Some(problem));
    }
    for (id, outcome) in (0..).zip(outcomes(answer)) {
        let error = &outcome["error"];
        let problem = match (found.done.iter().filter(|done| **done == id).count(), error.is_object()) {
            (0, false) => Some(FalseSuccess.problem("resolved, and is not there")),
            (there @ 0..=1, true) if (there == 1) != (error["committed"] == true) => {
                Some(FalseFailure.problem(format!("rejected, and there {there} times: {error}")))
            }
            // An update behind one that waits for descriptors may time out.
            (0, true) if trial.takes_long() && id > 0 && error["code"] == "ERR_ATOMIC_LOCK_TIMEOUT" => None,
            (0..=1, true) => judge::shape(trial, workspace, error, calls),
            (1, false) => None,
            (more, _) => Some(Torn.problem(format!("is there {more} times"))),
        };
        if let Some(problem) = problem {
            return Ok(Some(problem.at(format!("update {id}, {:?} are there", found.done))));
        }
    }
    let claims = all_durable(answer, true) && !were_flushed(calls);
    Ok(claims.then(|| FalseSuccess.problem("not everything was flushed")))
}

/// Of every commit, the file before it got its name, and the directory after that.
fn were_flushed(calls: &[Call]) -> bool {
    let flush = |call: &Call, object| call.name == "fsync" && call.object == object && call.succeeded();
    let (mut staged, mut named) = (false, false);
    for call in calls {
        if flush(call, Object::Staged) {
            staged = true;
        } else if flush(call, Object::Directory) {
            named = false;
        } else if call.name.starts_with("rename") && call.object != Object::Backup && call.succeeded() {
            if !std::mem::take(&mut staged) {
                return false;
            }
            named = true;
        }
    }
    !named
}
