use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::process::lock;

/// A ticket that one test holds would hold up those of another.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    lock(&ALONE)
}

fn key(name: &str) -> Key {
    Key::File(FileId::for_tests(name), name.into())
}

#[test]
fn the_order_is_that_of_the_tickets_not_of_the_arrivals() {
    let _alone = alone();
    let (first, second) = (Ticket::take(), Ticket::take());
    let mut late = second.join(key("order"));
    assert!(late.try_turn().is_none(), "the second waits for the first to join");
    let mut early = first.join(key("order"));
    let turn = early.try_turn().unwrap();
    assert!(late.try_turn().is_none());
    drop(turn);
    assert!(late.try_turn().is_some());
}

#[test]
fn a_turn_that_no_call_has_is_taken_ahead_of_calls_that_have_not_joined() {
    let _alone = alone();
    let late = Ticket::take();
    let turn = Turn::try_take(key("now")).unwrap();
    assert!(Turn::try_take(key("now")).is_none());
    let mut late = late.join(key("now"));
    assert!(late.try_turn().is_none());
    drop(turn);
    let turn = late.try_turn().unwrap();
    assert!(Turn::try_take(key("now")).is_none());
    drop(turn);
    assert!(Turn::try_take(key("now")).is_some());
}

#[test]
fn files_do_not_wait_for_each_other() {
    let _alone = alone();
    let mut a = Ticket::take().join(key("a"));
    let mut b = Ticket::take().join(key("b"));
    assert!(a.try_turn().is_some() && b.try_turn().is_some());
}

#[test]
fn a_call_that_fails_before_it_joins_holds_up_nobody() {
    let _alone = alone();
    let (first, second) = (Ticket::take(), Ticket::take());
    let mut late = second.join(key("failed"));
    drop(first);
    assert!(late.try_turn().is_some());
}

#[test]
fn a_call_that_gives_up_is_passed_over() {
    let _alone = alone();
    let mut first = Ticket::take().join(key("gone"));
    let places: Vec<_> = (0..1000).map(|_| Ticket::take().join(key("gone"))).collect();
    let mut last = Ticket::take().join(key("gone"));
    let turn = first.try_turn().unwrap();
    drop(places);
    drop(turn);
    assert!(last.try_turn().is_some());
}

#[test]
fn a_turn_that_nobody_picked_up_passes_on() {
    let _alone = alone();
    let first = Ticket::take().join(key("unread"));
    let mut second = Ticket::take().join(key("unread"));
    drop(first);
    assert!(second.try_turn().is_some());
    drop(second);
}

#[test]
fn the_call_that_has_the_turn_takes_along_the_wanted_followers_right_behind_it() {
    let _alone = alone();
    let join = |id| Ticket::take().join_as_follower(key("group"), "group".into(), id);
    let mut first = join(1);
    let (mut second, third, between, mut fourth, mut fifth) =
        (join(2), join(3), Ticket::take().join(key("group")), join(4), join(5));
    let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
    assert_eq!(turn.take_follower("group".as_ref(), |id| id != 2), None, "no call is passed over");
    assert_eq!(turn.take_follower("group".as_ref(), |_| true), Some(2));
    assert!(matches!(second.try_called(), Some(Called::Follower)));
    drop(third);
    assert_eq!(
        turn.take_follower("group".as_ref(), |_| true),
        None,
        "3 is gone, and the next is no follower"
    );
    drop((turn, between));
    let Some(Called::Turn(turn)) = fourth.try_called() else { panic!() };
    assert_eq!(turn.take_follower("group".as_ref(), |_| true), Some(5));
    assert!(matches!(fifth.try_called(), Some(Called::Follower)));
}

#[test]
fn the_wait_of_a_follower_counts_before_it_hears_that_it_is_taken_along() {
    let _alone = alone();
    // Other tests count their calls meanwhile.
    const CALLS: usize = usize::MAX / 4;
    let counted = || stats::read().lock_waits.counts.iter().sum::<u64>();
    let mut first = Ticket::take().join_as_follower(key("counted"), "counted".into(), 1);
    let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
    let ticket = Ticket::take().counted(Instant::now(), CALLS);
    let _second = ticket.join_as_follower(key("counted"), "counted".into(), 2);
    let before = counted();
    assert!(before < CALLS as u64);
    assert_eq!(turn.take_follower("counted".as_ref(), |_| true), Some(2));
    assert!(counted() - before >= CALLS as u64);
}

#[test]
fn a_call_that_joins_many_queues_is_in_one_order_with_all_others() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let now = |places: Places| {
        runtime.block_on(async {
            tokio::select! { biased; turns = places.turns() => Ok(turns), () = async {} => Err(()) }
        })
    };
    let all = || [key("many-a"), key("many-b"), key("many-c")];
    let mut before = Ticket::take().join(key("many-b"));
    let held = before.try_turn().unwrap();
    let (one, other) = (Ticket::take(), Ticket::take());
    let other = other.join_all(all().into_iter().rev());
    let one = one.join_all(all());
    let one = one.try_turns().unwrap_err();
    drop(held);
    let turns = now(one).unwrap();
    assert_eq!(turns.as_ref().unwrap().len(), 3);
    let mut after = Ticket::take().join(key("many-c"));
    drop(turns);
    assert!(after.try_turn().is_none(), "the other batch is before it");
    drop(other.try_turns().unwrap());
    assert!(after.try_turn().is_some());
}

#[test]
fn a_call_that_gives_up_leaves_all_of_its_queues() {
    let _alone = alone();
    let held = Ticket::take().join(key("left-b"));
    let many = Ticket::take().join_all([key("left-a"), key("left-b")]);
    let mut late = Ticket::take().join_all([key("left-a"), key("left-b")]);
    assert!(late.places[0].try_turn().is_none());
    drop((many, held));
    assert!(late.places.iter_mut().all(|place| place.try_turn().is_some()));
}

#[test]
fn a_call_that_is_called_while_it_leaves_hears_of_it() {
    let _alone = alone();
    let mut first = Ticket::take().join_as_follower(key("left"), "left".into(), 1);
    let second = Ticket::take().join_as_follower(key("left"), "left".into(), 2);
    let Some(Called::Turn(turn)) = first.try_called() else { panic!() };
    assert_eq!(turn.take_follower("left".as_ref(), |_| true), Some(2));
    assert!(matches!(second.cancel(), Some(Called::Follower)));
}
