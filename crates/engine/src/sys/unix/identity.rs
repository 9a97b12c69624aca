//! Which file it is, and whose.

/// Which file: device and inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    /// Whether a rename may lead from one directory to the other. (Parts of one file system may have device numbers of
    /// their own, and keep their files to themselves.)
    pub fn is_on_device_of(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

#[cfg(test)]
impl FileId {
    pub(crate) fn for_tests(name: &str) -> Self {
        Self { device: u64::MAX, inode: name.bytes().fold(7, |sum, b| sum * 31 + u64::from(b)) }
    }
}

/// Owner and permissions of a file.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Permission bits, with set-id and sticky.
    pub mode: u32,
}

impl Access {
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "mode_t is u16 on macOS")]
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: u32::from(stat.st_mode) & 0o7777 }
    }

    /// Whether it belongs to the user of this process, or to that of `other`.
    pub fn is_ours_or_as(&self, other: &Self) -> bool {
        self.is_ours() || self.uid == other.uid
    }

    /// Whether it belongs to the user of this process.
    pub(super) fn is_ours(&self) -> bool {
        self.uid == rustix::process::geteuid().as_raw()
    }
}
