//! Checks what is in a test's folder against the invariants of `docs/design.md`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;

use super::scene::{COMPANIONS, HALF, Op, Scene, TARGET, backup};
use crate::report::problem::{Harm, Problem};

const TEMP_SUFFIX: &str = ".atomic-tmp";
const RANDOM: usize = 12;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Absent,
    Version(u32),
    /// Invariant 1 is broken.
    Torn(usize),
}

/// What is in a folder.
#[derive(Debug)]
pub struct Found {
    pub target: Content,
    /// The files that are written together with it, in order.
    pub companions: Vec<Content>,
    /// Which updates of a group it holds.
    pub done: Vec<u64>,
    pub backup: Content,
    /// The part of a line is where it was, or set aside.
    pub keeps_half: bool,
    /// Names of temp files and locks.
    pub leftovers: Vec<String>,
    /// Names that are neither those nor expected.
    pub unexpected: Vec<String>,
}

impl Found {
    /// What `folder` holds now.
    pub fn look(scene: &Scene, folder: &Path) -> Result<Self> {
        let target = scene.target(folder);
        let mut found = Self {
            target: content(scene, &target)?,
            companions: scene
                .companions(folder)
                .iter()
                .map(|path| content(scene, path))
                .collect::<Result<_>>()?,
            done: done(scene, &target),
            backup: content(scene, &backup(&target))?,
            keeps_half: !scene.half || fs::read(&target)?.ends_with(HALF),
            leftovers: Vec::new(),
            unexpected: Vec::new(),
        };
        let mut path = folder.to_owned();
        found.names(scene, folder, &path, &target)?;
        for part in Path::new(scene.missing) {
            path.push(part);
            if path.exists() {
                found.names(scene, folder, &path, &target)?;
            }
        }
        Ok(found)
    }

    fn names(&mut self, scene: &Scene, root: &Path, folder: &Path, target: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let expected = path == target
                || target.starts_with(&path)
                || scene.companions(root).contains(&path)
                || (scene.has_backup() && path == backup(target));
            if scene.half && name.starts_with(&format!("{TARGET}.torn-")) {
                self.keeps_half |= fs::read(&path)? == HALF;
            } else if is_temp(&name) || name == format!(".{TARGET}.lock") {
                self.leftovers.push(name);
            } else if !expected {
                self.unexpected.push(name);
            }
        }
        Ok(())
    }

    /// Invariant 1, and the first half of 5: old or new, and no unexpected name. `torn`: a part of the target may be.
    pub fn broken(&self, scene: &Scene, torn: bool) -> Option<Problem> {
        let old = if scene.old { Content::Version(1) } else { Content::Absent };
        let right = match self.target {
            Content::Version(version) if scene.group > 0 => (1..=scene.next(1)).contains(&version),
            Content::Torn(_) => torn,
            other => [old, Content::Version(2)].contains(&other),
        };
        // Files that are written together get their names in order.
        let mut all = [&[self.target], &self.companions[..]].concat();
        all.dedup();
        let right = right
            && (self.companions.is_empty()
                || [&[Content::Version(2)][..], &[old], &[Content::Version(2), old]].contains(&&all[..]));
        if !right {
            return Some(
                Harm::Torn.problem(format!("the target is {:?} {:?}", self.target, self.companions)),
            );
        }
        if scene.has_backup() && ![Content::Version(0), Content::Version(1)].contains(&self.backup) {
            return Some(Harm::Torn.problem(format!("the backup is {:?}", self.backup)));
        }
        if !self.keeps_half {
            return Some(Harm::Lost.problem("the part of a line is gone"));
        }
        (!self.unexpected.is_empty())
            .then(|| Harm::Torn.problem(format!("unexpected names: {:?}", self.unexpected)))
    }

    /// Whether all files that are written together are at this version.
    pub fn is(&self, version: Content) -> bool {
        self.target == version && self.companions.iter().all(|companion| *companion == version)
    }

    /// Of a group: an update that `resolved` and is not there, or one that is there twice.
    pub fn misses(&self, resolved: &[u64]) -> Option<Problem> {
        let count = |id: &u64| self.done.iter().filter(|done| *done == id).count();
        if let Some(id) = resolved.iter().find(|id| count(id) == 0) {
            return Some(
                Harm::Lost.problem(format!("update {id} was acknowledged, {:?} are there", self.done)),
            );
        }
        let twice = self.done.iter().any(|id| count(id) > 1);
        twice.then(|| Harm::Torn.problem(format!("an update is there twice: {:?}", self.done)))
    }
}

fn done(scene: &Scene, path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).ok().filter(|_| scene.group > 0);
    bytes.and_then(|bytes| scene.done(&bytes)).unwrap_or_default()
}

fn content(scene: &Scene, path: &Path) -> Result<Content> {
    if scene.op == Op::Tree { tree(scene, path) } else { version_of(scene, path) }
}

/// Which version of a scene's files is at `path`.
pub fn version_of(scene: &Scene, path: &Path) -> Result<Content> {
    match fs::read(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(Content::Absent),
        Err(error) => Err(error.into()),
        Ok(bytes) => Ok(scene.version(&bytes).map_or(Content::Torn(bytes.len()), Content::Version)),
    }
}

/// A directory is at a version if all of its files are.
fn tree(scene: &Scene, path: &Path) -> Result<Content> {
    if !path.exists() {
        return Ok(Content::Absent);
    }
    let count = fs::read_dir(path)?.count();
    let read = COMPANIONS.iter().map(|name| fs::read(path.join(name)));
    let Ok(files) = read.collect::<std::io::Result<Vec<_>>>() else { return Ok(Content::Torn(count)) };
    let version = scene.version(&files[0]).filter(|_| files[0] == files[1] && count == files.len());
    Ok(version.map_or(Content::Torn(count), Content::Version))
}

/// `/^\..*\.[0-9A-Za-z]{12}\.atomic-tmp$/`: the documented pattern, repeated here without the library.
pub fn is_temp(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(TEMP_SUFFIX)) else {
        return false;
    };
    rest.rsplit_once('.').is_some_and(|(_, random)| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_pattern_is_a_temp_name() {
        assert!(is_temp(".index.json.0aZ0aZ0aZ0aZ.atomic-tmp"));
        for name in ["index.json.0aZ0aZ0aZ0aZ.atomic-tmp", ".index.json.0aZ.atomic-tmp", ".index.json.lock"] {
            assert!(!is_temp(name), "{name}");
        }
    }
}
