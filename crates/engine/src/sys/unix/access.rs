//! Owner and permissions of a file, carried over from the file that is replaced.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use rustix::fs::{FileType, Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::dir::Dir;
use super::identity::Access;
use crate::sys::call::{CallResult, failed};

const SET_ID: u32 = 0o6000;
const GROUP: u32 = 0o070;
const OTHERS: u32 = 0o077;

/// Whether a file may keep the first of two modes where the system refuses to give it the second.
pub type Bears<'call> = &'call dyn Fn(u32, u32) -> bool;

/// Gives `file` the owner, the extended attributes (ACLs among them) and the mode of the file
/// `name`, which it is to replace. A caller's own `mode` wins.
///
/// Few processes may give a file away, and root is not always one of them (`CAP_CHOWN`). Where the owner cannot be kept,
/// no user gains rights by it: set-id bits are dropped, and a foreign group gets the rights of all others. Where an ACL
/// cannot be kept, which may deny as well as grant, only the owner has rights.
pub fn inherit(
    file: &File,
    dir: &Dir,
    name: &OsStr,
    old: &Access,
    mode: Option<u32>,
    bears: Bears<'_>,
) -> CallResult<()> {
    let stat = rustix::fs::fstat(file).map_err(failed("fstat"))?;
    let new = Access::of(&stat);
    let mut kept = old.mode;
    // A change of the owner or of an ACL is one of the mode as well.
    let mut is_changed = false;
    if new.uid != old.uid || new.gid != old.gid {
        let (uid, gid) = (Uid::from_raw(old.uid), Gid::from_raw(old.gid));
        is_changed = true;
        if !allowed(rustix::fs::fchown(file, Some(uid), Some(gid))).map_err(failed("fchown"))? {
            kept &= !SET_ID;
            if new.gid != old.gid
                && !allowed(rustix::fs::fchown(file, None, Some(gid))).map_err(failed("fchown"))?
            {
                kept &= !GROUP | ((kept & 0o007) << 3);
            }
        }
    }
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let copied = copy_xattrs(file, is_directory, dir, name)?;
    if !copied.has_acl {
        kept &= !OTHERS;
    }
    let mode = mode.unwrap_or(kept);
    if is_changed || copied.is_changed {
        return set_mode(file, mode, bears);
    }
    change_mode(file, new.mode, mode, bears)
}

/// Sets the permission bits, if they are not these already.
pub fn set_mode(file: &File, mode: u32, bears: Bears<'_>) -> CallResult<()> {
    let now = Access::of(&rustix::fs::fstat(file).map_err(failed("fstat"))?);
    change_mode(file, now.mode, mode, bears)
}

/// As [`set_mode`], of a file whose permission bits are `now`.
fn change_mode(file: &File, now: u32, mode: u32, bears: Bears<'_>) -> CallResult<()> {
    if now == mode {
        return Ok(());
    }
    #[allow(clippy::useless_conversion, reason = "mode_t is u16 on macOS")]
    let bits = Mode::from_raw_mode(mode.try_into().unwrap_or_default());
    match rustix::fs::fchmod(file, bits) {
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS) if bears(now, mode) => Ok(()),
        set => set.map_err(failed("fchmod")),
    }
}

/// Owner and permissions of an open file.
pub fn access_of(file: &File) -> io::Result<Access> {
    Ok(Access::of(&rustix::fs::fstat(file)?))
}

/// Whether nobody but its owner may open the file.
pub fn is_private(file: &File) -> io::Result<bool> {
    Ok(Access::of(&rustix::fs::fstat(file)?).mode & OTHERS == 0)
}

