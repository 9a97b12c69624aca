//! Slow functions, aborts and deadlines.

use std::time::Duration;

use super::{MOMENT, Scene};
use crate::index::group::{Group, PATIENCE, Times, Written};

#[test]
fn an_index_that_changes_time_and_again_is_waited_for_until_the_deadline() {
    let mut scene = Scene::with_deadline(1, Some(MOMENT));
    for _ in 0..2 {
        scene.succeeds(1);
        scene.expect(["write [1] for 1"]);
        scene.written(Written::Changed, Ok(()));
        scene.after(MOMENT);
    }
    scene.expect(["release"]);
    scene.group.released();
    scene.expect(["tell [1] timed out"]);
}

#[test]
fn a_call_that_was_being_written_when_its_group_began_waits_until_its_deadline_too() {
    let mut scene = Scene::with_deadline(2, Some(MOMENT));
    scene.call(2).deadline.set(None);
    scene.group = Group::writing(scene.calls[0].clone());
    scene.expect([]);
    scene.written(Written::Changed, Ok(()));
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2]"]);
    scene.group = Group::writing(scene.calls[0].clone());
    scene.after(MOMENT);
    scene.written(Written::Changed, Ok(()));
    scene.expect(["release"]);
    scene.group.released();
    scene.expect(["tell [1] timed out"]);
}

#[test]
fn an_attempt_that_is_late_is_told_to_those_whose_time_it_had_and_the_others_run_again() {
    let mut scene = Scene::with_deadline(3, Some(MOMENT));
    scene.call(2).deadline.set(Some(scene.now + MOMENT * 2));
    for number in 1..=3 {
        scene.succeeds(number);
    }
    scene.expect(["write [1, 2, 3]"]);
    // It was given up before its time was over.
    scene.written(Written::Late("late", scene.now + MOMENT), Ok(()));
    scene.succeeds(2);
    scene.expect(["write [2] for 2"]);
    scene.stored();
    scene.expect(["tell [2] stored", "tell [1, 3] late"]);
}

#[test]
fn an_aborted_call_is_taken_out_before_the_write_and_the_others_run_again() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.succeeds(3);
    scene.call(2).aborted.set(true);
    scene.succeeds(1);
    scene.succeeds(3);
    scene.expect(["write [1, 3]"]);
    scene.stored();
    scene.expect(["tell [1, 3] stored", "tell [2] aborted"]);
}

#[test]
fn if_all_are_aborted_nothing_is_written() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.succeeds(2);
    (1..=2).for_each(|number| scene.call(number).aborted.set(true));
    scene.expect(["release"]);
    scene.group.released();
    scene.expect(["tell [1, 2] aborted"]);
}

#[test]
fn a_function_that_fails_because_of_its_abort_does_not_run_again() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.call(2).aborted.set(true);
    scene.fails(2);
    scene.succeeds(1);
    scene.expect(["write [1] for 1"]);
    scene.stored();
    scene.expect(["tell [1] stored", "tell [2] finished"]);
}

#[test]
fn a_call_that_is_aborted_before_its_function_is_called_costs_the_others_no_run() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.call(2).aborted.set(true);
    scene.expect(["run 2"]);
    scene.group.failed(scene.run);
    scene.expect(["write [1] for 1"]);
}

#[test]
fn a_call_that_is_gone_is_passed_over() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.fails(3);
    scene.call(2).gone.set(true);
    scene.succeeds(1);
    scene.call(3).gone.set(true);
    scene.expect(["write [1] for 1"]);
}

#[test]
fn a_slow_function_with_nobody_else_there_has_all_the_time_it_wants() {
    let mut scene = Scene::new(1);
    scene.expect(["run 1"]);
    scene.enter();
    assert_eq!(scene.group.patience(scene.now), None);
    scene.after(PATIENCE * 100);
    scene.group.tick(scene.now);
    scene.expect_nothing();
    scene.accept(1);
    scene.expect(["write [1] for 1"]);
}

