//! What keeps a file from being replaced, asked before a rename is tried: another rename may have been made by then.

use std::ffi::OsStr;

use super::dir::Dir;
use crate::sys::stat::Obstacle;

impl Dir {
    /// What would stop a rename to `name`, as far as the system says so beforehand.
    #[cfg(target_os = "linux")]
    pub fn obstacle(&self, name: &OsStr) -> Option<Obstacle> {
        use rustix::fs::{AtFlags, Statx, StatxAttributes, StatxFlags, statx};

        let fixed = |stat: &Statx, flags| stat.stx_attributes.intersects(flags);
        let asked = StatxFlags::UID | StatxFlags::MODE;
        // What it cannot say, the rename will.
        let file = statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW, asked).ok()?;
        let dir = statx(&self.0, "", AtFlags::EMPTY_PATH, asked).ok()?;
        // Linux before 5.8 does not know this one.
        if fixed(&file, StatxAttributes::MOUNT_ROOT) {
            return Some(Obstacle::MountPoint);
        }
        // An append-only directory keeps its names.
        if fixed(&file, StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
            || fixed(&dir, StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
        {
            return Some(Obstacle::Immutable);
        }
        let is_sticky = u32::from(dir.stx_mode) & libc::S_ISVTX != 0;
        let is_foreign = || {
            let user = rustix::process::geteuid().as_raw();
            user != file.stx_uid && user != dir.stx_uid
        };
        (is_sticky && is_foreign() && !owns_all_files()).then_some(Obstacle::Sticky)
    }

    /// What would stop a rename to `name`: not known here, and the rename fails.
    #[cfg(not(target_os = "linux"))]
    pub fn obstacle(&self, _name: &OsStr) -> Option<Obstacle> {
        None
    }

    /// Whether [`Self::obstacle`] cannot know of a mount at `name`: the system is older than Linux 5.8, or a sandbox refuses statx(2).
    #[cfg(target_os = "linux")]
    pub fn hides_mount_points(&self, name: &OsStr) -> bool {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

        statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
            .map_or(true, |stat| !stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT))
    }

    /// Elsewhere no file is a mount point.
    #[cfg(not(target_os = "linux"))]
    pub fn hides_mount_points(&self, _name: &OsStr) -> bool {
        false
    }
}

/// Being root is no capability: a container may have taken it away, and a user may have been given it.
#[cfg(target_os = "linux")]
fn owns_all_files() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};

    // In doubt the rename says it.
    capabilities(None).map_or(true, |sets| sets.effective.contains(CapabilitySet::FOWNER))
}
