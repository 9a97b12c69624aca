//! Calls on their way to a queue, in the order in which they were made.
//!
//! A call may join when all before it have joined or are gone: any of them may turn out to mean the same file. But a path
//! that leads to a mount which does not answer may never be followed to its end, so a call is waited for only for a while;
//! then it holds up none but those with the very same path, and those that mean the same file as one of these.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

/// For how long a path that is being followed holds up other calls.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// For so many calls the memory is kept.
const ROOM: usize = 1024;

/// The calls that have not joined a queue yet.
#[derive(Debug)]
pub struct Joining<A> {
    issued: u64,
    /// By their ranks, in that order. A map would have memory of its own for each lone call, which the caller's thread makes and a worker frees: after a
    /// pause that costs the former two microseconds.
    calls: VecDeque<(u64, Call<A>)>,
}

#[derive(Debug)]
struct Call<A> {
    /// Its path, hashed, once it is being followed.
    path: Option<u64>,
    following: Option<Instant>,
    /// Once it knows where to join.
    arrival: Option<A>,
}

impl<A> Default for Joining<A> {
    fn default() -> Self {
        Self { issued: 0, calls: VecDeque::new() }
    }
}

impl<A> Joining<A> {
    /// The rank of a new call.
    pub fn issue(&mut self) -> u64 {
        self.issued += 1;
        self.calls.push_back((self.issued, Call { path: None, following: None, arrival: None }));
        self.issued
    }

    /// The last rank that was issued.
    pub fn latest(&self) -> u64 {
        self.issued
    }

    /// The path of the call is being followed from now on.
    pub fn follow(&mut self, rank: u64, path: &Path) {
        if let Some(call) = self.get_mut(rank) {
            let mut hasher = DefaultHasher::new();
            path.as_os_str().hash(&mut hasher);
            call.path = Some(hasher.finish());
            call.following = Some(Instant::now());
        }
    }

    /// The path was followed, or is to be followed once more.
    pub fn followed(&mut self, rank: u64) {
        if let Some(call) = self.get_mut(rank) {
            call.following = None;
        }
    }

    /// The call knows where to join.
    pub fn arrive(&mut self, rank: u64, arrival: A) {
        if let Some(call) = self.get_mut(rank) {
            call.arrival = Some(arrival);
        }
    }

    /// The call is gone.
    pub fn remove(&mut self, rank: u64) {
        if let Some(at) = self.at(rank) {
            self.take(at);
        }
    }

    /// Whether the call has not joined yet.
    pub fn has(&self, rank: u64) -> bool {
        self.at(rank).is_some()
    }

    fn at(&self, rank: u64) -> Option<usize> {
        self.calls.binary_search_by_key(&rank, |(rank, _)| *rank).ok()
    }

    fn get_mut(&mut self, rank: u64) -> Option<&mut Call<A>> {
        let at = self.at(rank)?;
        self.calls.get_mut(at).map(|(_, call)| call)
    }

    fn take(&mut self, at: usize) -> Option<Call<A>> {
        let (_, call) = self.calls.remove(at)?;
        // Also while one never joins: what thousands have needed is given back.
        let (room, needed) = (self.calls.capacity(), self.calls.len());
        if room > ROOM && needed < room / 4 {
            self.calls.shrink_to(ROOM.max(2 * needed));
        }
        Some(call)
    }

