//! One file served by FUSE, for a loop device to lie over: a drive whose every request passes through
//! this process.
//!
//! The file bypasses the page cache on the FUSE side, so the requests are those that the loop device
//! got, in its order; one thread serves them, so there is one order. A flush of the device arrives as
//! fsync. A second file, `control`, takes messages that are ordered with the drive's requests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

/// What lies behind the file. An error is the errno that the device's request fails with.
pub trait Backing: Send + Sync + 'static {
    /// Bytes in all.
    fn size(&self) -> u64;
    /// Fills `buffer` from `at`.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Errno>;
    /// Takes `data` at `at`, into the drive's cache.
    fn write(&self, at: u64, data: &[u8]) -> Result<(), Errno>;
    /// Discards or zeroes.
    fn zero(&self, at: u64, len: u64) -> Result<(), Errno>;
    /// Empties the drive's cache.
    fn flush(&self) -> Result<(), Errno>;
    /// Takes a message.
    fn message(&self, _bytes: &[u8]) {}
}

/// A drive that is being served. Dropped, it is gone.
#[derive(Debug)]
pub struct Drive {
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

impl Drive {
    /// Serves `backing` in `folder`.
    pub fn serve(backing: Arc<impl Backing>, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("crash-lab".into()), MountOption::RW];
        let session = fuser::spawn_mount(Served(backing), folder, &config).context("mounting FUSE")?;
        Ok(Self { folder: folder.to_owned(), session: Some(session) })
    }

    /// The drive's image.
    pub fn image(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Where messages are written to.
    pub fn control(&self) -> PathBuf {
        self.folder.join("control")
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("crash-lab: unmounting {}: {error}", self.folder.display());
        }
    }
}

const DISK: INodeNo = INodeNo(2);
const CONTROL: INodeNo = INodeNo(3);
/// How long the kernel may believe what it was told: nothing here changes.
const FOR_EVER: Duration = Duration::from_secs(86_400);

struct Served<B>(Arc<B>);

impl<B: Backing> Served<B> {
    fn attributes(&self, node: INodeNo) -> FileAttr {
        let (kind, size) = match node {
            DISK => (FileType::RegularFile, self.0.size()),
            CONTROL => (FileType::RegularFile, 0),
            _ => (FileType::Directory, 0),
        };
        FileAttr {
            ino: node,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl<B: Backing> Filesystem for Served<B> {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let node = match name.to_str() {
            Some("disk") => DISK,
            Some("control") => CONTROL,
            _ => return reply.error(Errno::ENOENT),
        };
        reply.entry(&FOR_EVER, &self.attributes(node), Generation(0));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(node));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // O_TRUNC and time stamps; neither means anything here.
        reply.attr(&FOR_EVER, &self.attributes(node));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let rest = self.attributes(node).size.saturating_sub(at);
        let mut buffer = vec![0; rest.min(size.into()) as usize];
        match self.0.read(at, &mut buffer) {
            Ok(()) => reply.data(&buffer),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let result = if node == CONTROL {
            self.0.message(data);
            Ok(())
        } else if at + data.len() as u64 > self.0.size() {
            Err(Errno::EFBIG)
        } else {
            self.0.write(at, data)
        };
        match result {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // What a loop device makes of discards and of zeroing.
        if mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) == 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        answer(reply, self.0.zero(at, len));
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, if node == DISK { self.0.flush() } else { Ok(()) });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
