//! An error in the midst of several updates of one index. Some may be rejected, together or alone, and some tried
//! again: each is judged by what its own promise said.

use anyhow::Result;
use serde_json::Value;

use super::judge;
use super::trial::Trial;
use crate::problem::Harm::{FalseFailure, FalseSuccess, Torn};
use crate::problem::Problem;
use crate::walk::Bench;
use crate::walk::session::{all_durable, outcomes};
use crate::walk::strace::{Call, Object};

/// The call that met the error. `Some`: what was wrong.
pub fn first_call(trial: &Trial, bench: &Bench, said: &Value, calls: &[Call]) -> Result<Option<Problem>> {
    let found = judge::look(trial.point.scene, bench)?;
    if let Some(problem) = judge::around(trial, &found, said, calls) {
        return Ok(Some(problem));
    }
    for (id, outcome) in (0..).zip(outcomes(said)) {
        let error = &outcome["error"];
        let problem = match (found.done.iter().filter(|done| **done == id).count(), error.is_object()) {
            (0, false) => Some(FalseSuccess.told("resolved, and is not there")),
            (there @ 0..=1, true) if (there == 1) != (error["committed"] == true) => {
                Some(FalseFailure.told(format!("rejected, and there {there} times: {error}")))
            }
            // Those in line behind one who waits for descriptors know that their time is over, and no more.
            (0, true) if trial.takes_long() && id > 0 && error["code"] == "ERR_ATOMIC_LOCK_TIMEOUT" => None,
            (0..=1, true) => judge::shape(trial, bench, error, calls),
            (1, false) => None,
            (more, _) => Some(Torn.told(format!("is there {more} times"))),
        };
        if let Some(problem) = problem {
            return Ok(Some(problem.at(format!("update {id}, {:?} are there", found.done))));
        }
    }
    let claims = all_durable(said, true) && !were_flushed(calls);
    Ok(claims.then(|| FalseSuccess.told("not everything was flushed")))
}

/// Every commit: the file before it got its name, the directory after.
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
