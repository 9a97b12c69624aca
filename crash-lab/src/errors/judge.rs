//! Whether the outcome of a call that met an error is true: invariants 1, 3, 4, 6 and 9.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::fallback;
use super::table::{is_error, is_named};
use super::trial::{TRANSIENT, Trial};
use crate::report::problem::Harm::{self, FalseFailure, FalseSuccess, Leftover, Stuck};
use crate::report::problem::Problem;
use crate::walk::check::{Content, Found, is_temp};
use crate::walk::scene::{COMPANIONS, Op, Scene, TARGET, backup};
use crate::walk::session::{all_durable, outcomes};
use crate::walk::strace::{Call, Object};
use crate::walk::{Thread, Workspace, publishes};

/// What is in the workspace's folder now.
pub fn look(scene: &Scene, workspace: &Workspace) -> Result<Found> {
    Found::look(scene, &workspace.folder)
}

/// The call that met the error. `Some`: what was wrong.
pub fn first_call(
    trial: &Trial,
    workspace: &Workspace,
    answer: &Value,
    calls: &[Call],
) -> Result<Option<Problem>> {
    let scene = trial.point.at.scene;
    let found = look(scene, workspace)?;
    if let Some(problem) = around(trial, &found, answer, calls).or_else(|| flushed_again(calls)) {
        return Ok(Some(problem));
    }
    let error = &answer["error"];
    if let Some((durable, why)) = fallback::instead(&trial.point.call, trial.error) {
        // A flush before the rename is that of a backup; `durable` speaks of the file itself.
        let before_rename = trial.point.call.object == Object::Directory && !trial.point.committed;
        // In place the only file that is staged is the backup; elsewhere the file itself is flushed only as the version that becomes one.
        let backup = if scene.is_in_place() { Object::Staged } else { Object::Target };
        let is_backup = trial.point.call.object == backup;
        let of_backup = is_backup || before_rename && !trial.casts_doubt();
        let problem = fell_back(trial, &found, answer, durable || (of_backup && !trial.persistent));
        return Ok(problem.map(|problem| problem.at(format!("not so: {why}"))));
    }
    Ok(if error.is_object() {
        rejected(trial, workspace, &found, error, calls)
    } else {
        resolved(trial, &found, &answer["result"], calls)
    })
}

/// What must hold in any case: nothing is torn, nothing is left.
pub fn around(trial: &Trial, found: &Found, answer: &Value, calls: &[Call]) -> Option<Problem> {
    let scene = trial.point.at.scene;
    let may_be_torn = (scene.is_in_place() || scene.is_append()) && answer["error"]["committed"] == true;
    if let Some(problem) = found.broken(scene, may_be_torn) {
        return Some(problem);
    }
    if leaks(answer).len() > unclosed(calls) {
        return Some(Leftover.problem(format!("descriptors leaked: {}", answer["leaked"])));
    }
    let left: Vec<_> = found.leftovers.iter().filter(|name| !trial.may_leave(name)).collect();
    (!left.is_empty()).then(|| Harm::of_leftovers(&left).problem(format!("left {left:?}")))
}

fn leaks(answer: &Value) -> Vec<&Value> {
    answer["leaked"].as_array().map(|leaked| leaked.iter().collect()).unwrap_or_default()
}

/// A close(2) that fails has closed the descriptor, except if strace makes it fail: then it never happens.
fn unclosed(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.name == "close" && call.is_injected()).count()
}

/// The kernel marks pages as clean that it could not write: a second fsync would succeed wrongly.
fn flushed_again(calls: &[Call]) -> Option<Problem> {
    // A file that cannot be flushed at all lost nothing by the first try.
    let is_harmless = |call: &Call| {
        ["EINTR", "EINVAL", "ENOSYS", "EOPNOTSUPP", "EBADF"].iter().any(|error| call.result.contains(error))
    };
    let failed = |call: &&Call| call.name == "fsync" && call.is_injected() && !is_harmless(call);
    let at = calls.iter().position(|call| failed(&call))?;
    let descriptor = |call: &Call| call.line.split(" = ").next().map(str::trim).map(str::to_owned);
    calls[at + 1..]
        .iter()
        .find(|call| call.name == "fsync" && descriptor(call) == descriptor(&calls[at]))
        .map(|call| FalseSuccess.problem(format!("fsync was tried again: {}", call.line)))
}

