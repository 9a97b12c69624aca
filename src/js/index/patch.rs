//! A change of an index that is told and not made by a function: which forms it has, and what each does, is in `patch/`.

use std::ffi::CStr;
use std::ops::Range;
use std::sync::Arc;

use engine::error::Error;
use engine::index::document::{Fault, Operation, Operations, Pointer};
use engine::index::file::Numbers;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::error;
use crate::js::index::{crowd, json, pointer};
use crate::js::value::once::{Once, run_script};
use crate::js::value::{Result, Thrown, args, copy, promise, raw};

const SCRIPTS: [&str; 7] = [
    include_str!("patch/places.js"),
    include_str!("patch/records.js"),
    include_str!("patch/operations.js"),
    include_str!("patch/plain.js"),
    include_str!("patch/view.js"),
    include_str!("patch/language.js"),
    include_str!("patch/gather.js"),
];

/// A patch that was checked and copied.
pub struct Patch<'env>(Unknown<'env>);

impl<'env> Patch<'env> {
    /// The argument `patch`.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`.
    pub fn new(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Self> {
        raw::construct(env, &class(env)?, &[*given]).map(Self)
    }

    /// The options of the update.
    pub fn options(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
        raw::invoke(env, &class(env)?, c"toOptions", &[*given])
    }

    /// What it does, as the function of an update of what the caller calls `shown`. `numbers` is the option of the call.
    pub fn function(
        &self,
        env: &'env Env,
        shown: &str,
        numbers: &Unknown<'_>,
    ) -> Result<'env, Unknown<'env>> {
        raw::invoke(env, &self.0, c"toFunction", &[raw::to_js(env, shown)?, *numbers])
    }

    /// That `given` is one.
    pub fn of(given: Unknown<'env>) -> Self {
        Self(given)
    }

    /// `[function, options, patch]` of the update that a transaction makes of it.
    pub fn update(
        env: &'env Env,
        patch: &Unknown<'_>,
        shown: &Unknown<'_>,
        options: &Unknown<'_>,
    ) -> Result<'env, Unknown<'env>> {
        let patch = Self::new(env, patch)?;
        let options = Self::options(env, options)?;
        let numbers = raw::get(env, &options, c"numbers")?;
        let function = patch.function(env, &copy::text(env, shown)?, &numbers)?;
        raw::array(env, &[function, options, patch.0])
    }

    /// The keys that it sets and deletes; `undefined` if there is more to it.
    pub fn keys(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        raw::invoke(env, &self.0, c"toKeys", &[])
    }
}

/// A patch of the text of an index, which is not parsed for it.
#[derive(Clone)]
pub struct TextPatch {
    /// What it is made of.
    pub operations: Operations,
    /// Where `Patch.toTexts` of it is in a text.
    source: (Arc<str>, Range<usize>),
}

impl TextPatch {
    /// `None`: it is not one for a text.
    ///
    /// # Errors
    /// None, but in an environment that is ending.
    pub fn new<'env>(env: &'env Env, patch: &Patch<'env>) -> Result<'env, Option<Self>> {
        let texts = raw::invoke(env, &patch.0, c"toTexts", &[])?;
        if raw::type_of(&texts) == ValueType::Undefined {
            return Ok(None);
        }
        Ok(Self::one(copy::text(env, &texts)?))
    }

    /// One that changes nothing.
    pub fn nothing() -> Self {
        Self { operations: Vec::new().into(), source: ("0".into(), 0..1) }
    }

    /// Of such a text.
    pub fn one(text: String) -> Option<Self> {
        Self::several(&text.into())?.pop()
    }

    /// Of one that `plainTextOf` has made, which a worker takes apart: on a thread with cold caches that is half of what it costs to make it.
    pub fn plain(text: String) -> Self {
        let source: Arc<str> = text.into();
        let text = source.clone();
        let operations = Operations::later(move || {
            let mut operations = Vec::new();
            // It was looked at. Nothing is to be written in the place of what it says.
            let added = Parts(Some(&text)).add_patch(&mut operations);
            added.map_or_else(|| panic!("a bug in @pipeline/atomic: a patch that is none"), |()| operations)
        });
        let all = 0..source.len();
        Self { operations, source: (source, all) }
    }

