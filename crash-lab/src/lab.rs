//! What every section needs: where the project is, which addon to run, a place of its own.
//!
//! The lab lives in a mount namespace of its own, with a tmpfs of its own as scratch. However it ends,
//! by a panic, Ctrl-C or SIGKILL, the kernel takes every mount, image and loop device with it (see
//! `undertaker.rs` for the one thing that it cannot do); children ask to be killed when their parent dies.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::undertaker::{self, Undertaker};

/// Made once, by `main`.
#[derive(Debug)]
pub struct Lab {
    /// The project's folder.
    pub root: PathBuf,
    /// A tmpfs that only this process and its children see.
    pub scratch: PathBuf,
    /// Fewer states: minutes, not an hour.
    pub short: bool,
    /// Of the calls that are walked, only those with this in their names.
    pub scene: String,
    /// For every choice that is left to chance.
    pub seed: u64,
    mutants: OnceLock<PathBuf>,
    _undertaker: Undertaker,
}

impl Lab {
    /// Enters a world of its own. `Err` in the `Ok`: why this machine does not allow it.
    ///
    /// To be called before any thread is started: a mount namespace is a thread's.
    pub fn enter(short: bool, scene: String, seed: u64) -> Result<Result<Self, String>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Err("needs root".into()));
        }
        // SAFETY: only the mount namespace is unshared, and no other thread exists.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNS) } {
            return Ok(Err(format!("needs a mount namespace of its own: {error}")));
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no project folder")?.to_owned();
        let scratch = std::env::temp_dir().join(format!("crash-lab-{}", std::process::id()));
        std::fs::create_dir(&scratch).with_context(|| format!("mkdir {}", scratch.display()))?;
        mount("crash-lab", &scratch, "tmpfs", MountFlags::empty(), None::<&std::ffi::CStr>)
            .context("mounting a tmpfs")?;
        let leave = scratch.clone();
        ctrlc::set_handler(move || {
            crate::walk::strace::kill_all();
            undertaker::clear(&leave);
            std::process::exit(130);
        })?;
        let _undertaker = Undertaker::start(&scratch)?;
        Ok(Ok(Self { root, scratch, short, scene, seed, mutants: OnceLock::new(), _undertaker }))
    }

    /// The addon that users get: `$NAPI_RS_NATIVE_LIBRARY_PATH`, or what `npm run build` made.
    pub fn addon(&self) -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("NAPI_RS_NATIVE_LIBRARY_PATH") {
            return Ok(std::fs::canonicalize(&path)?);
        }
        let is_addon = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with("atomic.linux-") && name.ends_with(".node")
        };
        let mut entries = std::fs::read_dir(&self.root)?.filter_map(|entry| Some(entry.ok()?.path()));
        entries.find(is_addon).context("no addon: run `npm run build` first")
    }

    /// The addon whose steps can be left out by `$ATOMIC_MUTANT`. Built at the first call.
    pub fn mutant_addon(&self) -> Result<PathBuf> {
        if let Some(path) = self.mutants.get() {
            return Ok(path.clone());
        }
        let target = self.root.join("target/mutants");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--lib", "--quiet", "--features", "mutants", "--target-dir"])
            .arg(&target)
            // Speed is not what they are for.
            .envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")])
            .current_dir(&self.root)
            .status()
            .context("cargo")?;
        ensure!(status.success(), "the mutants could not be built");
        // By this suffix Node knows an addon.
        let addon = self.scratch.join("mutants.node");
        std::fs::copy(target.join("release/libpipeline_atomic.so"), &addon)?;
        Ok(self.mutants.get_or_init(|| addon).clone())
    }

    /// Node, about to run `workload/SCRIPT` with `addon`. It dies with the thread that starts it.
    pub fn node(&self, script: &str, addon: &Path) -> Command {
        let mut node = Command::new("node");
        node.arg(self.root.join("crash-lab/workload").join(script))
            .env("NAPI_RS_NATIVE_LIBRARY_PATH", addon)
            .env_remove("NODE_OPTIONS");
        die_with_parent(&mut node);
        node
    }

    /// A new folder in the scratch.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        undertaker::clear(&self.scratch);
    }
}

/// Has the kernel kill `command` when the thread that starts it ends, however that comes about.
pub fn die_with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: prctl(2) is async-signal-safe and nothing is allocated.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) }
}

/// Runs a command to its end; its output is the error's text if it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = die_with_parent(command).output().with_context(|| format!("{:?}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Whether there is such a program; for "skipped: needs …".
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // mkfs is often outside a user's PATH.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir: PathBuf| dir.join(program).is_file())
}
