//! What updates and patches of an index have in common: from the arguments to a call under way, and from what came of it to the result.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::index::job::OpenJob;
use engine::index::patch_job::PatchJob;
use engine::process::Ticket;
use engine::steps;
use engine::write::Receipt;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::api::atomic_index_update::{DEFAULT_TIMEOUT, UpdateResult, WITHOUT_CODECS};
use crate::api::index_text::parse_text;
use crate::api::on_corrupt::{self, Again};
use crate::api::options::{Makers, WriteResult, milliseconds, no_makers};
use crate::api::update_options;
use crate::js::cloud::{Object, update};
use crate::js::error::from_engine;
use crate::js::index::call::{self, Change, Request, Same};
use crate::js::index::format::Format;
use crate::js::index::others::Ties;
use crate::js::index::patch::{self, Patch, TextPatch};
use crate::js::index::view::{self, Maker};
use crate::js::index::{group, textual};
use crate::js::inside;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::thrown::internal;
use crate::js::value::{Kept, Result, Signal, Target, args, promise};

/// What is to become of an index.
pub enum Given<'a, 'env> {
    /// What this function makes of it.
    Function(&'a Unknown<'env>),
    /// The same, said as a patch as well.
    Patch(&'a Patch<'env>, &'a Unknown<'env>),
    /// The same, said only as a patch of its text.
    Text(TextPatch),
    /// What the patch makes of it that this function makes after a look at it.
    View(&'a Unknown<'env>),
}

/// As the exported function, but for what it does with an error. `ties`: what it has to do with others.
pub fn start<'env>(
    env: &'env Env,
    target: Target<'env>,
    given: Given<'_, 'env>,
    options_given: &Unknown<'env>,
    ties: Ties,
) -> Result<'env, Unknown<'env>> {
    let since = Instant::now();
    if let Given::Function(function) = given {
        args::function(env, "fn", function)?;
    }
    inside::current(env)
        .check_nested(false)
        .map_err(|error| from_engine(env, &error, target.shown(), || None))?;
    let update_options::Given { wait, own, shared } = update_options::read(env, options_given)?;
    let is_patch = !matches!(given, Given::Function(_));
    if is_patch {
        update_options::check_wait(env, wait.as_ref())?;
    }
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let ParsedUpdate { options, initial, format, schema, .. } = match &target {
        Target::Local(path) => update_options::parse(env, path, &own, &shared)?,
        Target::Cloud(path) if own.codec.is_some() => return Err(path.unsupported(env, WITHOUT_CODECS)),
        Target::Cloud(_) => parse_text(env, &own)?,
    };
    // A schema and a codec are for values.
    let is_of_text = schema.is_none() && format == Format::Json;
    let made = match &given {
        Given::Text(patch) if !is_of_text || own.on_corrupt.is_some() => {
            Some(patch.function(env, target.shown(), options.numbers)?)
        }
        Given::View(function) => {
            let numbers = patch::numbers(env, options.numbers)?;
            Some(view::update_of(env, function, target.shown(), &numbers)?)
        }
        _ => None,
    };
    let function = match &given {
        Given::Function(function) | Given::Patch(_, function) => Some(*function),
        Given::Text(_) | Given::View(_) => made.as_ref(),
    };
    let maker = || match &given {
        Given::View(function) => Kept::new(env, function).map(Some),
        _ => Ok(None),
    };
    let checked = schema.as_ref().zip(function);
    let checked =
        checked.map(|(schema, function)| schema.checked(env, function, target.shown(), false)).transpose()?;
    let fn_timeout = update_options::fn_timeout(env, &own)?;
    let function = checked.as_ref().or(function);
    let is_kept = update_options::keeps_value(env, &own, &format)?;
    let keeps_value = is_kept && !is_patch && matches!(target, Target::Local(_));
    let again = match (on_corrupt::parse(env, own.on_corrupt.as_ref(), &target)?, &target, function) {
        (Some(on_corrupt), Target::Local(path), Some(function)) => Some(Again {
            path: path.clone(),
            on_corrupt,
            function: Kept::new(env, function)?,
            maker: maker()?,
            is_patch,
            initial: initial.clone(),
            options: options.clone(),
            format: format.clone(),
            schema: schema.clone(),
            signal: shared.signal.as_ref().map(|signal| Kept::new(env, signal)).transpose()?,
            since,
            timeout,
            fn_timeout,
            keeps_value,
            traced: steps::current(),
        }),
        _ => None,
    };
    let initial = match initial {
        None if is_patch => Some(format.empty(env)?),
        initial => initial,
    };
    let kept = function.map(|function| Kept::new(env, function)).transpose()?;
    let maker = maker()?;
    let text = match given {
        Given::Patch(patch, _) if is_of_text => TextPatch::new(env, patch)?,
        Given::Text(text) if is_of_text => Some(text),
        _ => None,
    };
    let change = match (text, kept, maker) {
        (_, Some(same), Some(function)) => Change::View(Maker { function, same }),
        (Some(text), Some(kept), _) => Change::Patch(text, Same::Made(kept)),
        (Some(text), None, _) => Change::Patch(text, Same::ToMake),
        (None, Some(kept), None) => Change::Call(kept),
        (None, None, _) => return Err(internal(env, "an update without a function")),
    };
    let signal = Signal::attach(env, shared.signal.as_ref())?;
    let request = Request {
        id: call::next_id(),
        change,
        is_patch,
        shown: target.shown().to_owned(),
        initial,
        options,
        format,
        schema,
        inside: inside::current(env),
        signal,
        since,
        deadline: since.checked_add(timeout),
        keeps_value,
        fn_timeout,
        steps: steps::current(),
        ties,
        store: String::new(),
    };
    match target {
        Target::Local(path) => {
            let updated = start_file(env, path.absolute, request, timeout)?;
            match again {
                Some(again) => promise::catch(env, &updated, move |env, error| again.recover(env, error)),
                None => Ok(updated),
            }
        }
        Target::Cloud(path) => {
            update::start(env, request, Object::new(env, &path.given, path.shown, options_given)?, timeout)
        }
    }
}

