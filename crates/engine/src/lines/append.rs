//! One append to a file of lines. The caller has the turn and the lock.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::dir::{Failed, Target};
use crate::error::{Advice, Error, Result};
use crate::lines::log::{Log, Placed};
use crate::lines::options::{AppendOptions, Torn};
use crate::lines::rotate::rotate;
use crate::lines::tail::Tail;
use crate::lines::torn::set_aside;
use crate::mutant::{Step, leaves_out};
use crate::process::{Key, deferred_close, lock};
use crate::sys::{self, Dir, FileId};
use crate::write::Level;

/// What was done for all calls that were made together.
#[derive(Clone, Debug)]
pub struct Done {
    /// Where the first line begins.
    pub offset: u64,
    pub durable: bool,
    pub verified: Option<Level>,
    pub rotated: bool,
}

/// How often to begin anew when a program without the lock has put another file in the place of ours.
const ROUNDS: u32 = 64;

/// Appends `text`, which ends in a line end. `torn`: what was set aside, by this attempt or one before it.
///
/// # Errors
/// Whatever fails first. Nothing of the text is in the file, unless [`Error::committed`].
pub fn append(
    target: &Target,
    text: &[u8],
    options: &AppendOptions,
    torn: &mut Option<Torn>,
) -> Result<Done> {
    let before = target.dir.failed_flushes();
    let mut rotated = false;
    for _ in 0..ROUNDS {
        let mut log = Log::open(target, options)?;
        let mut size = log.size()?;
        let mut tail = Tail::of(&log.file, size, options.json)?;
        if let Tail::Torn(start) = tail
            && !leaves_out(Step::TornLine)
        {
            if !set_aside(target, &log.file, (start, size), options, torn)? {
                continue;
            }
            (size, tail) = (start, Tail::Whole);
        }
        if let Some(limit) = options.rotate
            && size >= limit.size.max(1)
        {
            rotate(target, limit.keep)?;
            rotated = true;
            log = Log::open(target, options)?;
            // It stays if the lines cannot be appended: there was a file.
            log.is_new = false;
            (size, tail) = (log.size()?, Tail::Whole);
        }
        let ended: Vec<u8>;
        let whole = match tail {
            // In the same write: a line end alone would be no less torn.
            Tail::Complete => {
                ended = [b"\n", text].concat();
                &ended
            }
            _ => text,
        };
        let placed = deferred_close::retry_when_full(|_| log.append(whole, size, options))?;
        // An editor has put another file in its place meanwhile, which does not have the lines.
        if log.is_gone().map_err(Error::after_commit)? {
            continue;
        }
        let durable =
            flush_name(target, &log, placed, rotated, before, options).map_err(Error::after_commit)?;
        let offset = placed.end - text.len() as u64;
        return Ok(Done { offset, durable, verified: placed.verified, rotated });
    }
    Err(Error::raw("open", sys::ESTALE).advise(Advice::Restless))
}

/// Flushes the directory if the name of the file may not be on disk. Returns whether all of it is.
fn flush_name(
    target: &Target,
    log: &Log<'_>,
    placed: Placed,
    rotated: bool,
    before: Failed,
    options: &AppendOptions,
) -> Result<bool> {
    let is_known = !log.is_new && !rotated && is_flushed(target, log);
    let named = is_known || options.flush && flush(target, log, before)?;
    Ok(placed.flushed && named && target.dir.is_durable() && sys::is_durable(&log.file))
}

fn flush(target: &Target, log: &Log<'_>, before: Failed) -> Result<bool> {
    let synced = target.dir.sync()?;
    target.dir.check_flushes(before)?;
    if synced && let Some(identity) = identity(log) {
        let mut flushed = lock(&FLUSHED);
        let flushed = flushed.get_or_insert_default();
        if flushed.len() >= MOST_KNOWN {
            flushed.clear();
        }
        flushed.insert(target.key(), identity);
    }
    Ok(synced)
}

/// The names that this process has flushed, and of which files. A program that made the file may not have done so, and a
/// flush of a file is none of its name. So the first append of a process flushes the directory too.
static FLUSHED: Mutex<Option<HashMap<Key, Identity>>> = Mutex::new(None);
const MOST_KNOWN: usize = 1024;

/// Which file it is, also among those that have had its number.
type Identity = (FileId, u64);

fn identity(log: &Log<'_>) -> Option<Identity> {
    let generation = sys::generation(&log.file)?;
    Some((Dir::stat_file(&log.file).ok()?.1.id, generation))
}

fn is_flushed(target: &Target, log: &Log<'_>) -> bool {
    let identity = identity(log);
    identity.is_some() && lock(&FLUSHED).get_or_insert_default().get(&target.key()) == identity.as_ref()
}
