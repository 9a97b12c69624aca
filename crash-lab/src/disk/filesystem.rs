//! The file systems that the lab makes on its disks.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Result;
use rustix::fs::MemfdFlags;

use super::loopback::Loop;
use crate::lab::command::{has, run};

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// As mount(2) knows it.
    pub name: &'static str,
    mkfs: &'static str,
    arguments: &'static [&'static str],
    /// Bytes of the image; small ones recover faster.
    pub size: u64,
    /// How many crash states of each file size a full run looks at: the slower to mount, the fewer.
    pub states: usize,
}

/// All that the lab knows. They are made and mounted with the defaults, but for what would only make noise (discards at
/// mkfs, tables that are initialised in the background) or take time (large journals), and xfs with the sectors of 4 KB
/// of a present-day drive.
pub const KINDS: [Kind; 3] = [
    Kind {
        name: "ext4",
        mkfs: "mkfs.ext4",
        arguments: &["-q", "-F", "-b4096", "-Jsize=4", "-Enodiscard,lazy_itable_init=0,lazy_journal_init=0"],
        size: 64 << 20,
        states: 8_000,
    },
    Kind {
        name: "xfs",
        mkfs: "mkfs.xfs",
        arguments: &["-q", "-f", "-K", "-ssize=4096", "-dagcount=2"],
        size: 300 << 20,
        states: 4_000,
    },
    Kind {
        name: "btrfs",
        mkfs: "mkfs.btrfs",
        arguments: &["-q", "-f", "-K"],
        size: 256 << 20,
        states: 6_000,
    },
];

/// How often a file system is tried to be made.
const TRIES: usize = 10;

impl Kind {
    /// The first kind, which the sections use that need one of any kind.
    pub const FIRST: &'static Self = &KINDS[0];

    /// Those that this machine can make and mount, and for each of the others the reason why not.
    pub fn all() -> (Vec<&'static Self>, Vec<(&'static Self, String)>) {
        let (mut here, mut missing) = (Vec::new(), Vec::new());
        for kind in &KINDS {
            match kind.missing() {
                None => here.push(kind),
                Some(why) => missing.push((kind, why)),
            }
        }
        (here, missing)
    }

    /// Why this machine cannot make or mount it.
    pub fn missing(&self) -> Option<String> {
        static DEVICES: OnceLock<Option<String>> = OnceLock::new();
        if let Some(why) = DEVICES.get_or_init(missing_device) {
            return Some(why.clone());
        }
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.lines().any(|line| line.split_whitespace().last() == Some(self.name)) {
            return Some(format!("needs a kernel with {}", self.name));
        }
        (!has(self.mkfs)).then(|| format!("needs {}", self.mkfs))
    }

    /// Makes one in a sparse file.
    pub fn make(&self, image: &Path) -> Result<()> {
        File::create(image)?.set_len(self.size)?;
        let attempt = || run(Command::new(self.mkfs).args(self.arguments).arg(image)).map(drop);
        // mkfs.btrfs asks the loop device of each mount what is behind it, and fails where a mount goes meanwhile.
        (1..TRIES).find_map(|_| attempt().ok()).map_or_else(attempt, Ok)
    }
}

/// A container may show devices that cannot be used, so they are tried.
fn missing_device() -> Option<String> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        return Some(format!("needs /dev/fuse: {error}"));
    }
    let probe = || {
        let image = rustix::fs::memfd_create("crash-lab", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&image, 1 << 20)?;
        Loop::attach(Path::new(&format!("/proc/self/fd/{}", image.as_raw_fd())))
    };
    probe().err().map(|error| format!("needs a loop device: {error:#}"))
}