/// Starts a call for a file.
pub fn start_file(env: &Env, path: PathBuf, request: Request, timeout: Duration) -> Result<'_, Unknown<'_>> {
    let Request { id, options, since, ties, .. } = &request;
    if let Some(others) = &ties.others {
        others.begin(&path);
    }
    let ticket = Ticket::take().inside(request.inside.clone());
    let mut job = OpenJob::new(*id, path, options.clone(), ticket, *since, timeout, request.signal.cancel());
    let patches = match &request.change {
        Change::Patch(patch, _) => std::slice::from_ref(patch),
        Change::Crowd(crowd) => &crowd.patches,
        Change::Call(_) | Change::View(_) | Change::Value(_) => &[],
    };
    job = job.of_patches(patches.iter().map(|patch| patch.operations.clone()).collect());
    match &request.change {
        Change::Patch(patch, _) if textual::suits(&request.format, request.schema.as_ref(), options) => {
            let (patch, cancel) = (patch.operations.clone(), request.signal.cancel());
            let has_others = ties.others.as_ref().map(|others| others.are_there()).unwrap_or_default();
            let job = PatchJob::new(job, patch, options.clone(), has_others, cancel);
            group::start(env, request, job, answer)
        }
        _ => group::start(env, request, job, answer),
    }
}

/// What a caller is told of an update of a file.
pub fn answer(
    env: &Env,
    receipt: Receipt,
    waited: Duration,
    batch: usize,
    is_patch: bool,
) -> Result<'_, Unknown<'_>> {
    thread_local! {
        static UPDATED: Makers = const { no_makers() };
        static PATCHED: Makers = const { no_makers() };
    }
    let UpdateResult { lock_wait_ms, batch_size } = UpdateResult {
        lock_wait_ms: waited.as_secs_f64() * 1000.0,
        batch_size: u32::try_from(batch).unwrap_or(u32::MAX),
    };
    let (makers, more) = match is_patch {
        false => (&UPDATED, ", lockWaitMs, batchSize"),
        true => (&PATCHED, ", lockWaitMs, batchSize, applied: true"),
    };
    let numbers = [lock_wait_ms, f64::from(batch_size)];
    WriteResult::from(receipt).to_js_with(env, makers, (", lockWaitMs, batchSize", more), &numbers)
}
