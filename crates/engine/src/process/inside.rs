//! Calls that are made inside the function of another call. One for the same file would wait for that call, which waits
//! for its function, which waits for the new call; so it is refused as soon as its function is known to be one that
//! others can wait for.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result};
use crate::process::Key;

/// What a call is made inside of, from the inside out.
#[derive(Clone, Debug, Default)]
pub struct Inside(Option<Arc<Frame>>);

#[derive(Debug)]
struct Frame {
    keys: Arc<[Key]>,
    of: Of,
    shown: String,
    /// A [`State`]. A `watch` channel would be eight times the memory, for each run of a function.
    state: AtomicU8,
    changed: Notify,
    outer: Inside,
}

impl Frame {
    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::Acquire) == state as u8
    }

    fn goes_on(&self) -> bool {
        !self.is(State::Over)
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// What a function is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// One change.
    Change,
    /// A lock that is held over several steps.
    Lock,
    /// A transaction: calls inside of it must not wait for other locks either.
    Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has been called, and has not returned.
    Called,
    /// It has returned a promise.
    Promised,
    /// It is over: nothing waits for it.
    Over,
}

/// The function of a call that has the turn for a file. Dropped, it is over.
#[derive(Debug)]
pub struct Function(Arc<Frame>);

impl Function {
    /// A function that is about to be called, by a call for `key`, which its caller knows as `shown`, and which was made
    /// inside of `outer`.
    pub fn new(key: Key, shown: String, outer: Inside) -> Self {
        Self::of_update(Arc::new([key]), shown, outer)
    }

    /// As [`Function::new`], by an update that has all of these turns.
    pub fn of_update(keys: Arc<[Key]>, shown: String, outer: Inside) -> Self {
        Self::with(keys, Of::Change, shown, outer)
    }

    /// As [`Function::new`], by a call that keeps the file locked meanwhile.
    pub fn of_lock(key: Key, shown: String, outer: Inside) -> Self {
        Self::with(Arc::new([key]), Of::Lock, shown, outer)
    }

    /// As [`Function::new`], by a transaction that has the turns for these files.
    pub fn of_transaction(keys: Arc<[Key]>, shown: String, outer: Inside) -> Self {
        Self::with(keys, Of::Transaction, shown, outer)
    }

    fn with(keys: Arc<[Key]>, of: Of, shown: String, outer: Inside) -> Self {
        let state = AtomicU8::new(State::Called as u8);
        Self(Arc::new(Frame { keys, of, shown, state, changed: Notify::new(), outer }))
    }

    /// What calls that it makes are inside of.
    pub fn inside(&self) -> Inside {
        Inside(Some(self.0.clone()))
    }

    /// It has returned a promise: the calls that it has made may be waited for.
    pub fn promised(&self) {
        self.0.set(State::Promised);
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.0.set(State::Over);
    }
}

impl Inside {
    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    fn frames(&self) -> impl Iterator<Item = &Arc<Frame>> {
        std::iter::successors(self.0.as_ref(), |frame| frame.outer.0.as_ref())
    }

    /// As the caller knows them, the files whose functions are waited for meanwhile.
    pub fn names(&self) -> Vec<String> {
        self.frames().filter(|frame| frame.goes_on()).map(|frame| frame.shown.clone()).collect()
    }

    /// What a call for `key` would wait for in vain.
    pub fn obstacle(&self, key: &Key) -> Obstacle {
        Obstacle(self.frames().find(|frame| frame.keys.contains(key)).cloned())
    }

    /// Refuses a call for `key` that blocks the thread on which the functions run.
    ///
    /// # Errors
    /// [`ErrorKind::Reentrant`], or [`ErrorKind::Locked`].
    pub fn check_free(&self, key: &Key) -> Result<()> {
        match self.frames().find(|frame| frame.goes_on() && frame.keys.contains(key)) {
            None => Ok(()),
            Some(frame) if frame.of == Of::Lock => Err(ErrorKind::Locked.into()),
            Some(_) => Err(ErrorKind::Reentrant.into()),
        }
    }