    /// The function that does the same with a parsed index, if `plainTextOf` has made the text.
    pub fn function<'env>(
        &self,
        env: &'env Env,
        shown: &str,
        digits: Numbers,
    ) -> Result<'env, Unknown<'env>> {
        let (source, at) = &self.source;
        let given = [raw::to_js(env, &source[at.clone()])?, raw::to_js(env, shown)?, numbers(env, digits)?];
        raw::invoke(env, &class(env)?, c"functionOf", &given)
    }

    /// Of several, in one string.
    pub fn several(texts: &Arc<str>) -> Option<Vec<Self>> {
        let (mut all, mut ranges, mut parts) = (Vec::new(), Vec::new(), Parts(Some(texts)));
        while let Some(rest) = parts.0 {
            let (first, start) = (all.len(), texts.len() - rest.len());
            parts.add_patch(&mut all)?;
            let end = texts.len() - parts.0.map_or(0, |rest| rest.len() + 1);
            ranges.push((first..all.len(), start..end));
        }
        let all = Operations::from(all);
        let patch = |(own, at)| Self { operations: all.part(own), source: (texts.clone(), at) };
        Some(ranges.into_iter().map(patch).collect())
    }

    /// What the call is rejected with.
    pub fn failure<'env>(&self, env: &'env Env, fault: &Fault, shown: &str) -> Thrown<'env> {
        if fault.is_no_memory {
            return error::from_engine(env, &Error::no_memory(), shown, || None);
        }
        let make = || {
            raw::invoke(env, &class(env)?, c"toFailure", &[self.told(env, fault)?, raw::to_js(env, shown)?])
        };
        make().map_or_else(|error| error, Thrown)
    }

    /// What the script makes the error of.
    pub fn told<'env>(&self, env: &'env Env, fault: &Fault) -> Result<'env, Unknown<'env>> {
        let of = |told: &Told<'_>| told.pointer == fault.pointer || told.other == fault.pointer;
        let is_result = fault.reason.starts_with("would be ");
        let (source, at) = &self.source;
        let mut parts = Parts(Some(&source[at.clone()]));
        let all = parts.operations().into_iter().flatten().flatten();
        let mut named = all.filter(of).filter(|_| !is_result).map(|told| told.name);
        let first = named.next();
        // Which one of several it is, is not known.
        let name = if named.all(|name| Some(name) == first) { first } else { Some("patch") };
        let told = raw::object(env)?;
        for (key, value) in
            [(c"pointer", &fault.pointer), (c"reached", &fault.reached), (c"reason", &fault.reason)]
        {
            raw::define(env, &told, key, &raw::to_js(env, value.as_str())?)?;
        }
        if let Some(name) = name {
            raw::define(env, &told, c"name", &raw::to_js(env, name)?)?;
        }
        Ok(told)
    }
}

/// The option of that name, for the scripts.
pub fn numbers(env: &Env, numbers: Numbers) -> Result<'_, Unknown<'_>> {
    let word = match numbers {
        Numbers::Strict => "strict",
        Numbers::Lossy => "lossy",
        Numbers::Exact => "exact",
    };
    raw::to_js(env, word)
}

/// What is left of a text of patches.
struct Parts<'t>(Option<&'t str>);

/// An operation, as such a text tells it.
struct Told<'t> {
    /// What it is in the patch.
    name: &'t str,
    kind: &'t str,
    pointer: &'t str,
    other: &'t str,
    values: Vec<Arc<str>>,
    removed: Vec<Arc<str>>,
}

impl<'t> Parts<'t> {
    /// Adds what the next patch is made of.
    fn add_patch(&mut self, to: &mut Vec<Operation>) -> Option<()> {
        for told in self.operations()? {
            to.push(operation(told?)?);
        }
        Some(())
    }

    /// As the next patch tells them.
    fn operations(&mut self) -> Option<impl Iterator<Item = Option<Told<'t>>>> {
        let count: usize = self.next()?.parse().ok()?;
        Some((0..count).map(|_| self.operation()))
    }

    fn operation(&mut self) -> Option<Told<'t>> {
        Some(Told {
            name: self.next()?,
            kind: self.next()?,
            pointer: self.next()?,
            other: self.next()?,
            values: self.list()?,
            removed: self.list()?,
        })
    }

    /// A list, with its length before it.
    fn list(&mut self) -> Option<Vec<Arc<str>>> {
        let length = self.next()?.parse().ok()?;
        let texts: Vec<_> = self.by_ref().take(length).map(Arc::from).collect();
        (texts.len() == length).then_some(texts)
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.0?;
        // Most parts are short: what is there for any text takes longer to begin.
        let end = rest.bytes().position(|byte| byte == 0);
        self.0 = end.map(|end| &rest[end + 1..]);
        Some(end.map_or(rest, |end| &rest[..end]))
    }
}

