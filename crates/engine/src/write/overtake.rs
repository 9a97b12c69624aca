//! Calls that block their thread, which may be the one that others need to go on.
//!
//! Such a call cannot wait for its turn: what stands before it in the queue may wait for the blocked thread itself, or for another one
//! that is blocked in the same way. So it takes no place in the queue and overtakes all that is there. It waits for a commit that is under
//! way on another thread, which is I/O and ends by itself. A write that was called before and commits later is left out: as if
//! it had come first and was replaced at once, so the last call wins here too. An update finds another version and runs again.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::process::{Key, Rank, UnderWay, lock};
use crate::write::Receipt;

#[derive(Default)]
struct Files {
    /// Those that get a new content at this moment.
    committing: HashSet<Key>,
    /// How many threads wait for one of these.
    waiting: usize,
    /// The last blocking write of each, as long as writes may wait that were called before.
    written: HashMap<Key, (Rank, Receipt)>,
    /// Those whose lock outlives a call.
    held: HashMap<Key, usize>,
    /// How many writes are on their way.
    pending: usize,
}

static FILES: Mutex<Option<Files>> = Mutex::new(None);
static FREE: Condvar = Condvar::new();

fn with<T>(change: impl FnOnce(&mut Files) -> T) -> T {
    change(lock(&FILES).get_or_insert_default())
}

/// The right to give a file a new content. At most one thread has it, and for as long as its I/O takes.
#[derive(Debug)]
pub struct Committing(Key);

impl Committing {
    /// Waits for another commit of the file.
    pub fn begin(key: &Key) -> Self {
        let mut files: MutexGuard<'_, Option<Files>> = lock(&FILES);
        while !files.get_or_insert_default().committing.insert(key.clone()) {
            files.get_or_insert_default().waiting += 1;
            files = FREE.wait(files).unwrap_or_else(std::sync::PoisonError::into_inner);
            files.get_or_insert_default().waiting -= 1;
        }
        Self(key.clone())
    }

    /// What a blocking call has written that was made after the one of that rank.
    pub fn overtaken(&self, rank: Rank) -> Option<Receipt> {
        let later = |files: &mut Files| files.written.get(&self.0).copied();
        with(later).filter(|(by, _)| rank.is_before(*by)).map(|(_, receipt)| receipt)
    }

    /// A blocking call of that rank has written the file.
    pub fn overtake(&self, rank: Rank, receipt: Receipt) {
        with(|files| {
            if files.pending > 0 {
                files.written.insert(self.0.clone(), (rank, receipt));
            }
        });
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        let is_awaited = with(|files| {
            files.committing.remove(&self.0);
            files.waiting > 0
        });
        // A call of the system, even if no thread waits: one for each write.
        if is_awaited {
            FREE.notify_all();
        }
    }
}

/// A write on its way, which can be overtaken.
#[derive(Debug)]
pub struct Pending(Rank, UnderWay);

impl Pending {
    /// The rank is that of the call, however often it starts over.
    pub fn new(rank: Rank) -> Self {
        with(|files| files.pending += 1);
        Self(rank, UnderWay::begin())
    }

    /// The rank of the call.
    pub fn rank(&self) -> Rank {
        self.0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        with(|files| {
            files.pending -= 1;
            if files.pending == 0 {
                files.written = HashMap::new();
            }
        });
    }
}

/// A lock that outlives a call. A blocking call could only wait for it in vain.
#[derive(Debug)]
pub struct Held(Key);

impl Held {
    /// For the file with that key.
    pub fn new(key: Key) -> Self {
        with(|files| *files.held.entry(key.clone()).or_default() += 1);
        Self(key)
    }

    /// Whether there is one.
    pub fn is_one(key: &Key) -> bool {
        with(|files| files.held.contains_key(key))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        with(|files| {
            if let Some(count) = files.held.get_mut(&self.0) {
                *count -= 1;
                if *count == 0 {
                    files.held.remove(&self.0);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::process::Ticket;

    fn rank() -> Rank {
        Ticket::take().rank()
    }

    const RECEIPT: Receipt = Receipt { written: true, bytes: 1, durable: true, verified: None, atomic: true };

    #[test]
    fn a_write_is_overtaken_by_later_calls_only() {
        let key = Key::Object("overtaken".into());
        let early = Pending::new(rank());
        let committing = Committing::begin(&key);
        committing.overtake(rank(), RECEIPT);
        let late = Pending::new(rank());
        assert_eq!(committing.overtaken(early.rank()), Some(RECEIPT));
        assert_eq!(committing.overtaken(late.rank()), None);
    }

    #[test]
    fn one_thread_commits_at_a_time() {
        let key = Key::Object("committing".into());
        let first = Committing::begin(&key);
        let (tell, told) = mpsc::channel();
        let second = thread::spawn({
            let key = key.clone();
            move || {
                let _second = Committing::begin(&key);
                tell.send(()).is_ok()
            }
        });
        assert!(told.recv_timeout(Duration::from_millis(20)).is_err());
        drop(Committing::begin(&Key::Object("another".into())));
        drop(first);
        assert!(told.recv().is_ok() && second.join().is_ok_and(|sent| sent));
    }
}
