//! Patches that are one call: gathered by `patch/gather.js`, applied and written like any other call of a group, and told apart again there.

use std::cell::{Cell, RefCell};

use engine::index::document::Fault;
use engine::index::file::Numbers;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::call::Request;
use crate::js::index::patch::{TextPatch, class};
use crate::js::inside;
use crate::js::value::handle::{make, with};
use crate::js::value::thrown::internal;
use crate::js::value::{FilePath, Kept, Result, Target, copy, path, raw};

/// Patches that are one call.
pub struct Crowd {
    /// In the order in which they were called.
    pub patches: Vec<TextPatch>,
    /// What the scripts have for all.
    script: Kept,
    /// What the last run has failed with, of each that could not be applied.
    faults: RefCell<Vec<(usize, Fault)>>,
}

/// Starts a call for a file, with these options.
pub type Start =
    for<'env> fn(&'env Env, FilePath, Crowd, options: &Unknown<'env>) -> Result<'env, Unknown<'env>>;

thread_local! {
    static START: Cell<Option<Start>> = const { Cell::new(None) };
}

/// Lets a call join those that were made right before. `None`: it is alone, and [`started`] is to be given its promise.
pub fn join<'env>(
    env: &'env Env,
    call: [Unknown<'env>; 3],
    start: Start,
) -> Result<'env, Option<Unknown<'env>>> {
    START.set(Some(start));
    let told = raw::invoke(env, &class(env)?, c"gather", &call)?;
    Ok(raw::is_object(&told).then_some(told))
}

/// Others may join this call from now on. What its caller is to wait for.
pub fn started<'env>(env: &'env Env, promise: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    raw::invoke(env, &class(env)?, c"started", &[promise])
}

/// `(path) → place | undefined`: where the call is that is gathered from now on; `undefined`: it is in a store.
pub fn gather<'env>(env: &'env Env, [path, ..]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let Target::Local(path) = path::target(env, "path", &path)? else { return Ok(raw::undefined(env)) };
    inside::before_next_call(env, |env| {
        // What it fails with is told to its callers.
        drop(class(env).and_then(|class| raw::invoke(env, &class, c"startGathered", &[])));
    });
    make(env, path)
}

/// `(crowd, options, texts) → promise`: of what came of all, see [`Crowd::told`], or of calls that are `alone`.
pub fn start<'env>(
    env: &'env Env,
    [crowd, options, texts]: [Unknown<'env>; 3],
) -> Result<'env, Unknown<'env>> {
    let path = with(env, &raw::get(env, &crowd, c"place")?, FilePath::clone)?;
    let patches = TextPatch::several(&copy::text(env, &texts)?);
    let patches = patches.ok_or_else(|| internal(env, "patches that are none"))?;
    let script = Kept::new(env, &crowd)?;
    let start = START.get().ok_or_else(|| internal(env, "patches before the first one"))?;
    start(env, path, Crowd { patches, script, faults: RefCell::default() }, &options)
}

impl Crowd {
    /// Applies each, wholly or not at all; what is noted of an earlier run counts for nothing.
    pub fn apply(&self, apply: impl FnMut(&TextPatch) -> std::result::Result<(), Fault>) {
        let applied = self.patches.iter().map(apply).enumerate();
        self.faults.replace(applied.filter_map(|(at, applied)| Some((at, applied.err()?))).collect());
    }

    /// How many were applied.
    pub fn count(&self) -> usize {
        self.patches.len() - self.faults.borrow().len()
    }

    /// `{ result, faults, shown }`, of the `result` that all have.
    pub fn told<'env>(
        &self,
        env: &'env Env,
        result: Unknown<'env>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let mut faults = Vec::new();
        for (at, fault) in &*self.faults.borrow() {
            let told = self.patches[*at].told(env, fault)?;
            raw::define(env, &told, c"at", &raw::to_js(env, u32::try_from(*at).unwrap_or(u32::MAX))?)?;
            faults.push(told);
        }
        let shown = raw::to_js(env, shown)?;
        raw::record(env, &[(c"result", result), (c"faults", raw::array(env, &faults)?), (c"shown", shown)])
    }

    /// The functions of updates that do the same, each by itself.
    pub fn functions<'env>(&self, env: &'env Env, request: &Request) -> Result<'env, Vec<Unknown<'env>>> {
        let numbers = match request.options.numbers {
            Numbers::Strict => "strict",
            Numbers::Lossy => "lossy",
            Numbers::Exact => "exact",
        };
        let (shown, numbers) = (raw::to_js(env, &*request.shown)?, raw::to_js(env, numbers)?);
        raw::list(env, &raw::invoke(env, &self.script.get(env)?, c"functions", &[shown, numbers])?)
    }
}
