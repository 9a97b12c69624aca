//! Short jobs share works: a worker that has done one takes the next, and what comes of many is handled in one turn of the
//! event loop.
//!
//! A work of libuv's for each costs more than what the job does beside its calls of the system: the work is made and
//! deleted, its worker takes libuv's lock, and each end of one wakes the event loop. Others' works wait in the same queue,
//! so a work is over after a few jobs or a few milliseconds.

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

/// After which a work takes no other job, as long as the works that are queued can take them all.
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
    /// How many of these have a job, which may hang.
    busy: usize,
    /// How many jobs these may take yet. Never less than there are: the event loop may be busy for long, and no work is
    /// queued meanwhile.
    room: usize,
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
            mailbox.slot.short.state().end_work(MOST);
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
        let jobs = state.jobs.len();
        let wanted = jobs > state.room || state.works < *WORKERS && state.works - state.busy < jobs;
        if wanted {
            state.works += 1;
            state.room += MOST;
        }
        wanted
    }

    /// On a worker.
    fn work(&self, slot: &Slot) {
        let since = Instant::now();
        let mut room = MOST;
        loop {
            let mut state = self.state();
            let is_over = since.elapsed() >= BUDGET && state.room - room >= state.jobs.len();
            let job = if is_over || room == 0 { None } else { state.jobs.pop_front() };
            let Some(job) = job else {
                state.end_work(room);
                return;
            };
            room -= 1;
            state.room -= 1;
            state.busy += 1;
            drop(state);
            // What the jobs before this one have come to. That of the last one is handled when the work is over.
            if slot.has_arrived() {
                slot.wake();
            }
            // A panic would leave the work counted.
            drop(catch_unwind(AssertUnwindSafe(job)));
            self.state().busy -= 1;
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
    /// A work is over that might have taken `room` jobs more.
    fn end_work(&mut self, room: usize) {
        self.works -= 1;
        self.room -= room;
    }
}

/// How many threads libuv has for works, unless it is told otherwise.
const DEFAULT_WORKERS: usize = 4;

/// How many works are to run at a time: as many as libuv has threads.
static WORKERS: LazyLock<usize> = LazyLock::new(|| {
    let given = std::env::var("UV_THREADPOOL_SIZE").ok().and_then(|size| size.parse().ok());
    given.unwrap_or(DEFAULT_WORKERS).clamp(1, 1024)
});