/// There is another way, and it must have been taken.
fn fell_back(trial: &Trial, found: &Found, answer: &Value, durable: bool) -> Option<Problem> {
    let result = &answer["result"];
    let level = result["verified"].as_str().unwrap_or_default();
    let deeper = level == "device" && !trial.point.at.scene.verifies_device();
    let fine = found.is(Content::Version(2))
        && result["written"] == true
        && result["durable"] == durable
        && ["cache", "device"].contains(&level)
        && !deeper;
    let harm = if answer["error"].is_object() { FalseFailure } else { FalseSuccess };
    (!fine).then(|| harm.problem(format!("{answer}, {found:?}")))
}

fn rejected(
    trial: &Trial,
    workspace: &Workspace,
    found: &Found,
    error: &Value,
    calls: &[Call],
) -> Option<Problem> {
    let wrong = |what: &str| Some(FalseFailure.problem(format!("{what}: {error}")));
    let (is_new, committed) = (found.target == Content::Version(2), error["committed"] == true);
    // In place the first write may fail, which has changed nothing.
    let may_be_old = trial.point.at.scene.is_in_place() && committed;
    if is_new != committed && !may_be_old {
        return wrong(&format!("the target is {:?}", found.target));
    }
    shape(trial, workspace, error, calls)
}

/// The shape of an error that reached the caller.
pub fn shape(trial: &Trial, workspace: &Workspace, error: &Value, calls: &[Call]) -> Option<Problem> {
    let scene = trial.point.at.scene;
    let wrong = |what: &str| Some(FalseFailure.problem(format!("{what}: {error}")));
    if TRANSIENT.contains(&trial.error) && !trial.persistent {
        return wrong("a transient error");
    }
    // What is in the way of a rename is not known then, and the rename says what it can.
    let unknown = scene.is_in_place() && trial.point.call.name == "statx" && trial.persistent;
    if unknown && error["code"] == "EBUSY" && error["syscall"] == "rename" {
        return None;
    }
    // A lack of descriptors is waited for like a lock, and as long.
    let waits = trial.error == "EMFILE" && trial.point.call.object == Object::Lock;
    if waits && error["code"] == "ERR_ATOMIC_LOCK_TIMEOUT" {
        return None;
    }
    if !is_error(error, trial.error) {
        return wrong("the code");
    }
    // The first call that failed may be one that is ignored.
    let target = scene.target(&workspace.folder);
    if !calls.iter().any(|call| call.is_injected() && explains(call, scene, &target, error)) {
        return wrong("no call that failed explains it");
    }
    let message = error["message"].as_str().unwrap_or_default();
    let [path, syscall] = ["path", "syscall"].map(|key| error[key].as_str().unwrap_or_default());
    let grammar = message.starts_with(&format!("{}: ", trial.error))
        && message.contains(&format!(", {syscall} '{path}'"))
        && error["dest"].as_str().is_none_or(|dest| message.ends_with(&format!(" -> '{dest}'")));
    if !grammar {
        return wrong("the message");
    }
    let stack = error["stack"].as_str().unwrap_or_default();
    if stack.contains("call.mjs") { None } else { wrong("the stack does not reach the caller") }
}

/// Whether the failure of this call has to become this error.
fn explains(call: &Call, scene: &Scene, target: &Path, error: &Value) -> bool {
    let path = match call.object {
        Object::Lock => target.with_file_name(format!(".{TARGET}.lock")),
        Object::Backup => backup(target),
        _ => target.to_owned(),
    };
    let syscall = error["syscall"].as_str().unwrap_or_default();
    // An error of a directory, or of anything else that a backup needs, may name the backup.
    let named = Path::new(error["path"].as_str().unwrap_or_default());
    let also = match scene.op {
        _ if scene.has_backup() => named == backup(target),
        // It names one of them.
        Op::All => COMPANIONS.iter().any(|name| named == target.with_file_name(name)),
        // It may name the file for the part of a line.
        Op::Append => {
            scene.half && named.to_string_lossy().starts_with(&format!("{}.torn-", target.display()))
        }
        // It names a place in the tree, which may still be beside the target.
        Op::Tree => named.ancestors().any(|path| path == target || is_temp_of(path, target)),
        _ => false,
    };
    // It names the directory that could not be made.
    let is_parent = syscall == "mkdir" && target.starts_with(named);
    is_named(&call.name, syscall) && (also || is_parent || named == path)
}

