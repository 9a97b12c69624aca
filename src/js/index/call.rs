//! One call of `atomicIndexUpdate`, for as long as it takes: what it was given, and what it is to do
//! next.
//!
//! Which is not its own decision: calls that share a commit take turns with the index. Each waits for
//! its orders in a promise reaction of its own, attached where the caller called: there V8 knows the
//! caller's stack and async context, whoever gives the order.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::error::Error;
use engine::index::file::UpdateOptions;
use engine::index::job::{Come, OpenJob};
use engine::process::queue::CallId;
use engine::write::options::Receipt;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::apply;
use crate::js::index::group::Group;
use crate::js::task;
use crate::js::value::promise::{self, Wakeup};
use crate::js::value::raw::{self, Kept};
use crate::js::value::signal::Signal;
use crate::js::value::thrown::{Result, Thrown, internal};

/// What a call was given.
pub struct Given {
    /// The user's function.
    pub function: Kept,
    /// What the caller calls the file.
    pub shown: String,
    /// JSON for the function when there is no file.
    pub initial: Option<Vec<u16>>,
    /// `JSON.stringify`'s; `None`: as the file has it.
    pub space: Option<Space>,
    /// How to write.
    pub options: UpdateOptions,
    /// The caller's.
    pub signal: Signal,
    /// When the call was made.
    pub since: Instant,
    /// When to stop beginning again; `None`: never.
    pub deadline: Option<Instant>,
    /// Makes the caller's result.
    pub answer: fn(&Env, Updated) -> Result<'_, Unknown<'_>>,
}

/// `JSON.stringify`'s third argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Space {
    /// So many spaces.
    Number(f64),
    /// This text.
    Text(String),
}

/// What an update did.
pub struct Updated {
    /// As for any write.
    pub receipt: Receipt,
    /// From the call until the index was ours.
    pub waited: Duration,
    /// How many updates were written together.
    pub batch: usize,
}

/// What came of a commit, for each call that had a part in it.
pub type Outcome = Rc<std::result::Result<(Receipt, usize), Error>>;

/// What a call is to do.
pub enum Order {
    /// Have the function change the index of this group.
    Apply(Rc<Group>),
    /// Tell the caller.
    Settle(Outcome),
    /// Reject with this error.
    Reject(Kept),
    /// Go on rejecting with what the function threw: the group is over.
    Dismiss,
}

/// A call in flight.
pub struct Call {
    id: CallId,
    given: Given,
    /// From the call until the index was ours.
    waited: Cell<Duration>,
    order: RefCell<Option<Order>>,
    /// The caller was told: there are no more orders.
    over: Cell<bool>,
    bell: Wakeup,
}

thread_local! {
    /// The calls of this thread. Not to keep them: they belong to their closures, which N-API frees with
    /// the environment, and the thread may outlive that.
    static CALLS: RefCell<HashMap<CallId, Weak<Call>>> = RefCell::default();
}

/// The name of the next call among all of this process.
pub fn next_id() -> CallId {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    ISSUED.fetch_add(1, Ordering::Relaxed)
}

/// The call of that name, if it is one of this thread.
pub fn find(id: CallId) -> Option<Rc<Call>> {
    CALLS.with_borrow(|calls| calls.get(&id)?.upgrade())
}

/// Starts the call `id`, whose index is opened by `job`.
pub fn start<'env>(env: &'env Env, id: CallId, given: Given, job: OpenJob) -> Result<'env, Unknown<'env>> {
    let (waited, order, over, bell) =
        (Cell::default(), RefCell::default(), Cell::default(), Wakeup::default());
    let call = Rc::new(Call { id, given, waited, order, over, bell });
    CALLS.with_borrow_mut(|calls| calls.insert(id, Rc::downgrade(&call)));
    let answer = call.next_order(env)?;
    task::run(env, job, move |env, outcome| match outcome {
        Ok(Come::Open(opened)) => Group::lead(env, &call, *opened),
        Ok(Come::Follower) => {}
        Err(failure) => call.give(env, Order::Settle(Rc::new(Err(failure)))),
    })?;
    Ok(answer)
}

impl std::ops::Deref for Call {
    type Target = Given;

    fn deref(&self) -> &Given {
        &self.given
    }
}

impl Call {
    /// A promise for what comes of the next order.
    pub fn next_order<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let given = self.bell.wait(env)?;
        if self.order.borrow().is_some() {
            self.bell.wake(env);
        }
        let call = self.clone();
        promise::then(env, &given, move |env, _| call.obey(env))
    }

    /// Gives an order. The call carries it out in a reaction of its own.
    pub fn give(&self, env: &Env, order: Order) {
        self.order.replace(Some(order));
        self.bell.wake(env);
    }

    fn obey<'env>(self: Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let order = self.order.take();
        if let Some(Order::Apply(group)) = order {
            return apply::apply(env, &self, &group);
        }
        self.over.set(true);
        self.signal.detach(env)?;
        match order {
            Some(Order::Settle(outcome)) => match &*outcome {
                Ok((receipt, batch)) => {
                    let (receipt, batch) = (*receipt, *batch);
                    (self.answer)(env, Updated { receipt, waited: self.waited.get(), batch })
                }
                Err(failure) => Err(from_engine(env, failure, &self.shown, || self.signal.reason(env))),
            },
            Some(Order::Reject(error)) => Err(Thrown(error.get(env)?)),
            Some(Order::Dismiss) => Ok(raw::undefined(env)),
            Some(Order::Apply(_)) | None => Err(internal(env, "an update without orders")),
        }
    }

    /// The index is this call's from now on, so long after the call.
    pub fn has_index_after(&self, waited: Duration) {
        self.waited.set(waited);
    }

    /// Whether the caller was told what came of it.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Whether the caller does not want it any more.
    pub fn is_aborted(&self) -> bool {
        self.signal.cancel().is_cancelled()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // At the end of a thread the map may be gone.
        let _ = CALLS.try_with(|calls| calls.borrow_mut().remove(&self.id));
    }
}
