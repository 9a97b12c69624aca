//! A patch that others may join, and those that do. Until they are in the queue of their file, the worker of the first one does not write it by itself, and a
//! group of them waits: the first has its index when the others have only just been started, and would be written twice where once is enough.

use std::cell::{Cell, RefCell};
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
