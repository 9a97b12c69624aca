//! What of a transaction runs on workers, as the script starts it: each function answers with a promise.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::Error;
use engine::job::DropJob;
use engine::process::inside::Function;
use engine::transaction::job::{CommitJob, Committed, LockJob, Next, RecoverJob, ToUpdate, Wanted, What};
use engine::transaction::recover::{Done, Outcome, Recovered};
use engine::transaction::session::{Seen, Session};
use engine::transaction::snapshot::{ReadJob, SnapshotJob};
use engine::write::{Level, Receipt};
use napi::bindgen_prelude::{Buffer, Unknown};
use napi::{Env, ValueType};

use crate::js::error::from_engine;
use crate::js::index::patch::TextPatch;
use crate::js::task;
use crate::js::transaction::ahead::Upcoming;
use crate::js::transaction::functions::inside_of;
use crate::js::transaction::kept;
use crate::js::transaction::parse::{ParsedUpdate, ParsedWrite};
use crate::js::transaction::textual;
use crate::js::transaction::written::Written;
use crate::js::value::handle::{flag, is_handle, make, position, take, with};
use crate::js::value::raw::list;
use crate::js::value::thrown::{Result, Thrown, internal};
use crate::js::value::{FilePath, copy, raw};

pub(super) type Args<'env> = [Unknown<'env>; 7];

pub(super) fn path<'env>(env: &'env Env, handle: &Unknown<'_>) -> Result<'env, FilePath> {
    with(env, handle, FilePath::clone)
}

fn paths<'env>(env: &'env Env, handles: &Unknown<'_>) -> Result<'env, Vec<PathBuf>> {
    list(env, handles)?.iter().map(|handle| Ok(path(env, handle)?.absolute)).collect()
}

pub(super) fn milliseconds(env: &Env, value: &Unknown<'_>) -> Duration {
    Duration::from_secs_f64(raw::from_js::<f64>(env, value).unwrap_or(0.0) / 1000.0)
}

/// As many members of a list as are wanted.
pub(super) fn some<'env, const N: usize>(
    env: &'env Env,
    given: &Unknown<'_>,
) -> Result<'env, [Unknown<'env>; N]> {
    let all = list(env, given)?;
    Ok(std::array::from_fn(|at| all.get(at).copied().unwrap_or_else(|| raw::undefined(env))))
}

/// `(session, [[position, update, shown, text patch | undefined, expected index | undefined]], [[position, seen]], inside, timeout, cancel, root)
///   → { session, indexes: [snapshot | Error], stale: [position], isExpected, isLinked, waited, recovered }`
pub fn lock<'env>(
    env: &'env Env,
    [session, indexes, seen, inside, timeout, cancel, root]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let session = take::<Session>(env, &session)?;
    let (mut updates, mut shown) = (Vec::new(), Vec::new());
    for index in list(env, &indexes)? {
        let [at, update, name, patch, expected] = some(env, &index)?;
        let options = with(env, &update, |update: &ParsedUpdate| update.options.clone())?;
        let patch =
            is_handle(&patch).then(|| with(env, &patch, |patch: &TextPatch| patch.operations.clone()));
        let expected = is_handle(&expected).then(|| take::<Upcoming>(env, &expected)).transpose()?;
        updates.push(ToUpdate {
            at: position(env, &at),
            options,
            patch: patch.transpose()?,
            expected: expected.and_then(Upcoming::into_text),
        });
        shown.push(copy::text(env, &name)?);
    }
    let mut before = Vec::new();
    for read in list(env, &seen)? {
        let [at, seen] = some(env, &read)?;
        before.push((position(env, &at), with(env, &seen, Seen::clone)?));
    }
    let inside = inside_of(env, &inside)?;
    let cancel = with(env, &cancel, Cancel::clone)?;
    let root = path(env, &root)?.shown;
    let positions: Vec<usize> = updates.iter().map(|update| update.at).collect();
    let job = LockJob::new(session, updates, before, inside, milliseconds(env, &timeout), cancel);
    task::answer(env, job, move |env, locked| {
        let name = |error: &Error| {
            let at = error.entry().and_then(|at| positions.iter().position(|known| *known == at));
            at.map_or(root.as_str(), |at| shown[at].as_str())
        };
        let locked = locked.map_err(|error| from_engine(env, &error, name(&error), || None))?;
        let recovered = match &locked.session.recovered {
            Some(done) => recovered_object(env, done)?,
            None => raw::null(env)?,
        };
        let mut indexes = Vec::new();
        for (read, shown) in locked.indexes.into_iter().zip(&shown) {
            indexes.push(match read {
                Ok(snapshot) => make(env, textual::Locked::new(snapshot))?,
                Err(error) => from_engine(env, &error, shown, || None).0,
            });
        }
        let stale =
            locked.stale.iter().map(|at| raw::to_js(env, *at as f64)).collect::<Result<'_, Vec<_>>>()?;
        raw::record(
            env,
            &[
                (c"session", make(env, locked.session)?),
                (c"indexes", raw::array(env, &indexes)?),
                (c"stale", raw::array(env, &stale)?),
                (c"isExpected", raw::to_js(env, locked.is_expected)?),
                (c"isLinked", raw::to_js(env, locked.is_linked)?),
                (c"waited", raw::to_js(env, locked.waited.as_secs_f64() * 1000.0)?),
                (c"recovered", recovered),
            ],
        )
    })
}

