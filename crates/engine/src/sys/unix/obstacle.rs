//! What keeps a file from being replaced, asked before a rename is tried: another rename may have been made by then.

use std::ffi::OsStr;

use super::dir::Dir;
use crate::sys::stat::Obstacle;

#[cfg(target_os = "linux")]
impl Dir {
    /// What would stop a rename to `name`, as far as the system says so beforehand.
    pub fn obstacle(&self, name: &OsStr) -> Option<Obstacle> {
        use rustix::fs::{AtFlags, Statx, StatxAttributes, StatxFlags, statx};
        use rustix::io::Errno;

        let fixed = |stat: &Statx, flags| stat.stx_attributes.intersects(flags);
        let asked = StatxFlags::UID | StatxFlags::MODE;
        let file = match statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW, asked) {
            Ok(file) => file,
            Err(Errno::NOSYS | Errno::PERM) => return self.obstacle_without_statx(name),
            // What it cannot say, the rename will.
            Err(_) => return None,
        };
        let dir = statx(&self.0, "", AtFlags::EMPTY_PATH, asked).ok()?;
        let tells_mounts = file.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        if fixed(&file, StatxAttributes::MOUNT_ROOT)
            || (!tells_mounts && self.is_by_another_mount(name) == Some(true))
        {
            return Some(Obstacle::MountPoint);
        }
        // An append-only directory keeps its names.
        if fixed(&file, StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
            || fixed(&dir, StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
        {
            return Some(Obstacle::Immutable);
        }
        is_sticky(dir.stx_mode.into(), dir.stx_uid, file.stx_uid).then_some(Obstacle::Sticky)
    }

    /// A sandbox refuses statx(2), or the system is older than it is. Then the rename says what is immutable.
    fn obstacle_without_statx(&self, name: &OsStr) -> Option<Obstacle> {
        use rustix::fs::{AtFlags, fstat, statat};

        if self.is_by_another_mount(name) == Some(true) {
            return Some(Obstacle::MountPoint);
        }
        let file = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let dir = fstat(&self.0).ok()?;
        is_sticky(dir.st_mode, dir.st_uid, file.st_uid).then_some(Obstacle::Sticky)
    }

    /// Whether something is mounted at `name`: it can then not be renamed. `None`: that cannot be told, and the rename fails.
    pub fn mounted(&self, name: &OsStr) -> Option<bool> {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
        use rustix::io::Errno;

        match statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
            Ok(stat) if stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
                Some(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
            }
            // Linux before 5.8, or a sandbox.
            Ok(_) | Err(Errno::NOSYS | Errno::PERM) => self.is_by_another_mount(name),
            Err(_) => None,
        }
    }

    /// As [`Dir::mounted`], by what Linux has told in `/proc` since 3.15. A bind mount has the device number of its source.
    fn is_by_another_mount(&self, name: &OsStr) -> Option<bool> {
        use rustix::fs::{Mode, OFlags, openat};

        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.0, name, flags, Mode::empty()).ok()?;
        Some(mount_of(&file)? != mount_of(&self.0)?)
    }
}

#[cfg(not(target_os = "linux"))]
impl Dir {
    /// What would stop a rename to `name`: not known here, and the rename fails.
    pub fn obstacle(&self, _name: &OsStr) -> Option<Obstacle> {
        None
    }

    /// Whether something is mounted at `name`. No file is a mount point here, and of a directory the rename tells.
    pub fn mounted(&self, _name: &OsStr) -> Option<bool> {
        Some(false)
    }
}

/// The number of the mount by which a file is seen.
#[cfg(target_os = "linux")]
fn mount_of(file: &impl std::os::fd::AsRawFd) -> Option<u32> {
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    told.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// Whether only its owner, or that of its directory, may give a file in a directory of this mode another name, and this is neither.
#[cfg(target_os = "linux")]
fn is_sticky(mode: u32, dir: u32, file: u32) -> bool {
    let user = || rustix::process::geteuid().as_raw();
    mode & libc::S_ISVTX != 0 && ![dir, file].contains(&user()) && !owns_all_files()
}

/// Being root is no capability: a container may have taken it away, and a user may have been given it.
#[cfg(target_os = "linux")]
fn owns_all_files() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};

    // In doubt the rename says it.
    capabilities(None).map_or(true, |sets| sets.effective.contains(CapabilitySet::FOWNER))
}
