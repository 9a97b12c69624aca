//! Kills in transactions and in recoveries. Until somebody comes next, each file is old or new; after that, all are.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::lab::Lab;
use crate::lab::staging::Staging;
use crate::report::problem::Harm::{self, FalseSuccess, Lost, Stuck, Torn, Untested};
use crate::report::problem::Problem;
use crate::walk::four_files::{POST, SURVIVOR};
use crate::walk::scene::{Op, Scene};
use crate::walk::session::{Session, all_durable, call_again};
use crate::walk::strace::{Call, Inject};
use crate::walk::together::Together;
use crate::walk::{self, Attempt, Patience, Point, Workspace};

/// Who comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    Transaction,
    /// An update of one of the indexes.
    Update,
    /// The same, by a process that has worked in this directory before.
    Survivor,
    Snapshot,
    Recover,
    /// Somebody without this library, who replaces a file; and then a recovery.
    Foreign,
}

const ALL: [Next; 6] =
    [Next::Transaction, Next::Update, Next::Survivor, Next::Snapshot, Next::Recover, Next::Foreign];
const FOREIGN: &str = "somebody else's";

/// Two of those who can come next, others at each point; `None`: the same call again.
pub fn next(scene: &Scene, number: usize) -> impl Iterator<Item = Option<Next>> + use<> {
    let is_next = move |at: &usize| at % 3 == number % 3;
    let together = scene.op.is_together();
    let two = (0..ALL.len()).filter(move |at| together && is_next(at)).map(|at| Some(ALL[at]));
    two.chain((!together).then_some(None))
}

/// One death, and what is found after it. `Some`: what was wrong.
pub fn kill(lab: &Lab, workspace: &Workspace, point: &Point, next: Next) -> Result<Option<Problem>> {
    let problem = die_and_go_on(lab, workspace, point, next)?;
    Ok(problem
        .map(|problem| problem.at(format!("{}, then {next:?}", point.describe())).in_trace(&point.call.line)))
}

/// The versions that all files may have in the end.
#[derive(Clone, Copy, Debug)]
struct Versions {
    oldest: u32,
    newest: u32,
}

fn die_and_go_on(lab: &Lab, workspace: &Workspace, point: &Point, next: Next) -> Result<Option<Problem>> {
    let Point { at, call, .. } = point;
    let (scene, folder) = (at.scene, &workspace.folder);
    let first = if scene.is_rooted() { 2 } else { 1 };
    // What was interrupted before this had been committed.
    let oldest = first + u32::from(!scene.interrupted.is_empty());
    let newest = oldest + u32::from(scene.op == Op::Transaction);
    let all = Versions { oldest: if point.committed { newest } else { oldest }, newest };

    let inject =
        Inject { call: call.name.clone(), what: "signal=SIGKILL".into(), when: call.nth.to_string() };
    let here = |last: &Call| last.matches(call) && last.result.starts_with('?');
    let hit = |done: &Attempt| done.calls.last().is_some_and(here);
    let survivor = || (next == Next::Survivor).then(|| Session::survivor(lab, scene, folder)).transpose();
    let (done, survivor) =
        walk::attempt_beside_until(lab, workspace, *at, &inject, Patience::USUAL, hit, survivor)?;
    if done.ended.and_then(|status| status.signal()) != Some(libc::SIGKILL) || !hit(&done) {
        let what = format!("it was not killed there ({:?}, {:?})", done.ended, done.calls.last());
        return Ok(Some(Untested.problem(what)));
    }
    let found = Together::look(scene, folder)?;
    if let Some(problem) = found.torn(newest) {
        return Ok(Some(problem));
    }
    let problem = match (next, survivor) {
        (Next::Foreign, _) => somebody_else(lab, scene, workspace, all)?,
        (_, Some(survivor)) => come_next(scene, workspace, survivor.after_all()?, next, all)?,
        (_, None) => {
            let answer = call_again(lab, &Scene { op: next.op(), ..*scene }, folder, Staging::Unnamed)?;
            come_next(scene, workspace, answer, next, all)?
        }
    };
    match problem {
        Some(problem) => Ok(Some(problem)),
        None => end(lab, scene, workspace, next),
    }
}

impl Next {
    fn op(self) -> Op {
        match self {
            Self::Transaction => Op::Transaction,
            Self::Update | Self::Survivor => Op::Update,
            Self::Snapshot => Op::Snapshot,
            Self::Recover | Self::Foreign => Op::Recover,
        }
    }
}

