//! Whether a call that met an error told the truth about it: invariants 1, 3, 4, 6 and 9.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::fallback;
use super::table::{node_names, number};
use super::trial::{PASSING, Trial};
use crate::problem::Harm::{self, FalseFailure, FalseSuccess, Leftover, Stuck};
use crate::problem::Problem;
use crate::walk::check::{Content, Found, is_temp};
use crate::walk::scene::{COMPANIONS, Op, Scene, TARGET, backup};
use crate::walk::session::{all_durable, outcomes};
use crate::walk::strace::{Call, Object};
use crate::walk::{Bench, Thread};

/// The bench's folder now.
pub fn look(scene: &Scene, bench: &Bench) -> Result<Found> {
    Found::look(scene, &bench.folder)
}

/// The call that met the error. `Some`: what was wrong.
pub fn first_call(trial: &Trial, bench: &Bench, said: &Value, calls: &[Call]) -> Result<Option<Problem>> {
    let scene = trial.point.scene;
    let found = look(scene, bench)?;
    if let Some(problem) = around(trial, &found, said, calls).or_else(|| flushed_again(calls)) {
        return Ok(Some(problem));
    }
    let error = &said["error"];
    if let Some((durable, why)) = fallback::instead(&trial.point.call, trial.error) {
        // A flush before the rename is that of a backup; `durable` speaks of the file itself.
        let before_rename = trial.point.call.object == Object::Directory && !trial.point.committed;
        let of_backup = before_rename && !trial.casts_doubt();
        let problem = fell_back(trial, &found, said, durable || (of_backup && !trial.persistent));
        return Ok(problem.map(|problem| problem.at(format!("not so: {why}"))));
    }
    Ok(if error.is_object() {
        rejected(trial, bench, &found, error, calls)
    } else {
        resolved(trial, &found, &said["result"], calls)
    })
}

/// What must be so whatever came of the call: nothing torn, nothing left.
pub fn around(trial: &Trial, found: &Found, said: &Value, calls: &[Call]) -> Option<Problem> {
    if let Some(problem) = found.broken(trial.point.scene) {
        return Some(problem);
    }
    if leaks(said).len() > unclosed(calls) {
        return Some(Leftover.told(format!("descriptors leaked: {}", said["leaked"])));
    }
    let left: Vec<_> = found.leftovers.iter().filter(|name| !trial.may_leave(name)).collect();
    (!left.is_empty()).then(|| Harm::of_leftovers(&left).told(format!("left {left:?}")))
}

fn leaks(said: &Value) -> Vec<&Value> {
    said["leaked"].as_array().map(|leaked| leaked.iter().collect()).unwrap_or_default()
}

/// A close(2) that fails has closed the descriptor, but for one that strace makes fail: it never happens.
fn unclosed(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.name == "close" && call.is_injected()).count()
}

/// The kernel marks pages clean that it could not write: a second fsync would lie.
fn flushed_again(calls: &[Call]) -> Option<Problem> {
    // What cannot be flushed at all was not lost by the first try.
    let passes = |call: &Call| {
        ["EINTR", "EINVAL", "ENOSYS", "EOPNOTSUPP", "EBADF"].iter().any(|error| call.result.contains(error))
    };
    let failed = |call: &&Call| call.name == "fsync" && call.is_injected() && !passes(call);
    let at = calls.iter().position(|call| failed(&call))?;
    let descriptor = |call: &Call| call.line.split(" = ").next().map(str::trim).map(str::to_owned);
    calls[at + 1..]
        .iter()
        .find(|call| call.name == "fsync" && descriptor(call) == descriptor(&calls[at]))
        .map(|call| FalseSuccess.told(format!("fsync was tried again: {}", call.line)))
}

/// There is another way, and it was taken.
fn fell_back(trial: &Trial, found: &Found, said: &Value, durable: bool) -> Option<Problem> {
    let result = &said["result"];
    let level = result["verified"].as_str().unwrap_or_default();
    let deeper = level == "device" && !trial.point.scene.verifies_device();
    let fine = found.is(Content::Version(2))
        && result["written"] == true
        && result["durable"] == durable
        && ["cache", "device"].contains(&level)
        && !deeper;
    let harm = if said["error"].is_object() { FalseFailure } else { FalseSuccess };
    (!fine).then(|| harm.told(format!("{said}, {found:?}")))
}

fn rejected(trial: &Trial, bench: &Bench, found: &Found, error: &Value, calls: &[Call]) -> Option<Problem> {
    let wrong = |what: &str| Some(FalseFailure.told(format!("{what}: {error}")));
    if (found.target == Content::Version(2)) != (error["committed"] == true) {
        return wrong(&format!("the target is {:?}", found.target));
    }
    shape(trial, bench, error, calls)
}

