//! The kernel's requests, answered.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, Mode, OFlags, XattrFlags};

use crate::pass_through::{Answer, PassThrough, errno};
use crate::refusals::Call;

/// The kernel is to ask each time.
const NOW: Duration = Duration::ZERO;

fn empty(reply: ReplyEmpty, answer: Answer<()>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

fn entry(reply: ReplyEntry, answer: Answer<FileAttr>) {
    match answer {
        Ok(attributes) => reply.entry(&NOW, &attributes, Generation(0)),
        Err(errno) => reply.error(errno),
    }
}

fn attr(reply: ReplyAttr, answer: Answer<FileAttr>) {
    match answer {
        Ok(attributes) => reply.attr(&NOW, &attributes),
        Err(errno) => reply.error(errno),
    }
}

fn value(reply: ReplyXattr, size: u32, answer: Answer<Vec<u8>>) {
    match answer {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(errno),
    }
}

fn attribute(size: u32, read: impl FnOnce(&mut [u8]) -> rustix::io::Result<usize>) -> Answer<Vec<u8>> {
    let mut value = vec![0; size as usize];
    let length = read(&mut value).map_err(errno)?;
    // Asked for a size of 0, the length is the answer.
    value.resize(length, 0);
    Ok(value)
}

impl Filesystem for PassThrough {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // The kernel keeps flock(2) to itself unless it is told to ask.
        if self.poverty.refused.has(Call::Flock) {
            let _ = config.add_capabilities(InitFlags::FUSE_FLOCK_LOCKS);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if self.poverty.hang.as_deref() == Some(name) {
            // Dropped it would be answered.
            return std::mem::forget(reply);
        }
        // A name is looked up before anything is given it.
        if self.poverty.name_max.is_some_and(|most| name.len() > most) {
            return reply.error(Errno::ENAMETOOLONG);
        }
        entry(reply, self.enter(parent, name));
    }

    fn forget(&self, _: &Request, node: INodeNo, lookups: u64) {
        self.nodes.forget(node, lookups);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attr(reply, self.stat(node));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        attr(reply, self.change(node, mode, (uid, gid), size, [atime, mtime]));
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        let target =
            self.nodes.get(node).and_then(|fd| rustix::fs::readlinkat(&*fd, "", Vec::new()).map_err(errno));
        match target {
            Ok(target) => reply.data(target.as_bytes()),
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let make = |dir: &OwnedFd, name: &OsStr| rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode));
        entry(reply, self.make(request, parent, name, make));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.remove(parent, name, AtFlags::empty()));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.remove(parent, name, AtFlags::REMOVEDIR));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, to: &Path, reply: ReplyEntry) {
        let make = |dir: &OwnedFd, name: &OsStr| rustix::fs::symlinkat(to, dir, name);
        entry(reply, self.make(request, parent, name, make));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.move_entry((parent, name), (new_parent, new_name), flags));
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.link_entry(node, parent, name));
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_node(node, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let mut file = None;
        let flags = OFlags::from_bits_retain(flags as u32) | OFlags::CREATE | OFlags::CLOEXEC;
        let made = self.make(request, parent, name, |dir, name| {
            file = Some(rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode))?);
            Ok(())
        });
        match (made, file) {
            (Ok(attributes), Some(file)) => {
                let handle = self.nodes.open(file.into());
                reply.created(&NOW, &attributes, Generation(0), handle, FopenFlags::empty());
            }
            (made, _) => reply.error(made.err().unwrap_or(Errno::EIO)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        match self.nodes.file(handle).and_then(|file| Ok(file.read_at(&mut buffer, at)?)) {
            Ok(length) => reply.data(&buffer[..length]),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.poverty.refused.check(Call::Write).and_then(|()| self.nodes.file(handle));
        match file.and_then(|file| Ok(file.write_all_at(data, at)?)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        empty(reply, self.close_handle(handle));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.nodes.close(handle);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(name) = &self.poverty.appear {
            self.appear(name);
        }
        let flushed = self.poverty.refused.check(Call::Fsync).and_then(|()| self.nodes.file(handle));
        empty(reply, flushed.and_then(|file| Ok(file.sync_all()?)));
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let path = self.poverty.refused.check(Call::FsyncDir).and_then(|()| self.nodes.path(node));
        empty(reply, path.and_then(|path| Ok(File::open(path)?.sync_all()?)));
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.list(node, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn statfs(&self, _: &Request, node: INodeNo, reply: ReplyStatfs) {
        match self.nodes.get(node).and_then(|fd| rustix::fs::fstatvfs(&*fd).map_err(errno)) {
            Ok(found) => reply.statfs(
                found.f_blocks,
                found.f_bfree,
                found.f_bavail,
                found.f_files,
                found.f_ffree,
                found.f_bsize as u32,
                found.f_namemax as u32,
                found.f_frsize as u32,
            ),
            Err(errno) => reply.error(errno),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        node: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let path = self.poverty.refused.check(Call::SetXattr).and_then(|()| self.nodes.path(node));
        let flags = XattrFlags::from_bits_retain(flags as u32);
        empty(reply, path.and_then(|path| rustix::fs::setxattr(path, name, value, flags).map_err(errno)));
    }

    fn getxattr(&self, _: &Request, node: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let found = self
            .nodes
            .path(node)
            .and_then(|path| attribute(size, |buffer| rustix::fs::getxattr(path, name, buffer)));
        value(reply, size, found);
    }

    fn listxattr(&self, _: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        let found = self
            .nodes
            .path(node)
            .and_then(|path| attribute(size, |buffer| rustix::fs::listxattr(path, buffer)));
        value(reply, size, found);
    }

    fn removexattr(&self, _: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let path = self.nodes.path(node);
        empty(reply, path.and_then(|path| rustix::fs::removexattr(path, name).map_err(errno)));
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        _: bool,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.poverty.refused.check(Call::Flock));
    }
}
