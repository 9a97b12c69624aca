//! Closes replaced files after the answer, not before it.
//!
//! The last close of a file frees its blocks, and some file systems tell the device so at once (ext4 without a
//! journal, mounted `discard`: 1 ms a megabyte). The caller that waits for the new file does not need that done.
//! So the old file is kept open across the rename, and a thread of its own closes it. Where freeing is quick a thread
//! would only cost, so the time is measured.
//!
//! It pays on such a disk only, and not always. A rename that frees takes 0.2 to 0.7 ms there for 1 KB and 64 KB, and 3
//! ms for 1 MiB; one that does not, 0.04 ms. Without this module (Linux 6.18, a virtual machine whose disk others used
//! too; two processes with the same code differed by up to 1.3) one file after the other took 1.1 to 1.7 times as long,
//! a batch of 1,000 files 1.3 to 1.8 times, 16 files at once 0.8 to 1.05 times, and files of 32 MiB the same. On ext4
//! with a journal and on xfs, mounted `discard` or not, a rename that frees takes 0.04 to 0.2 ms up to 1 MiB, and
//! neither the clock nor the CPU time tells the difference. What every disk needs is [`close_later`], for a file that
//! is collected as garbage.
//!
//! The rest is kept for the disks of short-lived virtual machines, in which builds and tests run: they have no use for a
//! journal, a batch over old files takes up to 1.8 times as long there without it, and any other disk (Ubuntu's cloud
//! images too, whose ext4 is mounted `discard` but has a journal) pays no more than reading the clock twice a rename.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::process::{Spare, lock};
use crate::sys::{self, Dir};

/// Each costs a descriptor and, until it is freed, its space. A call that comes when there are more frees its
/// own: no caller replaces files faster than the device frees them.
const BACKLOG: usize = 16;
/// For a batch, which had room for old and new files alike: its caller would wait for each.
/// At most an eighth of the descriptors.
const LONG_BACKLOG: u64 = 1024;
/// From here on a thread pays. Elsewhere freeing takes some 10 microseconds.
const SLOW: Duration = Duration::from_micros(300);

/// How long freeing a file took lately, in nanoseconds: a moving average.
static AVERAGE: AtomicU64 = AtomicU64::new(0);

/// How long to wait on a full disk. The backlog may have files of other disks, and one of those may hang.
const PATIENCE: Duration = Duration::from_secs(1);

struct Backlog {
    files: VecDeque<(u64, File)>,
    /// A thread closes files, and will until there are none.
    served: bool,
    /// All files that are kept open, in the backlog or by a call that waits for a flush, numbered as they come.
    held: BTreeSet<u64>,
    next: u64,
}

static FILES: Mutex<Backlog> =
    Mutex::new(Backlog { files: VecDeque::new(), served: false, held: BTreeSet::new(), next: 0 });
static CLOSED: Condvar = Condvar::new();

fn backlog() -> MutexGuard<'static, Backlog> {
    lock(&FILES)
}

impl Backlog {
    fn take(&mut self) -> u64 {
        self.next += 1;
        self.held.insert(self.next);
        self.next
    }
}

/// A file that is about to be replaced.
#[derive(Debug)]
pub enum Replaced {
    /// It is kept open, to be freed later.
    Held(File),
    /// The rename frees it, and began at this time.
    Freed(Instant),
    /// Another owner closes its descriptor.
    OpenElsewhere,
}

impl Replaced {
    /// Call it right before the rename.
    pub fn hold(dir: &Dir, name: &OsStr) -> Self {
        Self::hold_behind(dir, name, BACKLOG)
    }

    /// As [`Replaced::hold`], for one of many files.
    pub fn hold_one_of_many(dir: &Dir, name: &OsStr) -> Self {
        let most = LONG_BACKLOG.min(sys::descriptor_limit() / 8);
        Self::hold_behind(dir, name, usize::try_from(most).unwrap_or(BACKLOG))
    }

    fn hold_behind(dir: &Dir, name: &OsStr, most: usize) -> Self {
        let held = if is_later(most) { dir.keep(name) } else { None };
        held.map_or_else(|| Self::Freed(Instant::now()), Self::Held)
    }

