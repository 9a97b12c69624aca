//! Whether the outcome of an append that met an error is true: the line is there as a whole, or nothing of it, or the error says
//! that a part may be.

use anyhow::Result;
use serde_json::Value;

use super::judge;
use super::trial::{TRANSIENT, Trial};
use crate::report::problem::Harm::{FalseFailure, FalseSuccess};
use crate::report::problem::Problem;
use crate::walk::Workspace;
use crate::walk::check::Content;
use crate::walk::strace::Call;

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
    let (error, result) = (&answer["error"], &answer["result"]);
    let is_there = found.is(Content::Version(2));
    if error.is_object() {
        if is_there && error["committed"] != true {
            return Ok(Some(FalseFailure.problem(format!("the line is there: {error}"))));
        }
        return Ok(judge::shape(trial, workspace, error, calls));
    }
    if !is_there {
        return Ok(Some(FalseSuccess.problem(format!("{:?}: {result}", found.target))));
    }
    let is_borne = TRANSIENT.contains(&trial.error)
        || trial.why_ignored().is_some()
        || super::fallback::instead(&trial.point.call, trial.error).is_some();
    Ok((!is_borne).then(|| FalseSuccess.problem(format!("the error was swallowed: {result}"))))
}