    /// Takes out the next call that may join. `meet`: whether two calls join a common queue.
    pub fn next(&mut self, meet: impl Fn(&A, &A) -> bool) -> Option<A> {
        let (mut overdue, mut held): (Vec<Option<u64>>, Vec<&A>) = Default::default();
        let mut found = None;
        for (at, (_, call)) in self.calls.iter().enumerate() {
            match &call.arrival {
                None if call.following.is_some_and(|since| since.elapsed() >= PATIENCE) => {
                    overdue.push(call.path);
                }
                None => break,
                Some(arrival) => {
                    if !overdue.contains(&call.path) && !held.iter().any(|other| meet(other, arrival)) {
                        found = Some(at);
                        break;
                    }
                    held.push(arrival);
                }
            }
        }
        self.take(found?)?.arrival
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Calls with these paths, in order, that are being followed; each arrives as the name of its file.
    fn following(paths: &[&str]) -> (Joining<&'static str>, Vec<u64>) {
        let mut joining = Joining::default();
        let ranks: Vec<_> = paths.iter().map(|_| joining.issue()).collect();
        for (rank, path) in ranks.iter().zip(paths) {
            joining.follow(*rank, path.as_ref());
        }
        (joining, ranks)
    }

    fn hang(joining: &mut Joining<&str>, rank: u64) {
        let since = &mut joining.get_mut(rank).unwrap().following;
        *since = since.and_then(|since| since.checked_sub(PATIENCE));
    }

    fn next(joining: &mut Joining<&'static str>) -> Option<&'static str> {
        joining.next(|one, other| one == other)
    }

    #[test]
    fn a_call_waits_for_those_before_it() {
        let (mut joining, ranks) = following(&["/a", "/b"]);
        joining.arrive(ranks[1], "b");
        assert_eq!(next(&mut joining), None);
        joining.arrive(ranks[0], "a");
        assert_eq!([next(&mut joining), next(&mut joining)], [Some("a"), Some("b")]);
        assert!(!joining.has(ranks[0]));
    }

    #[test]
    fn calls_go_in_any_order_and_leave_little_memory() {
        let mut joining = Joining::<()>::default();
        let ranks: Vec<_> = (0..10 * ROOM).map(|_| joining.issue()).collect();
        let (gone, left): (Vec<u64>, Vec<u64>) = ranks.iter().partition(|rank| **rank % 3 == 0);
        gone.iter().rev().for_each(|rank| joining.remove(*rank));
        assert!(ranks.iter().all(|rank| joining.has(*rank) == (rank % 3 != 0)));
        // One of them never joins.
        left.iter().skip(1).for_each(|rank| joining.remove(*rank));
        assert!(joining.calls.len() == 1 && joining.calls.capacity() < 2 * ROOM);
    }

    #[test]
    fn a_path_that_leads_nowhere_holds_up_its_own_calls_only() {
        let (mut joining, ranks) = following(&["/dead", "/dead", "/b", "/c"]);
        joining.arrive(ranks[1], "dead");
        joining.arrive(ranks[2], "b");
        joining.arrive(ranks[3], "c");
        assert_eq!(next(&mut joining), None, "it may come in time");
        hang(&mut joining, ranks[0]);
        assert_eq!(
            [next(&mut joining), next(&mut joining), next(&mut joining)],
            [Some("b"), Some("c"), None]
        );
        joining.arrive(ranks[0], "dead");
        assert_eq!([next(&mut joining), next(&mut joining)], [Some("dead"), Some("dead")]);
    }

    #[test]
    fn a_call_for_the_file_of_one_that_is_held_up_is_held_up_too() {
        let (mut joining, ranks) = following(&["/dead", "/dead", "/alias", "/c"]);
        joining.arrive(ranks[1], "dead");
        joining.arrive(ranks[2], "dead");
        joining.arrive(ranks[3], "c");
        hang(&mut joining, ranks[0]);
        assert_eq!([next(&mut joining), next(&mut joining)], [Some("c"), None]);
        joining.remove(ranks[0]);
        assert_eq!([next(&mut joining), next(&mut joining)], [Some("dead"), Some("dead")]);
    }

    #[test]
    fn a_call_that_waits_for_a_worker_or_for_descriptors_keeps_its_place() {
        let (mut joining, ranks) = following(&["/a", "/b"]);
        joining.arrive(ranks[1], "b");
        hang(&mut joining, ranks[0]);
        joining.followed(ranks[0]);
        assert_eq!(next(&mut joining), None);
        let behind = joining.issue();
        joining.arrive(behind, "d");
        joining.arrive(ranks[0], "a");
        assert_eq!([next(&mut joining), next(&mut joining)], [Some("a"), Some("b")]);
        assert_eq!(next(&mut joining), Some("d"));
    }
}