/// `(session, [[position, kind, ...]], flush, cancel, [shown], root) → { transaction, receipts, durable } | { changed }`
pub fn commit<'env>(
    env: &'env Env,
    [session, wanted, flush, cancel, shown, root, timeout]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let (mut all, mut written) = (Vec::new(), Vec::new());
    for one in list(env, &wanted)? {
        let parts = list(env, &one)?;
        let [at, kind, rest @ ..] = parts.as_slice() else { return Err(internal(env, "nothing is wanted")) };
        all.push(Wanted {
            at: position(env, at),
            what: what(env, &copy::text(env, kind)?, rest, &mut written)?,
        });
    }
    let names =
        list(env, &shown)?.iter().map(|name| copy::text(env, name)).collect::<Result<'_, Vec<_>>>()?;
    let root = path(env, &root)?.shown;
    let (flush, cancel) = (flag(env, &flush), with(env, &cancel, Cancel::clone)?);
    let timeout = milliseconds(env, &timeout);
    let job = CommitJob::new(take::<Session>(env, &session)?, all, flush, timeout, cancel);
    task::answer(env, job, move |env, committed| {
        written.iter().for_each(|written: &Written| written.tell_size(env));
        let name = |error: &Error| error.entry().and_then(|at| names.get(at)).unwrap_or(&root).clone();
        let committed = committed.map_err(|error| from_engine(env, &error, &name(&error), || None))?;
        committed_object(env, committed)
    })
}

/// `{ transaction, receipts } | { changed }`
pub(super) fn committed_object(env: &Env, committed: Committed) -> Result<'_, Unknown<'_>> {
    match committed {
        Committed::Changed(changed) => {
            let changed =
                changed.iter().map(|at| raw::to_js(env, *at as f64)).collect::<Result<'_, Vec<_>>>()?;
            raw::record(env, &[(c"changed", raw::array(env, &changed)?)])
        }
        Committed::Done(transaction, receipts, is_durable) => {
            let receipts = receipts.iter().map(|receipt| receipt_array(env, receipt));
            let receipts = receipts.collect::<Result<'_, Vec<_>>>()?;
            raw::record(
                env,
                &[
                    (c"transaction", raw::to_js(env, transaction.unwrap_or_default() as f64)?),
                    (c"receipts", raw::array(env, &receipts)?),
                    (c"durable", raw::to_js(env, is_durable)?),
                ],
            )
        }
    }
}

