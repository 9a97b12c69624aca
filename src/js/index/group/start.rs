//! From a call to the group that it leads, or that takes it along; or to its result, if a worker has done all of it.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use engine::index::commit_job::Committed;
use engine::index::group::Written;
use engine::index::job::Come;
use engine::index::patch_job::Begun;
use engine::job::Job;
use engine::{stats, steps};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::Group;
use crate::js::index::call::{Call, Change, Command, Request};
use crate::js::index::file::{Answer, FileIndex};
use crate::js::index::held::{Held, Now, Outcome, Replaced};
use crate::js::task;
use crate::js::value::Result;

/// Starts a call for a file, which is opened by `job`; `answer` makes its result.
pub fn start<J>(env: &Env, request: Request, job: J, answer: Answer) -> Result<'_, Unknown<'_>>
where
    J: Job,
    J::Output: Into<Begun>,
{
    let call = Call::new(request);
    let promise = call.begin(env)?;
    let others = call.request.ties.others.clone();
    let expected = others.clone().filter(|_| matches!(call.request.change, Change::Crowd(_)));
    let done = move |env: &Env, outcome: task::Outcome<J::Output>| match outcome.map(Into::into) {
        Ok(Begun::Come(Come::Open(opened))) => {
            call.follow(env);
            let held = Box::new(FileIndex::new(*opened, answer));
            let lead = move |env: &Env| Group::lead(env, &call, held);
            match others {
                Some(others) => others.wait_for(env, lead),
                None => lead(env),
            }
        }
        Ok(Begun::Come(Come::Follower)) => call.follow(env),
        Ok(Begun::Written(committed, waited)) => written_at_once(env, &call, *committed, waited, answer),
        Err(failure) => call.refuse(env, failure),
    };
    match expected {
        Some(others) => task::run_telling(env, job, others.expect(), done)?,
        None => task::run(env, job, done)?,
    }
    Ok(promise)
}

/// A worker has written the change of `call`, or has found another index there than it had read: then a group goes on with that.
fn written_at_once(env: &Env, call: &Rc<Call>, committed: Committed, waited: Duration, answer: Answer) {
    let Replaced { written, held } = FileIndex::replaced(committed, answer, SystemTime::now());
    match held {
        Ok(Now::Held(held)) => go_on(env, call, written, Ok(held), waited),
        Ok(Now::Lost(lost)) => {
            let Request { deadline, signal, steps, .. } = &call.request;
            let leader = call.clone();
            let done = move |env: &Env, held| go_on(env, &leader, written, held, waited);
            steps::scope(steps.as_ref(), || {
                (lost.wait)(env, *deadline, signal.cancel(), Box::new(done));
            });
        }
        Err(outcome) => go_on(env, call, written, Err(outcome), waited),
    }
}

fn go_on(
    env: &Env,
    call: &Rc<Call>,
    written: Written<Outcome>,
    held: std::result::Result<Box<dyn Held>, Outcome>,
    waited: Duration,
) {
    let outcome = match (written, held) {
        (written, Ok(held)) => {
            call.follow(env);
            return Group::lead_on(env, call, held, written);
        }
        (Written::Changed, Err(outcome)) => outcome,
        (Written::Done(outcome), _) => {
            stats::updated(1);
            call.waited.set(waited);
            return call.succeed(env, outcome);
        }
        (Written::Failed(outcome) | Written::Invalid(outcome) | Written::Late(outcome, _), _) => outcome,
    };
    call.waited.set(waited);
    call.send(env, Command::Settle(outcome, 1));
}
