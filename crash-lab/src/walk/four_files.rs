//! The files of a transaction, beside its first index: in two directories another index and two posts, or one post and a draft
//! that goes, or one post and a file that moves from one directory to the other, or into folders that are made for it and for a new file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use super::scene::Scene;

/// The other index. The names end as the target's does, by which a trace recognises them.
pub const SECOND: &str = "other/second-index.json";
/// A file that is written.
pub const POST: &str = "post-index.json";
/// Another one.
pub const THIRD: &str = "other/third-index.json";
/// A file that is removed.
pub const DRAFT: &str = "other/draft-index.json";
/// A file that is moved.
pub const FROM: &str = "other/from-index.json";
/// Where it is moved to, over another one.
pub const TO: &str = "to-index.json";
/// Folders that are made.
pub const FOLDERS: [&str; 2] = ["made", "made/below"];
/// Where a file is moved to in these.
pub const INTO: &str = "made/below/to-index.json";
/// What is written there.
pub const FILLED: &str = "made/below/new-index.json";
/// What a process that lives on has written.
pub const SURVIVOR: &str = "survivor-index.json";

/// The files beside the target that get a new version.
pub fn companions(scene: &Scene) -> Vec<&'static str> {
    if scene.removes || scene.moves { vec![SECOND, POST] } else { vec![SECOND, POST, THIRD] }
}

/// Where a file is moved to.
pub fn to(scene: &Scene) -> &'static str {
    if scene.makes { INTO } else { TO }
}

/// What is there before. `older`: what is moved over.
pub fn prepare(folder: &Path, scene: &Scene, older: &[u8], bytes: &[u8]) -> Result<()> {
    make_other(folder)?;
    let others = [scene.removes.then_some(DRAFT), scene.moves.then_some(FROM)];
    for name in companions(scene).into_iter().chain(others.into_iter().flatten()) {
        fs::write(folder.join(name), bytes)?;
    }
    if scene.moves && !scene.makes {
        fs::write(folder.join(TO), older)?;
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
