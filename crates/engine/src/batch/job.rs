//! The two parts of a batch that run on workers: a wave of entries from their bytes to staged files, and all
//! staged files from there to their names.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Entry, Publishing, STAGERS};
use crate::cancel::Cancel;
use crate::data::Data;
use crate::error::Error;
use crate::job::{After, Job, Step};
use crate::process::{Inside, Ticket, Turn, buffer_pool, each};
use crate::stats;
use crate::steps;
use crate::write::{Options, Receipt};

/// How long descriptors are waited for between two renames; a little less than a job would.
const PATIENCE: Duration = Duration::from_secs(8);

/// What an entry is made of.
pub struct EntryInput {
    /// Absolute.
    pub path: PathBuf,
    /// The bytes, or the text.
    pub data: Data,
    /// How to write it.
    pub options: Options,
    /// Make missing directories.
    pub mkdir: bool,
}

/// Stages a wave.
pub struct WaveJob {
    batch: Batch,
    wave: Vec<Stage>,
    cancel: Cancel,
}

enum Stage {
    Waiting(EntryInput),
    Staged(Entry),
    /// On the way, or failed.
    Gone,
}

impl WaveJob {
    /// The next entries of `batch`.
    pub fn new(batch: Batch, wave: Vec<EntryInput>, cancel: Cancel) -> Self {
        Self { batch, wave: wave.into_iter().map(Stage::Waiting).collect(), cancel }
    }
}

impl Job for WaveJob {
    type Output = Batch;

    fn run(mut self) -> Step<Self> {
        let Self { batch, wave, cancel } = &mut self;
        let first = batch.len();
        let during = steps::begin(steps::Step::Stage);
        let staged = each(wave, STAGERS, |_, entry| entry.stage(batch, cancel));
        drop(during);
        match staged {
            Ok(()) => {}
            Err((at, error)) if error.is_transient() => {
                return Step::Again(self, error.of_entry(first + at));
            }
            Err((at, failure)) => return Step::Done(Err(failure.of_entry(first + at))),
        }
        let staged = wave.drain(..).filter_map(|entry| match entry {
            Stage::Staged(entry) => Some(entry),
            Stage::Waiting(_) | Stage::Gone => None,
        });
        match batch.add(staged) {
            Ok(()) => Step::Done(Ok(self.batch)),
            Err(error) => Step::Done(Err(error)),
        }
    }
}

impl Stage {
    /// What is staged stays so when this is called again.
    fn stage(&mut self, batch: &Batch, cancel: &Cancel) -> Result<(), Error> {
        let EntryInput { path, data, options, mkdir } = match std::mem::replace(self, Self::Gone) {
            Self::Waiting(input) => input,
            staged => {
                *self = staged;
                return Ok(());
            }
        };
        let data = data.into_bytes()?;
        match batch.stage(&path, mkdir, &data, &options, cancel) {
            Ok(entry) => *self = Self::Staged(entry),
            Err(error) => {
                if error.is_transient() {
                    *self = Self::Waiting(EntryInput { path, data: Data::Bytes(data), options, mkdir });
                }
                return Err(error);
            }
        }
        buffer_pool::keep(data);
        Ok(())
    }
}

/// Flushes all that is staged, waits for the turn with every file, and has them renamed.
pub struct FinishJob {
    stage: Finish,
    cancel: Cancel,
}

enum Finish {
    Flush(Batch, Inside),
    Prepare(Batch, Vec<Turn>),
    Rename(Publishing, Vec<Turn>, Option<Instant>),
    FlushDirectories(Publishing),
}

impl FinishJob {
    /// For a batch that is complete, of a call that was made inside of others.
    pub fn new(batch: Batch, inside: Inside, cancel: Cancel) -> Self {
        Self { stage: Finish::Flush(batch, inside), cancel }
    }

    /// As `stage`, when `error` has passed by itself, if it does.
    fn again(stage: Finish, cancel: Cancel, error: Error) -> Step<Self> {
        if error.is_transient() { Step::Again(Self { stage, cancel }, error) } else { Step::Done(Err(error)) }
    }
}

impl Job for FinishJob {
    type Output = Vec<Receipt>;

    fn run(self) -> Step<Self> {
        let Self { stage, cancel } = self;
        match stage {
            Finish::Flush(batch, inside) => flush(batch, inside, cancel),
            Finish::Prepare(mut batch, turns) => match batch.prepare(&cancel) {
                Ok(()) => {
                    // By way of a wait, so that the renames have all of their patience.
                    let job = Self { stage: Finish::Rename(batch.publish(), turns, None), cancel };
                    Step::Wait(Box::pin(std::future::ready(After::Run(job))))
                }
                Err(error) => Self::again(Finish::Prepare(batch, turns), cancel, error),
            },
            Finish::Rename(batch, turns, since) => rename(batch, turns, since, cancel),
            Finish::FlushDirectories(batch) => flush_directories(batch, cancel),
        }
    }
}

fn flush(mut batch: Batch, inside: Inside, cancel: Cancel) -> Step<FinishJob> {
    match batch.flush(&cancel) {
        Err(error) => FinishJob::again(Finish::Flush(batch, inside), cancel, error),
        // Others want the worker too.
        Ok(true) => {
            let job = FinishJob { stage: Finish::Flush(batch, inside), cancel };
            Step::Wait(Box::pin(std::future::ready(After::Run(job))))
        }
        Ok(false) => {
            let (keys, entries) = batch.queues();
            let places = Ticket::take().inside(inside).join_all(keys);
            Step::Wait(Box::pin(async move {
                let turns = tokio::select! {
                    turns = places.turns() => turns.map_err(|(at, error)| error.of_entry(entries[at])),
                    // The worker finds that out as well, and removes what is staged.
                    () = cancel.cancelled() => Ok(Vec::new()),
                };
                turns.map(|turns| FinishJob { stage: Finish::Prepare(batch, turns), cancel }).into()
            }))
        }
    }
}

fn rename(
    mut batch: Publishing,
    turns: Vec<Turn>,
    since: Option<Instant>,
    cancel: Cancel,
) -> Step<FinishJob> {
    match batch.rename(&cancel) {
        Ok(()) => {
            // The next write of a file need not wait for the flush: its own comes later still.
            drop(turns);
            flush_directories(batch, cancel)
        }
        Err(error) if error.is_transient() && since.is_none_or(|since| since.elapsed() < PATIENCE) => {
            let since = since.or_else(|| Some(Instant::now()));
            let error = if batch.is_committed() { batch.report(error) } else { error };
            Step::Again(FinishJob { stage: Finish::Rename(batch, turns, since), cancel }, error)
        }
        Err(error) if batch.is_committed() => {
            // What has its name keeps it. The first error is the one to report.
            drop(batch.flush());
            Step::Done(Err(batch.report(error)))
        }
        Err(error) => Step::Done(Err(error)),
    }
}

fn flush_directories(mut batch: Publishing, cancel: Cancel) -> Step<FinishJob> {
    match batch.flush() {
        Ok(()) => {
            let receipts = batch.receipts();
            stats::batched(&receipts);
            Step::Done(Ok(receipts))
        }
        Err(error) if error.is_transient() => {
            let error = batch.report(error);
            let job = FinishJob { stage: Finish::FlushDirectories(batch), cancel };
            Step::Again(job, error)
        }
        // Files that were left alone are what they were.
        Err(error) if !batch.is_committed() => Step::Done(Err(error)),
        Err(error) => Step::Done(Err(batch.report(error))),
    }
}
