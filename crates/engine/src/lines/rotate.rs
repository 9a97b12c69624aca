//! Beginning a new file: NAME becomes NAME.1, NAME.1 becomes NAME.2, and what was NAME.KEEP is gone.
//!
//! The oldest is renamed first, so a crash at any point leaves a number that no file has, and each line in one file. The
//! next rotation fills that gap, and so gives up no file that is to be kept.

use std::ffi::{OsStr, OsString};

use crate::dir::Target;
use crate::error::{Error, Named, Result};
use crate::steps::{self, Step};
use crate::sys::{self, Version};

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
    let seen = |name| dir.stat(name).ok().flatten().map(|stat| stat.version);
    if let (Some(there), Some(here)) = (seen(&to), seen(from))
        && are_one(&there, &here)
    {
        // Two names of one file, and rename(2) does nothing then.
        return dir.unlink(from).named("unlink");
    }
    dir.rename(from, dir, &to).map_err(|error| {
        let path = target.path().with_file_name(&to);
        target.named(from.to_owned()).explain(Error::system("rename", error).with_dest(path))
    })
}

/// Whether two names are of one file. Where a file system makes inode numbers up (FUSE), two files may have one: each of them then has one name.
fn are_one(one: &Version, other: &Version) -> bool {
    one.id == other.id && (!sys::COUNTS_LINKS || (one.links > 1 && other.links > 1))
}

/// The name of an old file, the latest being number 1.
pub fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut numbered = name.to_owned();
    numbered.push(format!(".{number}"));
    numbered
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sys::Dir;

    #[test]
    fn two_files_with_one_inode_number_are_told_by_how_many_names_they_have() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        std::fs::write(&one, "").unwrap();
        std::fs::hard_link(&one, &other).unwrap();
        let version = |path| Dir::stat_file(&std::fs::File::open(path).unwrap()).unwrap().1;
        let linked = version(&one);
        assert!(are_one(&linked, &version(&other)));
        let alone = Version { links: 1, ..linked.clone() };
        assert_eq!(are_one(&alone, &alone), !sys::COUNTS_LINKS);
    }
}
