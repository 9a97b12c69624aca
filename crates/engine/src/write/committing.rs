//! A commit of a file is of one thread at a time: from the look at what is there to the rename.
//!
//! Calls that have their turns are alone anyway. Those that block their thread take none ([`overtake`](super::overtake)), and what they wait
//! for here is I/O on another thread, which ends by itself.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::process::{Key, lock};

#[derive(Default)]
struct Files {
    /// Those that get a new content at this moment.
    committing: HashSet<Key>,
    /// How many threads wait for one of these.
    waiting: usize,
}

static FILES: Mutex<Option<Files>> = Mutex::new(None);
static FREE: Condvar = Condvar::new();

/// The right to give a file a new content. At most one thread has it, and for as long as its I/O takes.
#[derive(Debug)]
pub struct Committing(Key);

impl Committing {
    /// Waits for another commit of the file.
    pub fn begin(key: &Key) -> Self {
        let mut files = lock(&FILES);
        while !files.get_or_insert_default().committing.insert(key.clone()) {
            files.get_or_insert_default().waiting += 1;
            files = FREE.wait(files).unwrap_or_else(PoisonError::into_inner);
            files.get_or_insert_default().waiting -= 1;
        }
        Self(key.clone())
    }

    /// Whether the file gets a new content at this moment.
    pub fn is_under_way(key: &Key) -> bool {
        lock(&FILES).as_ref().is_some_and(|files| files.committing.contains(key))
    }

    /// That of the file.
    pub fn key(&self) -> &Key {
        &self.0
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        let mut files = lock(&FILES);
        let files = files.get_or_insert_default();
        files.committing.remove(&self.0);
        // A call of the system, even if no thread waits: one for each write.
        if files.waiting > 0 {
            FREE.notify_all();
        }
    }
}

/// How many threads wait for a commit, if one of that file is under way.
#[cfg(test)]
pub fn waiting(key: &Key) -> usize {
    lock(&FILES).as_ref().map_or(0, |files| if files.committing.contains(key) { files.waiting } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

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
