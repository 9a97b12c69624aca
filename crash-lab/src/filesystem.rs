//! The file systems that the power is cut under: how they are made and mounted.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::lab;
use crate::loopback::Loop;

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

/// All that the lab knows. They are made and mounted with the defaults, but for
/// what would only make noise (discards at mkfs, tables that are initialised in the background) or time
/// (large journals), and xfs with the sectors of 4 KB that a drive of today has.
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

impl Kind {
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
        (!lab::has(self.mkfs)).then(|| format!("needs {}", self.mkfs))
    }

    /// Makes one in a sparse file.
    pub fn make(&self, image: &Path) -> Result<()> {
        File::create(image)?.set_len(self.size)?;
        lab::run(Command::new(self.mkfs).args(self.arguments).arg(image)).map(drop)
    }
}

/// A container may show devices that it does not let one use: so they are tried.
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

/// A mounted file system. Dropped, it is unmounted.
#[derive(Debug)]
pub struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    /// Mounts `image`; recovery runs, as it would after a power cut, also if it is for reading only.
    pub fn mount(kind: &Kind, image: &Path, folder: &Path, read_only: bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let device = Loop::attach(image)?;
        let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        mount(device.path(), folder, kind.name, flags, None::<&CStr>)
            .with_context(|| format!("mounting {}", kind.name))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// An overlay of `lower` folders, the uppermost first; with `upper`, and its work folder, it can be written to.
    pub fn overlay(
        lower: &[&Path],
        upper: Option<(&Path, &Path)>,
        volatile: bool,
        folder: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lower: Vec<_> = lower.iter().map(|path| path.display().to_string()).collect();
        let mut options = format!("lowerdir={}", lower.join(":"));
        if let Some((upper, work)) = upper {
            let _ = write!(options, ",upperdir={},workdir={}", upper.display(), work.display());
        }
        options.push_str(if volatile { ",volatile" } else { "" });
        let options = CString::new(options)?;
        mount("overlay", folder, "overlay", MountFlags::empty(), Some(options.as_c_str()))
            .context("mounting an overlay")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts, and tells when that fails.
    pub fn unmount(self) -> Result<()> {
        let mut patience = 1000;
        loop {
            match unmount(&self.folder, UnmountFlags::empty()) {
                // A child that another thread has just forked has copies of our descriptors until its exec.
                Err(Errno::BUSY) if patience > 0 => patience -= 1,
                Err(error) => return Err(error).context("unmounting"),
                Ok(()) => break,
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
