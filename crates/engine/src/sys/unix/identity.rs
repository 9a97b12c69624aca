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

    /// Tells the file from the others of its file system, also after a restart. 0: it does not.
    pub fn number(&self) -> u64 {
        self.inode
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

    /// Whether what is in this directory says the same as its surroundings, which are `around`: no user has made it who
    /// may not change those as well.
    pub fn is_as_trusted_as(&self, around: &Self) -> bool {
        const WRITE_ALL: u32 = 0o002;
        self.is_ours_or_as(around) || self.uid == 0 || around.mode & WRITE_ALL == 0
    }

    /// Whether all users who may change what these are the rights of may change this directory as well, as far as that
    /// can be told: groups are not looked into.
    pub fn may_be_changed_by_all_of(&self, writers: &Self) -> bool {
        const GROUP: u32 = 0o020;
        const OTHERS: u32 = 0o002;
        let by = |bit| self.mode & bit != 0;
        // The kernel asks all but root.
        !rustix::process::geteuid().is_root()
            || by(OTHERS)
            || writers.mode & OTHERS == 0
                && (writers.uid == 0 || writers.uid == self.uid)
                && (writers.mode & GROUP == 0 || by(GROUP) && writers.gid == self.gid)
    }

    /// Whether it belongs to the user of this process.
    pub(super) fn is_ours(&self) -> bool {
        self.uid == rustix::process::geteuid().as_raw()
    }
}
