//! Calls that change one file run in the order in which they were made.
//!
//! Which file a call means is known only after its path was resolved, and that is I/O: it happens
//! on a worker thread, in any order. So a call takes a [`Ticket`] at once, and joins the queue of its
//! file only when every call before it has joined a queue or is gone (`joining`). Nothing blocks: a worker whose call
//! does not get its turn at once keeps a [`Place`], which can be awaited. The call that has the turn may take
//! the followers right behind it along: a group that commits as one.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::process::inside::Inside;
use crate::process::joining::Joining;
use crate::process::sync::{Mutex, lock};
use crate::stats;
use crate::sys::FileId;

mod place;

pub use place::{Called, FollowerPlace, Place, Places};

/// What calls queue for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// One file: its directory, and its name in one spelling for all. Two files that differ in the case of their letters
    /// have the same key, and wait for each other.
    File(FileId, OsString),
    /// One object in a store, by a name that is its own in this process.
    Object(String),
}

/// A call's rank among all calls of this process.
///
/// ```
/// use pipeline_atomic_engine::dir::target::{Resolve, Target};
/// use pipeline_atomic_engine::process::queue::Ticket;
///
/// let dir = tempfile::tempdir()?;
/// let target = Target::resolve(&dir.path().join("a"), Resolve { mkdir: true, exclusive: false })?;
/// let (first, second) = (Ticket::take(), Ticket::take());
/// let mut late = second.join(target.key());
/// let turn = first.join(target.key()).try_turn().expect("the file is free");
/// assert!(late.try_turn().is_none());
/// drop(turn);
/// assert!(late.try_turn().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Ticket {
    rank: u64,
    inside: Inside,
    counted: Option<Counted>,
}

/// When calls were made, and how many they are: for `stats`.
type Counted = (Instant, usize);

/// The rank of a call, which outlives its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank(u64);

impl Rank {
    /// Whether that call was made before the `other` one.
    pub fn is_before(self, other: Self) -> bool {
        self.0 < other.0
    }

    /// Whether no call of this process was made after that one.
    pub fn is_latest(self) -> bool {
        update(|queues| (queues.joining.latest() == self.0, Vec::new()))
    }
}

/// By what a call is known to those that might take it along.
pub type CallId = u64;

/// The right to change the file. Dropped, it passes to the next in the queue.
#[derive(Debug)]
pub struct Turn(Key);

#[derive(Default)]
struct Queues {
    joining: Joining<Arrival>,
    /// The calls that wait for a file. An entry, even an empty one, means that a call has the turn.
    waiting: HashMap<Key, VecDeque<Waiter>>,
}

/// A call in a queue.
#[derive(Debug)]
enum Waiter {
    Alone(oneshot::Sender<Turn>),
    /// The name is in its own spelling.
    Follower(CallId, OsString, oneshot::Sender<Called>, Option<Counted>),
}

/// A call that knows which queues it wants to join.
struct Arrival {
    places: Vec<(Key, Waiter)>,
    joined: Option<oneshot::Sender<()>>,
}

impl Arrival {
    fn meets(&self, other: &Self) -> bool {
        self.places.iter().any(|(key, _)| other.places.iter().any(|(wanted, _)| wanted == key))
    }
}

#[cfg(not(all(test, shuttle)))]
static QUEUES: Mutex<Option<Queues>> = Mutex::new(None);
#[cfg(all(test, shuttle))]
shuttle::lazy_static! {
    static ref QUEUES: Mutex<Option<Queues>> = Mutex::new(None);
}

/// What a waiting call is to hear.
enum Notice {
    Turn(Waiter, Turn),
    Joined(oneshot::Sender<()>),
}

/// Runs `change` under the lock, then sends the notices it returns, outside of it: a turn that finds
/// no call waiting any more comes back here from its `drop`.
fn update<T>(change: impl FnOnce(&mut Queues) -> (T, Vec<Notice>)) -> T {
    let (value, notices) = change(lock(&QUEUES).get_or_insert_default());
    for notice in notices {
        match notice {
            Notice::Turn(waiter, turn) => waiter.call(turn),
            Notice::Joined(joined) => drop(joined.send(())),
        }
    }
    value
}

impl Waiter {
    fn call(self, turn: Turn) {
        match self {
            Self::Alone(call) => drop(call.send(turn)),
            Self::Follower(_, _, call, _) => drop(call.send(Called::Turn(turn))),
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Alone(call) => call.is_closed(),
            Self::Follower(_, _, call, _) => call.is_closed(),
        }
    }
}

impl Queues {
    /// Lets every call join that may.
    fn advance(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Some(Arrival { places, joined }) = self.joining.next(Arrival::meets) {
            for (key, waiter) in places {
                match self.waiting.get_mut(&key) {
                    Some(queue) => queue.push_back(waiter),
                    None => {
                        self.waiting.insert(key.clone(), VecDeque::new());
                        notices.push(Notice::Turn(waiter, Turn(key)));
                    }
                }
            }
            // After the turns: a call that hears of having joined may look for its turn at once.
            notices.extend(joined.map(Notice::Joined));
        }
        notices
    }

    fn pass_on(&mut self, key: &Key) -> Option<Waiter> {
        let queue = self.waiting.get_mut(key)?;
        while let Some(waiter) = queue.pop_front() {
            if !waiter.is_gone() {
                return Some(waiter);
            }
        }
        self.waiting.remove(key);
        None
    }