#[test]
fn a_slow_function_is_preempted_and_runs_again_first_of_the_rest() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.after(MOMENT);
    scene.expect(["run 2"]);
    scene.enter();
    let slow = scene.run;
    assert_eq!(scene.group.patience(scene.now), Some(PATIENCE));
    scene.after(PATIENCE - MOMENT);
    scene.group.tick(scene.now);
    scene.expect_nothing();
    scene.after(MOMENT);
    assert_eq!(scene.group.patience(scene.now), Some(Duration::ZERO));
    scene.group.tick(scene.now);
    scene.expect(["interrupt 2"]);
    assert!(!scene.group.is_current(slow));
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [1] stored", "run 2"]);
    assert!(!scene.group.is_current(slow));
}

#[test]
fn a_function_that_is_slow_only_when_it_runs_again_keeps_its_place() {
    let mut scene = Scene::new(3);
    (1..=3).for_each(|number| scene.succeeds(number));
    scene.expect(["write [1, 2, 3]"]);
    scene.written(Written::Changed, Ok(()));
    scene.succeeds(1);
    scene.expect(["run 2"]);
    scene.enter();
    scene.after(PATIENCE);
    scene.group.tick(scene.now);
    scene.expect(["interrupt 2"]);
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [1] stored"]);
    scene.succeeds(2);
    scene.succeeds(3);
    scene.expect(["write [1, 2, 3]"]);
}

#[test]
fn what_a_run_makes_that_is_over_does_not_count() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.expect(["run 2"]);
    scene.enter();
    let stale = scene.run;
    scene.after(PATIENCE);
    scene.group.tick(scene.now);
    scene.expect(["interrupt 2", "run 1"]);
    scene.group.accepted(stale, vec![9]);
    scene.group.failed(stale);
    scene.expect_nothing();
    scene.enter();
    scene.accept(1);
    scene.expect(["write [1] for 1 and keep"]);
}

#[test]
fn behind_a_slow_function_those_that_were_to_run_again_are_looked_after() {
    let mut scene = Scene::with_deadline(4, Some(PATIENCE));
    for number in 1..=4 {
        scene.succeeds(number);
    }
    scene.expect(["write [1, 2, 3, 4]"]);
    scene.written(Written::Changed, Ok(()));
    scene.expect(["run 1"]);
    scene.enter();
    scene.call(2).aborted.set(true);
    scene.call(3).gone.set(true);
    scene.after(PATIENCE - MOMENT);
    scene.group.tick(scene.now);
    scene.expect_nothing();
    scene.after(MOMENT);
    scene.group.tick(scene.now);
    scene.expect(["tell [2] aborted", "tell [4] timed out"]);
    scene.expect_nothing();
    assert_eq!(scene.group.patience(scene.now), None, "it is alone now, and is not too late itself");
    scene.accept(1);
    scene.expect(["write [1] for 1"]);
}

#[test]
fn behind_a_slow_function_they_are_looked_after_time_and_again() {
    let mut scene = Scene::with_deadline(2, Some(PATIENCE * 2));
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2]"]);
    scene.written(Written::Changed, Ok(()));
    scene.expect(["run 1"]);
    scene.enter();
    scene.after(PATIENCE);
    scene.group.tick(scene.now);
    scene.expect_nothing();
    assert_eq!(scene.group.patience(scene.now), Some(PATIENCE));
    scene.after(PATIENCE);
    scene.group.tick(scene.now);
    scene.expect(["tell [2] timed out"]);
}

#[test]
fn those_that_have_failed_do_not_wait_for_a_slow_function_either() {
    let mut scene = Scene::new(2);
    scene.fails(1);
    scene.expect(["run 2"]);
    scene.enter();
    scene.after(PATIENCE);
    scene.group.tick(scene.now);
    scene.expect(["tell [1] finished"]);
}

