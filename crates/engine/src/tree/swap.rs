//! The one step that makes a new tree what a name means, and what has to be done around it.
//!
//! The old tree is garbage from that step on, or on its way to where it is kept: then it has a name that no
//! sweep takes, for a crash may come between any two of these steps.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dir::{Directory, Target, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::sys::{self, Dir};
use crate::tree::at::At;

/// The new tree has its name.
pub struct Swapped {
    /// Where the old one is kept.
    pub previous: Option<PathBuf>,
    /// What is to be removed.
    pub doomed: Option<At>,
}

/// Finds out whether this file system can swap two directories, by doing it with two empty ones.
///
/// # Errors
/// [`ErrorKind::NoExchange`].
pub fn probe(staging: &Dir) -> Result<()> {
    let (one, other) = (OsStr::new("1"), OsStr::new("2"));
    staging.make_dir_with(one, 0o700).named("mkdir")?;
    staging.make_dir_with(other, 0o700).named("mkdir")?;
    let exchanged = staging.exchange(one, staging, other);
    staging.remove_dir(one).named("rmdir")?;
    staging.remove_dir(other).named("rmdir")?;
    exchanged.map_err(exchange_failed)
}

/// Finds out whether an overlay lets `old` be renamed, which one of a lower layer cannot be. Onto a directory that is
/// not empty nothing can be renamed, so the attempt changes nothing: what tells is which error comes first.
///
/// # Errors
/// [`ErrorKind::LowerLayer`].
pub fn check_movable(old: &Target, at: &At, staging: &Dir) -> Result<()> {
    if !old.dir.file_system().copies_up {
        return Ok(());
    }
    let full = OsStr::new("1");
    staging.make_dir_with(full, 0o700).named("mkdir")?;
    let renamed = old.dir.rename(&old.name, &at.dir, &at.name);
    staging.remove_dir(full).named("rmdir")?;
    match renamed {
        Err(error) if is(&error, sys::EXDEV) => Err(ErrorKind::LowerLayer.into()),
        _ => Ok(()),
    }
}

/// Finds out whether a tree can be moved to where the old one is to be kept: the same file system, and the right to.
///
/// # Errors
/// Those of the renames.
pub fn rehearse(at: &At, keep: &Target) -> Result<()> {
    let failed = |error: Error| error.about(keep.path());
    // What is moved into an append-only directory cannot be moved back.
    keep.check_lets_go().map_err(failed)?;
    let (name, ()) = names::with_temp_name(&keep.name, |temp| at.dir.move_dir(&at.name, &keep.dir, temp))
        .named("rename")
        .map_err(failed)?;
    keep.dir.move_dir(&name, &at.dir, &at.name).named("rename").map_err(failed)
}

/// Puts the tree at `at` in its place, where there is none. `None`: there is one.
///
/// # Errors
/// Whatever fails.
pub fn create(at: &At, target: &Target) -> Result<Option<Swapped>> {
    match at.dir.move_dir(&at.name, &target.dir, &target.name) {
        Ok(()) => Ok(Some(Swapped { previous: None, doomed: None })),
        Err(error) if is(&error, sys::EEXIST) => Ok(None),
        Err(error) => Err(rename_failed(error, target)),
    }
}

/// Puts the tree at `at` in the place of the old one. `None`: there is none. An inner error came after that.
/// `at` says where the new tree is, should it fail.
///
/// # Errors
/// Whatever fails before; the old tree stands.
pub fn replace(
    at: &mut At,
    target: &Target,
    keep: Option<&Target>,
    fallback: bool,
) -> Result<Option<Result<Swapped>>> {
    if let Some(keep) = keep {
        // Where it goes afterwards is known to work now, before anything has changed.
        *at = move_aside(&at.dir, &at.name, keep)
            .map_err(|error| Error::system("rename", error).about(keep.path()))?;
    }
    match at.dir.exchange(&at.name, &target.dir, &target.name) {
        Ok(()) => Ok(Some(after(at.clone(), keep))),
        Err(error) if is(&error, sys::ENOENT) => Ok(None),
        Err(error) if error.raw_os_error().is_some_and(sys::cannot_exchange) => {
            if fallback {
                by_renames(target, at, keep)
            } else {
                Err(if is_lower(&error, target) {
                    ErrorKind::LowerLayer.into()
                } else {
                    exchange_failed(error)
                })
            }
        }
        Err(error) => Err(rename_failed(error, target)),
    }
}

