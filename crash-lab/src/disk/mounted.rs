//! Mounted file systems.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use super::filesystem::Kind;
use super::loopback::Loop;

/// How often unmounting is tried, and the pause after each try.
const TRIES: u32 = 30_000;
const PAUSE: Duration = Duration::from_millis(2);

/// A mounted file system. Dropped, it is unmounted.
#[derive(Debug)]
pub struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    /// Makes a file system, in an image beside `folder`, and mounts it there.
    pub fn new(kind: &Kind, folder: &Path) -> Result<Self> {
        let image = folder.with_extension("img");
        kind.make(&image)?;
        Self::mount(kind.name, &image, folder, false)
    }

    /// Mounts `image`. The recovery runs, as it would after a power cut, even if `read_only`.
    ///
    /// `kind` is its name for mount(2).
    pub fn mount(kind: &str, image: &Path, folder: &Path, read_only: bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let device = Loop::attach(image)?;
        let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        mount(device.path(), folder, kind, flags, None::<&CStr>)
            .with_context(|| format!("mounting {kind}"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Mounts an overlay of `lower` folders, the uppermost first. It can be written to if there is an `upper` folder (with
    /// its work folder).
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

    /// Mounts a file on itself: it can be overwritten, and not be replaced.
    pub fn on_itself(file: &Path) -> Result<Self> {
        mount_bind(file, file).context("mounting a file on itself")?;
        Ok(Self { folder: file.to_owned() })
    }

    /// Mounts a file system without a disk: a tmpfs or a ramfs.
    pub fn in_memory(name: &str, options: Option<&CStr>, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        mount(name, folder, name, MountFlags::empty(), options)
            .with_context(|| format!("mounting a {name}"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts it.
    ///
    /// A child that another thread has just forked has copies of this process's descriptors until its exec, so a busy mount
    /// is tried again.
    pub fn unmount(self) -> Result<()> {
        for _ in 0..TRIES {
            match unmount(&self.folder, UnmountFlags::empty()) {
                Ok(()) => {
                    std::mem::forget(self);
                    return Ok(());
                }
                Err(Errno::BUSY) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error).context("unmounting"),
            }
        }
        bail!("{} stays busy", self.folder.display())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
