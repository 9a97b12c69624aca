//! Patches that are one call: gathered by `patch/gather.js`, applied and written like any other call of a group, and told apart again there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use engine::index::document::Fault;
use engine::index::group::MAX_TIME;
use engine::stats;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::call::Request;
use crate::js::index::others::{Others, Ties};
use crate::js::index::patch::{self, Patch, TextPatch, class};
use crate::js::inside;
use crate::js::value::handle::{make, with};
use crate::js::value::thrown::internal;
use crate::js::value::{FilePath, Kept, Result, Target, Thrown, copy, path, raw};

/// Patches that are one call.
pub struct Crowd {
    /// In the order in which they were called.
    pub patches: Vec<TextPatch>,
    /// So many of them, the first ones, are applied here. The others are calls by themselves.
    own: Cell<usize>,
    parted: Cell<bool>,
    /// What the scripts have for all.
    script: Kept,
    /// What the last run has failed with, of each that could not be applied.
    faults: RefCell<Vec<(usize, Fault)>>,
}

/// Starts a call for a file, with these options.
pub type Start =
    for<'env> fn(&'env Env, FilePath, (Crowd, Ties), options: &Unknown<'env>) -> Result<'env, Unknown<'env>>;

/// What came of a call that may join others.
pub enum Joined<'env> {
    /// It has: a promise.
    Told(Unknown<'env>),
    /// It is a call by itself.
    Alone {
        /// The patch, if it was copied already.
        copied: Option<Copied<'env>>,
        /// What it has to do with those that come after it.
        ties: Ties,
    },
}

/// A patch that was copied.
pub enum Copied<'env> {
    /// As any.
    Patch(Patch<'env>),
    /// As the text of one that sets members and increments numbers.
    Text(TextPatch),
}

/// What patches that are one call have from the first of them.
struct Joinable {
    path: FilePath,
    others: Rc<Others>,
}

thread_local! {
    static START: Cell<Option<Start>> = const { Cell::new(None) };
    /// Those of the patch that was started last by itself.
    static OTHERS: RefCell<Rc<Others>> = RefCell::default();
}

/// Lets a call join those that were made right before.
pub fn join<'env>(env: &'env Env, call: [Unknown<'env>; 3], start: Start) -> Result<'env, Joined<'env>> {
    START.set(Some(start));
    let [path, patch, options] = call;
    let is_running = raw::to_js(env, OTHERS.with_borrow(|others| others.are_running()))?;
    let told = patch::gather(env, &[path, patch, options, is_running])?;
    if raw::is_promise(env, &told) {
        return Ok(Joined::Told(told));
    }
    if raw::is_object(&told) {
        return Ok(Joined::Alone {
            copied: Some(Copied::Patch(Patch::of(told))),
            ties: Ties::beside(OTHERS.with_borrow(Rc::clone)),
        });
    }
    let text = match raw::type_of(&told) {
        ValueType::String => Some(TextPatch::plain(copy::text(env, &told)?)),
        _ => None,
    };
    let others = Rc::<Others>::default();
    OTHERS.replace(others.clone());
    Ok(Joined::Alone { copied: text.map(Copied::Text), ties: Ties::to(others) })
}

/// `(path) → place | undefined`: another one has all in common with the patch that was started last by itself, for what is there; `undefined`: that is
/// elsewhere, or in a store.
pub fn place<'env>(env: &'env Env, [path, ..]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let others = OTHERS.with_borrow(Rc::clone);
    match path::target(env, "path", &path)? {
        Target::Local(path) if others.are_at(&path.absolute) => {
            // Now, and not when it has become text: the worker of the first one may be about to write that.
            others.announce();
            make(env, Joinable { path, others })
        }
        _ => Ok(raw::undefined(env)),
    }
}

/// `() → boolean`: calls are gathered from now on; whether none is made inside of a function until those are started.
pub fn gather<'env>(env: &'env Env, _: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let is_outside = inside::before_next_call(env, |env| {
        // What it fails with is told to its callers.
        drop(class(env).and_then(|class| raw::invoke(env, &class, c"startGathered", &[])));
    });
    raw::to_js(env, is_outside)
}

