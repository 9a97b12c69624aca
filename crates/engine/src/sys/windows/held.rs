//! Files that others hold. A program that opens a file without `FILE_SHARE_DELETE`, as most do, keeps it from being replaced and
//! removed; virus scanners, indexers and backups do so for some milliseconds after each change. POSIX knows no such thing.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::errno::{EPERM, SHARING_VIOLATION, is_held, told_apart};

/// How long a call about a file is tried again in place, on a worker that others want. What takes longer passes for the job: it
/// waits on a timer, and tries again from there.
const PATIENCE: Duration = Duration::from_millis(50);
/// The same for a directory, of which nothing tells whether others hold it or the user may not rename it.
const PATIENCE_WITH_DIRECTORIES: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The right to remove or rename a file.
const DELETE: u32 = 0x0001_0000;

/// Calls again while somebody holds what the call is about. Windows says the same, `ERROR_ACCESS_DENIED`, of a file that is held,
/// of one that is being removed, and of one that this user may not touch: `may_be_held` is asked then.
fn patiently(
    patience: Duration,
    mut call: impl FnMut() -> io::Result<()>,
    may_be_held: impl Fn() -> bool,
) -> io::Result<()> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match call().map_err(told_apart) {
            Err(error) if start.elapsed() < patience && is_passing(&error, &may_be_held) => {
                sleep(pause);
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

fn is_passing(error: &io::Error, may_be_held: impl Fn() -> bool) -> bool {
    match error.raw_os_error() {
        Some(EPERM) => may_be_held(),
        number => number.is_some_and(is_held),
    }
}

/// Makes a call that renames or removes a directory. `may_be_held`: a file in it that is open makes the call `ERROR_ACCESS_DENIED`.
pub fn change_directory(call: impl FnMut() -> io::Result<()>, may_be_held: bool) -> io::Result<()> {
    patiently(PATIENCE_WITH_DIRECTORIES, call, || may_be_held)
}

/// Makes a call that replaces or removes the file at `path`. That it is read-only does not stop it: in POSIX only the directory
/// says who may replace a file.
///
/// # Errors
/// `ERROR_SHARING_VIOLATION`, which passes by itself, if another handle holds the file; those of the call.
pub fn replace(path: &Path, mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let is_read_only_file = || {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.permissions().readonly())
    };
    let is_file = || match std::fs::symlink_metadata(path) {
        Ok(found) => found.is_file(),
        // Nothing is told of a file that is being removed.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    let done = patiently(PATIENCE, &mut call, || is_file() && !is_read_only_file());
    let done = match done {
        Err(error) if error.raw_os_error() == Some(EPERM) && is_read_only_file() => {
            set_read_only(path, false)?;
            let done = patiently(PATIENCE, &mut call, is_file);
            if done.is_err() {
                // It is the old file still.
                drop(set_read_only(path, true));
            }
            done
        }
        done => done,
    };
    done.map_err(|error| match error.raw_os_error() {
        Some(EPERM) if is_file() && has_handles(path) => io::Error::from_raw_os_error(SHARING_VIOLATION),
        _ => error,
    })
}

/// Whether any handle of the file is open, or of one that is being removed: only then is one refused that shares nothing and asks
/// for what the call needs. For this moment others are refused too, so it is asked of files that could not be replaced, and of no
/// others.
fn has_handles(path: &Path) -> bool {
    let alone = OpenOptions::new().access_mode(DELETE).share_mode(0).open(path);
    alone.is_err_and(|error| told_apart(error).raw_os_error().is_some_and(is_held))
}

fn set_read_only(path: &Path, to: bool) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    permissions.set_readonly(to);
    std::fs::set_permissions(path, permissions)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::os::windows::fs::OpenOptionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::super::Dir;
    use crate::blocking;
    use crate::error::Advice;
    use crate::walk::remove::remove;
    use crate::write::options::Options;

    const SHARE_READ: u32 = 1;

    #[test]
    fn a_file_is_replaced_though_others_hold_it_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "0").unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // As a scanner does: nobody may write or remove it meanwhile.
                    drop(OpenOptions::new().read(true).share_mode(SHARE_READ).open(&target).map(|held| {
                        std::thread::yield_now();
                        held
                    }));
                }
            });
            for round in 1..=200 {
                fs::write(folder.path().join("staged"), round.to_string()).unwrap();
                let rename = || dir.rename("staged".as_ref(), &dir, "target".as_ref());
                // A job would come back, for ten seconds.
                let renamed = (0..200).map(|_| rename()).find(Result::is_ok).unwrap_or_else(rename);
                if renamed.is_err() {
                    over.store(true, Ordering::Relaxed);
                }
                renamed.unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read_to_string(&target).unwrap(), "200");
    }

    #[test]
    fn a_file_that_stays_held_makes_a_call_fail_soon_with_what_passes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let target = folder.path().join("target");
        for name in ["target", "staged"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let held = OpenOptions::new().read(true).share_mode(SHARE_READ).open(&target).unwrap();
        for refused in [dir.rename("staged".as_ref(), &dir, "target".as_ref()), dir.unlink("target".as_ref())]
        {
            let number = refused.unwrap_err().raw_os_error().unwrap();
            assert!(crate::sys::is_transient(number), "{number}");
        }
        drop(held);
        dir.rename("staged".as_ref(), &dir, "target".as_ref()).unwrap();
    }

    #[test]
    fn a_write_of_a_file_that_stays_held_fails_after_ten_seconds_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "old").unwrap();
        let held = OpenOptions::new().read(true).share_mode(SHARE_READ).open(&target).unwrap();
        let began = Instant::now();
        let error = blocking::write(&target, b"new", &Options::default()).unwrap_err();
        let took = began.elapsed();
        assert_eq!((error.code(), error.advice()), ("EBUSY", Some(Advice::Held)));
        assert!((9..15).contains(&took.as_secs()), "{took:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(held);
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    }

    #[test]
    fn a_directory_with_many_files_that_stay_held_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let doomed = folder.path().join("doomed");
        fs::create_dir(&doomed).unwrap();
        let hold = |number: u32| {
            let path = doomed.join(number.to_string());
            fs::write(&path, "").unwrap();
            OpenOptions::new().read(true).share_mode(SHARE_READ).open(path).unwrap()
        };
        let held: Vec<_> = (0..40).map(hold).collect();
        let began = Instant::now();
        let dir = Dir::open(folder.path()).unwrap();
        let error = remove(&dir, "doomed".as_ref(), &doomed).unwrap_err();
        let took = began.elapsed();
        assert_eq!((error.code(), error.advice()), ("EBUSY", Some(Advice::Held)));
        assert!(took < Duration::from_secs(20), "{took:?}");
        drop(held);
        remove(&dir, "doomed".as_ref(), &doomed).unwrap();
    }

    #[test]
    fn a_read_only_file_is_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "old").unwrap();
        super::set_read_only(&target, true).unwrap();
        fs::write(folder.path().join("staged"), "new").unwrap();
        dir.rename("staged".as_ref(), &dir, "target".as_ref()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        super::set_read_only(&target, true).unwrap();
        dir.unlink("target".as_ref()).unwrap();
        assert!(!target.exists());
    }

    #[test]
    fn a_read_only_file_that_cannot_be_replaced_stays_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "old").unwrap();
        super::set_read_only(&target, true).unwrap();
        assert!(dir.rename("missing".as_ref(), &dir, "target".as_ref()).is_err());
        assert!(fs::metadata(&target).unwrap().permissions().readonly());
    }

    #[test]
    fn a_path_longer_than_260_characters_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(120)).join("y".repeat(120)).join("z".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let dir = Dir::open(&deep).unwrap();
        drop(dir.create_new("staged".as_ref(), 0o644).unwrap());
        dir.rename("staged".as_ref(), &dir, "target".as_ref()).unwrap();
        assert!(dir.stat("target".as_ref()).unwrap().is_some());
    }
}