#[test]
fn a_call_that_is_given_up_does_not_run_again_and_leaves_the_others_as_they_would_be_without_it() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.expect(["run 2"]);
    scene.enter();
    scene.group.given_up(scene.run);
    scene.succeeds(1);
    scene.succeeds(3);
    scene.expect(["write [1, 3]"]);
    scene.stored();
    scene.expect(["tell [1, 3] stored", "tell [2] finished"]);
    scene.expect_nothing();
}

#[test]
fn a_call_that_is_given_up_alone_gives_the_index_back() {
    let mut scene = Scene::new(1);
    scene.expect(["run 1"]);
    scene.enter();
    scene.group.given_up(scene.run);
    scene.expect(["release"]);
    scene.group.released();
    scene.expect(["tell [1] finished"]);
    scene.expect_nothing();
}

#[test]
fn a_call_does_not_wait_for_a_write_that_goes_on_for_others() {
    let mut scene = Scene::with_deadline(4, Some(MOMENT * 5));
    scene.call(2).deadline.set(Some(scene.now + MOMENT));
    scene.call(4).deadline.set(Some(scene.now + MOMENT * 2));
    for number in [1, 2, 3] {
        scene.succeeds(number);
    }
    scene.fails(4);
    scene.expect(["run 1"]);
    scene.enter();
    scene.accept(1);
    for number in [2, 3] {
        scene.succeeds(number);
    }
    scene.expect(["write [1, 2, 3] and keep"]);
    let Times { first, last } = scene.group.times();
    assert_eq!((first, last), (Some(scene.now + MOMENT), Some(scene.now + MOMENT * 5)));
    assert_eq!(scene.group.next_deadline(scene.now), first);
    scene.after(MOMENT);
    scene.group.overdue(None, scene.now);
    scene.expect_nothing();
    scene.group.overdue(Some("in doubt"), scene.now);
    scene.expect(["tell [2] in doubt"]);
    scene.expect_nothing();
    assert_eq!(scene.group.next_deadline(scene.now), Some(scene.now + MOMENT));
    scene.after(MOMENT);
    scene.group.overdue(Some("in doubt"), scene.now);
    // Its change is not in what is being written.
    scene.expect(["tell [4] timed out"]);
    assert_eq!(scene.group.next_deadline(scene.now), None);
    scene.stored_and_kept();
    scene.expect(["tell [1, 3] stored", "release"]);
}

#[test]
fn a_write_waits_for_ever_for_a_call_without_a_limit() {
    let mut scene = Scene::with_deadline(2, Some(MOMENT));
    scene.call(2).deadline.set(None);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2]"]);
    assert_eq!(scene.group.times(), Times { first: Some(scene.now + MOMENT), last: None });
}

#[test]
fn while_an_index_is_to_be_had_again_each_call_waits_for_as_long_as_it_wants() {
    let mut scene = Scene::with_deadline(4, Some(MOMENT));
    scene.call(2).deadline.set(Some(scene.now + MOMENT * 2));
    scene.call(4).deadline.set(None);
    for number in 1..=4 {
        scene.succeeds(number);
    }
    scene.expect(["write [1, 2, 3, 4]"]);
    scene.call(3).aborted.set(true);
    scene.group.lost(Written::Changed, scene.now);
    scene.expect(["tell [3] aborted"]);
    scene.expect_nothing();
    scene.after(MOMENT);
    scene.group.overdue(None, scene.now);
    scene.expect(["tell [1] timed out"]);
    scene.expect_nothing();
    assert_eq!(scene.group.waiting().map(|call| call.0.number).collect::<Vec<_>>(), [2, 4]);
    scene.group.reheld(Ok(()));
    scene.succeeds(2);
    scene.succeeds(4);
    scene.expect(["write [2, 4]"]);
    scene.group.lost(Written::Changed, scene.now);
    scene.expect_nothing();
    scene.group.reheld(Err("gone"));
    scene.expect(["tell [2, 4] gone"]);
}