/// `(crowd, call, texts) → promise`: of what came of all, see [`Crowd::told`], or of [`Crowd::parted`].
pub fn start<'env>(env: &'env Env, [crowd, call, texts]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let (path, others) = with(env, &raw::get(env, &call, c"place")?, |Joinable { path, others }| {
        (path.clone(), others.clone())
    })?;
    let patches = TextPatch::several(&copy::text(env, &texts)?.into());
    let patches = patches.ok_or_else(|| internal(env, "patches that are none"))?;
    let script = Kept::new(env, &crowd)?;
    let start = START.get().ok_or_else(|| internal(env, "patches before the first one"))?;
    let own = Cell::new(patches.len());
    let crowd = Crowd { patches, own, parted: Cell::default(), script, faults: RefCell::default() };
    start(env, path, (crowd, Ties::to(others)), &raw::get(env, &call, c"options")?)
}

impl Crowd {
    /// Applies each, wholly or not at all, for as long as one call may take; what is noted of an earlier run counts for nothing.
    pub fn apply(&self, mut apply: impl FnMut(&TextPatch) -> std::result::Result<(), Fault>) {
        let since = Instant::now();
        let mut faults = Vec::new();
        for (at, patch) in self.patches.iter().take(self.own.get()).enumerate() {
            if at > 0 && since.elapsed() >= MAX_TIME {
                self.own.set(at);
                break;
            }
            faults.extend(apply(patch).err().map(|fault| (at, fault)));
        }
        self.faults.replace(faults);
    }

    /// How many are applied here, as far as they can be.
    pub fn own(&self) -> usize {
        self.own.get()
    }

    /// None of them is applied here.
    pub fn leave(&self) {
        self.own.set(0);
        self.faults.take();
    }

    /// Each is to be a call by itself when it runs next. `false`: it is one.
    pub fn part(&self) -> bool {
        let is_several = self.own.get() > 1;
        self.parted.set(is_several);
        is_several
    }

    /// See [`Crowd::part`].
    pub fn is_parted(&self) -> bool {
        self.parted.get()
    }

    /// How many were applied.
    pub fn count(&self) -> usize {
        self.own.get() - self.faults.borrow().len()
    }

    /// `{ result, error, faults, shown }`: the `result` that all have which were applied, or the error; `None`: none was.
    pub fn told<'env>(
        &self,
        env: &'env Env,
        result: Option<Result<'env, Unknown<'env>>>,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let mut faults = Vec::new();
        for (at, fault) in &*self.faults.borrow() {
            let told = self.patches[*at].told(env, fault)?;
            raw::define(env, &told, c"at", &raw::to_js(env, u32::try_from(*at).unwrap_or(u32::MAX))?)?;
            faults.push(told);
        }
        let told = raw::object(env)?;
        raw::define(env, &told, c"faults", &raw::array(env, &faults)?)?;
        raw::define(env, &told, c"shown", &raw::to_js(env, shown)?)?;
        match result {
            Some(Ok(result)) => raw::define(env, &told, c"result", &result)?,
            Some(Err(Thrown(error))) => {
                let code = copy::text(env, &raw::get(env, &error, c"code")?).unwrap_or_default();
                stats::failed_alike(&code, self.count().saturating_sub(1));
                raw::define(env, &told, c"error", &error)?;
            }
            None => {}
        }
        Ok(told)
    }

    /// `{ count, first, alone }`: a promise of what comes of the first ones, which are `count`, and one of each of the others.
    pub fn parted<'env>(
        &self,
        env: &'env Env,
        first: Option<Unknown<'env>>,
        alone: &[Unknown<'env>],
    ) -> Result<'env, Unknown<'env>> {
        let count = raw::to_js(env, u32::try_from(self.own()).unwrap_or(u32::MAX))?;
        let first = first.unwrap_or_else(|| raw::undefined(env));
        raw::record(env, &[(c"count", count), (c"first", first), (c"alone", raw::array(env, alone)?)])
    }

    /// The functions of updates that do the same as those up to `to` that are not applied here, each by itself.
    pub fn functions<'env>(
        &self,
        env: &'env Env,
        request: &Request,
        to: usize,
    ) -> Result<'env, Vec<Unknown<'env>>> {
        let numbers = patch::numbers(env, request.options.numbers)?;
        let shown = raw::to_js(env, &*request.shown)?;
        let at = |at| raw::to_js(env, u32::try_from(at).unwrap_or(u32::MAX));
        let given = [shown, numbers, at(self.own())?, at(to)?];
        raw::list(env, &raw::invoke(env, &self.script.get(env)?, c"functions", &given)?)
    }
}
