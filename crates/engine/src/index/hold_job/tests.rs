use std::path::Path;
use std::thread;

use super::*;
use crate::blocking;
use crate::index::hold_now::hold_now;
use crate::lock::outliving::Outliving;
use crate::write::committing::Committing;

/// An index that a blocking call writes, until that is dropped.
fn being_written() -> (tempfile::TempDir, PathBuf, Key, Committing) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    let key = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap().key();
    let committing = Committing::begin(&key);
    (dir, path, key, committing)
}

fn options(timeout: Duration, cancel: &Cancel) -> HoldOptions {
    HoldOptions { mkdir: true, network: false, in_place: false, timeout, cancel: cancel.clone() }
}

fn hold(path: &Path, timeout: Duration, cancel: &Cancel) -> Result<Vec<Hold>> {
    blocking::run(HoldJob::new(vec![path.to_owned()], options(timeout, cancel), Ticket::take()))
}

#[test]
fn a_lock_is_had_when_the_blocking_write_under_way_is_over() {
    let (_dir, path, key, committing) = being_written();
    thread::scope(|scope| {
        let held = scope.spawn(|| hold(&path, Duration::from_secs(60), &Cancel::default()));
        while !Outliving::is_one(&key) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!held.is_finished());
        drop(committing);
        assert_eq!(held.join().unwrap().unwrap().len(), 1);
    });
}

#[test]
fn what_waits_for_a_blocking_write_under_way_heeds_its_timeout_and_its_signal() {
    let (_dir, path, key, _committing) = being_written();
    let timed_out = |held: Result<_>| matches!(held.unwrap_err().kind(), ErrorKind::LockTimeout(_));
    assert!(timed_out(hold(&path, Duration::from_millis(5), &Cancel::default())));
    let now = options(Duration::ZERO, &Cancel::default());
    assert!(timed_out(hold_now(&path, &now, &Inside::default()).map(|hold| vec![hold])));
    assert!(!Outliving::is_one(&key));
    let cancel = Cancel::new();
    thread::scope(|scope| {
        let held = scope.spawn(|| hold(&path, Duration::from_secs(60), &cancel));
        while !Outliving::is_one(&key) {
            thread::yield_now();
        }
        cancel.cancel();
        assert!(matches!(held.join().unwrap().unwrap_err().kind(), ErrorKind::Aborted));
    });
}
