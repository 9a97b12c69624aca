//! The files of a transaction, beside its first index: in two directories another index and two posts, or one post and a draft
//! that goes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

/// The other index. The names end as the target's does, by which a trace recognises them.
pub const SECOND: &str = "other/second-index.json";
/// A file that is written.
pub const POST: &str = "post-index.json";
/// Another one.
pub const THIRD: &str = "other/third-index.json";
/// A file that is removed.
pub const DRAFT: &str = "other/draft-index.json";
/// What a process that lives on has written.
pub const SURVIVOR: &str = "survivor-index.json";

/// The files beside the target that get a new version.
pub fn companions(removes: bool) -> Vec<&'static str> {
    if removes { vec![SECOND, POST] } else { vec![SECOND, POST, THIRD] }
}

/// What is there before.
pub fn prepare(folder: &Path, removes: bool, bytes: &[u8]) -> Result<()> {
    make_other(folder)?;
    let draft = removes.then_some(DRAFT);
    for name in companions(removes).into_iter().chain(draft) {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// Locks are taken in the order of their directories' inodes: it is to be the same in every trace.
fn make_other(folder: &Path) -> Result<()> {
    let (number, other) = (fs::metadata(folder)?.ino(), folder.join("other"));
    let mut before = Vec::new();
    loop {
        fs::create_dir(&other)?;
        if fs::metadata(&other)?.ino() > number {
            break;
        }
        before.push(folder.join(format!("before-{}", before.len())));
        fs::rename(&other, &before[before.len() - 1])?;
    }
    before.iter().try_for_each(|folder| Ok(fs::remove_dir(folder)?))
}