    /// Call it right after the rename. `None`: the file has been freed.
    pub fn into_old(self) -> Option<Old> {
        match self {
            Self::Held(file) => return Some(Old { number: backlog().take(), file: Some(file) }),
            Self::Freed(since) => note(since.elapsed()),
            Self::OpenElsewhere => {}
        }
        None
    }
}

/// A file that has been replaced. A thread frees it when this is dropped. Keep it until the directory is flushed: the
/// flush would wait behind the freeing (replacing 32 MiB took 49 ms instead of 10).
#[derive(Debug)]
pub struct Old {
    number: u64,
    file: Option<File>,
}

impl Drop for Old {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            hand_over(self.number, file);
        }
    }
}

/// Whether another thread should close a file, with at most `most` open at a time.
fn is_later(most: usize) -> bool {
    is_slow() && backlog().held.len() < most
}

fn is_slow() -> bool {
    u128::from(AVERAGE.load(Ordering::Relaxed)) >= SLOW.as_nanos()
}

/// Records how long it took to free a file.
fn note(took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(1_000_000_000);
    AVERAGE.store((AVERAGE.load(Ordering::Relaxed) * 3 + took) / 4, Ordering::Relaxed);
}

/// Closes a replaced file; on another thread if that takes long.
pub fn close(file: File) {
    if is_later(BACKLOG) {
        close_later(file);
    } else {
        close_now(file);
    }
}

/// Closes a file on another thread, for a caller that must not wait however long that takes.
pub fn close_later(file: File) {
    let number = backlog().take();
    hand_over(number, file);
}

fn hand_over(number: u64, file: File) {
    let begins = {
        let mut backlog = backlog();
        backlog.files.push_back((number, file));
        !std::mem::replace(&mut backlog.served, true)
    };
    if begins {
        static CLOSERS: Spare = Spare::new("atomic-close", 1);
        CLOSERS.run(serve);
    }
}

fn close_now(file: File) {
    let since = Instant::now();
    drop(file);
    note(since.elapsed());
}

fn serve() {
    loop {
        let next = {
            let mut backlog = backlog();
            let next = backlog.files.pop_front();
            backlog.served = next.is_some();
            next
        };
        let Some((number, file)) = next else { return };
        close_now(file);
        backlog().held.remove(&number);
        CLOSED.notify_all();
    }
}

/// On a full disk, waits until all files that are kept open now are freed. `false`: there were none.
///
/// A file that is kept until its directory is flushed, by a call that waits its turn for that, may not be freed in time.
fn drain() -> bool {
    let mut backlog = backlog();
    let end = backlog.next;
    let waits = |backlog: &mut Backlog| backlog.held.first().is_some_and(|first| *first <= end);
    let any = waits(&mut backlog);
    drop(CLOSED.wait_timeout_while(backlog, PATIENCE, waits));
    any
}

/// Runs `attempt`; if the disk is full, waits for what is held to be freed and runs it a second time, with `true`.
///
/// # Errors
/// Those of `attempt`.
pub fn retry_when_full<T>(mut attempt: impl FnMut(bool) -> Result<T>) -> Result<T> {
    match attempt(false) {
        Err(error) if error.is_full() && drain() => attempt(true),
        done => done,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn slow_files_are_closed_one_by_one_and_the_backlog_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let open = |at: usize| File::create(dir.path().join(at.to_string())).unwrap();
        for at in 0..3 * BACKLOG {
            note(Duration::from_secs(1));
            close(open(at));
            assert!(backlog().held.len() <= BACKLOG);
        }
        drain();
        assert!(backlog().files.is_empty());
        // One that is held is waited for, though a later one has been closed.
        let held = Old { number: backlog().take(), file: Some(open(0)) };
        close_later(open(1));
        let since = Instant::now();
        assert!(drain() && since.elapsed() >= PATIENCE);
        drop(held);
        drain();
        assert!(backlog().held.is_empty() && !drain());
    }
}