/// Whether a file can have extended attributes, found out on this one; `None`: this user may not try.
pub fn keeps_attributes(file: &File) -> io::Result<Option<bool>> {
    match rustix::fs::fsetxattr(file, "user.atomic", b"1", XattrFlags::empty()) {
        Ok(()) => Ok(Some(true)),
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(Some(false)),
        Err(Errno::PERM | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file can have POSIX ACLs, found out on this one: FUSE says of a file that it has none also where it can have none.
/// `None`: this user may not try.
#[cfg(target_os = "linux")]
pub fn keeps_acls(file: &File) -> io::Result<Option<bool>> {
    let owner = rustix::fs::fstat(file)?.st_uid;
    // acl(5): a tag, rights, whose they are. More than a mode says, or that would be all that is kept.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, owner), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&rights.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    match rustix::fs::fsetxattr(file, ACCESS_ACL, &acl, XattrFlags::empty()) {
        Ok(()) => Ok(Some(true)),
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(Some(false)),
        Err(Errno::PERM | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file can have POSIX ACLs: those of this platform are others.
#[cfg(not(target_os = "linux"))]
pub fn keeps_acls(_file: &File) -> io::Result<Option<bool>> {
    Ok(Some(false))
}

/// `false`: not permitted, or not known here. EINVAL: an id that this user namespace does not have.
fn allowed(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
const ACCESS_ACL: &str = "system.posix_acl_access";

/// What became of extended attributes.
struct Copied {
    /// `false`: there is an access ACL, and it could not be carried over.
    has_acl: bool,
    /// The new file may have been changed.
    is_changed: bool,
}

#[cfg(target_os = "linux")]
fn copy_xattrs(file: &File, is_directory: bool, dir: &Dir, name: &OsStr) -> CallResult<Copied> {
    use std::os::fd::{AsFd, AsRawFd};
    use std::path::Path;

    // By path, for a file that may not be read can have attributes too.
    let old = Path::new("/proc/self/fd").join(dir.as_fd().as_raw_fd().to_string()).join(name);
    let mut small = [0; 512];
    let names = match rustix::fs::llistxattr(&old, &mut small) {
        Ok(length) => small[..length].to_vec(),
        // ENOENT: no /proc here. A file system without attributes says NOTSUP.
        Err(Errno::NOTSUP | Errno::NOENT) => Vec::new(),
        Err(Errno::RANGE) => {
            grow(|buffer| rustix::fs::llistxattr(&old, buffer)).map_err(failed("listxattr"))?
        }
        Err(error) => return Err(failed("listxattr")(error)),
    };
    let mut is_changed = drop_default_acl(file, is_directory, &names)?;
    let mut has_acl = true;
    for attribute in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Rights and digests that were granted to the old content.
        if [&b"security.capability"[..], b"security.ima", b"security.evm"].contains(&attribute) {
            continue;
        }
        let value = match grow(|buffer| rustix::fs::lgetxattr(&old, attribute, buffer)) {
            Ok(value) => Some(value),
            // Not ours to read, gone since it was listed, or only listed.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EPERM | libc::EACCES | libc::ENODATA | libc::ENOTSUP)
                ) =>
            {
                None
            }
            Err(error) => return Err(failed("getxattr")(error)),
        };
        is_changed = true;
        // What a file system names it may still not let anybody set: NFSv4 ACLs, labels.
        let is_kept = match value {
            Some(value) => allowed(rustix::fs::fsetxattr(file, attribute, &value, XattrFlags::empty()))
                .map_err(failed("setxattr"))?,
            None => false,
        };
        has_acl &= is_kept || attribute != ACCESS_ACL.as_bytes();
    }
    Ok(Copied { has_acl, is_changed })
}

/// Says whether there was one. A new file has its directory's default ACL, and a new directory hands it down. Where the old one has none,
/// the new one may have none: together with the mode it would admit users whom the old one kept out.
///
/// It is asked for first: to ext4 a removal is a change of the disk, also where there is nothing to remove. Only directories hand an ACL down.
#[cfg(target_os = "linux")]
fn drop_default_acl(file: &File, is_directory: bool, names: &[u8]) -> CallResult<bool> {
    let mut had_one = false;
    let acls = [Some(ACCESS_ACL), is_directory.then_some("system.posix_acl_default")];
    for acl in acls.into_iter().flatten() {
        if names.split(|byte| *byte == 0).any(|name| name == acl.as_bytes()) {
            continue;
        }
        if let Err(Errno::NODATA | Errno::NOTSUP) = rustix::fs::fgetxattr(file, acl, &mut [0; 0][..]) {
            continue;
        }
        had_one = true;
        match rustix::fs::fremovexattr(file, acl) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(failed("removexattr")(error)),
        }
    }
    Ok(had_one)
}

/// Attributes can grow between two calls.
fn grow(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            // 64 KiB is Linux's own limit; resource forks on macOS are larger.
            Err(Errno::RANGE) if buffer.len() < 1 << 28 => buffer.resize(buffer.len() * 8, 0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// macOS keeps its ACLs elsewhere and most of its attributes describe the content that is replaced.
#[cfg(not(target_os = "linux"))]
fn copy_xattrs(file: &File, _is_directory: bool, dir: &Dir, name: &OsStr) -> CallResult<Copied> {
    let unchanged = Copied { has_acl: true, is_changed: false };
    let old = match dir.open_file(name) {
        // Not ours to read; its attributes neither.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => return Ok(unchanged),
        old => old.map_err(failed("open"))?,
    };
    let names = match grow(|buffer| rustix::fs::flistxattr(&old, buffer)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => return Ok(unchanged),
        names => names.map_err(failed("listxattr"))?,
    };
    for attribute in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let value =
            grow(|buffer| rustix::fs::fgetxattr(&old, attribute, buffer)).map_err(failed("getxattr"))?;
        allowed(rustix::fs::fsetxattr(file, attribute, &value, XattrFlags::empty()))
            .map_err(failed("setxattr"))?;
    }
    Ok(Copied { has_acl: true, is_changed: true })
}
