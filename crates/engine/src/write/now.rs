//! A write on the thread that calls, which waits for no call of this process.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{ErrorKind, Result};
use crate::job::Retry;
use crate::lock::outliving::Outliving;
use crate::process::{Inside, Rank, Ticket};
use crate::transaction::pending;
use crate::write::commit;
use crate::write::committing::Committing;
use crate::write::job::MAX_MOVES;
use crate::write::options::{Options, Receipt};
use crate::write::overtake::overtake;
use crate::write::published::Settled;

/// Replaces the file at `path` as [`WriteJob`](crate::write::job::WriteJob) does, before the calls that wait for it.
///
/// # Errors
/// Whatever fails first; the old file stands, unless [`Error::committed`](crate::error::Error::committed).
/// [`ErrorKind::Reentrant`] inside the function of a call for the file, and [`ErrorKind::Held`] while this process has its lock:
/// waiting would be for ever. `inside` is `None` for the last words of a thread that ends: what has the file then is not heard of again.
pub fn write(
    path: PathBuf,
    data: Data,
    options: &Options,
    mkdir: bool,
    inside: Option<&Inside>,
) -> Result<Receipt> {
    let data = data.into_bytes()?;
    // Only the rank: a ticket would hold up other calls.
    let rank = Ticket::take().rank();
    let call = Call { path, data, options, mkdir, inside, rank };
    let (mut retry, mut moves) = (Retry::brief(), 0);
    loop {
        let began = Instant::now();
        match call.attempt(moves > 0) {
            Err(error) if error.is_transient() && !retry.is_over_after(began.elapsed()) => {
                thread::sleep(retry.pause());
            }
            Ok(Attempt::Moved) if moves >= MAX_MOVES => return Err(moved()),
            Ok(Attempt::Moved) => moves += 1,
            Ok(Attempt::Done(receipt)) => return Ok(receipt),
            Err(error) => return Err(error),
        }
    }
}

struct Call<'call> {
    path: PathBuf,
    data: Vec<u8>,
    options: &'call Options,
    mkdir: bool,
    inside: Option<&'call Inside>,
    rank: Rank,
}

enum Attempt {
    Done(Receipt),
    /// The directory was replaced meanwhile.
    Moved,
}

impl Call<'_> {
    /// `again`: what is there may be this call's own file.
    fn attempt(&self, again: bool) -> Result<Attempt> {
        let exclusive = self.options.exclusive && !again;
        let target = resolve(&self.path, Resolve { mkdir: self.mkdir, exclusive })?;
        let key = target.key();
        if let Some(inside) = self.inside {
            inside.check_free(&key)?;
            if Outliving::is_one(&key) {
                return Err(ErrorKind::Held.into());
            }
        }
        let committing = Committing::begin(&key);
        let published = match commit::publish(&target, &self.data, self.options, &Cancel::default()) {
            // In a directory that was replaced and removed meanwhile nothing can be made.
            Err(error) if error.is_system() && !error.committed() && target.is_moved() => {
                return Ok(Attempt::Moved);
            }
            published => published?,
        };
        match published.settle()? {
            Settled::InPlace(receipt) => {
                overtake(&committing, self.rank, receipt);
                Ok(Attempt::Done(receipt))
            }
            // A link on the path was moved with it, and leads there again.
            Settled::Moved(receipt) => {
                match resolve(&self.path, Resolve { mkdir: self.mkdir, exclusive: false }) {
                    Ok(again) if again.key() == key => Ok(Attempt::Done(receipt)),
                    _ => Ok(Attempt::Moved),
                }
            }
        }
    }
}

/// Recovers what a transaction has left there, or waits for it for as long as a write does.
fn resolve(path: &Path, how: Resolve) -> Result<Target> {
    let since = Instant::now();
    loop {
        let target = Target::resolve(path, how)?;
        if !pending::is_in_the_way(&target.dir, since)? {
            return Ok(target);
        }
        thread::sleep(pending::PAUSE);
    }
}