fn operation(told: Told<'_>) -> Option<Operation> {
    let Told { kind, pointer, other, mut values, removed: remove, .. } = told;
    let at = Pointer::parse(pointer).ok()?;
    Some(match kind {
        "append" => Operation::Append { at, values },
        "upsert" => Operation::Upsert { at, key: other.to_owned(), records: values, remove },
        "remove" => Operation::Remove { at },
        "move" => Operation::Move { from: Pointer::parse(other).ok()?, at },
        "copy" => Operation::Copy { from: Pointer::parse(other).ok()?, at },
        _ => {
            let value = values.pop()?;
            match kind {
                "set" => Operation::Set { at, value },
                "add" => Operation::Add { at, value },
                "replace" => Operation::Replace { at, value },
                "test" => Operation::Test { at, value },
                "increment" => Operation::Increment { at, by: value },
                "merge" => Operation::Merge { patch: value },
                _ => return None,
            }
        }
    })
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
    static GATHER: Once = const { Once::new() };
    static GATHERED: Once = const { Once::new() };
}

/// `{ join }`, of which `index.js` asks `join(path, patch, options)` ahead of the addon, while it is there: what comes of a patch that has joined
/// others, or `undefined`.
pub fn gathered(env: &Env) -> Result<'_, Unknown<'_>> {
    GATHERED.with(|gathered| gathered.get(env, || raw::record(env, &[(c"join", raw::undefined(env))])))
}

/// The scripts' class, with what gathers patches.
pub fn class(env: &Env) -> Result<'_, Unknown<'_>> {
    COMPILED.with(|compiled| compiled.get(env, || compile(env)))
}

/// What lets a call join others.
pub(super) fn gather<'env>(env: &'env Env, call: &[Unknown<'env>]) -> Result<'env, Unknown<'env>> {
    let gather = GATHER.with(|gather| gather.get(env, || raw::get(env, &class(env)?, c"gather")))?;
    raw::call(env, &raw::undefined(env), &gather, call)
}

fn compile(env: &Env) -> Result<'_, Unknown<'_>> {
    let source = format!(
        ";(native) => {{ 'use strict'\n{}\nreturn Object.assign(Patch, {{ gather, startGathered }}) }}",
        SCRIPTS.concat()
    );
    raw::call(env, &raw::undefined(env), &run_script(env, &source)?, &[natives(env)?])
}

/// What the scripts call.
fn natives(env: &Env) -> Result<'_, Unknown<'_>> {
    type Native = for<'env> fn(&'env Env, [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>>;
    let natives: &[(&'static CStr, Native)] = &[
        (c"wrongType", args::make_wrong_type),
        (c"wrongValue", args::make_wrong_value),
        (c"copied", copied),
        (c"place", crowd::place),
        (c"gather", crowd::gather),
        (c"startCrowd", crowd::start),
    ];
    let object = raw::object(env)?;
    for (name, native) in natives {
        let function = promise::callback(env, &name.to_string_lossy(), *native)?;
        raw::define(env, &object, name, &function)?;
    }
    raw::define(env, &object, c"mostSteps", &raw::to_js(env, pointer::MOST_STEPS)?)?;
    raw::define(env, &object, c"pointerForm", &raw::to_js(env, pointer::form())?)?;
    raw::define(env, &object, c"gathered", &gathered(env)?)?;
    raw::define(env, &object, c"count", &error::counter(env, "ERR_ATOMIC_PATCH")?)?;
    Ok(object)
}

/// `(name, value) → () → value`: a new copy each time, of what the value is now.
fn copied<'env>(env: &'env Env, [name, value, _]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let text = json::snapshot(env, &copy::text(env, &name)?, &value)?;
    let numbers = if json::can_keep_digits(env)? { Numbers::Exact } else { Numbers::Lossy };
    promise::callback(env, "copy", move |env, []| json::parse(env, None, Some(&text), numbers))
}
