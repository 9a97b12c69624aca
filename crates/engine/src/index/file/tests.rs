use std::time::{Duration, Instant};

use super::*;
use crate::blocking;
use crate::index::commit_job::{CommitJob, Committed};
use crate::index::document::{Operation, Pointer};
use crate::index::group::Written;
use crate::index::job::{Come, OpenJob, Opened};
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
    let Committed { written, opened } = blocking::run(job).unwrap();
    assert!(matches!(written, Written::Done(outcome) if outcome.is_ok()));
    opened.unwrap_or_else(|failed| panic!("{failed:?}"))
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