    /// Takes the first in the queue out if it is a follower and `wanted`.
    fn take_follower(&mut self, key: &Key, name: &OsStr, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        let queue = self.waiting.get_mut(key)?;
        while let Some(waiter) = queue.pop_front() {
            match waiter {
                gone if gone.is_gone() => {}
                Waiter::Follower(id, same, call, counted) if same == name && wanted(id) => {
                    // It may have given up this very moment; then the next one is asked.
                    if call.send(Called::Follower).is_ok() {
                        // Its caller may be told of the outcome before it hears of this.
                        if let Some((since, calls)) = counted {
                            stats::waited(since.elapsed(), calls);
                        }
                        return Some(id);
                    }
                }
                other => {
                    queue.push_front(other);
                    return None;
                }
            }
        }
        None
    }
}

impl Ticket {
    /// The next rank. Until the call joins a queue, the ticket holds up those after it: take it when the
    /// work is about to start.
    pub fn take() -> Self {
        let begin = |rank| Self { rank, inside: Inside::default(), counted: None };
        update(|queues| (begin(queues.joining.issue()), Vec::new()))
    }

    /// What tells whether a call was made after this one.
    pub fn rank(&self) -> Rank {
        Rank(self.rank)
    }

    /// Follows `path`, which may take for ever: other calls do not wait for that longer than a second.
    pub fn follow<T>(&self, path: &Path, follow: impl FnOnce() -> T) -> T {
        update(|queues| (queues.joining.follow(self.rank, path), Vec::new()));
        let found = follow();
        update(|queues| (queues.joining.followed(self.rank), Vec::new()));
        found
    }

    /// That of a call which is made inside of others. Waiting for one of these is
    /// [`ErrorKind::Reentrant`](crate::error::ErrorKind::Reentrant).
    pub fn inside(self, inside: Inside) -> Self {
        let mut ticket = self;
        ticket.inside = inside;
        ticket
    }

    /// What the call is made inside of: for its next ticket, if its file turns out to be another one.
    pub fn made_inside(&self) -> Inside {
        self.inside.clone()
    }

    /// That of so many calls, made at `since`, whose wait counts ([`stats`]) when they are taken along.
    #[must_use]
    pub fn counted(self, since: Instant, calls: usize) -> Self {
        let mut ticket = self;
        ticket.counted = Some((since, calls));
        ticket
    }

    /// Joins the queue of `key`.
    pub fn join(self, key: Key) -> Place {
        let obstacle = self.inside.obstacle(&key);
        let (call, turn) = oneshot::channel();
        let rank = self.arrive(vec![(key, Waiter::Alone(call))], None);
        Place { rank, turn, obstacle }
    }

    /// Joins the queue of `key`; the call before it may take it along if its file has the same `name`, to the letter.
    pub fn join_as_follower(self, key: Key, name: OsString, id: CallId) -> FollowerPlace {
        let (call, called) = oneshot::channel();
        let (tell, joined) = oneshot::channel();
        let obstacle = self.inside.obstacle(&key);
        let waiter = Waiter::Follower(id, name, call, self.counted);
        let rank = self.arrive(vec![(key, waiter)], Some(tell));
        FollowerPlace { rank, joined, called, obstacle }
    }

    /// Joins the queues of all `keys` at once, none of which may be among them twice. As no call gets in
    /// between, two calls that have files in common are in the same order in all of their queues, and never
    /// wait for each other.
    pub fn join_all(self, keys: impl IntoIterator<Item = Key>) -> Places {
        let (waiters, places): (_, Vec<_>) = keys
            .into_iter()
            .map(|key| {
                let obstacle = self.inside.obstacle(&key);
                let (call, turn) = oneshot::channel();
                ((key, Waiter::Alone(call)), Place { rank: self.rank, turn, obstacle })
            })
            .unzip();
        let (tell, joined) = oneshot::channel();
        self.arrive(waiters, Some(tell));
        Places { places, joined }
    }

    fn arrive(mut self, places: Vec<(Key, Waiter)>, joined: Option<oneshot::Sender<()>>) -> u64 {
        let rank = self.rank;
        update(|queues| {
            queues.joining.arrive(rank, Arrival { places, joined });
            ((), queues.advance())
        });
        // The rank is used up; `drop` would take it out of the queue again. What it owns is freed before.
        drop(std::mem::take(&mut self.inside));
        std::mem::forget(self);
        rank
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        update(|queues| {
            queues.joining.remove(self.rank);
            ((), queues.advance())
        });
    }
}

impl Turn {
    /// The turn, if no call has it, for a thread that can wait for none: before all calls that have not joined the queue yet.
    pub fn try_take(key: Key) -> Option<Self> {
        update(|queues| {
            let is_free = !queues.waiting.contains_key(&key);
            if is_free {
                queues.waiting.insert(key.clone(), VecDeque::new());
            }
            (is_free.then(|| Self(key)), Vec::new())
        })
    }

    /// Which file it is the turn for.
    pub fn key(&self) -> &Key {
        &self.0
    }

    /// Whether another call waits for it.
    pub fn is_wanted(&self) -> bool {
        let wanted = |queue: &VecDeque<Waiter>| queue.iter().any(|waiter| !waiter.is_gone());
        update(|queues| (queues.waiting.get(&self.0).is_some_and(wanted), Vec::new()))
    }

    /// Takes the next call along, if it is a follower of the file `name` and `wanted`. That is asked under the lock of all queues, so
    /// it must be quick and not come back here.
    pub fn take_follower(&self, name: &OsStr, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        update(|queues| (queues.take_follower(&self.0, name, wanted), Vec::new()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        update(|queues| {
            let next = queues.pass_on(&self.0).map(|waiter| Notice::Turn(waiter, Turn(self.0.clone())));
            ((), next.into_iter().collect())
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;

#[cfg(all(test, shuttle))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod interleavings;
