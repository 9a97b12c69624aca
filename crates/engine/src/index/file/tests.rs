use std::time::{Duration, Instant};

use super::*;
use crate::blocking;
use crate::index::commit_job::{CommitJob, Committed, Now};
use crate::index::document::{Operation, Pointer};
use crate::index::group::Written;
use crate::index::job::{Come, OpenJob, Opened};
use crate::process::CallId;
use crate::process::Ticket;

const PATIENCE: Duration = Duration::from_secs(30);

fn set(path: &Path, text: &str) {
    blocking::update(path, &UpdateOptions::default(), PATIENCE, |_| Ok::<_, Error>(text.to_owned())).unwrap();
}

fn open(path: &Path, numbers: Numbers) -> Result<()> {
    come(path, numbers).map(drop)
}

fn come(path: &Path, numbers: Numbers) -> Result<Come> {
    let options = UpdateOptions { numbers, ..UpdateOptions::default() };
    let (ticket, cancel) = (Ticket::take(), Cancel::default());
    let path = path.to_owned();
    blocking::run(OpenJob::new(CallId::MAX, path, options, ticket, Instant::now(), PATIENCE, cancel))
}

fn opened(path: &Path) -> Opened {
    match come(path, Numbers::Strict).unwrap() {
        Come::Open(opened) => *opened,
        Come::Follower => panic!("no other call has it"),
    }
}

/// Sets a member, and returns the index that is still open.
fn patch(mut opened: Opened, pointer: &str, value: &str) -> Opened {
    let mut document = opened.snapshot.as_mut().unwrap().text.take_document();
    let set = Operation::Set { at: Pointer::parse(pointer).unwrap(), value: value.into() };
    document.apply(&[set], Numbers::Strict).unwrap();
    let job = CommitJob::patched(opened, document, UpdateOptions::default(), true, Cancel::default());
    let Committed { written, now } = blocking::run(job).unwrap();
    assert!(matches!(written, Written::Done(outcome) if outcome.is_ok()));
    let Now::Open(opened) = now else { panic!("it is not open") };
    *opened
}

fn tables(opened: &Opened) -> usize {
    opened.snapshot.as_ref().unwrap().text.tables.as_ref().map_or(0, crate::index::document::Tables::size)
}

#[test]
fn a_number_that_an_update_brings_is_found_by_the_next_though_the_text_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    // The first is read from disk and checked, the others are kept.
    for text in ["[1]", "[1,2]", "[1,2,3]"] {
        set(&path, text);
        open(&path, Numbers::Strict).unwrap();
        set(&path, text);
    }
    set(&path, "[1,2,1161888007138312192,3]");
    let error = open(&path, Numbers::Strict).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::LossyIndex { literal, .. } if literal == "1161888007138312192")
    );
    open(&path, Numbers::Lossy).unwrap();
    set(&path, "[1,2,1161888007138312192,4]");
    assert!(open(&path, Numbers::Strict).is_err(), "it is there still");
    set(&path, "[1,2,4]");
    open(&path, Numbers::Strict).unwrap();
}

#[test]
fn a_number_that_a_patch_brings_is_found_by_the_next_though_the_text_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    let big = "1161888007138312192";
    for (pointer, value) in [("/1", big), ("/-", big), ("/-", "{\"a\": [[1e400]]}"), ("/0", "-1e999")] {
        set(&path, "[1,2]");
        // What is read from disk is checked, and what it is patched with then.
        drop(patch(patch(opened(&path), "/0", "3"), "/-", "[0.1]"));
        let mut opened = opened(&path);
        let mut document = opened.snapshot.as_mut().unwrap().text.take_document();
        let set = Operation::Set { at: Pointer::parse(pointer).unwrap(), value: value.into() };
        document.apply(&[set], Numbers::Strict).unwrap();
        let job = CommitJob::patched(opened, document, UpdateOptions::default(), false, Cancel::default());
        assert!(matches!(blocking::run(job).unwrap().written, Written::Done(_)));
        let error = open(&path, Numbers::Strict).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::LossyIndex { .. }), "{pointer} {value}");
        open(&path, Numbers::Lossy).unwrap();
    }
}

#[test]
fn tables_live_through_patches_and_end_with_an_update() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    let members: Vec<_> = (0..1000).map(|at| format!("  \"k{at}\": {at}")).collect();
    let text = format!("{{\n{}\n}}\n", members.join(",\n"));
    std::fs::write(&path, &text).unwrap();

    let opened = patch(self::opened(&path), "/k7", "\"seven\"");
    let text = text.replace("\"k7\": 7,", "\"k7\": \"seven\",");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let opened = patch(opened, "/k8", "[]");
    let text = text.replace("\"k8\": 8,", "\"k8\": [],");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    if sys::generation(&File::open(&path).unwrap()).is_some() {
        assert!(tables(&opened) > 12_000);
    }
    // What says the same is not written.
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let opened = patch(opened, "/k8", "[ ]");
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    let opened = patch(opened, "/k8", "[]");
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    if sys::generation(&File::open(&path).unwrap()).is_some() {
        assert!(tables(&opened) > 12_000);
    }
    drop(opened);

    drop(patch(self::opened(&path), "/k8", "8"));
    set(&path, "{}");
    assert_eq!(tables(&self::opened(&path)), 0);
}

fn update(path: &Path, text: &str, edition: u64) {
    let options = UpdateOptions { edition: Some(edition), ..UpdateOptions::default() };
    blocking::update(path, &options, PATIENCE, |_| Ok::<_, Error>(text.to_owned())).unwrap();
}

fn edition(path: &Path) -> Option<u64> {
    opened(path).snapshot.unwrap().text.edition
}

#[test]
fn a_text_has_its_edition_as_long_as_nobody_has_written_since() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    update(&path, "[1]", 7);
    if edition(&path).is_none() {
        // Nothing is kept on this file system.
        return;
    }
    // It is handed out once.
    assert_eq!(edition(&path), None);
    update(&path, "[1,2]", 8);
    // What is left as it is, is kept too.
    update(&path, "[1,2]", 9);
    assert!(crate::index::text::kept_editions().contains(&9));
    assert_eq!(edition(&path), Some(9));
    update(&path, "[1]", 10);
    set(&path, "[2]");
    assert_eq!(edition(&path), None, "by an update that keeps no value");
    update(&path, "[1]", 11);
    std::fs::write(&path, "[3]").unwrap();
    assert_eq!(edition(&path), None, "by another program");
    update(&path, "[1]", 12);
    // It says the same, and is another text.
    std::fs::write(&path, "[ 1 ]").unwrap();
    update(&path, "[1]", 13);
    assert_eq!(edition(&path), None);
}

#[test]
fn edits_make_the_next_text_and_those_that_do_not_fit_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    let job = |at: &str| {
        let mut opened = opened(&path);
        let document = opened.snapshot.as_mut().unwrap().text.take_document();
        let set = |at, value: &str| Operation::Set { at: Pointer::parse(at).unwrap(), value: value.into() };
        let edits = vec![set("/a/0", "2"), set(at, "[3]")];
        let job =
            CommitJob::edited(opened, document, edits, UpdateOptions::default(), false, Cancel::default());
        blocking::run(job).unwrap().written
    };
    set(&path, "{\n  \"a\": [\n    1\n  ]\n}");
    assert!(matches!(job("/a/7"), Written::Changed));
    assert!(matches!(job("/a/1"), Written::Done(_)));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{\n  \"a\": [\n    2,\n    [\n      3\n    ]\n  ]\n}");
}