/// `texts` are those of which V8 is to know how large they are.
fn what<'env>(
    env: &'env Env,
    kind: &str,
    rest: &[Unknown<'_>],
    texts: &mut Vec<Written>,
) -> Result<'env, What> {
    // Copied on the worker, if the functions run again.
    let data = |handle| with(env, handle, Arc::<Data>::clone);
    let at = |given: Option<&Unknown<'_>>| {
        given.filter(|given| raw::type_of(given) == ValueType::Number).map(|given| position(env, given))
    };
    Ok(match (kind, rest) {
        ("write", [given, write, is_free, ..]) => {
            let mut options = with(env, write, |(options, ..): &ParsedWrite| options.clone())?;
            // The same transaction has made or removed the file before.
            options.exclusive &= !flag(env, is_free);
            What::Write(data(given)?, options, None)
        }
        ("value", [text, update, backup, ..]) => {
            let options = with(env, update, |update: &ParsedUpdate| update.options.commit.clone())?;
            What::Write(data(text)?, options, at(Some(backup)))
        }
        ("absent", [file, ..]) => What::Absent(path(env, file)?.absolute),
        ("index", [text, update, snapshot, backup, ..]) => {
            let options = with(env, update, |update: &ParsedUpdate| update.options.clone())?;
            let index = is_handle(snapshot).then(|| take::<textual::Locked>(env, snapshot)).transpose()?;
            let snapshot = index.and_then(textual::Locked::into_snapshot).map(Box::new);
            What::Index(Next::Text(data(text)?), Box::new(options), snapshot, at(Some(backup)))
        }
        ("kept", [content, edition, update, index, backup, ..]) => {
            let mut options = with(env, update, |update: &ParsedUpdate| update.options.clone())?;
            options.edition = Some(position(env, edition) as u64);
            let index = take::<textual::Locked>(env, index)?;
            let (next, snapshot) = match take::<kept::Content>(env, content)? {
                kept::Content::Text(text) => (Next::Text(text), index.into_snapshot()),
                kept::Content::Edits(edits) => {
                    let edited = index.into_edited(edits);
                    edited.ok_or_else(|| internal(env, "a text that is gone"))?
                }
            };
            What::Index(next, Box::new(options), snapshot.map(Box::new), at(Some(backup)))
        }
        ("patched", [index, update, written, backup, ..]) => {
            let options = with(env, update, |update: &ParsedUpdate| update.options.clone())?;
            let index = take::<textual::Locked>(env, index)?;
            let written = with(env, written, Written::clone)?;
            let patched = index.into_patched(&written);
            texts.push(written);
            let (next, snapshot) = patched.ok_or_else(|| internal(env, "a text that is gone"))?;
            What::Index(next, Box::new(options), snapshot.map(Box::new), at(Some(backup)))
        }
        ("rename", [from, ..]) => What::Rename(position(env, from)),
        ("remove", [must, ..]) => What::Remove(flag(env, must)),
        ("require", [is_there, ..]) => What::Require(flag(env, is_there)),
        ("keep", [seen, ..]) => What::Keep(with(env, seen, Seen::clone)?),
        _ => return Err(internal(env, "a change of an unknown kind")),
    })
}

/// `[written, bytes, verified]`: there may be thousands, and each name of a member is looked up.
fn receipt_array<'env>(env: &'env Env, receipt: &Receipt) -> Result<'env, Unknown<'env>> {
    let verified = match receipt.verified {
        None => raw::to_js(env, false)?,
        Some(Level::Cache) => raw::to_js(env, "cache")?,
        Some(Level::Device) => raw::to_js(env, "device")?,
    };
    let (written, bytes) = (raw::to_js(env, receipt.written)?, raw::to_js(env, receipt.bytes as f64)?);
    raw::array(env, &[written, bytes, verified])
}

/// `(session | undefined, running | undefined)`: lets go what a transaction holds. The locks are files, so on a worker.
pub fn release<'env>(env: &'env Env, [session, running, ..]: Args<'env>) -> Result<'env, Unknown<'env>> {
    if is_handle(&running) {
        drop(take::<Function>(env, &running)?);
    }
    if !is_handle(&session) {
        return Ok(raw::undefined(env));
    }
    let session = take::<Session>(env, &session)?;
    task::answer(env, DropJob(session), |env, _| Ok(raw::undefined(env)))
}

