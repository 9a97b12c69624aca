//! The addons that are tested. All that the lab knows about the project's crates and where cargo puts them is here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The same packages as for Rust's tests (`scripts/tools.mjs`), and so the same dependencies: only the first of them makes an addon.
const PACKAGES: [&str; 3] = ["pipeline-atomic", "pipeline-atomic-engine", "crash-lab"];

/// The addon's feature with which `$ATOMIC_MUTANT` leaves out a step, and what cargo makes of it.
const MUTANTS: &str = "pipeline-atomic/mutants";
const LIBRARY: &str = "libpipeline_atomic.so";

/// What the results of the lab depend on.
pub const SOURCES: [&str; 5] = ["src", "crates", "crash-lab", "Cargo.toml", "Cargo.lock"];

/// The project's folder.
pub fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no project folder")?.to_owned())
}

/// The addon that users get: `$NAPI_RS_NATIVE_LIBRARY_PATH`, or what `npm run build` made.
pub fn published(root: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NAPI_RS_NATIVE_LIBRARY_PATH") {
        return std::fs::canonicalize(&path).with_context(|| path.display().to_string());
    }
    let is_addon = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.starts_with("atomic.linux-") && name.ends_with(".node")
    };
    let mut entries = std::fs::read_dir(root)?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(is_addon).context("there is no addon: run `npm run build`")
}

/// Builds the addon with the mutants, and puts it into `folder`.
pub fn mutants(root: &Path, folder: &Path) -> Result<PathBuf> {
    let target = root.join("target");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--profile", "lab", "--lib", "--features", MUTANTS])
        .args(PACKAGES.iter().flat_map(|name| ["--package", name]))
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root)
        .status()
        .context("cargo")?;
    ensure!(status.success(), "the addon with the mutants could not be built");
    // Node loads only files with this suffix as addons.
    let addon = folder.join("mutants.node");
    std::fs::copy(target.join("lab").join(LIBRARY), &addon).context("copying the addon")?;
    Ok(addon)
}
