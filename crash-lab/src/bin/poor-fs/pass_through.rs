//! What requests do to the folder below.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, INodeNo, OpenFlags, RenameFlags, ReplyDirectory, Request, TimeOrNow,
};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};

use crate::Poverty;
use crate::nodes::{Nodes, attributes, kind, path_of};
use crate::refusals::Call;

const SET_GROUP: u32 = 0o2000;

/// The folder below.
#[derive(Debug)]
pub struct PassThrough {
    pub nodes: Nodes,
    pub poverty: Poverty,
}

/// What the kernel is told.
pub type Answer<T> = Result<T, Errno>;

/// For `map_err`: the system's error is the answer.
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_i32(error.raw_os_error())
}

impl PassThrough {
    /// Over `folder`.
    pub fn new(folder: &Path, poverty: Poverty) -> std::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { nodes: Nodes::new(rustix::fs::open(folder, flags, Mode::empty())?), poverty })
    }

    /// What a file is like.
    pub fn stat(&self, node: INodeNo) -> Answer<FileAttr> {
        let stat = rustix::fs::fstat(&*self.nodes.get(node)?).map_err(errno)?;
        Ok(attributes(&stat, node.0, self.poverty.mode))
    }

    /// The name as the folder below has it.
    fn name(&self, parent: &OwnedFd, name: &OsStr) -> Answer<OsString> {
        let is_there = || rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if self.poverty.fold_case && !is_there() {
            let fold = |name: &OsStr| name.to_string_lossy().to_lowercase();
            for entry in std::fs::read_dir(path_of(parent))? {
                let there = entry?.file_name();
                if fold(&there) == fold(name) {
                    return Ok(there);
                }
            }
        }
        Ok(name.to_owned())
    }

    /// Tells the kernel of the file `name`.
    pub fn enter(&self, parent: INodeNo, name: &OsStr) -> Answer<FileAttr> {
        let parent = self.nodes.get(parent)?;
        let name = self.name(&parent, name)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*parent, &name, flags, Mode::empty()).map_err(errno)?;
        let stat = rustix::fs::fstat(&fd).map_err(errno)?;
        self.nodes.add(stat.st_ino, fd);
        Ok(attributes(&stat, stat.st_ino, self.poverty.mode))
    }

    /// Makes an entry, which then is the caller's.
    pub fn make(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        make: impl FnOnce(&OwnedFd, &OsStr) -> rustix::io::Result<()>,
    ) -> Answer<FileAttr> {
        let dir = self.nodes.get(parent)?;
        let real = self.name(&dir, name)?;
        make(&dir, &real).map_err(errno)?;
        let inherits = rustix::fs::fstat(&*dir).map_err(errno)?.st_mode & SET_GROUP != 0;
        let group = (!inherits).then(|| Gid::from_raw(request.gid()));
        let user = Some(Uid::from_raw(request.uid()));
        rustix::fs::chownat(&*dir, &real, user, group, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        self.enter(parent, &real)
    }

    /// Removes an entry.
    pub fn remove(&self, parent: INodeNo, name: &OsStr, flags: AtFlags) -> Answer<()> {
        let parent = self.nodes.get(parent)?;
        let name = self.name(&parent, name)?;
        rustix::fs::unlinkat(&*parent, &name, flags).map_err(errno)
    }

    /// Makes a file, if there is none, behind the kernel's back.
    pub fn appear(&self, name: &OsStr) {
        if let Ok(root) = self.nodes.get(INodeNo::ROOT) {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(rustix::fs::openat(&*root, name, flags, Mode::from_raw_mode(0o604)));
        }
    }

    /// Renames an entry.
    pub fn move_entry(
        &self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Answer<()> {
        self.poverty.refused.check(Call::Rename)?;
        if !flags.is_empty() {
            self.poverty.refused.check(Call::RenameFlags)?;
        }
        let (old_dir, new_dir) = (self.nodes.get(from.0)?, self.nodes.get(to.0)?);
        let (old, new) = (self.name(&old_dir, from.1)?, self.name(&new_dir, to.1)?);
        let flags = rustix::fs::RenameFlags::from_bits_retain(flags.bits());
        rustix::fs::renameat_with(&*old_dir, &old, &*new_dir, &new, flags).map_err(errno)
    }

    /// Gives a file another name.
    pub fn link_entry(&self, node: INodeNo, parent: INodeNo, name: &OsStr) -> Answer<FileAttr> {
        self.poverty.refused.check(Call::Link)?;
        let (path, dir) = (self.nodes.path(node)?, self.nodes.get(parent)?);
        let real = self.name(&dir, name)?;
        rustix::fs::linkat(rustix::fs::CWD, path, &*dir, &real, AtFlags::SYMLINK_FOLLOW).map_err(errno)?;
        self.enter(parent, &real)
    }

    /// Changes owner, mode, length and times.
    pub fn change(
        &self,
        node: INodeNo,
        mode: Option<u32>,
        owner: (Option<u32>, Option<u32>),
        size: Option<u64>,
        times: [Option<TimeOrNow>; 2],
    ) -> Answer<FileAttr> {
        let path = self.nodes.path(node)?;
        if owner != (None, None) {
            self.poverty.refused.check(Call::Chown)?;
            let (uid, gid) = (owner.0.map(Uid::from_raw), owner.1.map(Gid::from_raw));
            rustix::fs::chown(&path, uid, gid).map_err(errno)?;
        }
        if let Some(mode) = mode {
            self.poverty.refused.check(Call::Chmod)?;
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).map_err(errno)?;
        }
        if let Some(size) = size {
            File::options().write(true).open(&path)?.set_len(size)?;
        }
        if times != [None, None] {
            let [access, modified] = times.map(timespec);
            let times = Timestamps { last_access: access, last_modification: modified };
            rustix::fs::utimensat(rustix::fs::CWD, &path, &times, AtFlags::empty()).map_err(errno)?;
        }
        self.stat(node)
    }

    /// Opens a file.
    pub fn open_node(&self, node: INodeNo, flags: OpenFlags) -> Answer<FileHandle> {
        let flags = OFlags::from_bits_retain(flags.0 as u32).difference(OFlags::NOFOLLOW) | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.nodes.path(node)?, flags, Mode::empty()).map_err(errno)?;
        Ok(self.nodes.open(file.into()))
    }

    /// What close(2) of a handle answers.
    pub fn close_handle(&self, handle: FileHandle) -> Answer<()> {
        let flags = rustix::fs::fcntl_getfl(&*self.nodes.file(handle)?).map_err(errno)?;
        if flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            self.poverty.refused.check(Call::Close)?;
        }
        Ok(())
    }

    /// Adds entries from the one at `offset` on.
    pub fn list(&self, node: INodeNo, offset: u64, reply: &mut ReplyDirectory) -> Answer<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(self.nodes.path(node)?, flags, Mode::empty()).map_err(errno)?;
        let entries = rustix::fs::Dir::new(dir).map_err(errno)?;
        for (at, entry) in entries.enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let entry = entry.map_err(errno)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if reply.add(INodeNo(entry.ino()), at as u64 + 1, kind(entry.file_type()), name) {
                break;
            }
        }
        Ok(())
    }
}

fn timespec(time: Option<TimeOrNow>) -> Timespec {
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(TimeOrNow::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(TimeOrNow::SpecificTime(time)) => {
            let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            Timespec { tv_sec: since.as_secs().try_into().unwrap_or(0), tv_nsec: since.subsec_nanos().into() }
        }
    }
}