fn come_next(
    scene: &Scene,
    workspace: &Workspace,
    answer: Option<Value>,
    next: Next,
    all: Versions,
) -> Result<Option<Problem>> {
    let Some(answer) = answer else {
        return Ok(Some(Stuck.problem("the next call waits, hangs or dies")));
    };
    if !all_durable(&answer, true) {
        return Ok(Some(Stuck.problem(format!("the next call answers {answer}"))));
    }
    let found = Together::look(scene, &workspace.folder)?;
    let (transactions, updates) = match next {
        Next::Transaction => (1, 0),
        Next::Update | Next::Survivor => (0, 1),
        _ => (0, 0),
    };
    let mut versions = all.oldest..=all.newest;
    let right = versions.any(|version| match next {
        Next::Snapshot => answer["result"]["versions"]
            .as_array()
            .is_some_and(|read| read.iter().all(|read| *read == version)),
        _ => found.is(version + transactions, updates),
    });
    Ok((!right).then(|| Torn.problem(format!("{all:?} became {found:?}: {answer}"))))
}

/// What somebody has written in another way is not overwritten.
fn somebody_else(lab: &Lab, scene: &Scene, workspace: &Workspace, all: Versions) -> Result<Option<Problem>> {
    let (folder, post) = (&workspace.folder, workspace.folder.join(POST));
    let theirs = post.with_extension("theirs");
    fs::write(&theirs, FOREIGN)?;
    fs::rename(theirs, &post)?;
    let recover = Scene { op: Op::Recover, ..*scene };
    let Some(answer) = call_again(lab, &recover, folder, Staging::Unnamed)? else {
        return Ok(Some(Stuck.problem("recovery waits, hangs or dies")));
    };
    if !all_durable(&answer, true) {
        return Ok(Some(Stuck.problem(format!("recovery answers {answer}"))));
    }
    if fs::read(&post)? != FOREIGN.as_bytes() {
        return Ok(Some(Lost.problem(format!("somebody else's file was overwritten: {answer}"))));
    }
    let right = (all.oldest..=all.newest).any(|version| {
        let put = fs::write(&post, scene.bytes(version));
        put.is_ok() && Together::look(scene, folder).is_ok_and(|found| found.is(version, 0))
    });
    Ok((!right)
        .then(|| Torn.problem(format!("{all:?} became {:?}: {answer}", Together::look(scene, folder)))))
}

/// A last transaction leaves nothing of what the dead have left.
fn end(lab: &Lab, scene: &Scene, workspace: &Workspace, next: Next) -> Result<Option<Problem>> {
    let folder = &workspace.folder;
    let last = Scene { op: Op::Transaction, ..*scene };
    let Some(answer) = call_again(lab, &last, folder, Staging::Unnamed)? else {
        return Ok(Some(Stuck.problem("the last transaction waits, hangs or dies")));
    };
    if !all_durable(&answer, true) {
        return Ok(Some(FalseSuccess.problem(format!("the last transaction answers {answer}"))));
    }
    let mut found = Together::look(scene, folder)?;
    // What a transaction would have written over somebody else's file is kept for a person.
    found.leftovers.retain(|name| next != Next::Foreign || !name.ends_with(".atomic-lost"));
    if !found.leftovers.is_empty() {
        let problem = Harm::of_leftovers(&found.leftovers).problem(format!("{:?} stay", found.leftovers));
        return Ok(Some(problem));
    }
    // Its own, which nobody has swept yet.
    let marks = Together::marks(folder);
    Ok((marks > 1).then(|| Harm::Leftover.problem(format!("{marks} marks of processes stay"))))
}

impl Session {
    /// A process that has worked in the folder, and will update the index there when it is told to.
    fn survivor(lab: &Lab, scene: &Scene, folder: &std::path::Path) -> Result<Self> {
        let mut spec = Scene { op: Op::Update, ..*scene }.spec(folder, 1, false, folder)?;
        spec["survives"] = SURVIVOR.into();
        let session = Self::start(lab, "call.mjs", &spec, Staging::Unnamed)?;
        match session.expect_line()? {
            line if line["worker"].is_u64() => Ok(session),
            line => bail!("the survivor says {line}"),
        }
    }

    fn after_all(mut self) -> Result<Option<Value>> {
        self.go()?;
        self.only_answer()
    }
}
