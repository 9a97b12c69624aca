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
use crate::process::{Inside, Key, Rank, Ticket};
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
    fn check_not_held(&self, key: &Key) -> Result<()> {
        if self.inside.is_some() && Outliving::is_one(key) { Err(ErrorKind::Held.into()) } else { Ok(()) }
    }

    /// `again`: what is there may be this call's own file.
    fn attempt(&self, again: bool) -> Result<Attempt> {
        let exclusive = self.options.exclusive && !again;
        let target = resolve(&self.path, Resolve { mkdir: self.mkdir, exclusive })?;
        let key = target.key();
        if let Some(inside) = self.inside {
            inside.check_free(&key)?;
        }
        // Not behind what is done under such a lock, which may take long.
        self.check_not_held(&key)?;
        let committing = Committing::begin(&key);
        // It may have been taken while this call waited, and nothing comes between what is read and written under it.
        self.check_not_held(&key)?;
        let published = match commit::publish(&target, &self.data, self.options, &Cancel::default()) {
            // In a directory that was replaced and removed meanwhile nothing can be made.
            Err(error) if error.is_system() && !error.committed() && target.is_moved() => {
                return Ok(Attempt::Moved);
            }
            published => published?,
        };
        let receipt = match published.settle()? {
            Settled::InPlace(receipt) => receipt,
            Settled::Moved(receipt) => {
                match resolve(&self.path, Resolve { mkdir: self.mkdir, exclusive: false }) {
                    // A link on the path was moved with it, and leads there again.
                    Ok(again) if again.key() == key => receipt,
                    _ => return Ok(Attempt::Moved),
                }
            }
        };
        overtake(&committing, self.rank, receipt);
        Ok(Attempt::Done(receipt))
    }
}

/// Recovers what a transaction has left there, or waits for it for as long as a write does.
fn resolve(path: &Path, how: Resolve) -> Result<Target> {
    let since = Instant::now();
    loop {
        let target = Target::resolve(path, how)?.to_write()?;
        if !pending::is_in_the_way(&target.dir, since)? {
            return Ok(target);
        }
        thread::sleep(pending::PAUSE);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::write::committing::waiting;

    fn key(path: &Path) -> Key {
        resolve(path, Resolve { mkdir: false, exclusive: false }).unwrap().key()
    }

    /// What a blocking write came to that waited for another commit of its file while `meanwhile` was done.
    fn written<T>(path: &Path, meanwhile: impl FnOnce() -> T) -> (Result<Receipt>, T) {
        let committing = Committing::begin(&key(path));
        thread::scope(|scope| {
            let options = Options { flush: false, ..Options::default() };
            let data = Data::Bytes(b"{}".to_vec());
            let write = move || write(path.to_owned(), data, &options, false, Some(&Inside::default()));
            let write = scope.spawn(write);
            while waiting(&key(path)) == 0 {
                thread::yield_now();
            }
            let made = meanwhile();
            drop(committing);
            (write.join().unwrap(), made)
        })
    }

    #[test]
    fn a_lock_that_is_taken_while_a_blocking_write_waits_keeps_it_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let (result, _lock) = written(&path, || Outliving::new(key(&path)));
        assert!(matches!(result.unwrap_err().kind(), ErrorKind::Held));
        assert!(!path.exists());
    }

    #[test]
    fn a_blocking_write_does_not_wait_for_what_is_done_under_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let _committing = Committing::begin(&key(&path));
        let _lock = Outliving::new(key(&path));
        let data = Data::Bytes(b"{}".to_vec());
        let written = write(path.clone(), data, &Options::default(), false, Some(&Inside::default()));
        assert!(matches!(written.unwrap_err().kind(), ErrorKind::Held));
    }

    #[cfg(unix)] // a test
    #[test]
    fn a_write_is_overtaken_by_one_whose_directory_was_moved_together_with_the_link_to_it() {
        use crate::write::overtake::{Pending, overtaken};
        use std::fs;
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let [link, one, two] = ["link", "1", "2"].map(|name| root.path().join(name));
        fs::create_dir(&one).unwrap();
        symlink(&one, &link).unwrap();
        let path = link.join("file");
        let earlier = Pending::new(Ticket::take().rank());
        let (result, ()) = written(&path, || {
            fs::rename(&one, &two).unwrap();
            fs::remove_file(&link).unwrap();
            symlink(&two, &link).unwrap();
        });
        assert!(result.unwrap().written);
        let committing = Committing::begin(&key(&path));
        assert!(overtaken(&committing, earlier.rank()).is_some());
    }
}
