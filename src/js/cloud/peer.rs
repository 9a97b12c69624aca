//! The peer, `@pipeline/atomic-cloud`: a module that `index.js` loads for us, because only JavaScript can `require`, and
//! only a literal there is what bundlers follow.

use std::ffi::CStr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::value::thrown::{self, Result, Thrown};
use crate::js::value::{Once, copy, raw};

const NAME: &str = "@pipeline/atomic-cloud";

thread_local! {
    /// A `Map` of the function that loads the peer, and of what it has returned.
    static KNOWN: Once = const { Once::new() };
}

const LOAD: &str = "load";
const PEER: &str = "peer";

/// Keeps the function that loads the peer. A later one replaces it, as test runners load `index.js` time and again.
pub fn keep_loader<'env>(env: &'env Env, load: &Unknown<'_>) -> Result<'env, ()> {
    let known = known(env)?;
    raw::invoke(env, &known, c"clear", &[])?;
    raw::invoke(env, &known, c"set", &[raw::to_js(env, LOAD)?, *load])?;
    Ok(())
}

/// Calls a function of the peer's with the arguments of a call for what the caller calls `shown`, and passes on what it returns.
///
/// # Errors
/// `ERR_ATOMIC_NO_CLOUD`; what the function throws.
pub fn call<'env>(
    env: &'env Env,
    shown: &str,
    name: &CStr,
    args: &[Unknown<'_>],
) -> Result<'env, Unknown<'env>> {
    let peer = load(env, shown)?;
    let function = raw::get(env, &peer, name)?;
    if raw::type_of(&function) != ValueType::Function {
        let name = name.to_string_lossy();
        let problem = format!(
            "the installed version of {NAME} has no '{name}': update it with npm install {NAME}@latest"
        );
        return Err(no_cloud(env, shown, &problem));
    }
    raw::call(env, &peer, &function, args)
}

fn load<'env>(env: &'env Env, shown: &str) -> Result<'env, Unknown<'env>> {
    let known = known(env)?;
    let kept = raw::invoke(env, &known, c"get", &[raw::to_js(env, PEER)?])?;
    if raw::is_object(&kept) {
        return Ok(kept);
    }
    let load = raw::invoke(env, &known, c"get", &[raw::to_js(env, LOAD)?])?;
    if raw::type_of(&load) != ValueType::Function {
        return Err(no_cloud(
            env,
            shown,
            "the addon was loaded without index.js: require('@pipeline/atomic') instead",
        ));
    }
    let loaded = raw::call(env, &raw::undefined(env), &load, &[])?;
    let peer = raw::get(env, &loaded, c"peer")?;
    if !raw::is_object(&peer) {
        return Err(refused(env, shown, Thrown(raw::get(env, &loaded, c"error")?)));
    }
    raw::invoke(env, &known, c"set", &[raw::to_js(env, PEER)?, peer])?;
    Ok(peer)
}

fn known(env: &Env) -> Result<'_, Unknown<'_>> {
    KNOWN.with(|known| known.get(env, || raw::construct(env, &raw::global(env, c"Map")?, &[])))
}

/// The peer is not there, or is there and cannot be loaded, as when a module is missing that it needs.
fn refused<'env>(env: &'env Env, shown: &str, cause: Thrown<'env>) -> Thrown<'env> {
    let text =
        |name| raw::get(env, &cause.0, name).and_then(|text| copy::text(env, &text)).unwrap_or_default();
    let message = text(c"message");
    let first = message.lines().next().unwrap_or_default();
    let is_missing = text(c"code") == "MODULE_NOT_FOUND" && first.contains(&format!("'{NAME}'"));
    let problem = if is_missing {
        format!("object stores need another package: npm install {NAME}")
    } else {
        format!("{NAME} cannot be loaded: {first}; install it again on this machine: npm install {NAME}")
    };
    no_cloud(env, shown, &problem).caused_by(env, Some(cause))
}

fn no_cloud<'env>(env: &'env Env, shown: &str, problem: &str) -> Thrown<'env> {
    let code = "ERR_ATOMIC_NO_CLOUD";
    let message = format!("{code}: {problem}, '{}'", shown);
    thrown::error(env, &message).with(env, c"code", code).with(env, c"path", shown)
}
