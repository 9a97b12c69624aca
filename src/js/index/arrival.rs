//! Crowds on the way to the queue of their file, and the groups that wait for them there.
//!
//! The first of many patches has its index after 0.3 ms, when the others have just been started as one call, which a worker takes to the queue.
//! A group that wrote at once would write twice what can be written once.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use engine::index::group::MAX_TIME;
use napi::Env;

use crate::js::task::{self, Timer};

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

/// A crowd that was started, and has not been in its queue yet.
struct Coming {
    /// What the caller calls its file.
    shown: String,
    waiting: RefCell<Vec<Weak<Waiting>>>,
}

thread_local! {
    static COMING: RefCell<Vec<Weak<Coming>>> = RefCell::default();
}

/// A crowd is on its way to the file that its caller calls `shown`. What is returned is to be called when it has run for the first time: then it is in the
/// queue, or has failed, or waits for calls that are before it.
pub fn expect(shown: &str) -> impl FnOnce(&Env) + 'static {
    let coming = Rc::new(Coming { shown: shown.to_owned(), waiting: RefCell::default() });
    COMING.with_borrow_mut(|all| {
        all.retain(|other| other.strong_count() > 0);
        all.push(Rc::downgrade(&coming));
    });
    move |env| {
        let waiting = coming.waiting.take();
        drop(coming);
        waiting.iter().filter_map(Weak::upgrade).for_each(|waiting| waiting.end(env));
    }
}

/// Calls `go_on` when the crowds are there that are on their way to what the caller calls `shown`; at once, if there are none.
pub fn after_those_for(env: &Env, shown: &str, go_on: impl FnOnce(&Env) + 'static) {
    // The last one: it is behind the others.
    let find = |all: &Vec<Weak<Coming>>| {
        all.iter().rev().filter_map(Weak::upgrade).find(|coming| coming.shown == shown)
    };
    let Some(coming) = COMING.with_borrow(find) else { return go_on(env) };
    let waiting = Rc::new(Waiting { go_on: Cell::new(Some(Box::new(go_on))), timer: Cell::default() });
    coming.waiting.borrow_mut().push(Rc::downgrade(&waiting));
    let late = waiting.clone();
    // A step of a worker takes a tenth of a millisecond, but a path may take for ever.
    match task::after(env, MAX_TIME, move |env| late.end(env)) {
        Some(timer) => waiting.timer.set(Some(timer)),
        None => waiting.end(env),
    }
}
