//! The engine for Rust programs: the whole protocol in one call, on the thread that calls.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::error::{Error, ErrorKind, Result};
use crate::index::commit_job::{CommitJob, Committed, Now, Outcome};
use crate::index::file::{Numbers, UpdateOptions};
use crate::index::group::Written;
use crate::index::job::{Come, OpenJob};
use crate::job::{After, Job, Retry, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::process::{CallId, Ticket, try_room_for_bytes};
use crate::stats;
use crate::write::job::WriteJob;
use crate::write::{Options, Receipt};

/// A call that no other takes along: the addon counts its own from 0.
const ALONE: CallId = CallId::MAX;

/// Replaces the file at `path`, and returns when `data` is on disk, read back, under that name.
///
/// Missing directories are made. Calls for one file run in the order in which they began.
///
/// # Errors
/// Whatever fails first. The old file stands, unless [`Error::committed`].
///
/// ```
/// use pipeline_atomic_engine::{blocking, write::options::Options};
///
/// let dir = tempfile::tempdir()?;
/// let receipt = blocking::write(&dir.path().join("page.html"), b"<p>", &Options::default())?;
/// assert!(receipt.written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, data: &[u8], options: &Options) -> Result<Receipt> {
    let path = std::path::absolute(path).map_err(|error| Error::system("open", error))?;
    let mut copy = try_room_for_bytes(data.len()).ok_or_else(Error::no_memory)?;
    copy.extend_from_slice(data);
    run(WriteJob::new(path, Data::Bytes(copy), Ticket::take(), options.clone(), true, Cancel::default()))
}

/// Replaces the JSON file at `path` by what `change` makes of it (`None`: there is no file), alone
/// among all threads and processes that do it this way. `change` runs again if another program
/// changed the file meanwhile. A text that says the same as the old one, numbers digit by digit, is not written.
///
/// # Errors
/// Those of `change`; [`ErrorKind::LockTimeout`], [`ErrorKind::CorruptIndex`],
/// [`ErrorKind::InvalidJson`]; those of [`write()`]. The old file stands, unless [`Error::committed`].
///
/// ```
/// use std::time::Duration;
/// use pipeline_atomic_engine::{blocking, error::Error, index::file::UpdateOptions};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("visits.json");
/// for visit in 1..=3 {
///     let timeout = Duration::from_secs(30);
///     blocking::update(&path, &UpdateOptions::default(), timeout, |index| {
///         assert_eq!(index.is_some(), visit > 1);
///         Ok::<_, Error>(format!("[{visit}]"))
///     })?;
/// }
/// assert_eq!(std::fs::read_to_string(&path)?, "[3]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn update<E: From<Error>>(
    path: &Path,
    options: &UpdateOptions,
    timeout: Duration,
    mut change: impl FnMut(Option<&str>) -> std::result::Result<String, E>,
) -> std::result::Result<Receipt, E> {
    let since = Instant::now();
    let path = std::path::absolute(path).map_err(|error| Error::system("open", error))?;
    let cancel = Cancel::default();
    // What becomes of numbers is up to the caller, who has them as text.
    let options = UpdateOptions { numbers: Numbers::Exact, longest: None, ..options.clone() };
    let opening = UpdateOptions { mkdir: true, ..options.clone() };
    let open = OpenJob::new(ALONE, path.clone(), opening, Ticket::take(), since, timeout, cancel.clone());
    let Come::Open(mut opened) = run(open)? else { return Err(bug("an update was taken along").into()) };
    loop {
        let text = change(opened.snapshot.as_ref().map(|snapshot| snapshot.text.json()))?;
        if let Some(snapshot) = &mut opened.snapshot {
            snapshot.text.layout = snapshot.text.layout.mark_only();
        }
        let data = Data::Bytes(text.into_bytes());
        let Committed { written, now } =
            run(CommitJob::new(*opened, data, options.clone(), false, cancel.clone()))?;
        match written {
            Written::Changed => {}
            Written::Done(outcome) => {
                stats::updated(1);
                return own(outcome).map_err(E::from);
            }
            Written::Failed(outcome) | Written::Invalid(outcome) | Written::Late(outcome, _) => {
                return own(outcome).map_err(E::from);
            }
        }
        if since.elapsed() >= timeout {
            return Err(Error::from(Timeout::new(since.elapsed(), Blocker::Changes, None, &path)).into());
        }
        opened = match now {
            Now::Open(again) => again,
            Now::Lost(lost) => Box::new(run(lost.reopen(since.checked_add(timeout), cancel.clone()))?),
            Now::Gone(outcome) => return own(outcome).map_err(E::from),
        };
    }
}

/// The outcome of a commit that no other call shares.
fn own(outcome: Outcome) -> Result<Receipt> {
    Arc::into_inner(outcome).unwrap_or_else(|| Err(bug("an outcome is shared")))
}

/// Runs a job to its end, and blocks the thread while it waits.
///
/// # Errors
/// Those of the job.
///
/// # Panics
/// Inside an async runtime, if the job has to wait: run it on a thread that may block.
pub fn run<J: Job>(job: J) -> Result<J::Output> {
    drive(job, Retry::default())
}

/// As [`run`], on a thread that serves others: what the machine lacks, such as a descriptor, counts as lacking for good after
/// a tenth of a second.
///
/// # Errors
/// Those of the job.
///
/// # Panics
/// As [`run`].
pub fn run_briefly<J: Job>(job: J) -> Result<J::Output> {
    drive(job, Retry::brief())
}

fn drive<J: Job>(mut job: J, mut retry: Retry) -> Result<J::Output> {
    loop {
        job = match retry.run(job) {
            Step::Done(outcome) => return outcome,
            Step::Wait(future) => {
                let runtime = runtime::Builder::new_current_thread().enable_time().build();
                let runtime = runtime.map_err(|error| Error::system("thread", error))?;
                let after = runtime.block_on(future);
                match after {
                    After::Run(next) => next,
                    After::Done(outcome) => return outcome,
                }
            }
            Step::Again(next, _) => {
                thread::sleep(retry.pause());
                next
            }
        }
    }
}

fn bug(what: &str) -> Error {
    ErrorKind::Panic(what.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gets its lock each time, and lacks a descriptor each time after that.
    struct Short(bool);

    impl Job for Short {
        type Output = ();

        fn run(self) -> Step<Self> {
            match self.0 {
                true => Step::Again(Self(false), Error::raw("open", crate::sys::EMFILE)),
                false => Step::Wait(Box::pin(async { After::Run(Self(true)) })),
            }
        }
    }

    #[test]
    fn a_job_that_waits_in_between_ends_as_well() {
        let mut retry = Retry::default();
        while !retry.is_over_after(Duration::from_secs(1)) {}
        assert!(drive(Short(false), retry).is_err_and(|error| error.is_transient()));
    }
}
