use std::fs::{self, File};
use std::path::Path;

use super::*;
use crate::dir::{Resolve, names};
use crate::index::file::UpdateOptions;
use crate::index::job::OpenJob;
use crate::job::{After, Step};
use crate::process::CallId;

/// A directory at `path` with the lock of an index that is held, in the place of the one that is there.
fn replace(path: &Path) -> File {
    let count = path.parent().unwrap().read_dir().unwrap().count();
    drop(fs::rename(path, path.with_file_name(count.to_string())));
    fs::create_dir(path).unwrap();
    let lock = File::create(path.join(names::lock("index.json".as_ref()))).unwrap();
    lock.lock().unwrap();
    lock
}

/// How often the directory was replaced while `job` waited in it, until that gave up.
fn replacements<J: Job>(mut job: J, dir: &Path) -> (usize, Error) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut locks = Vec::new();
    for number in 1..10 {
        let Step::Wait(wait) = job.run() else { panic!("nothing was in its way") };
        locks.push(replace(dir));
        match runtime.block_on(wait) {
            After::Run(next) => job = next,
            After::Done(done) => return (number, done.err().unwrap()),
        }
    }
    panic!("it follows its path on and on")
}

#[test]
fn a_path_that_leads_elsewhere_each_time_is_followed_once_after_the_time_of_the_call() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("dir");
    let path = dir.join("index.json");
    let timeout = Duration::ZERO;
    let (ticket, cancel) = (Ticket::take(), Cancel::default());
    let _lock = replace(&dir);
    let options = UpdateOptions::default();
    let open = OpenJob::new(CallId::MAX, path.clone(), options, ticket, Instant::now(), timeout, cancel);
    let (count, error) = replacements(open, &dir);
    assert_eq!(count, 2);
    assert!(matches!(error.kind(), ErrorKind::LockTimeout(_)), "{error}");

    let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
    let inside = Ticket::take().made_inside();
    let origin = Origin { path, options: UpdateOptions::default(), timeout, inside, patches: Vec::new() };
    let lost = Lost::new(None, &target, origin, Duration::ZERO).unwrap();
    drop(target);
    let reopen = lost.reopen(Some(Instant::now()), Cancel::default());
    let (count, error) = replacements(reopen, &dir);
    assert_eq!(count, 2);
    assert!(matches!(error.kind(), ErrorKind::LockTimeout(_)), "{error}");
}
