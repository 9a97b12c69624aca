//! One index update between its two halves on workers: the call of the user's function.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use super::data::Data;
use super::error::{self, Failure, from_failure, invalid_return};
use super::index_job::{CommitJob, Committed, Opened, Release};
use super::signal::Signal;
use super::value::{self, Kept, Result, Thrown};
use super::{args, memory, promise, task};
use crate::engine::commit::Receipt;
use crate::engine::index::UpdateOptions;

/// One call, for as long as it takes.
pub struct Call {
    /// The user's function.
    pub function: Kept,
    /// What the caller calls the file.
    pub shown: String,
    /// JSON for the function when there is no file.
    pub initial: Option<Vec<u16>>,
    /// `JSON.stringify`'s; `None`: as the file has it.
    pub space: Option<Space>,
    /// How to write.
    pub options: UpdateOptions,
    /// The caller's.
    pub signal: Signal,
    /// When to stop beginning again; `None`: never.
    pub deadline: Option<Instant>,
    /// Makes the caller's result.
    pub answer: fn(&Env, Updated) -> Result<'_, Unknown<'_>>,
}

/// `JSON.stringify`'s third argument.
pub enum Space {
    /// So many spaces.
    Number(f64),
    /// This text.
    Text(String),
}

/// What an update did.
pub struct Updated {
    /// As for any write.
    pub receipt: Receipt,
    /// From the call until the index was ours.
    pub waited: Duration,
}

/// The index while JavaScript works on it. Whoever takes it out gives it back to the others; if all
/// that hold this are collected, that does.
type Hand = Rc<RefCell<Option<Opened>>>;

impl Call {
    /// Why the call is rejected.
    pub fn failed<'env>(&self, env: &'env Env, failure: &Failure) -> Thrown<'env> {
        match self.signal.detach(env) {
            Ok(()) => from_failure(env, failure, &self.shown, &self.signal),
            Err(thrown) => thrown,
        }
    }
}

/// Calls the function and commits what it returns. Whatever fails, the lock is free before the
/// caller hears of it.
pub fn run<'env>(env: &'env Env, call: Rc<Call>, opened: Opened) -> Result<'env, Unknown<'env>> {
    let hand: Hand = Rc::new(RefCell::new(Some(opened)));
    let result = apply(env, &call, &hand).and_then(|next| {
        if !is_thenable(env, &next)? {
            return commit(env, &call, &hand, &next);
        }
        // Following takes two turns of the microtask queue at least: by then the caller's promise hangs
        // on the reaction below, and an error made there knows the caller.
        let next = call.signal.race(env, value::follow(env, &next)?)?;
        let (call, hand) = (call.clone(), hand.clone());
        promise::then(env, &next, move |env, next| commit(env, &call, &hand, &next))
    });
    if hand.borrow().is_none() {
        // The commit has it.
        return result;
    }
    // The function threw, or it is at work still and may yet fail, or return what is no index.
    let result = promise::of(env, result)?;
    promise::finally(env, &result, move |env| match hand.take() {
        Some(opened) => {
            call.signal.detach(env)?;
            task::start(env, Release(opened), |env, _| Ok(value::undefined(env)))
        }
        None => Ok(value::undefined(env)),
    })
}

/// `fn(index)`.
fn apply<'env>(env: &'env Env, call: &Call, hand: &Hand) -> Result<'env, Unknown<'env>> {
    if call.signal.cancel().is_cancelled() {
        return Err(error::abort(env, call.signal.reason(env)));
    }
    let text = match (hand.borrow().as_ref().and_then(|opened| opened.snapshot.as_ref()), &call.initial) {
        (Some(snapshot), _) => Some(memory::string(env, &snapshot.text, snapshot.ascii)?),
        (None, Some(initial)) => Some(memory::string_utf16(env, initial)?),
        (None, None) => None,
    };
    let index = match text {
        Some(text) => value::invoke(env, &value::global(env, c"JSON")?, c"parse", &[text])?,
        None => value::undefined(env),
    };
    value::call(env, &value::undefined(env), &call.function.get(env)?, &[index])
}

fn is_thenable<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, bool> {
    match value::type_of(value) {
        ValueType::Object if value::is_promise(env, value) => Ok(true),
        ValueType::Object => Ok(value::type_of(&value::get(env, value, c"then")?) == ValueType::Function),
        _ => Ok(false),
    }
}

/// Writes the next index; begins again if the file has changed meanwhile.
fn commit<'env>(
    env: &'env Env,
    call: &Rc<Call>,
    hand: &Hand,
    next: &Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    if call.signal.cancel().is_cancelled() {
        return Err(error::abort(env, call.signal.reason(env)));
    }
    let text = stringify(env, call, hand, next)?;
    let Some(opened) = hand.take() else { return Err(error::internal(env, "an update without its index")) };
    let waited = opened.waited;
    let job = CommitJob::new(opened, text, call.options.clone(), call.deadline, call.signal.cancel());
    let call = call.clone();
    task::start(env, job, move |env, outcome| match outcome {
        Ok(Committed::Written(receipt)) => {
            call.signal.detach(env)?;
            (call.answer)(env, Updated { receipt, waited })
        }
        Ok(Committed::Changed(opened)) => run(env, call, *opened),
        Err(failure) => Err(call.failed(env, &failure)),
    })
}

/// The text of the next index, in the layout of the last.
fn stringify<'env>(env: &'env Env, call: &Call, hand: &Hand, next: &Unknown<'_>) -> Result<'env, Data> {
    if value::type_of(next) != ValueType::Object {
        let got = args::describe(env, next);
        let message = format!("The function must return an object or an array. Received {got}");
        return Err(invalid_return(env, &message, None));
    }
    let layout = hand.borrow().as_ref().map(|opened| opened.layout.clone()).unwrap_or_default();
    let space = match &call.space {
        Some(Space::Number(space)) => value::to_js(env, *space)?,
        Some(Space::Text(space)) => value::to_js(env, space.as_str())?,
        None => value::to_js(env, layout.indent)?,
    };
    let not_json = |cause| invalid_return(env, "What the function returned is not JSON", cause);
    let text =
        value::invoke(env, &value::global(env, c"JSON")?, c"stringify", &[*next, value::null(env)?, space])
            .map_err(|cause| not_json(Some(cause)))?;
    if value::type_of(&text) != ValueType::String {
        return Err(not_json(None));
    }
    let mut text = Data::text(env, &text)?;
    // A `toJSON` can make anything of an object.
    if !text.begins_with(b'{') && !text.begins_with(b'[') {
        return Err(not_json(None));
    }
    if layout.newline {
        text.push(b'\n');
    }
    Ok(text)
}
