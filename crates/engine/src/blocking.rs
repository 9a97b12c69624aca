//! The engine for Rust programs: the whole protocol in one call, on the thread that calls.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::target::{Resolve, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::{IndexFile, UpdateOptions};
use crate::lock::sidecar::Lock;
use crate::process::queue::{Ticket, Turn};
use crate::write::commit::{self, Options, Receipt};

/// Replaces the file at `path`, and returns when `data` is on disk, read back, under that name.
///
/// Missing directories are made. Calls for one file run in the order in which they began.
///
/// # Errors
/// Whatever fails first. The old file stands, unless [`Error::committed`].
///
/// ```
/// use pipeline_atomic_engine::{blocking, write::commit::Options};
///
/// let dir = tempfile::tempdir()?;
/// let receipt = blocking::write(&dir.path().join("page.html"), b"<p>", &Options::default())?;
/// assert!(receipt.written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, data: &[u8], options: &Options) -> Result<Receipt> {
    let (target, _turn) = enqueue(path, options.exclusive)?;
    commit::write(&target, data, options, &Cancel::default())
}

/// Replaces the JSON file at `path` by what `change` makes of it (`None`: there is no file), alone
/// among all threads and processes that do it this way. `change` runs again if somebody else
/// changed the file meanwhile.
///
/// # Errors
/// Those of `change`; [`ErrorKind::LockTimeout`], [`ErrorKind::CorruptIndex`],
/// [`ErrorKind::InvalidJson`]; those of [`write()`]. The old file stands, unless [`Error::committed`].
pub fn update<E: From<Error>>(
    path: &Path,
    options: &UpdateOptions,
    timeout: Duration,
    mut change: impl FnMut(Option<&str>) -> std::result::Result<String, E>,
) -> std::result::Result<Receipt, E> {
    let since = Instant::now();
    let (target, turn) = enqueue(path, false)?;
    let index = IndexFile::new(Lock::acquire_blocking(&target, timeout)?, turn, target);
    loop {
        let mut snapshot = index.read()?;
        let mut text = change(snapshot.as_ref().map(|snapshot| snapshot.text.as_str()))?.into_bytes();
        if let Some(receipt) = index.replace(&mut text, &mut snapshot, options, &Cancel::default())? {
            return Ok(receipt);
        }
        if since.elapsed() >= timeout {
            return Err(Error::from(ErrorKind::LockTimeout { waited: since.elapsed() }).into());
        }
    }
}

fn enqueue(path: &Path, exclusive: bool) -> Result<(Target, Turn)> {
    let path = std::path::absolute(path).map_err(|error| Error::system("open", error))?;
    let ticket = Ticket::take();
    let target = Target::resolve(&path, Resolve { mkdir: true, exclusive })?;
    match ticket.join(target.key(), None).turn_blocking() {
        Some(turn) => Ok((target, turn)),
        None => Err(ErrorKind::Panic("a place in line was lost".to_owned()).into()),
    }
}