/// What an error that reached the caller has to look like.
pub fn shape(trial: &Trial, bench: &Bench, error: &Value, calls: &[Call]) -> Option<Problem> {
    let scene = trial.point.scene;
    let wrong = |what: &str| Some(FalseFailure.told(format!("{what}: {error}")));
    if PASSING.contains(&trial.error) && !trial.persistent {
        return wrong("an error that passes by itself");
    }
    // Descriptors are waited for like a lock, and as long.
    let waits = trial.error == "EMFILE" && trial.point.call.object == Object::Lock;
    if waits && error["code"] == "ERR_ATOMIC_LOCK_TIMEOUT" {
        return None;
    }
    if error["code"] != trial.error || error["errno"] != -number(trial.error) {
        return wrong("the code");
    }
    // The first that failed may be one that is ignored.
    let target = scene.target(&bench.folder);
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

/// Whether an error in the shape of `node:fs` is what this call's failure has to become.
fn explains(call: &Call, scene: &Scene, target: &Path, error: &Value) -> bool {
    let path = match call.object {
        Object::Lock => target.with_file_name(format!(".{TARGET}.lock")),
        Object::Backup => backup(target),
        _ => target.to_owned(),
    };
    let syscall = error["syscall"].as_str().unwrap_or_default();
    // Directories on the way, and whatever else a backup takes, may be told as the backup's.
    let told = Path::new(error["path"].as_str().unwrap_or_default());
    let also = match scene.op {
        _ if scene.has_backup() => told == backup(target),
        // It says which of them.
        Op::All => COMPANIONS.iter().any(|name| told == target.with_file_name(name)),
        // And where in the tree, which may still be beside the target.
        Op::Tree => told.ancestors().any(|path| path == target || is_temp_of(path, target)),
        _ => false,
    };
    node_names(&call.name).contains(&syscall) && (also || told == path)
}

fn is_temp_of(path: &Path, target: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.parent() == target.parent() && is_temp(name)
}

fn resolved(trial: &Trial, found: &Found, result: &Value, calls: &[Call]) -> Option<Problem> {
    let Trial { point, error, .. } = trial;
    let wrong = |what: &str| Some(FalseSuccess.told(format!("{what}: {result}")));
    if !found.is(Content::Version(2)) || result["written"] != true {
        return wrong(&format!("the target is {:?}", found.target));
    }
    // The old tree could not be removed, and the result says where it is.
    let told = result["previous"].is_string();
    if !PASSING.contains(error) && trial.why_ignored().is_none() && !told {
        return wrong("swallowed");
    }
    let durable = result["durable"] == true;
    // A trace of the waiter does not show what the worker flushed.
    if durable && point.thread == Thread::Worker && !were_flushed(calls) {
        return wrong("not everything was flushed");
    }
    if !durable && *error != "EACCES" && point.call.name != "fstatfs" {
        return Some(FalseFailure.told(format!("nothing speaks against durable: true: {result}")));
    }
    let dropped = !["fadvise64", "mincore"].contains(&point.call.name.as_str());
    if result["verified"] == "device" && !(point.scene.verifies_device() && dropped) {
        return wrong("verified");
    }
    if !["cache", "device"].contains(&result["verified"].as_str().unwrap_or_default()) {
        return wrong("verified");
    }
    None
}

/// The file before it got its name, its directory after.
fn were_flushed(calls: &[Call]) -> bool {
    let publishes = |call: &Call| {
        call.succeeded()
            && call.object != Object::Backup
            && (call.name.starts_with("rename") || call.name == "linkat")
    };
    let Some(published) = calls.iter().rposition(publishes) else { return false };
    let flushes = |calls: &[Call], object| {
        calls.iter().any(|call| call.name == "fsync" && call.object == object && call.succeeded())
    };
    flushes(&calls[..published], Object::Staged) && flushes(&calls[published..], Object::Directory)
}

/// A call after it, with nothing in its way. `Some`: what was wrong.
pub fn next_call(
    scene: &Scene,
    bench: &Bench,
    before: &Found,
    said: &Value,
    calls: &[Call],
    durable: bool,
) -> Result<Option<Problem>> {
    if scene.is_exclusive() && before.target == Content::Version(2) {
        let right = said["error"]["code"] == "EEXIST";
        return Ok((!right).then(|| FalseSuccess.told(format!("wx over a file: {said}"))));
    }
    let next = match before.target {
        Content::Version(version) => Content::Version(scene.next(version)),
        _ => Content::Version(2),
    };
    let found = look(scene, bench)?;
    if !all_durable(said, durable) || !found.is(next) {
        let odd = outcomes(said)
            .iter()
            .find(|one| one["result"]["durable"] != durable)
            .unwrap_or(&outcomes(said)[0]);
        let harm = match &odd["result"]["durable"] {
            Value::Bool(said) if *said == durable || *said => FalseSuccess,
            Value::Bool(_) => FalseFailure,
            _ => Stuck,
        };
        return Ok(Some(harm.told(format!("{:?} became {:?}: {said}", before.target, found.target))));
    }
    let new: Vec<_> = found.leftovers.iter().filter(|name| !before.leftovers.contains(name)).collect();
    // What strace kept open has another name by now.
    if !new.is_empty() || (!leaks(said).is_empty() && unclosed(calls) == 0) {
        let harm = Harm::of_leftovers(&new);
        return Ok(Some(harm.told(format!("left {new:?}, leaked {}", said["leaked"]))));
    }
    Ok(None)
}
