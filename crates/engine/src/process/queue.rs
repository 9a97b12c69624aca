//! Writes to one file run in the order of the calls, whichever thread they came from.
//!
//! Which file a call means is known only after its path was resolved, and that is I/O: it happens
//! on a worker thread, in any order. So a call takes a [`Ticket`] at once, and joins the line of its
//! file only when every call before it has joined one or is gone. Nobody blocks: a worker that does
//! not get its turn at once leaves a [`Place`] behind, which can be awaited. Who has the turn may take
//! along those right behind it that have said they would go along: a group that commits as one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::sys::FileId;

/// One file: its directory, and its name as the file system compares names.
pub type Key = (FileId, OsString);

/// A call's rank among all calls of this process.
#[derive(Debug)]
pub struct Ticket(u64);

/// A call's place in the line of its file, or on the way there.
#[derive(Debug)]
pub struct Place {
    joined: oneshot::Receiver<()>,
    called: oneshot::Receiver<Called>,
}

/// A call's places in the lines of several files.
#[derive(Debug)]
pub struct Places(Vec<oneshot::Receiver<Called>>);

/// What comes of waiting in line.
#[derive(Debug)]
pub enum Called {
    /// It is this call's turn.
    Turn(Turn),
    /// The one that has the turn does this call's work with its own.
    Follower,
}

/// By what a call that would go along is known to those that might take it.
pub type CallId = u64;

/// The right to change the file. Dropped, it passes to the next in line.
#[derive(Debug)]
pub struct Turn(Key);

#[derive(Default)]
struct Queues {
    issued: u64,
    /// Calls that have not joined a line yet; `Some` once they know which.
    joining: BTreeMap<u64, Option<Arrival>>,
    /// Who waits for a file. An entry, even an empty one, means that somebody has the turn.
    lines: HashMap<Key, VecDeque<Waiter>>,
}

/// Somebody in line.
#[derive(Debug)]
struct Waiter {
    call: oneshot::Sender<Called>,
    /// Whether it would go along with another.
    id: Option<CallId>,
}

/// A call that knows which lines it wants to join.
struct Arrival {
    lines: Vec<(Key, Waiter)>,
    joined: oneshot::Sender<()>,
}

static QUEUES: Mutex<Option<Queues>> = Mutex::new(None);

/// What a waiting call is to hear.
enum Notice {
    Turn(Waiter, Turn),
    Joined(oneshot::Sender<()>),
}

/// Runs `change` under the lock, then sends the notices it returns, outside of it: a turn that finds
/// nobody waiting any more comes back here from its `drop`.
fn update<T>(change: impl FnOnce(&mut Queues) -> (T, Vec<Notice>)) -> T {
    let (value, notices) = {
        let mut guard: MutexGuard<'_, Option<Queues>> = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        change(guard.get_or_insert_default())
    };
    for notice in notices {
        match notice {
            Notice::Turn(waiter, turn) => drop(waiter.call.send(Called::Turn(turn))),
            Notice::Joined(joined) => drop(joined.send(())),
        }
    }
    value
}

impl Queues {
    /// Lets every call join whose predecessors have all joined.
    fn advance(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Some(first) = self.joining.first_entry() {
            if first.get().is_none() {
                break;
            }
            if let Some(Arrival { lines, joined }) = first.remove() {
                for (key, waiter) in lines {
                    match self.lines.get_mut(&key) {
                        Some(line) => line.push_back(waiter),
                        None => {
                            self.lines.insert(key.clone(), VecDeque::new());
                            notices.push(Notice::Turn(waiter, Turn(key)));
                        }
                    }
                }
                // After the turns: who hears of having joined may look for one at once.
                notices.push(Notice::Joined(joined));
            }
        }
        notices
    }

    fn pass_on(&mut self, key: &Key) -> Option<Waiter> {
        let line = self.lines.get_mut(key)?;
        while let Some(waiter) = line.pop_front() {
            if !waiter.call.is_closed() {
                return Some(waiter);
            }
        }
        self.lines.remove(key);
        None
    }

    /// Takes the first in line out if it would go along and is `wanted`.
    fn take_follower(&mut self, key: &Key, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        let line = self.lines.get_mut(key)?;
        while let Some(waiter) = line.front() {
            if !waiter.call.is_closed() && !waiter.id.is_some_and(&wanted) {
                return None;
            }
            let Waiter { call, id } = line.pop_front()?;
            // It may have given up this very moment; then the next one is asked.
            if call.send(Called::Follower).is_ok() {
                return id;
            }
        }
        None
    }
}