/// The old one away, the new one in. Between the two there is none.
fn by_renames(target: &Target, at: &At, keep: Option<&Target>) -> Result<Option<Result<Swapped>>> {
    let aside = match move_aside(&target.dir, &target.name, keep.unwrap_or(target)) {
        Ok(aside) => aside,
        Err(error) if is(&error, sys::ENOENT) => return Ok(None),
        Err(error) if is_lower(&error, target) => return Err(ErrorKind::LowerLayer.into()),
        Err(error) => return Err(rename_failed(error, target)),
    };
    if let Err(error) = at.dir.move_dir(&at.name, &target.dir, &target.name) {
        // If that fails too, the old tree is where this error says.
        aside
            .dir
            .move_dir(&aside.name, &target.dir, &target.name)
            .map_err(|error| rename_failed(error, target).about(aside.path()))?;
        return Err(rename_failed(error, target));
    }
    Ok(Some(after(aside, keep)))
}

/// What becomes of the old tree, which is at `old`.
fn after(old: At, keep: Option<&Target>) -> Result<Swapped> {
    match keep {
        None => Ok(Swapped { previous: None, doomed: Some(sweepable(old)) }),
        Some(keep) => {
            let doomed = keep_at(&old, keep).map_err(|error| error.about(old.path()).after_commit())?;
            Ok(Swapped { previous: Some(keep.real_path()), doomed: doomed.map(sweepable) })
        }
    }
}

/// Gives the old tree the name under which it is kept; answers with the one that had it.
fn keep_at(old: &At, keep: &Target) -> Result<Option<At>> {
    loop {
        match old.dir.move_dir(&old.name, &keep.dir, &keep.name) {
            Ok(()) => return Ok(None),
            Err(error) if is(&error, sys::EEXIST) => {}
            Err(error) => return Err(rename_failed(error, keep)),
        }
        keep.existing_directory()?;
        match old.dir.exchange(&old.name, &keep.dir, &keep.name) {
            Ok(()) => return Ok(Some(old.clone())),
            Err(error) if is(&error, sys::ENOENT) => {}
            // Readers use this name rarely, so two steps will do.
            Err(error) if error.raw_os_error().is_some_and(sys::cannot_exchange) => {
                let older =
                    move_aside(&keep.dir, &keep.name, keep).map_err(|error| rename_failed(error, keep))?;
                old.dir
                    .move_dir(&old.name, &keep.dir, &keep.name)
                    .map_err(|error| rename_failed(error, keep))?;
                return Ok(Some(older));
            }
            Err(error) => return Err(rename_failed(error, keep)),
        }
    }
}

/// Moves a directory to a name beside `beside` that no sweep takes.
fn move_aside(dir: &Arc<Directory>, name: &OsStr, beside: &Target) -> io::Result<At> {
    let (name, ()) = names::with_old_name(&beside.name, |old| dir.move_dir(name, &beside.dir, old))?;
    Ok(At { dir: beside.dir.clone(), name })
}

/// Garbage by now: with a temp name a sweep takes it, should we not get to the end of removing it.
fn sweepable(at: At) -> At {
    if names::is_temp(&at.name) {
        return at;
    }
    match names::with_temp_name(&at.name, |temp| at.dir.move_dir(&at.name, &at.dir, temp)) {
        Ok((name, ())) => At { name, ..at },
        Err(_) => at,
    }
}

/// Whether an overlay does not rename the directory, although that was possible before the build.
fn is_lower(error: &io::Error, target: &Target) -> bool {
    is(error, sys::EXDEV) && target.dir.file_system().copies_up
}

fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}

fn rename_failed(error: io::Error, target: &Target) -> Error {
    Error::system("rename", error).with_dest(target.path().to_owned())
}

fn exchange_failed(error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) if sys::cannot_exchange(errno) => ErrorKind::NoExchange.into(),
        _ => Error::system("rename", error),
    }
}