    /// Refuses a call that takes the locks of indexes. It is not waited for what its function returns: whoever waits for
    /// the call waits for locks that are taken in another order.
    ///
    /// # Errors
    /// [`ErrorKind::Nested`], inside a function of a transaction; and, for a transaction, inside any.
    pub fn check_nested(&self, is_transaction: bool) -> Result<()> {
        let is_obstacle =
            |frame: &Arc<Frame>| (frame.of == Of::Transaction || is_transaction) && frame.goes_on();
        if self.frames().any(is_obstacle) { Err(ErrorKind::Nested.into()) } else { Ok(()) }
    }
}

/// A function that a call cannot wait for, if there is one.
#[derive(Clone, Debug, Default)]
pub struct Obstacle(Option<Arc<Frame>>);

impl Obstacle {
    /// Whether there is one.
    pub fn is_one(&self) -> bool {
        self.0.is_some()
    }

    /// Resolves with [`ErrorKind::Reentrant`], or [`ErrorKind::Locked`], when it is known that the call waits for itself; otherwise never.
    pub async fn met(&self) -> Error {
        let Some(frame) = &self.0 else { return future::pending().await };
        // Registered before the state is read, or a change in between would be missed.
        let changed = frame.changed.notified();
        if frame.is(State::Called) {
            changed.await;
        }
        match frame.of {
            _ if !frame.is(State::Promised) => future::pending().await,
            Of::Lock => ErrorKind::Locked.into(),
            _ => ErrorKind::Reentrant.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::task::Poll;

    use super::*;
    use crate::sys::FileId;

    fn key(name: &str) -> Key {
        Key::File(FileId::for_tests("dir"), name.into())
    }

    fn poll(obstacle: &Obstacle) -> bool {
        let mut met = std::pin::pin!(obstacle.met());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(met.as_mut().poll(&mut context), Poll::Ready(_))
    }

    #[test]
    fn a_call_waits_for_itself_once_a_function_around_it_has_promised_something() {
        let outer = Function::new(key("a"), "a".into(), Inside::default());
        let inner = Function::new(key("b"), "b".into(), outer.inside());
        let call = inner.inside();
        assert!(!poll(&call.obstacle(&key("a"))) && !poll(&call.obstacle(&key("b"))));
        outer.promised();
        assert!(poll(&call.obstacle(&key("a"))), "the outer one");
        assert!(!poll(&call.obstacle(&key("b"))), "the inner one has not returned");
        inner.promised();
        assert!(poll(&call.obstacle(&key("b"))));
        assert!(!poll(&call.obstacle(&key("c"))), "another file");
        assert_eq!(call.names(), ["b", "a"]);
    }

    #[test]
    fn a_call_that_waits_already_hears_of_it() {
        let function = Function::new(key("a"), "a".into(), Inside::default());
        let obstacle = function.inside().obstacle(&key("a"));
        let mut met = std::pin::pin!(obstacle.met());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(met.as_mut().poll(&mut context).is_pending());
        function.promised();
        assert!(met.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_transaction_is_refused_in_any_function_and_an_update_in_those_of_a_transaction() {
        let nested =
            |function: &Function, is_transaction| function.inside().check_nested(is_transaction).is_err();
        let update = Function::new(key("a"), "a".into(), Inside::default());
        let keys = Arc::new([key("b"), key("c")]);
        let transaction = Function::of_transaction(keys, "b".into(), Inside::default());
        assert_eq!([nested(&update, true), nested(&update, false)], [true, false]);
        assert_eq!([nested(&transaction, true), nested(&transaction, false)], [true, true]);
        assert!(transaction.inside().obstacle(&key("c")).is_one());
        let inside = transaction.inside();
        drop(transaction);
        assert!(inside.check_nested(true).is_ok(), "it is over");
    }

    #[test]
    fn a_function_that_is_over_is_no_obstacle() {
        let function = Function::new(key("a"), "a".into(), Inside::default());
        function.promised();
        let inside = function.inside();
        drop(function);
        assert!(!poll(&inside.obstacle(&key("a"))));
        assert!(inside.names().is_empty());
    }
}
