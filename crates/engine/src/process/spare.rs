//! Threads that wait for a while when their work is done, because more of it comes in bursts: while many write into a directory
//! whose flushes take long, there is one to do for every few files, and making a thread costs as much as flushing a file. Transactions that
//! follow each other have the same number of files to flush.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::process::lock;
use crate::process::thread::{Work, spawn_with};

/// For how long a thread waits for more work.
const KEPT: Duration = Duration::from_millis(100);

/// A few threads that wait, and however many that work.
pub struct Spare {
    name: &'static str,
    most: AtomicUsize,
    /// To those that wait; the last has worked last. One is sent work under the lock, and takes its offer back under it.
    waiting: Mutex<Vec<(ThreadId, Sender<Work>)>>,
}

impl Spare {
    /// Threads are shown as `name`, and at most so many wait.
    pub const fn new(name: &'static str, most: usize) -> Self {
        Self { name, most: AtomicUsize::new(most), waiting: Mutex::new(Vec::new()) }
    }

    /// No thread waits from now on, as they are scarce.
    pub fn keep_none(&self) {
        self.most.store(0, Ordering::Relaxed);
    }

    /// Runs `work` on a thread that waits, or on a new one; where the system has none to give, on this one, which is
    /// better than not at all.
    pub fn run(&'static self, work: impl FnOnce() + Send + 'static) {
        if let Err(work) = self.offer(Box::new(work)) {
            work();
        }
    }

    /// Runs `work` on a thread that waits, or on a new one.
    ///
    /// # Errors
    /// The work, where the system has no thread to give.
    pub fn offer(&'static self, mut work: Work) -> Result<(), Work> {
        let mut waiting = lock(&self.waiting);
        while let Some((_, thread)) = waiting.pop() {
            match thread.send(work) {
                Ok(()) => return Ok(()),
                Err(unsent) => work = unsent.0,
            }
        }
        drop(waiting);
        spawn_with(self.name, work, |work| self.serve(work))
    }

    fn serve(&self, mut work: Work) {
        let id = thread::current().id();
        loop {
            work();
            let (offer, offered) = mpsc::channel();
            let mut waiting = lock(&self.waiting);
            if waiting.len() >= self.most.load(Ordering::Relaxed) {
                return;
            }
            waiting.push((id, offer));
            drop(waiting);
            work = match offered.recv_timeout(KEPT) {
                Ok(more) => more,
                Err(_) => {
                    let mut waiting = lock(&self.waiting);
                    match offered.try_recv() {
                        Ok(more) => more,
                        // The offer still stands, or work would be there.
                        Err(_) => {
                            waiting.retain(|(other, _)| *other != id);
                            return;
                        }
                    }
                }
            };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::thread::{ThreadId, current, sleep};

    use super::*;

    fn run(spare: &'static Spare) -> ThreadId {
        let (tell, told) = mpsc::channel();
        spare.run(move || tell.send(current().id()).unwrap());
        told.recv().unwrap()
    }

    #[test]
    fn a_thread_that_waits_gets_the_next_work_and_one_that_works_gets_none() {
        static SPARE: Spare = Spare::new("spare", 1);
        let waits = || !lock(&SPARE.waiting).is_empty();
        let until = |is_so: &dyn Fn() -> bool| {
            while !is_so() {
                sleep(Duration::from_millis(1));
            }
        };
        // The thread may have waited long enough while this one was not run.
        let mut same = false;
        for _ in 0..100 {
            let first = run(&SPARE);
            until(&waits);
            same = run(&SPARE) == first;
            if same {
                break;
            }
        }
        assert!(same);

        let (go, gone) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        SPARE.run(move || {
            tell.send(current().id()).unwrap();
            gone.recv().unwrap();
        });
        let busy = told.recv().unwrap();
        assert_ne!(run(&SPARE), busy);
        go.send(()).unwrap();
        // And all of them end.
        until(&|| !waits());
    }

    #[test]
    fn as_many_wait_as_may_and_the_others_end() {
        static SPARE: Spare = Spare::new("spare", 2);
        let most_of_three = || {
            let all = Arc::new(Barrier::new(4));
            for _ in 0..3 {
                let all = all.clone();
                SPARE.run(move || {
                    all.wait();
                });
            }
            all.wait();
            let waiting = || {
                sleep(Duration::from_millis(1));
                lock(&SPARE.waiting).len()
            };
            (0..50).map(|_| waiting()).max()
        };
        // A thread may have waited long enough while the others were not run.
        let most = (0..100).map(|_| most_of_three()).find(|most| *most >= Some(2));
        assert_eq!(most, Some(Some(2)));
    }
}
