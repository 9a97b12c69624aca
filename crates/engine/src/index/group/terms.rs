//! What a group and its owner have to say to each other.

use std::time::Instant;

#[cfg(doc)]
use super::Group;

/// A call in flight. The group need not own it: it can be a weak reference.
pub trait Member: Clone {
    /// Whether its caller does not wait for it any more.
    fn is_gone(&self) -> bool;
    /// Whether its caller has withdrawn it.
    fn is_aborted(&self) -> bool;
    /// Until when it is willing to wait for the index; `None`: without a limit.
    fn deadline(&self) -> Option<Instant>;
    /// How many calls it stands for. `MAX_CALLS` is about members: those of one take no time of their own.
    fn count(&self) -> usize {
        1
    }
    /// What it has made cannot be written. Whether it is several calls, which run each by itself the next time.
    fn part(&self) -> bool {
        false
    }
}

/// Names one run of one function.
pub type RunId = u64;

/// What the owner of a group is to do.
pub enum Action<C, V, O> {
    /// Call the function of this call with the index: [`Group::index`], or as it is stored. Report
    /// [`Group::entered`], then [`Group::accepted`], [`Group::failed`], [`Group::failed_untouched`] or [`Group::given_up`].
    Run(C, RunId),
    /// Do not wait any more for what the function of this call has promised: it will run again.
    Interrupt(C),
    /// Replace the stored index. Report [`Group::refused`] or [`Group::written`].
    Write {
        /// As the functions have left it.
        index: V,
        /// The call whose change it is, if it is only one: its abort counts until the index is replaced. For one of
        /// several it comes too late now.
        sole: Option<C>,
        /// Calls are still to run, or may have to: the index is to be held and read again afterwards.
        keep: bool,
    },
    /// Give the stored index back as it is. Report [`Group::released`].
    Release,
    /// Tell the callers of these calls, which are over.
    Tell(Vec<C>, Verdict<O>),
}

/// What comes of a call.
pub enum Verdict<O> {
    /// What came of the write that its change was in, or of the attempt to hold the index.
    Settled(O),
    /// It was aborted.
    Aborted,
    /// Its deadline has passed.
    TimedOut {
        /// While the stored index was changed by others, and not behind another call.
        changed: bool,
    },
    /// What its function, or the text of its result, failed with last.
    Finished,
}

/// What came of a write.
#[derive(Clone)]
pub enum Written<O> {
    /// The index is stored.
    Done(O),
    /// It could not be stored, whatever the functions have made.
    Failed(O),
    /// It is no JSON.
    Invalid(O),
    /// The stored index is another by now, and was left alone.
    Changed,
    /// Nothing was stored in the time that the attempt had, which is until then.
    Late(O, Instant),
}

/// Until when the calls of a write wait; `None`: without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The first of them.
    pub first: Option<Instant>,
    /// The last of them.
    pub last: Option<Instant>,
}
