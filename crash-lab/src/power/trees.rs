//! Directories that were replaced as a whole: each must be one version, byte for byte.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::history::{Files, Tree, Window};
use super::names::{is_old, previous};
use crate::report::problem::Harm::{Lost, Torn};
use crate::report::problem::Problem;

/// What is wrong with the directory at `path` and with the previous version beside it.
pub fn check(root: &Path, path: &str, versions: &[Tree], window: Window) -> Result<(), Problem> {
    let oldest = versions.iter().rposition(|version| version.durable.is_some_and(|at| at < window.to));
    let now = whole(root, path, versions, window)?;
    // The previous version may be any: nothing acknowledged that an older one is gone.
    whole(root, &previous(path), versions, window)?;
    for old in beside(root, path) {
        whole(root, &old, versions, window)?;
    }
    match (now, oldest) {
        (None, Some(_)) => Err(Lost.problem(format!("{path} is absent"))),
        (Some(now), Some(oldest)) if now < oldest => {
            Err(Lost.problem(format!("{path} is version {now}, {oldest} was acknowledged")))
        }
        _ => Ok(()),
    }
}

/// Old versions that a power cut met before they had the name under which they are kept.
fn beside(root: &Path, path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let ours = |found: &String| is_old(Path::new(found)) && found.starts_with(&format!(".{name}."));
    names.filter(ours).map(|found| Path::new(folder).join(found).to_string_lossy().into_owned()).collect()
}

/// Which version is there; `None` for nothing.
fn whole(root: &Path, path: &str, versions: &[Tree], window: Window) -> Result<Option<usize>, Problem> {
    let folder = root.join(path);
    if !folder.exists() {
        return Ok(None);
    }
    let mut found = Files::new();
    read(&folder, Path::new(""), &mut found)
        .map_err(|error| Torn.problem(format!("{path} cannot be read: {error:#}")))?;
    let given = versions.iter().enumerate().filter(|(_, version)| version.started < Some(window.from));
    let mut given = given.rev();
    match given.find(|(_, version)| version.files == found) {
        Some((number, _)) => Ok(Some(number)),
        None => Err(Torn.problem(format!("{path} is no version: {}", describe(&found, versions)))),
    }
}

fn read(root: &Path, folder: &Path, found: &mut Files) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read(root, &path, found)?;
        } else {
            found.insert(path.to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// To which version each file belongs.
fn describe(found: &Files, versions: &[Tree]) -> String {
    let version = |name: &String, bytes: &Vec<u8>| {
        let number = versions.iter().position(|version| version.files.get(name) == Some(bytes));
        number.map_or_else(|| format!("{} bytes", bytes.len()), |number| format!("version {number}"))
    };
    let files: Vec<_> =
        found.iter().map(|(name, bytes)| format!("{name}: {}", version(name, bytes))).collect();
    format!("{} files ({})", found.len(), files.join(", "))
}
