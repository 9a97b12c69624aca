//! What kind of file system a directory is on: what a flush is worth there, and whether other machines change it too.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use super::dir::Dir;
use crate::sys::stat::FileSystem;

impl Dir {
    /// What is known of the file system. What cannot be told is not promised.
    pub fn file_system(&self) -> FileSystem {
        file_system(self.as_fd())
    }

    /// What the file system is called and what it is on; `None` where that is not known.
    pub fn mount(&self) -> Option<(String, String)> {
        mount(self.as_fd())
    }
}

/// Tells the file system that a file is on from others, as a rule also after a restart.
pub fn file_system_number(file: &File) -> u64 {
    let told = || rustix::fs::fstatvfs(file).map(|stat| stat.f_fsid).unwrap_or_default();
    number_by_uuid(file.as_fd()).unwrap_or_else(told)
}

/// Whether anything in this file, which may be mounted by itself, can outlive a power cut.
pub fn is_durable(file: &File) -> bool {
    file_system(file.as_fd()).is_durable
}

#[cfg(target_os = "linux")]
use linux::{file_system, mount, number_by_uuid};

/// Elsewhere the number is the one that the system says.
#[cfg(not(target_os = "linux"))]
fn number_by_uuid(_fd: BorrowedFd<'_>) -> Option<u64> {
    None
}

#[cfg(target_os = "macos")]
fn text(chars: &[libc::c_char]) -> String {
    let bytes: Vec<_> = chars.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(target_os = "macos")]
fn mount(fd: BorrowedFd<'_>) -> Option<(String, String)> {
    let stat = rustix::fs::fstatfs(fd).ok()?;
    Some((text(&stat.f_fstypename), text(&stat.f_mntfromname)))
}

/// Nothing is known.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn mount(_fd: BorrowedFd<'_>) -> Option<(String, String)> {
    None
}

#[cfg(target_os = "macos")]
fn file_system(fd: BorrowedFd<'_>) -> FileSystem {
    let Ok(stat) = rustix::fs::fstatfs(fd) else { return FileSystem::default() };
    let name = text(&stat.f_fstypename);
    let is_local = stat.f_flags & libc::MNT_LOCAL as u32 != 0;
    let is_durable = is_local || name == "nfs";
    FileSystem { is_durable, network: (!is_local).then_some(name), ..FileSystem::default() }
}

