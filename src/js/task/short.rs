//! Short jobs share works: a worker that has done one takes the next, and what comes of many is handled in one turn of the
//! event loop.
//!
//! A work of libuv's for each costs more than what the job does beside its calls of the system: the work is made and
//! deleted, its worker takes libuv's lock, and each end of one wakes the event loop. Others' works wait in the same queue,
//! so a work is over after a few jobs or a few milliseconds, if another one that is queued sees to the rest.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi::Env;

use super::mailbox::{self, Mailbox, Slot, Tell};
use super::work;
use crate::js::value::Result;

/// How many jobs a work takes at most.
const MOST: usize = 16;

/// After which a work takes no other job, if others see to them.
const BUDGET: Duration = Duration::from_millis(2);

type Job = Box<dyn FnOnce() + Send>;

/// The short jobs of an environment that no worker has taken yet.
#[derive(Default)]
pub(super) struct ShortQueue(Mutex<State>);

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// The environment has ended.
    ended: bool,
    /// Works that are not over.
    works: usize,
    /// How many of these no worker has begun. The others have a job, which may hang: none depends on them.
    queued: usize,
}

/// Has a worker run `work`, which tells what comes of it to `done`, now or later. Neither may panic. In an environment that
/// is ending both may be dropped instead.
pub fn queue<'env, T: Send + 'static>(
    env: &'env Env,
    work: impl FnOnce(Tell<T>) + Send + 'static,
    done: impl FnOnce(&Env, T) + 'static,
) -> Result<'env, ()> {
    let tell = mailbox::expect(env, done)?;
    let mailbox = Mailbox::of(env)?;
    mailbox.slot.short.push(Box::new(move || work(tell)));
    queue_works(env, &mailbox);
    Ok(())
}

/// As many works as the jobs need. If one cannot be queued, as in an environment that is ending, the jobs are for those that are.
pub(super) fn queue_works(env: &Env, mailbox: &Mailbox) {
    while mailbox.slot.short.begin_work() {
        let slot = mailbox.slot.clone();
        let over = |env: &Env, ()| {
            if let Some(mailbox) = Mailbox::made(env.raw()) {
                mailbox.handle_arrived(env);
                queue_works(env, &mailbox);
            }
        };
        if work::queue(env, move || slot.short.work(&slot), over).is_err() {
            let mut state = mailbox.slot.short.state();
            state.works -= 1;
            state.queued -= 1;
            return;
        }
    }
}

impl ShortQueue {
    /// Adds a job. It is dropped if the environment has ended.
    pub fn push(&self, job: Job) {
        let mut state = self.state();
        if !state.ended {
            state.jobs.push_back(job);
            return;
        }
        // Its drop may be what queues another one.
        drop(state);
        drop(job);
    }

    /// Counts one more work if there should be one.
    fn begin_work(&self) -> bool {
        let mut state = self.state();
        let wanted = state.wants_work();
        if wanted {
            state.works += 1;
            state.queued += 1;
        }
        wanted
    }

    /// On a worker.
    fn work(&self, slot: &Slot) {
        let since = Instant::now();
        self.state().queued -= 1;
        for taken in 0.. {
            let mut state = self.state();
            let is_over = (taken >= MOST || since.elapsed() >= BUDGET) && state.can_spare_work();
            let job = if is_over { None } else { state.jobs.pop_front() };
            let Some(job) = job else {
                state.works -= 1;
                return;
            };
            let wants_work = state.wants_work();
            drop(state);
            // What the jobs before this one have come to. That of the last one is handled when the work is over.
            if wants_work || slot.has_arrived() {
                slot.wake();
            }
            // A panic would leave the work counted.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    /// The environment ends: what no worker has taken is dropped.
    pub fn end(&self) {
        let jobs = {
            let mut state = self.state();
            state.ended = true;
            std::mem::take(&mut state.jobs)
        };
        drop(jobs);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether one more is to be queued. As long as there are [`WORKS`] of them, a thread that is free finds one, even if all
    /// others hang and the event loop, which alone can queue more, is busy.
    fn wants_work(&self) -> bool {
        let jobs = self.jobs.len();
        self.queued < jobs && self.works < *WORKS || self.queued * MOST < jobs
    }

    /// Whether a work may be over and leave jobs behind.
    fn can_spare_work(&self) -> bool {
        let jobs = self.jobs.len();
        self.queued >= jobs || self.queued > 0 && self.works >= *WORKS
    }
}

/// How many threads libuv has for works, unless it is told otherwise.
const DEFAULT_THREADS: usize = 4;

/// How many works there are at least, if there are jobs for them: one for each thread that libuv has, and one in the queue that
/// takes the place of one that is over. libuv has asked for the size when its threads began; what is there now may be less.
static WORKS: LazyLock<usize> = LazyLock::new(|| {
    let given = std::env::var("UV_THREADPOOL_SIZE").ok().and_then(|size| size.parse().ok());
    given.unwrap_or(DEFAULT_THREADS).clamp(DEFAULT_THREADS, 1024) + 1
});
