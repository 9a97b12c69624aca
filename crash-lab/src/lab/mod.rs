//! What every section needs: the project's folder, the addons to test, a place of its own.
//!
//! The lab works in a mount namespace of its own, with a tmpfs of its own as scratch. With `cleanup_watchdog.rs` this means
//! that the kernel takes down every process, mount and loop device of the lab, however it ends.

pub mod addon;
pub mod budget;
pub mod cleanup_watchdog;
pub mod command;
pub mod order;
pub mod parallel;
pub mod staging;
mod stall;
pub mod stop;

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use fastrand::Rng;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::report::tally::Tally;

/// Made once, by `main`.
#[derive(Debug)]
pub struct Lab {
    /// The project's folder.
    pub root: PathBuf,
    /// A folder in a tmpfs that only this process and its children see.
    pub scratch: PathBuf,
    /// Of the calls that are walked, the recordings and the mutants, only those with this in their names.
    pub scene: String,
    /// For every choice that is left to chance.
    pub seed: u64,
    /// The addon that users get.
    pub addon: PathBuf,
    /// What has been found so far.
    pub tally: Arc<Tally>,
    mutants: OnceLock<PathBuf>,
}

impl Lab {
    /// Makes the lab's own mounts. The inner `Err` is the reason why this machine does not allow it.
    ///
    /// To be called in the process that [`cleanup_watchdog::split`] started, and before any thread is: a mount namespace
    /// belongs to a thread.
    pub fn enter(scene: String, seed: u64) -> Result<Result<Self, String>> {
        // SAFETY: only the mount namespace is unshared, and no other thread exists.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNS) } {
            return Ok(Err(format!("needs a mount namespace of its own: {error}")));
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // The numbers of processes in /proc have to be those of the PID namespace.
        let proc_flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", proc_flags, None::<&CStr>).context("mounting /proc")?;
        let root = addon::root()?;
        let addon = addon::published(&root)?;
        let (scratch, tally, mutants) = (scratch()?, Arc::<Tally>::default(), OnceLock::new());
        Ok(Ok(Self { root, scratch, scene, seed, addon, tally, mutants }))
    }

    /// The addon whose steps can be left out by `$ATOMIC_MUTANT`. The first call builds it.
    pub fn mutant_addon(&self) -> Result<&Path> {
        if let Some(path) = self.mutants.get() {
            return Ok(path);
        }
        let addon = addon::mutants(&self.root, &self.scratch)?;
        Ok(self.mutants.get_or_init(|| addon))
    }

    /// Node, about to run `workload/SCRIPT` with `addon`.
    pub fn node(&self, script: &str, addon: &Path) -> Command {
        let mut node = Command::new("node");
        node.arg(self.root.join("crash-lab/workload").join(script))
            .env("NAPI_RS_NATIVE_LIBRARY_PATH", addon)
            .env_remove("NODE_OPTIONS")
            // Parsing all certificates of a machine takes longer than the rest of a start.
            .env_remove("NODE_EXTRA_CA_CERTS");
        node
    }

    /// A new folder in the scratch.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Random numbers that depend on the seed and on what they are for, not on what else is running.
    pub fn rng(&self, what: &str) -> Rng {
        Rng::with_seed(xxhash_rust::xxh3::xxh3_64_with_seed(what.as_bytes(), self.seed))
    }
}

/// A tmpfs over a folder beside the program. Every lab sees its own there; the folder in it has a name of its own, by which
/// the loop devices over its images can be distinguished from those of another lab.
fn scratch() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mount_point = program.with_file_name("crash-lab-scratch");
    std::fs::create_dir_all(&mount_point).with_context(|| mount_point.display().to_string())?;
    mount("crash-lab", &mount_point, "tmpfs", MountFlags::empty(), None::<&CStr>)
        .context("mounting a tmpfs")?;
    let scratch = mount_point.join(format!("lab-{:016x}", Rng::new().u64(..)));
    std::fs::create_dir(&scratch)?;
    Ok(scratch)
}
