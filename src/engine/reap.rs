//! Lets go of replaced files after the answer, not before it.
//!
//! Who closes the last name or descriptor of a file frees its blocks, and some file systems tell the
//! device so there and then (ext4 without a journal, mounted `discard`: 1 ms a megabyte). Nobody who
//! waits for the new file needs that done. Held open across the rename, the old file is freed by whoever
//! closes it: a thread of its own. Where freeing is quick a thread would only cost, so the time is watched.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::sys::{self, Dir};

/// Each costs a descriptor and, until it is freed, its space. Who comes when there are more closes its
/// own: nobody replaces files faster than the device frees them.
const BACKLOG: usize = 16;
/// For who replaces many at once, and had room for all of them twice: its caller would wait for each.
/// At most an eighth of the descriptors.
const LONG_BACKLOG: u64 = 1024;
/// Worth a thread. Elsewhere freeing takes some 10 microseconds.
const SLOW: Duration = Duration::from_micros(300);

/// What freeing a file took lately, in nanoseconds: a moving average.
static AVERAGE: AtomicU64 = AtomicU64::new(0);

/// How long a full disk is waited for. Other disks' files may be in the backlog, and one may hang.
const PATIENCE: Duration = Duration::from_secs(1);

struct Backlog {
    files: VecDeque<File>,
    /// A thread closes files, and will until there are none.
    served: bool,
    /// How many have been held, and how many of them are closed.
    taken: u64,
    closed: u64,
}

static FILES: Mutex<Backlog> =
    Mutex::new(Backlog { files: VecDeque::new(), served: false, taken: 0, closed: 0 });
static CLOSED: Condvar = Condvar::new();

fn backlog() -> MutexGuard<'static, Backlog> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is about to be replaced, held open if it had better be freed later.
#[derive(Debug)]
pub struct Replaced {
    held: Option<File>,
    since: Instant,
}

impl Replaced {
    /// To be called right before the rename.
    pub fn hold(dir: &Dir, name: &OsStr) -> Self {
        let held = if is_slow() { dir.keep(name) } else { None };
        Self { held, since: Instant::now() }
    }

    /// To be called right after it.
    pub fn into_old(self) -> Old {
        match &self.held {
            Some(_) => take(),
            None => note(self.since.elapsed()),
        }
        Old { held: self.held, most: BACKLOG }
    }
}

/// A file that has been replaced. Dropped, it is freed, by a thread of its own if that takes long: to be kept until
/// the directory is flushed, or the flush waits behind it (38 ms for 32 MiB, which took 9 without).
#[derive(Debug)]
pub struct Old {
    held: Option<File>,
    most: usize,
}

impl Old {
    /// Frees it now, as one of many.
    pub fn let_go_of_many(mut self) {
        let most = LONG_BACKLOG.min(sys::descriptor_limit() / 8);
        self.most = usize::try_from(most).unwrap_or(BACKLOG);
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        if let Some(file) = self.held.take() {
            close_behind(file, self.most);
        }
    }
}

fn is_slow() -> bool {
    u128::from(AVERAGE.load(Ordering::Relaxed)) >= SLOW.as_nanos()
}

/// Takes note of how long it took to free a file.
fn note(took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(1_000_000_000);
    AVERAGE.store((AVERAGE.load(Ordering::Relaxed) * 3 + took) / 4, Ordering::Relaxed);
}

/// Closes a replaced file: later, if that takes long.
pub fn close(file: File) {
    take();
    close_behind(file, BACKLOG);
}

/// Closes a file that nobody needs any more, for who must not be held up however long it takes.
pub fn close_later(file: File) {
    take();
    hand_over(file);
}

/// Takes note of a file that is to be closed.
fn take() {
    backlog().taken += 1;
}

fn close_behind(file: File, most: usize) {
    if is_slow() && backlog().files.len() < most { hand_over(file) } else { close_now(file) }
}

fn hand_over(file: File) {
    let begins = {
        let mut backlog = backlog();
        backlog.files.push_back(file);
        !std::mem::replace(&mut backlog.served, true)
    };
    if begins && std::thread::Builder::new().name("atomic-reap".to_owned()).spawn(serve).is_err() {
        serve();
    }
}

fn close_now(file: File) {
    let since = Instant::now();
    drop(file);
    note(since.elapsed());
    backlog().closed += 1;
    CLOSED.notify_all();
}

fn serve() {
    loop {
        let next = {
            let mut backlog = backlog();
            let next = backlog.files.pop_front();
            backlog.served = next.is_some();
            next
        };
        match next {
            Some(file) => close_now(file),
            None => return,
        }
    }
}

/// Waits until all is freed that was replaced before now, flushes of other calls included: for who found the disk full. `false`: there was
/// nothing to wait for.
pub fn drain() -> bool {
    let backlog = backlog();
    let (taken, closed) = (backlog.taken, backlog.closed);
    drop(CLOSED.wait_timeout_while(backlog, PATIENCE, |backlog| backlog.closed < taken));
    closed < taken
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn slow_files_are_closed_by_and_by_and_the_backlog_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let open = |at: usize| File::create(dir.path().join(at.to_string())).unwrap();
        for at in 0..3 * BACKLOG {
            note(Duration::from_secs(1));
            close(open(at));
            assert!(backlog().files.len() <= BACKLOG);
        }
        drain();
        assert!(backlog().files.is_empty() && !backlog().served);
    }
}
