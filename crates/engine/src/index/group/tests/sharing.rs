//! Which calls share a write, and what their functions are given.

use super::{MOMENT, Scene};
use crate::index::group::{MAX_TIME, Written};

#[test]
fn calls_in_line_share_one_write_and_are_told_when_it_is_stored() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.succeeds(3);
    scene.expect(["write [1, 2, 3]"]);
    scene.expect_nothing();
    scene.stored();
    scene.expect(["tell [1, 2, 3] stored"]);
    scene.expect_nothing();
}

#[test]
fn the_next_function_runs_only_when_the_one_before_it_is_done() {
    let mut scene = Scene::new(2);
    scene.expect(["run 1"]);
    scene.expect_nothing();
    scene.enter();
    scene.expect_nothing();
    scene.accept(1);
    scene.expect(["run 2"]);
}

#[test]
fn a_function_is_given_what_the_one_before_it_made() {
    let mut scene = Scene::new(2);
    assert_eq!(scene.group.index(), None, "the first reads what is stored");
    scene.succeeds(1);
    assert_eq!(scene.group.index(), Some(&vec![1]));
}

#[test]
fn an_index_that_no_function_was_given_is_not_written() {
    let mut scene = Scene::new(1);
    scene.expect(["run 1"]);
    // It was aborted before it was called.
    scene.group.failed(scene.run);
    scene.expect(["release"]);
    scene.group.released();
    scene.expect(["tell [1] finished"]);
}

#[test]
fn one_write_is_for_no_more_than_a_thousand_calls() {
    let mut scene = Scene::new(1001);
    (1..=1000).for_each(|number| scene.succeeds(number));
    assert!(scene.next().unwrap().starts_with("write ["));
    scene.stored();
    assert!(scene.next().unwrap().starts_with("tell ["));
    scene.expect_nothing();
    assert_eq!(scene.line.len(), 1, "that one is for the next group");
}

#[test]
fn a_group_takes_no_more_calls_when_its_functions_have_had_the_index_for_50_ms() {
    let mut scene = Scene::new(3);
    scene.expect(["run 1"]);
    scene.after(MAX_TIME * 2);
    // Reading took long: that does not count.
    scene.enter();
    scene.after(MAX_TIME - MOMENT);
    scene.accept(1);
    scene.succeeds(2);
    scene.after(MOMENT);
    scene.expect(["write [1, 2]"]);
}

#[test]
fn calls_that_are_to_run_again_do_so_however_long_it_takes() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.after(MAX_TIME - MOMENT);
    scene.fails(2);
    scene.after(MAX_TIME);
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [1] stored", "run 2"]);
}

#[test]
fn functions_run_for_50_ms_ahead_of_one_write_and_the_others_have_the_next_one() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.succeeds(3);
    scene.expect(["write [1, 2, 3]"]);
    scene.written(Written::Changed, Ok(()));
    scene.succeeds(1);
    scene.after(MAX_TIME - MOMENT);
    scene.succeeds(2);
    scene.after(MOMENT);
    scene.expect(["write [1, 2] and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [1, 2] stored"]);
    scene.succeeds(3);
    scene.expect(["write [1, 2, 3] for 3"]);
}
