//! Objects of which all members are read by one call of JavaScript. By N-API each is a trip of its own, which takes a microsecond after a pause, when
//! caches are cold.

use std::thread::LocalKey;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::once::{Once, run_script};
use crate::js::value::raw;
use crate::js::value::thrown::Result;

/// A function of JavaScript's that reads members of certain names, made at its first use.
pub type Function = LocalKey<Once>;

/// What the object has by these names, each read once, in this order; `None` for what is `undefined`.
///
/// # Errors
/// What a getter throws.
pub fn read<'env, const N: usize>(
    env: &'env Env,
    reader: &'static Function,
    names: [&str; N],
    object: &Unknown<'_>,
) -> Result<'env, [Option<Unknown<'env>>; N]> {
    let reader = reader.with(|reader| reader.get(env, || make_reader(env, &names)))?;
    let given = raw::call(env, &raw::undefined(env), &reader, &[*object])?;
    let mut members = [const { None }; N];
    for pair in (0..raw::length(env, &given)?).step_by(2) {
        let at = raw::from_js::<u32>(env, &raw::item(env, &given, pair)?);
        if let Some(member) = at.and_then(|at| members.get_mut(at as usize)) {
            *member = Some(raw::item(env, &given, pair + 1)?);
        }
    }
    Ok(members)
}

/// Only what is there goes back to the addon.
fn make_reader<'env>(env: &'env Env, names: &[&str]) -> Result<'env, Unknown<'env>> {
    let each = |(at, name)| {
        format!(
            "if ((value = object.{name}) !== undefined) {{ given[many++] = {at}; given[many++] = value }}\n"
        )
    };
    let reads: String = names.iter().enumerate().map(each).collect();
    run_script(
        env,
        &format!("(object) => {{ let value; let many = 0; const given = []\n{reads}return given }}"),
    )
}
