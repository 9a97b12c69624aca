use std::time::{Duration, Instant};

use super::*;
use crate::blocking;
use crate::index::job::OpenJob;
use crate::process::Ticket;

const PATIENCE: Duration = Duration::from_secs(30);

fn set(path: &Path, text: &str) {
    blocking::update(path, &UpdateOptions::default(), PATIENCE, |_| Ok::<_, Error>(text.to_owned())).unwrap();
}

fn open(path: &Path, numbers: Numbers) -> Result<()> {
    let options = UpdateOptions { numbers, ..UpdateOptions::default() };
    let (ticket, cancel) = (Ticket::take(), Cancel::default());
    let path = path.to_owned();
    blocking::run(OpenJob::new(CallId::MAX, path, options, ticket, Instant::now(), PATIENCE, cancel))
        .map(drop)
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