impl Ticket {
    /// The next rank. Held until the call joins a line, it holds up those after it: take it when the
    /// work is about to start.
    pub fn take() -> Self {
        update(|lines| {
            lines.issued += 1;
            lines.joining.insert(lines.issued, None);
            (Self(lines.issued), Vec::new())
        })
    }

    /// Joins the line of `key`. With an `id` the call may be taken along by the one before it.
    pub fn join(self, key: Key, id: Option<CallId>) -> Place {
        let (call, called) = oneshot::channel();
        let joined = self.arrive(vec![(key, Waiter { call, id })]);
        Place { joined, called }
    }

    /// Joins the lines of all `keys` at once, none of which may be among them twice. As nobody gets in
    /// between, two calls that have files in common are in the same order in all of their lines, and never
    /// wait for each other.
    pub fn join_all(self, keys: impl IntoIterator<Item = Key>) -> Places {
        let (lines, called) = keys
            .into_iter()
            .map(|key| {
                let (call, called) = oneshot::channel();
                ((key, Waiter { call, id: None }), called)
            })
            .unzip();
        self.arrive(lines);
        Places(called)
    }

    fn arrive(self, lines: Vec<(Key, Waiter)>) -> oneshot::Receiver<()> {
        let (joined, has_joined) = oneshot::channel();
        update(|all| {
            if let Entry::Occupied(mut entry) = all.joining.entry(self.0) {
                entry.insert(Some(Arrival { lines, joined }));
            }
            ((), all.advance())
        });
        // The rank is used up; `drop` would take it out of the line again.
        std::mem::forget(self);
        has_joined
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        update(|lines| {
            lines.joining.remove(&self.0);
            ((), lines.advance())
        });
    }
}

impl Place {
    /// The turn, if it has come.
    pub fn try_called(&mut self) -> Option<Called> {
        self.called.try_recv().ok()
    }

    /// Resolves when only calls for the same file are before this one, and no more calls that may or may
    /// not turn out to be. To be awaited once.
    pub async fn joined(&mut self) {
        drop((&mut self.joined).await);
    }

    /// Waits for the turn and blocks the thread.
    pub fn turn_blocking(self) -> Option<Turn> {
        match self.called.blocking_recv() {
            Ok(Called::Turn(turn)) => Some(turn),
            _ => None,
        }
    }

    /// The turn, if it has come: for a call that goes along with nobody.
    pub fn try_turn(&mut self) -> Option<Turn> {
        match self.try_called() {
            Some(Called::Turn(turn)) => Some(turn),
            _ => None,
        }
    }

    /// Waits for the turn: for a call that goes along with nobody. Dropped before, this leaves the line.
    pub async fn turn(&mut self) -> Turn {
        match self.called().await {
            Called::Turn(turn) => turn,
            Called::Follower => std::future::pending().await,
        }
    }

    /// Waits to be called. Dropped before, this leaves the line.
    pub async fn called(&mut self) -> Called {
        match (&mut self.called).await {
            Ok(called) => called,
            // A waiter is only dropped together with the closed place it belongs to.
            Err(_) => std::future::pending().await,
        }
    }

    /// Leaves the line, unless this call was called just now.
    pub fn leave(mut self) -> Option<Called> {
        self.called.close();
        self.called.try_recv().ok()
    }
}

impl Places {
    /// Waits for all turns. Dropped before, this leaves all lines.
    pub async fn turns(self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(self.0.len());
        for called in self.0 {
            match called.await {
                Ok(Called::Turn(turn)) => turns.push(turn),
                // A waiter without an id is not taken along, and not dropped while it has a place.
                _ => std::future::pending().await,
            }
        }
        turns
    }
}

impl Turn {
    /// Which file it is the turn for.
    pub fn key(&self) -> &Key {
        &self.0
    }

