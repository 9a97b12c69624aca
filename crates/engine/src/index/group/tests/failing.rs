//! What fails, whose failure it is, and when it is told.

use super::Scene;
use crate::index::group::Written;

#[test]
fn a_function_that_fails_runs_again_on_what_those_before_it_have_written() {
    let mut scene = Scene::new(4);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.fails(3);
    assert_eq!(scene.group.index(), None, "it may have changed the index in part");
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2] and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [1, 2] stored"]);
    scene.succeeds(3);
    scene.succeeds(4);
    scene.expect(["write [1, 2, 3, 4]"]);
}

#[test]
fn a_function_that_fails_alone_fails_for_good_and_those_after_it_go_on() {
    let mut scene = Scene::new(2);
    scene.fails(1);
    assert_eq!(scene.group.index(), None);
    scene.succeeds(2);
    scene.expect(["write [2] for 2"]);
    scene.stored();
    scene.expect(["tell [2] stored", "tell [1] finished"]);
}

#[test]
fn a_function_that_fails_and_has_left_the_index_as_it_was_keeps_nobody_from_going_on() {
    let mut scene = Scene::new(4);
    scene.fails_untouched(1);
    scene.succeeds(2);
    scene.fails_untouched(3);
    scene.succeeds(4);
    scene.expect(["write [2, 4] and keep"]);
    scene.stored_and_kept();
    scene.expect(["tell [2, 4] stored", "release"]);
    scene.group.released();
    scene.expect(["tell [1] finished", "tell [3] finished"]);
    scene.expect_nothing();
}

#[test]
fn it_runs_again_if_what_it_has_failed_on_is_not_stored() {
    let not_stored: [fn(&mut Scene); 3] = [
        |scene| scene.written(Written::Failed("no space"), Ok(())),
        |scene| scene.written(Written::Invalid("no JSON"), Ok(())),
        |scene| scene.group.refused(),
    ];
    for fail in not_stored {
        let mut scene = Scene::new(3);
        scene.succeeds(1);
        scene.fails_untouched(2);
        scene.line.clear();
        scene.expect(["write [1] for 1 and keep"]);
        fail(&mut scene);
        scene.succeeds(2);
        scene.expect(["write [2] for 2"]);
    }
    // In its turn.
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.fails_untouched(2);
    scene.succeeds(3);
    scene.expect(["write [1, 3] and keep"]);
    scene.written(Written::Changed, Ok(()));
    for number in 1..=3 {
        scene.succeeds(number);
    }
    scene.expect(["write [1, 2, 3]"]);
}

#[test]
fn a_failure_is_told_when_the_index_is_not_held_any_more() {
    let mut scene = Scene::new(1);
    scene.fails(1);
    scene.expect(["release"]);
    scene.expect_nothing();
    scene.group.released();
    scene.expect(["tell [1] finished"]);
    scene.expect_nothing();
}

#[test]
fn a_failed_write_is_told_to_all_that_it_was_for_and_to_nobody_else() {
    let mut scene = Scene::new(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.fails(3);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2] and keep"]);
    scene.written(Written::Failed("no space"), Ok(()));
    // The others hear of it when the index is not held any more.
    scene.succeeds(3);
    scene.expect(["write [3] for 3"]);
    scene.stored();
    scene.expect(["tell [3] stored", "tell [1, 2] no space"]);
}

#[test]
fn when_the_index_is_gone_those_still_to_run_are_told_so() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.fails(2);
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.written(Written::Done("stored"), Err("corrupt"));
    scene.expect(["tell [1] stored", "tell [2] corrupt"]);
    scene.expect_nothing();
}

#[test]
fn when_the_stored_index_is_another_all_run_again() {
    let mut scene = Scene::new(2);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [1, 2]"]);
    scene.stored = vec![7];
    scene.written(Written::Changed, Ok(()));
    assert_eq!(scene.group.index(), None);
    scene.succeeds(1);
    scene.succeeds(2);
    scene.expect(["write [7, 1, 2]"]);
}

/// Runs a group of eight, of which these calls make what is no JSON. Returns what it tried to write, and told.
fn bisect(culprits: &[u32], refuse: impl Fn(&mut Scene)) -> (Scene, Vec<Vec<u32>>, Vec<String>) {
    let mut scene = Scene::new(8);
    let (mut tried, mut told) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let Some(action) = scene.next() else { return (scene, tried, told) };
        if let Some(number) = action.strip_prefix("run ") {
            scene.enter();
            scene.accept(number.parse().unwrap());
        } else if action.starts_with("write ") {
            tried.push(scene.writing[scene.stored.len()..].to_vec());
            if scene.writing.iter().any(|number| culprits.contains(number)) {
                refuse(&mut scene);
            } else if action.ends_with(" and keep") {
                scene.stored_and_kept();
            } else {
                scene.stored();
            }
        } else if action == "release" {
            scene.group.released();
        } else {
            told.push(action);
        }
    }
    panic!("it never ends");
}

#[test]
fn a_result_that_is_no_json_is_found_by_bisection_and_its_call_is_refused_alone() {
    let (scene, tried, told) = bisect(&[3], |scene| scene.group.refused());
    let all: Vec<u32> = (1..=8).collect();
    let expected: [&[u32]; 7] = [&all, &[1, 2, 3, 4], &[1, 2], &[3, 4, 5, 6], &[3, 4], &[3], &[4]];
    assert_eq!(tried[..7], expected);
    assert_eq!(tried[7..], [vec![5, 6], vec![7, 8]], "more again, step by step");
    assert_eq!(scene.stored, [1, 2, 4, 5, 6, 7, 8]);
    assert_eq!(told.last().unwrap(), "tell [3] finished");
}

#[test]
fn a_result_that_proves_to_be_no_json_only_in_the_write_is_found_in_the_same_way() {
    let invalid = |scene: &mut Scene| {
        scene.written(Written::Invalid("no JSON"), Ok(()));
    };
    let (scene, tried, told) = bisect(&[3], invalid);
    assert_eq!(scene.stored, [1, 2, 4, 5, 6, 7, 8]);
    assert!(tried.contains(&vec![3]));
    assert_eq!(told.last().unwrap(), "tell [3] no JSON");
}

#[test]
fn if_all_results_are_no_json_each_is_refused_alone_and_nothing_is_written() {
    let (scene, tried, told) = bisect(&[1, 2, 3, 4, 5, 6, 7, 8], |scene| scene.group.refused());
    assert!(scene.stored.is_empty());
    assert_eq!(tried.iter().filter(|tried| tried.len() == 1).count(), 8);
    assert_eq!(told, (1..=8).map(|number| format!("tell [{number}] finished")).collect::<Vec<_>>());
}

#[test]
fn a_call_that_is_several_runs_once_more_if_what_it_has_made_is_no_json() {
    let mut scene = Scene::new(2);
    scene.call(1).several.set(true);
    scene.succeeds(1);
    scene.fails(2);
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.written(Written::Invalid("no JSON"), Ok(()));
    // Those that it is run in its place, ahead of the others.
    scene.expect(["run 1"]);
    scene.enter();
    let part = scene.calls[0].clone();
    scene.group.run_next([part].into_iter());
    scene.group.left(scene.run);
    scene.succeeds(1);
    scene.expect(["write [1] for 1 and keep"]);
    scene.written(Written::Invalid("no JSON"), Ok(()));
    scene.succeeds(2);
    scene.expect(["write [2] for 2"]);
    scene.stored();
    scene.expect(["tell [2] stored", "tell [1] no JSON"]);
}
