//! Beginning a new file: NAME becomes NAME.1, NAME.1 becomes NAME.2, and what was NAME.KEEP is gone.
//!
//! The oldest is renamed first, so a crash at any point leaves a number that no file has, and each line in one file. The
//! next rotation fills that gap, and so gives up no file that is to be kept.

use std::ffi::{OsStr, OsString};

use crate::dir::Target;
use crate::error::{Error, Named, Result};
use crate::steps::{self, Step};

/// Renames the file of `target`, which is there, and those before it.
///
/// # Errors
/// Those of rename(2). No line is lost then, nor there twice.
pub fn rotate(target: &Target, keep: u32) -> Result<()> {
    let _during = steps::begin(Step::Rename);
    let dir = &target.dir;
    let mut free = keep;
    for number in 1..keep {
        if dir.stat(&numbered(&target.name, number)).named("stat")?.is_none() {
            free = number;
            break;
        }
    }
    for number in (1..free).rev() {
        rename(target, &numbered(&target.name, number), number + 1)?;
    }
    rename(target, &target.name, 1)
}

fn rename(target: &Target, from: &OsStr, to: u32) -> Result<()> {
    let to = numbered(&target.name, to);
    let dir = &target.dir;
    // What cannot be asked for, the rename tells.
    let id = |name| dir.stat(name).ok().flatten().map(|stat| stat.version.id);
    let there = id(&to);
    if there.is_some() && there == id(from) {
        // Two names of one file, and rename(2) does nothing then.
        return dir.unlink(from).named("unlink");
    }
    dir.rename(from, dir, &to).map_err(|error| {
        let path = target.path().with_file_name(&to);
        target.named(from.to_owned()).explain(Error::system("rename", error).with_dest(path))
    })
}

/// The name of an old file, the latest being number 1.
pub fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut numbered = name.to_owned();
    numbered.push(format!(".{number}"));
    numbered
}