    /// Has the next in line go along, if it is one that would and is `wanted`. That is asked under the
    /// lock of all lines, so it must be quick and not come back here.
    pub fn take_follower(&self, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        update(|lines| (lines.take_follower(&self.0, wanted), Vec::new()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        update(|lines| {
            let next = lines.pass_on(&self.0).map(|waiter| Notice::Turn(waiter, Turn(self.0.clone())));
            ((), next.into_iter().collect())
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A ticket that one test holds would hold up those of another.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(name: &str) -> Key {
        (FileId::for_tests(name), name.into())
    }

    #[test]
    fn the_order_is_that_of_the_tickets_not_of_the_arrivals() {
        let _alone = alone();
        let (first, second) = (Ticket::take(), Ticket::take());
        let mut late = second.join(key("order"), None);
        assert!(late.try_called().is_none(), "the second waits for the first to join");
        let mut early = first.join(key("order"), None);
        let turn = early.try_called().unwrap();
        assert!(late.try_called().is_none());
        drop(turn);
        assert!(late.try_called().is_some());
    }

    #[test]
    fn files_do_not_wait_for_each_other() {
        let _alone = alone();
        let mut a = Ticket::take().join(key("a"), None);
        let mut b = Ticket::take().join(key("b"), None);
        assert!(a.try_called().is_some() && b.try_called().is_some());
    }

    #[test]
    fn a_call_that_fails_before_it_joins_holds_up_nobody() {
        let _alone = alone();
        let (first, second) = (Ticket::take(), Ticket::take());
        let mut late = second.join(key("failed"), None);
        drop(first);
        assert!(late.try_called().is_some());
    }

    #[test]
    fn who_gives_up_is_passed_over() {
        let _alone = alone();
        let mut first = Ticket::take().join(key("gone"), None);
        let places: Vec<_> = (0..1000).map(|_| Ticket::take().join(key("gone"), None)).collect();
        let mut last = Ticket::take().join(key("gone"), None);
        let turn = first.try_called().unwrap();
        drop(places);
        drop(turn);
        assert!(last.try_called().is_some());
    }

    #[test]
    fn a_turn_that_nobody_picked_up_passes_on() {
        let _alone = alone();
        let first = Ticket::take().join(key("unread"), None);
        let mut second = Ticket::take().join(key("unread"), None);
        drop(first);
        assert!(second.try_called().is_some());
        drop(second);
    }

    #[test]
    fn who_has_the_turn_takes_along_those_right_behind_it_that_are_wanted() {
        let _alone = alone();
        let mut first = Ticket::take().join(key("group"), Some(1));
        let mut others: Vec<_> =
            [Some(2), Some(3), None, Some(4)].map(|id| Ticket::take().join(key("group"), id)).into();
        let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
        assert_eq!(turn.take_follower(|id| id != 2), None, "nobody is passed over");
        assert_eq!(turn.take_follower(|_| true), Some(2));
        assert!(matches!(others[0].try_called(), Some(Called::Follower)));
        drop(others.remove(1));
        assert_eq!(turn.take_follower(|_| true), None, "3 is gone, and the next would not go along");
        drop(turn);
        let Some(Called::Turn(turn)) = others[1].try_called() else { panic!() };
        assert_eq!(turn.take_follower(|_| true), Some(4));
    }

    #[test]
    fn who_joins_many_lines_is_in_one_order_with_all_others() {
        let _alone = alone();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = |places: Places| {
            runtime.block_on(async {
                tokio::select! { biased; turns = places.turns() => Ok(turns), () = async {} => Err(()) }
            })
        };
        let all = || [key("many-a"), key("many-b"), key("many-c")];
        let mut before = Ticket::take().join(key("many-b"), None);
        let held = before.try_called().unwrap();
        let (one, other) = (Ticket::take(), Ticket::take());
        let other = other.join_all(all().into_iter().rev());
        let one = one.join_all(all());
        drop(held);
        let turns = now(one).unwrap();
        assert_eq!(turns.len(), 3);
        let mut after = Ticket::take().join(key("many-c"), None);
        drop(turns);
        assert!(after.try_called().is_none(), "the other batch is before it");
        drop(now(other).unwrap());
        assert!(after.try_called().is_some());
    }

    #[test]
    fn who_gives_up_leaves_all_of_its_lines() {
        let _alone = alone();
        let held = Ticket::take().join(key("left-b"), None);
        let many = Ticket::take().join_all([key("left-a"), key("left-b")]);
        let mut late = Ticket::take().join_all([key("left-a"), key("left-b")]);
        assert!(late.0[0].try_recv().is_err());
        drop((many, held));
        assert!(late.0.iter_mut().all(|called| called.try_recv().is_ok()));
    }

    #[test]
    fn who_was_called_while_it_left_hears_of_it() {
        let _alone = alone();
        let mut first = Ticket::take().join(key("left"), None);
        let second = Ticket::take().join(key("left"), Some(2));
        let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
        assert_eq!(turn.take_follower(|_| true), Some(2));
        assert!(matches!(second.leave(), Some(Called::Follower)));
    }
}
