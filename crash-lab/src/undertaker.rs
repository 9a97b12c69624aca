//! Takes down what the lab leaves when it is ended from outside.
//!
//! Mounts and loop devices go with the namespace, but a thread that waits for a disk that we serve ourselves
//! cannot be killed, and keeps the descriptor open that would have to be closed for it to wake up: it
//! would wait for ever, even after SIGKILL. Unmounting FUSE by force aborts its connection. So a child
//! of the lab waits for its death, of whatever kind, and does that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Signal, set_parent_process_death_signal};

/// The child's first argument.
pub const COMMAND: &str = "wait-for-the-end-of";

/// The child; it goes with this.
#[derive(Debug)]
pub struct Undertaker(Child);

impl Undertaker {
    /// Starts it. To be called by the main thread: it is that one's death that is told.
    pub fn start(scratch: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?);
        child.arg(COMMAND).arg(scratch).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(child.spawn().context("starting a child")?))
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child does.
pub fn wait(scratch: PathBuf) -> Result<()> {
    let (told, signal) = mpsc::channel();
    // Ctrl-C at a terminal is for it as well as for its parent; the same has to be done then.
    ctrlc::set_handler(move || {
        let _ = told.send(());
    })?;
    let parent = rustix::process::getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    if rustix::process::getppid() == parent {
        signal.recv()?;
    }
    clear(&scratch);
    Ok(())
}

/// Aborts the drives that are served below `scratch`, and removes it. The rest goes with the namespace.
pub fn clear(scratch: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounts.lines().filter(|line| line.contains(" - fuse ")) {
        if let Some(folder) = line.split(' ').nth(4).filter(|folder| Path::new(folder).starts_with(scratch)) {
            // EBUSY, as a loop device lies over it; the connection is aborted all the same.
            let _ = unmount(folder, UnmountFlags::FORCE);
        }
    }
    if unmount(scratch, UnmountFlags::DETACH).is_ok() {
        // A thread that was still at work may have made a folder in the place of the tmpfs.
        let _ = std::fs::remove_dir_all(scratch);
    }
}
