//! Owner and permissions of a file, carried over from the file that is replaced.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::dir::Dir;
use super::identity::Access;
use crate::sys::call::{CallResult, failed};

const SET_ID: u32 = 0o6000;
const GROUP: u32 = 0o070;

/// Gives `file` the owner, the extended attributes (ACLs among them) and the mode of the file
/// `name`, which it is to replace. A caller's own `mode` wins.
///
/// Few processes may give a file away, and root is not always one of them (`CAP_CHOWN`). Where the owner cannot be kept,
/// no user gains rights by it: set-id bits are dropped, and a foreign group gets the rights of all others.
pub fn inherit(file: &File, dir: &Dir, name: &OsStr, old: &Access, mode: Option<u32>) -> CallResult<()> {
    let new = Access::of(&rustix::fs::fstat(file).map_err(failed("fstat"))?);
    let mut kept = old.mode;
    if new.uid != old.uid || new.gid != old.gid {
        let (uid, gid) = (Uid::from_raw(old.uid), Gid::from_raw(old.gid));
        if !allowed(rustix::fs::fchown(file, Some(uid), Some(gid))).map_err(failed("fchown"))? {
            kept &= !SET_ID;
            if new.gid != old.gid
                && !allowed(rustix::fs::fchown(file, None, Some(gid))).map_err(failed("fchown"))?
            {
                kept &= !GROUP | ((kept & 0o007) << 3);
            }
        }
    }
    copy_xattrs(file, dir, name)?;
    set_mode(file, mode.unwrap_or(kept))
}

/// Sets the permission bits, if they are not these already.
pub fn set_mode(file: &File, mode: u32) -> CallResult<()> {
    let now = Access::of(&rustix::fs::fstat(file).map_err(failed("fstat"))?);
    if now.mode == mode {
        return Ok(());
    }
    #[allow(clippy::useless_conversion, reason = "mode_t is u16 on macOS")]
    let mode = Mode::from_raw_mode(mode.try_into().unwrap_or_default());
    rustix::fs::fchmod(file, mode).map_err(failed("fchmod"))
}

/// `false`: not permitted. EINVAL: an id that this user namespace does not have.
fn allowed(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::PERM | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn copy_xattrs(file: &File, dir: &Dir, name: &OsStr) -> CallResult<()> {
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
    drop_default_acl(file, &names)?;
    for attribute in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Rights and digests that were granted to the old content.
        if [&b"security.capability"[..], b"security.ima", b"security.evm"].contains(&attribute) {
            continue;
        }
        let value = match grow(|buffer| rustix::fs::lgetxattr(&old, attribute, buffer)) {
            // Not ours to read, or gone since it was listed.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENODATA)) =>
            {
                continue;
            }
            value => value.map_err(failed("getxattr"))?,
        };
        let set = rustix::fs::fsetxattr(file, attribute, &value, XattrFlags::empty());
        let labels = attribute.starts_with(b"security.");
        if !(labels && matches!(set, Err(Errno::PERM | Errno::NOTSUP))) {
            allowed(set).map_err(failed("setxattr"))?;
        }
    }
    Ok(())
}

/// A new file has its directory's default ACL, and a new directory hands it down. Where the old one has none,
/// the new one may have none: together with the mode it would admit users whom the old one kept out.
#[cfg(target_os = "linux")]
fn drop_default_acl(file: &File, names: &[u8]) -> CallResult<()> {
    for acl in ["system.posix_acl_access", "system.posix_acl_default"] {
        if names.split(|byte| *byte == 0).any(|name| name == acl.as_bytes()) {
            continue;
        }
        match rustix::fs::fremovexattr(file, acl) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(failed("removexattr")(error)),
        }
    }
    Ok(())
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
fn copy_xattrs(file: &File, dir: &Dir, name: &OsStr) -> CallResult<()> {
    let old = match dir.open_file(name) {
        // Not ours to read; its attributes neither.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => return Ok(()),
        old => old.map_err(failed("open"))?,
    };
    let names = match grow(|buffer| rustix::fs::flistxattr(&old, buffer)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => return Ok(()),
        names => names.map_err(failed("listxattr"))?,
    };
    for attribute in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let value =
            grow(|buffer| rustix::fs::fgetxattr(&old, attribute, buffer)).map_err(failed("getxattr"))?;
        allowed(rustix::fs::fsetxattr(file, attribute, &value, XattrFlags::empty()))
            .map_err(failed("setxattr"))?;
    }
    Ok(())
}