/// `(root, file, [file]) → { content, seen, identity, identities }`
pub fn read<'env>(env: &'env Env, [root, file, others, ..]: Args<'env>) -> Result<'env, Unknown<'env>> {
    let (root, file) = (path(env, &root)?, path(env, &file)?);
    let others = paths(env, &others)?;
    task::start(env, ReadJob::new(root.absolute, file.absolute, others), move |env, read| {
        let read = read.map_err(|error| from_engine(env, &error, &file.shown, || None))?;
        let identity = |known: &Option<String>| match known {
            Some(known) => raw::to_js(env, known.as_str()),
            None => raw::null(env),
        };
        let identities = read.identities.iter().map(identity).collect::<Result<'_, Vec<_>>>()?;
        raw::record(
            env,
            &[
                (c"content", content(env, read.content)?),
                (c"seen", make(env, read.seen)?),
                (c"identity", identity(&read.identity)?),
                (c"identities", raw::array(env, &identities)?),
            ],
        )
    })
}

fn content(env: &Env, content: Option<Vec<u8>>) -> Result<'_, Unknown<'_>> {
    match content {
        Some(bytes) => raw::to_js(env, Buffer::from(bytes)),
        None => raw::null(env),
    }
}

/// `(root, [file], timeout, cancel) → [Buffer | null]`
pub fn snapshot<'env>(
    env: &'env Env,
    [root, files, timeout, cancel, ..]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let root = path(env, &root)?;
    let shown =
        list(env, &files)?.iter().map(|file| Ok(path(env, file)?.shown)).collect::<Result<'_, Vec<_>>>()?;
    let files = paths(env, &files)?;
    let cancel = with(env, &cancel, Cancel::clone)?;
    let job = SnapshotJob::new(root.absolute, files, milliseconds(env, &timeout), cancel);
    task::start(env, job, move |env, read| {
        let name = |error: &Error| error.entry().and_then(|at| shown.get(at)).unwrap_or(&root.shown).clone();
        let read = read.map_err(|error| from_engine(env, &error, &name(&error), || None))?;
        let contents = read.into_iter().map(|bytes| content(env, bytes)).collect::<Result<'_, Vec<_>>>()?;
        raw::array(env, &contents)
    })
}

/// `(root, giveUp, timeout, cancel) → Recovered`
pub fn recover<'env>(
    env: &'env Env,
    [root, give_up, timeout, cancel, ..]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let root = path(env, &root)?;
    let cancel = with(env, &cancel, Cancel::clone)?;
    let job = RecoverJob::new(root.absolute, flag(env, &give_up), milliseconds(env, &timeout), cancel);
    task::start(env, job, move |env, recovered| match recovered {
        Ok(recovered) => recovered_object(env, &recovered),
        Err(error) => Err::<_, Thrown<'_>>(from_engine(env, &error, &root.shown, || None)),
    })
}

pub(super) fn recovered_object<'env>(env: &'env Env, recovered: &Recovered) -> Result<'env, Unknown<'env>> {
    let outcome = match recovered.outcome {
        Outcome::Nothing => "nothing",
        Outcome::Completed => "completed",
        Outcome::Dropped => "dropped",
        Outcome::GivenUp => "given-up",
    };
    let mut files = Vec::new();
    for (path, done) in &recovered.files {
        let (action, kept) = match done {
            Done::Stood => ("stood", None),
            Done::Renamed => ("renamed", None),
            Done::Removed => ("removed", None),
            Done::Dropped => ("dropped", None),
            Done::Superseded(kept) => ("superseded", kept.as_ref()),
            Done::Lost => ("lost", None),
        };
        let kept = match kept {
            Some(kept) => raw::to_js(env, kept.to_string_lossy().into_owned())?,
            None => raw::null(env)?,
        };
        files.push(raw::record(
            env,
            &[
                (c"path", raw::to_js(env, path.to_string_lossy().into_owned())?),
                (c"action", raw::to_js(env, action)?),
                (c"kept", kept),
            ],
        )?);
    }
    let transaction = match recovered.transaction {
        Some(transaction) => raw::to_js(env, transaction as f64)?,
        None => raw::null(env)?,
    };
    raw::record(
        env,
        &[
            (c"outcome", raw::to_js(env, outcome)?),
            (c"transaction", transaction),
            (c"files", raw::array(env, &files)?),
        ],
    )
}
