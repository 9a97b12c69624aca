//! Threads that wait for a while when their work is done, because more of it comes in bursts: while many write into a directory
//! whose flushes take long, there is one to do for every few files, and making a thread costs as much as flushing a file.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::process::lock;

/// For how long a thread waits for more work.
const KEPT: Duration = Duration::from_millis(100);

type Work = Box<dyn FnOnce() + Send>;

/// At most one thread that waits, and however many that work.
pub struct Spare {
    name: &'static str,
    /// To the one that waits. It is sent work under the lock, and takes its offer back under it.
    waiting: Mutex<Option<Sender<Work>>>,
}

impl Spare {
    /// Threads are shown as `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, waiting: Mutex::new(None) }
    }

    /// Runs `work` on the thread that waits, or on a new one; where the system has none to give, on this one, which is
    /// better than not at all.
    pub fn run(&'static self, work: impl FnOnce() + Send + 'static) {
        let mut work: Work = Box::new(work);
        let mut waiting = lock(&self.waiting);
        if let Some(thread) = waiting.take() {
            match thread.send(work) {
                Ok(()) => return,
                Err(unsent) => work = unsent.0,
            }
        }
        drop(waiting);
        let work = Arc::new(Mutex::new(Some(work)));
        let take = |work: &Mutex<Option<Work>>| lock(work).take();
        let shared = work.clone();
        let serve = move || take(&shared).into_iter().for_each(|work| self.serve(work));
        if thread::Builder::new().name(self.name.to_owned()).spawn(serve).is_err() {
            take(&work).into_iter().for_each(|work| work());
        }
    }

    fn serve(&self, mut work: Work) {
        loop {
            work();
            let (offer, offered) = mpsc::channel();
            let mut waiting = lock(&self.waiting);
            if waiting.is_some() {
                return;
            }
            *waiting = Some(offer);
            drop(waiting);
            work = match offered.recv_timeout(KEPT) {
                Ok(more) => more,
                Err(_) => {
                    let mut waiting = lock(&self.waiting);
                    match offered.try_recv() {
                        Ok(more) => more,
                        // The offer still stands, or work would be there.
                        Err(_) => {
                            *waiting = None;
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
    use std::thread::{ThreadId, current, sleep};

    use super::*;

    fn run(spare: &'static Spare) -> ThreadId {
        let (tell, told) = mpsc::channel();
        spare.run(move || tell.send(current().id()).unwrap());
        told.recv().unwrap()
    }

    #[test]
    fn a_thread_that_waits_gets_the_next_work_and_one_that_works_gets_none() {
        static SPARE: Spare = Spare::new("spare");
        let waits = || lock(&SPARE.waiting).is_some();
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
}
