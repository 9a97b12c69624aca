//! A patch that others may join, and those that do. Until they are in the queue of their file, the worker of the first one does not write it by itself, and a
//! group of them waits: the first has its index when the others have only just been started, and would be written twice where once is enough.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use napi::Env;

use crate::js::task::{self, Timer};

/// For how long at most a group waits, with the lock held. A step of a worker takes a tenth of a millisecond, but a path may take for ever.
const MOST: Duration = Duration::from_millis(5);

type GoOn = Box<dyn FnOnce(&Env)>;

/// What waits, kept by its timer, which belongs to the environment.
#[derive(Default)]
struct Waiting {
    go_on: Cell<Option<GoOn>>,
    timer: Cell<Option<Timer>>,
}

impl Waiting {
    fn end(&self, env: &Env) {
        self.timer.take();
        if let Some(go_on) = self.go_on.take() {
            go_on(env);
        }
    }
}

/// Patches that share a path, a directory and options with one that was started by itself.
#[derive(Default)]
pub struct Others {
    are_there: Arc<AtomicBool>,
    /// Where the first one is.
    path: OnceCell<PathBuf>,
    /// How many of them are under way, with the first one.
    running: Cell<usize>,
    /// So many crowds of them were started, and have not been in the queue yet.
    coming: Cell<usize>,
    waiting: RefCell<Vec<Weak<Waiting>>>,
}

impl Others {
    /// Whether there are any, which a worker may ask.
    pub fn are_there(&self) -> Arc<AtomicBool> {
        self.are_there.clone()
    }

    /// There are, from now on.
    pub fn announce(&self) {
        self.are_there.store(true, Ordering::Relaxed);
    }

    /// Where the first one is, which is started.
    pub fn begin(&self, path: &Path) {
        self.path.get_or_init(|| path.to_owned());
    }

    /// Whether a path leads to where the first one is.
    pub fn are_at(&self, path: &Path) -> bool {
        self.path.get().is_some_and(|own| own == path)
    }

    /// Whether one is under way.
    pub fn are_running(&self) -> bool {
        self.running.get() > 0
    }

    /// A crowd of them is on its way to the queue. What is returned is to be called when it has run for the first time: then it is there, or has failed,
    /// or waits for calls that are before it.
    pub fn expect(self: Rc<Self>) -> impl FnOnce(&Env) + 'static {
        self.coming.update(|coming| coming + 1);
        move |env| {
            self.coming.update(|coming| coming - 1);
            if self.coming.get() == 0 {
                let waiting = self.waiting.take();
                waiting.iter().filter_map(Weak::upgrade).for_each(|waiting| waiting.end(env));
            }
        }
    }

    /// Calls `go_on` when none is on its way; at once, if that is so.
    pub fn wait_for(&self, env: &Env, go_on: impl FnOnce(&Env) + 'static) {
        if self.coming.get() == 0 {
            return go_on(env);
        }
        let waiting = Rc::new(Waiting { go_on: Cell::new(Some(Box::new(go_on))), timer: Cell::default() });
        self.waiting.borrow_mut().push(Rc::downgrade(&waiting));
        let late = waiting.clone();
        match task::after(env, MOST, move |env| late.end(env)) {
            Some(timer) => waiting.timer.set(Some(timer)),
            None => waiting.end(env),
        }
    }
}

/// One of them is under way until this is dropped.
pub struct Running(Rc<Others>);

impl Running {
    /// From now on.
    pub fn new(others: Rc<Others>) -> Self {
        others.running.update(|running| running + 1);
        Self(others)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.update(|running| running - 1);
    }
}

/// What a call has to do with others.
#[derive(Default)]
pub struct Ties {
    /// Those that may join it, or have been gathered to be it.
    pub others: Option<Rc<Others>>,
    /// Among those it is one that is under way, until it is over.
    pub running: Cell<Option<Running>>,
}

impl Ties {
    /// Of the first of these, or of a crowd of them.
    pub fn to(others: Rc<Others>) -> Self {
        Self { running: Cell::new(Some(Running::new(others.clone()))), others: Some(others) }
    }

    /// Of a call that others do not join, although those go on to join the first of these.
    pub fn beside(others: Rc<Others>) -> Self {
        Self { running: Cell::new(Some(Running::new(others))), others: None }
    }
}