fn is_temp_of(path: &Path, target: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.parent() == target.parent() && is_temp(name)
}

fn resolved(trial: &Trial, found: &Found, result: &Value, calls: &[Call]) -> Option<Problem> {
    let Trial { point, error, .. } = trial;
    let wrong = |what: &str| Some(FalseSuccess.problem(format!("{what}: {result}")));
    if !found.is(Content::Version(2)) || result["written"] != true {
        return wrong(&format!("the target is {:?}", found.target));
    }
    // The old tree could not be removed, and the result says where it is.
    let kept = result["previous"].is_string();
    if !TRANSIENT.contains(error) && trial.why_ignored().is_none() && !kept {
        return wrong("the error was swallowed");
    }
    if point.at.scene.is_in_place() && result["atomic"] != false {
        return wrong("atomic");
    }
    let durable = result["durable"] == true;
    // A trace of the waiter does not show what the worker flushed.
    if durable && point.at.thread == Thread::Worker && !were_flushed(point.at.scene, calls) {
        return wrong("not everything was flushed");
    }
    if !durable && *error != "EACCES" && point.call.name != "fstatfs" {
        return Some(FalseFailure.problem(format!("nothing speaks against durable: true: {result}")));
    }
    let dropped = !["fadvise64", "mincore"].contains(&point.call.name.as_str());
    if result["verified"] == "device" && !(point.at.scene.verifies_device() && dropped) {
        return wrong("verified");
    }
    if !["cache", "device"].contains(&result["verified"].as_str().unwrap_or_default()) {
        return wrong("verified");
    }
    None
}

/// The file before it got its name, and its directory after that; in place, the file after its last change.
fn were_flushed(scene: &Scene, calls: &[Call]) -> bool {
    let published = calls.iter().rposition(|call| call.succeeded() && publishes(scene, call));
    let Some(published) = published else { return false };
    let flushes = |calls: &[Call], object| {
        calls.iter().any(|call| call.name == "fsync" && call.object == object && call.succeeded())
    };
    if scene.is_in_place() {
        return flushes(&calls[published..], Object::Target);
    }
    flushes(&calls[..published], Object::Staged) && flushes(&calls[published..], Object::Directory)
}

/// A later call, without an error. `Some`: what was wrong.
pub fn next_call(
    scene: &Scene,
    workspace: &Workspace,
    before: &Found,
    answer: &Value,
    calls: &[Call],
    durable: bool,
) -> Result<Option<Problem>> {
    if scene.is_exclusive() && before.target == Content::Version(2) {
        let right = answer["error"]["code"] == "EEXIST";
        return Ok((!right).then(|| FalseSuccess.problem(format!("wx over a file: {answer}"))));
    }
    let next = match before.target {
        Content::Version(version) => Content::Version(scene.next(version)),
        _ => Content::Version(2),
    };
    let found = look(scene, workspace)?;
    if !all_durable(answer, durable) || !found.is(next) {
        let odd = outcomes(answer)
            .iter()
            .find(|one| one["result"]["durable"] != durable)
            .unwrap_or(&outcomes(answer)[0]);
        let harm = match &odd["result"]["durable"] {
            Value::Bool(claim) if *claim == durable || *claim => FalseSuccess,
            Value::Bool(_) => FalseFailure,
            _ => Stuck,
        };
        return Ok(Some(harm.problem(format!("{:?} became {:?}: {answer}", before.target, found.target))));
    }
    let new: Vec<_> = found.leftovers.iter().filter(|name| !before.leftovers.contains(name)).collect();
    // A descriptor that strace kept open may have another name by now.
    if !new.is_empty() || (!leaks(answer).is_empty() && unclosed(calls) == 0) {
        let harm = Harm::of_leftovers(&new);
        return Ok(Some(harm.problem(format!("left {new:?}, leaked {}", answer["leaked"]))));
    }
    Ok(None)
}
