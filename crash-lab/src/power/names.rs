//! Which names may be found after a power cut.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result};

use super::history::{History, Version, Window};
use super::lines;
use crate::report::problem::{Harm, Problem};

/// Where the noise writes; nothing is promised there.
pub const NOISE: &str = "noise";

/// Where the previous version of a directory is kept.
pub fn previous(path: &str) -> String {
    format!("{path}.previous")
}

/// Every name below `folder`; directories end with a slash.
pub(super) fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    let context = || format!("cannot be listed: {}", folder.display());
    for entry in fs::read_dir(root.join(folder)).with_context(context)? {
        let entry = entry.with_context(context)?;
        let path = folder.join(entry.file_name());
        let name = path.to_str().context("a name that is not UTF-8")?.to_owned();
        if entry.file_type()?.is_dir() {
            found.insert(format!("{name}/"));
            if name != NOISE {
                walk(root, &path, found)?;
            }
        } else {
            found.insert(name);
        }
    }
    Ok(())
}

/// Fails if there is a name that no operation made.
pub fn check(root: &Path, history: &History, window: Window) -> Result<(), Problem> {
    let mut found = BTreeSet::new();
    walk(root, Path::new(""), &mut found).map_err(|error| Harm::Torn.problem(format!("{error:#}")))?;
    let mut known: BTreeSet<String> = [format!("{NOISE}/"), "lost+found/".into()].into();
    let started = |versions: &[Version]| versions.iter().any(|version| version.started < Some(window.from));
    for (path, _) in history.files.iter().filter(|(_, versions)| started(versions)) {
        know(&mut known, path);
    }
    for (path, index) in &history.indexes {
        if index.updates.iter().any(|update| update.started < Some(window.from)) {
            know(&mut known, path);
            known.insert(beside(path, |name| format!(".{name}.lock")));
            if index.backup {
                known.insert(format!("{path}.backup"));
            }
        }
    }
    for (path, _) in history.lines.iter().filter(|(_, appended)| started(appended)) {
        know(&mut known, path);
        known.insert(beside(path, |name| format!(".{name}.lock")));
        known.extend(lines::rotated(path));
    }
    for (path, versions) in &history.trees {
        for version in versions.iter().filter(|version| version.started < Some(window.from)) {
            for file in version.files.keys() {
                know(&mut known, &format!("{path}/{file}"));
                know(&mut known, &format!("{}/{file}", previous(path)));
            }
        }
    }
    // The content of a temp directory is removed with it; `trees.rs` looks into those that are to be kept.
    let in_temp = |name: &str| Path::new(name).ancestors().any(|path| is_temp(path) || is_old(path));
    let stranger = found.iter().find(|name| !known.contains(*name) && !in_temp(name));
    match stranger {
        Some(name) => Err(Harm::Torn.problem(format!("an unknown name: {name}"))),
        None => Ok(()),
    }
}

/// A target, and the directories that were made for it.
pub(super) fn know(known: &mut BTreeSet<String>, path: &str) {
    known.insert(path.to_owned());
    for parent in Path::new(path).ancestors().skip(1).filter(|parent| parent.components().next().is_some()) {
        known.insert(format!("{}/", parent.display()));
    }
}

fn beside(path: &str, name: impl Fn(&str) -> String) -> String {
    match path.rsplit_once('/') {
        Some((folder, file)) => format!("{folder}/{}", name(file)),
        None => name(path),
    }
}

/// `/^\..*\.[0-9A-Za-z]{12}\.atomic-tmp$/`, repeated here on purpose: the lab does not ask the library
/// what its names are.
pub(super) fn is_temp(path: &Path) -> bool {
    is_ours(path, ".atomic-tmp")
}

/// As the pattern above, with `.atomic-old` at the end.
pub fn is_old(path: &Path) -> bool {
    is_ours(path, ".atomic-old")
}

pub(super) fn is_ours(path: &Path, suffix: &str) -> bool {
    let last = path.components().next_back().map(Component::as_os_str).and_then(OsStr::to_str);
    let middle = last.and_then(|name| name.strip_prefix('.')).and_then(|name| name.strip_suffix(suffix));
    middle.and_then(|middle| middle.rsplit_once('.')).is_some_and(|(_, random)| {
        random.len() == 12 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
