//! One call's part in an index update: its function is given the index, and returns the next one.

use std::rc::Rc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::call::Call;
use crate::js::index::group::Group;
use crate::js::index::members::Turn;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::{Result, Thrown, abort, invalid_return};
use crate::js::value::{args, promise};

/// Calls the function. The promise settles when the call is over, in whichever commit.
pub fn apply<'env>(env: &'env Env, call: &Rc<Call>, group: &Rc<Group>) -> Result<'env, Unknown<'env>> {
    let turn = group.turn();
    let result = invoke(env, call, group).and_then(|next| {
        if !raw::is_thenable(env, &next)? {
            return accept(env, call, group, turn, &next);
        }
        // Following takes two turns of the microtask queue at least: by then the caller's promise hangs
        // on the reaction below, and an error made there knows the caller.
        let mut next = raw::follow(env, &next)?;
        if call.signal.is_given() || group.has_others() {
            next = call.signal.race(env, next)?;
            group.set_timer(env, turn);
        }
        let (call, group) = (call.clone(), group.clone());
        promise::then(env, &next, move |env, next| accept(env, &call, &group, turn, &next))
    });
    if !group.is_at(turn) {
        // The next one has the index.
        return result;
    }
    // The function threw, or it is at work still and may yet fail, or return what is no index.
    let result = promise::of(env, result)?;
    let (call, group) = (call.clone(), group.clone());
    promise::catch(env, &result, move |env, error| {
        if !group.is_at(turn) {
            return Err(Thrown(error));
        }
        if !call.is_aborted() && group.put_off(env) {
            return call.next_order(env);
        }
        let rejected = promise::of(env, Err(Thrown(error)))?;
        promise::finally(env, &rejected, move |env| {
            let rest = call.next_order(env)?;
            group.leave_out(env, &call);
            Ok(rest)
        })
    })
}

/// `fn(index)`.
fn invoke<'env>(env: &'env Env, call: &Call, group: &Group) -> Result<'env, Unknown<'env>> {
    if call.is_aborted() {
        return Err(abort(env, call.signal.reason(env)));
    }
    let index = group.index(env, call)?;
    raw::call(env, &raw::undefined(env), &call.function.get(env)?, &[index])
}

/// Passes the next index on to the group.
fn accept<'env>(
    env: &'env Env,
    call: &Rc<Call>,
    group: &Rc<Group>,
    turn: Turn,
    next: &Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    if !group.is_at(turn) {
        // The function took too long for those before it, and runs again.
        return call.next_order(env);
    }
    if call.is_aborted() {
        return Err(abort(env, call.signal.reason(env)));
    }
    if raw::type_of(next) != ValueType::Object {
        let got = args::describe(env, next);
        let message = format!("The function must return an object or an array. Received {got}");
        return Err(invalid_return(env, &message, None));
    }
    let next = Kept::new(env, next)?;
    let rest = call.next_order(env)?;
    group.accept(env, call, next);
    Ok(rest)
}