/// Nothing is known.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn file_system(_fd: BorrowedFd<'_>) -> FileSystem {
    FileSystem { is_durable: true, ..FileSystem::default() }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::AsRawFd;
    use std::sync::OnceLock;

    use super::{BorrowedFd, FileSystem};

    const PROC: u32 = 0x9fa0;
    const OVERLAY: u32 = 0x794c_7630;
    const FUSE: u32 = 0x6573_5546;
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    const EXT: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;

    /// The first Linux whose file systems, those four, give a time of its own to a change after a stat(2). Before it all
    /// changes within a tick of the clock have the same.
    const MULTIGRAIN: (u32, u32) = (6, 13);

    fn tells_changes(magic: u32) -> bool {
        static IS_NEW: OnceLock<bool> = OnceLock::new();
        let is_new = || {
            let uname = rustix::system::uname();
            let mut parts = uname.release().to_str().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
            let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
            (next(), next()) >= MULTIGRAIN
        };
        matches!(magic, EXT | XFS | BTRFS | TMPFS) && *IS_NEW.get_or_init(is_new)
    }

    /// Those of one machine among several, and whether an fsync(2) there is one of the server's disk, names included.
    /// (GFS2 and OCFS2 are not among them: all of their machines see one state.)
    const NETWORK: [(u32, &str, bool); 10] = [
        (0x6969, "NFS", true),
        (0xff53_4d42, "SMB", false),
        (0xfe53_4d42, "SMB", false),
        (0x517b, "SMB", false),
        (0x0102_1997, "9p, as of the host of a virtual machine", true),
        (0x00c3_6400, "Ceph", true),
        (0x0bd0_0bd0, "Lustre", true),
        (0x5346_414f, "AFS", false),
        (0x6b41_4653, "AFS", false),
        (0x7375_7245, "Coda", false),
    ];

    /// FUSE daemons of network file systems, as mountinfo calls their mounts.
    const DAEMONS: [&str; 29] = [
        "blobfuse",
        "blobfuse2",
        "ceph-fuse",
        "curlftpfs",
        "davfs",
        "fuse_dfs",
        "gcsfuse",
        "geesefs",
        "glusterfs",
        "goofys",
        "gvfsd-fuse",
        "juicefs",
        "kio-fuse",
        "lizardfs",
        "mfs",
        "moosefs",
        "mount-s3",
        "mountpoint-s3",
        "nfs",
        "objectivefs",
        "quobyte",
        "rclone",
        "s3fs",
        "s3ql",
        "saunafs",
        "seaweedfs",
        "smbnetfs",
        "sshfs",
        "webdavfs",
    ];

    /// Folders of a host, and file systems of several machines, on which locks need not be those of all. (The numbers are those that
    /// coreutils has for stat(1), and the kernel's for OrangeFS.)
    const SHARED: [u32; 7] = [
        // Folders of VirtualBox, VMware and Parallels.
        0x786f_4256,
        0xbacb_acbc,
        0x7c7c_6673,
        // BeeGFS, GPFS, PanFS, OrangeFS.
        0x1983_0326,
        0x4750_4653,
        0xaad7_aaea,
        0x2003_0528,
    ];

    /// The same of FUSE, as mountinfo calls them: folders of the host in a virtual machine, or in a container of Docker Desktop.
    const SHARED_FUSE: [&str; 4] = ["virtiofs", "fuse.grpcfuse", "fuse.osxfs", "fuse.vmhgfs-fuse"];

    #[allow(clippy::cast_possible_truncation, reason = "magic numbers have 32 bits, whatever the field has")]
    fn magic(stat: &rustix::fs::StatFs) -> u32 {
        stat.f_type as u32
    }

    /// `XFS_IOC_FSGEOMETRY_V1`, of which all that is wanted is where the UUID is.
    const XFS_GEOMETRY: u32 = 0x8070_5864;
    const XFS_GEOMETRY_LENGTH: usize = 112;
    const XFS_UUID: usize = 64;

    /// What xfs says for its number is its device's, which may be another after a restart; its UUID stays.
    pub fn number_by_uuid(fd: BorrowedFd<'_>) -> Option<u64> {
        let stat = rustix::fs::fstatfs(fd).ok()?;
        if magic(&stat) != XFS {
            return None;
        }
        let mut geometry = Geometry([0; XFS_GEOMETRY_LENGTH]);
        // SAFETY: the request's number says that it writes 112 bytes, which are those of `Geometry`.
        let status = unsafe { libc::ioctl(fd.as_raw_fd(), XFS_GEOMETRY as _, &raw mut geometry) };
        let uuid = geometry.0[XFS_UUID..].first_chunk::<16>().map(|uuid| u128::from_le_bytes(*uuid))?;
        (status == 0).then_some((uuid >> 64) as u64 ^ uuid as u64)
    }

    /// As the kernel's structure is aligned.
    #[repr(C, align(8))]
    struct Geometry([u8; XFS_GEOMETRY_LENGTH]);

    pub fn file_system(fd: BorrowedFd<'_>) -> FileSystem {
        let unknown = FileSystem { copies_up: true, ..FileSystem::default() };
        let Ok(stat) = rustix::fs::fstatfs(fd) else { return unknown };
        let tells_changes = tells_changes(magic(&stat));
        let local = |is_durable| FileSystem { is_durable, tells_changes, ..FileSystem::default() };
        match magic(&stat) {
            TMPFS | RAMFS => local(false),
            PROC => FileSystem { has_magic_links: true, ..local(true) },
            OVERLAY => FileSystem {
                copies_up: true,
                ..local(Mount::of(fd).is_some_and(|mount| !mount.is_volatile()))
            },
            FUSE => {
                let mount = Mount::of(fd);
                let network = mount.as_ref().and_then(Mount::fuse_network);
                // The kernel takes a missing fsync for a successful one, and object stores are written to later.
                FileSystem {
                    network: network.clone(),
                    is_shared: mount.as_ref().is_some_and(Mount::is_shared_fuse),
                    ..local(mount.is_some() && network.is_none())
                }
            }
            number => match NETWORK.iter().find(|(known, ..)| *known == number) {
                Some((_, name, is_durable)) => {
                    FileSystem { network: Some((*name).to_owned()), ..local(*is_durable) }
                }
                None => FileSystem { is_shared: SHARED.contains(&number), ..local(true) },
            },
        }
    }

    /// What the file system is called and what it is on.
    pub fn mount(fd: BorrowedFd<'_>) -> Option<(String, String)> {
        let mount = Mount::at(fd).or_else(|| Mount::of(fd))?;
        Some((mount.kind, mount.source))
    }

    /// A line of /proc/self/mountinfo.
    struct Mount {
        kind: String,
        source: String,
        options: String,
    }

    impl Mount {
        /// By the device number, which is the mounted file system's own for the directories of all that are asked for here.
        fn of(fd: BorrowedFd<'_>) -> Option<Self> {
            let stat = rustix::fs::fstat(fd).ok()?;
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
            let device = format!("{}:{}", rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            Self::parse(mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?)
        }

        /// By the number of the mount, which Linux has told since 5.8: a subvolume of btrfs has a device number of its own.
        fn at(fd: BorrowedFd<'_>) -> Option<Self> {
            use rustix::fs::{AtFlags, StatxFlags, statx};

            const MNT_ID: u32 = 0x1000;
            let wanted = StatxFlags::from_bits_retain(MNT_ID);
            let stat = statx(fd, "", AtFlags::EMPTY_PATH, wanted).ok()?;
            if stat.stx_mask & MNT_ID == 0 {
                return None;
            }
            let (number, mounts) =
                (stat.stx_mnt_id.to_string(), std::fs::read_to_string("/proc/self/mountinfo").ok()?);
            Self::parse(mounts.lines().find(|line| line.split(' ').next() == Some(&number))?)
        }

        fn parse(line: &str) -> Option<Self> {
            let mut fields = line.split(" - ").nth(1)?.split(' ').map(str::to_owned);
            Some(Self { kind: fields.next()?, source: fields.next()?, options: fields.next()? })
        }

        /// Whether an overlay keeps nothing over a power cut: fsync does nothing then and says that all is well.
        fn is_volatile(&self) -> bool {
            self.options.split(',').any(|option| match option.strip_prefix("upperdir=") {
                // Seen from here only if it was mounted here.
                Some(upper) => {
                    rustix::fs::statfs(upper).is_ok_and(|stat| matches!(magic(&stat), TMPFS | RAMFS))
                }
                None => matches!(option, "volatile" | "fsync=volatile"),
            })
        }

        fn is_shared_fuse(&self) -> bool {
            SHARED_FUSE.contains(&self.kind.as_str())
        }

        /// What it is called, if it is FUSE for a network: by the daemon's name, or a URL as its source.
        fn fuse_network(&self) -> Option<String> {
            let daemon = self.kind.strip_prefix("fuse.").unwrap_or_default();
            let source = self.source.split(['#', ':']).next().unwrap_or_default();
            let is_daemon = |name: &str| DAEMONS.contains(&name.to_ascii_lowercase().as_str());
            if is_daemon(daemon) {
                Some(self.kind.clone())
            } else if is_daemon(source) || self.source.contains("://") {
                Some(format!("{} of {source}", self.kind))
            } else {
                None
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_network_is_known_by_its_daemon_or_its_url() {
            let network = |kind: &str, source: &str| {
                Mount { kind: kind.into(), source: source.into(), options: String::new() }.fuse_network()
            };
            assert_eq!(network("fuse.sshfs", "me@host:/srv").as_deref(), Some("fuse.sshfs"));
            assert_eq!(network("fuse", "mountpoint-s3").as_deref(), Some("fuse of mountpoint-s3"));
            assert_eq!(network("fuse", "https://dav.example/").as_deref(), Some("fuse of https"));
            for (kind, source) in
                [("fuseblk", "/dev/sda1"), ("fuse.gocryptfs", "/srv/secret"), ("fuse", "nfs-tools")]
            {
                assert_eq!(network(kind, source), None, "{kind} {source}");
            }
        }

        #[test]
        fn a_folder_of_the_host_is_shared_and_no_network() {
            for (kind, source, shared) in [
                ("virtiofs", "share", true),
                ("fuse.grpcfuse", "grpcfuse", true),
                ("fuse.vmhgfs-fuse", "vmhgfs-fuse", true),
                ("fuse.gocryptfs", "/srv/secret", false),
                ("fuseblk", "/dev/sda1", false),
            ] {
                let mount = Mount { kind: kind.into(), source: source.into(), options: String::new() };
                assert_eq!((mount.is_shared_fuse(), mount.fuse_network()), (shared, None), "{kind}");
            }
        }
    }
}
