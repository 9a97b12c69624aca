//! The files that the kernel knows of, and those that it has open.
//!
//! A file's number is that of its inode in the folder below. It is kept open as long as the kernel knows it, so that the
//! number is given to no other file meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileHandle, FileType, INodeNo};
use rustix::fs::Stat;

/// A file that the kernel knows of, opened with `O_PATH`.
#[derive(Debug)]
struct Node {
    fd: Arc<OwnedFd>,
    lookups: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Nodes {
    known: Mutex<HashMap<u64, Node>>,
    open: Mutex<(u64, HashMap<u64, Arc<File>>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Nodes {
    /// Only `root` is known.
    pub fn new(root: OwnedFd) -> Self {
        let root = Node { fd: Arc::new(root), lookups: 1 };
        Self { known: Mutex::new([(INodeNo::ROOT.0, root)].into()), open: Mutex::default() }
    }

    /// The descriptor of a file.
    pub fn get(&self, node: INodeNo) -> Result<Arc<OwnedFd>, Errno> {
        lock(&self.known).get(&node.0).map(|node| node.fd.clone()).ok_or(Errno::ESTALE)
    }

    /// A path to the file itself, for calls that take none of these descriptors.
    pub fn path(&self, node: INodeNo) -> Result<String, Errno> {
        Ok(path_of(&*self.get(node)?))
    }

    /// Counts a lookup of a file that the kernel is told of.
    pub fn add(&self, number: u64, fd: OwnedFd) {
        let node = Node { fd: Arc::new(fd), lookups: 0 };
        lock(&self.known).entry(number).or_insert(node).lookups += 1;
    }

    /// Takes lookups back.
    pub fn forget(&self, number: INodeNo, lookups: u64) {
        let mut known = lock(&self.known);
        if let Some(node) = known.get_mut(&number.0) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                known.remove(&number.0);
            }
        }
    }

    /// Keeps an open file.
    pub fn open(&self, file: File) -> FileHandle {
        let mut open = lock(&self.open);
        open.0 += 1;
        let handle = open.0;
        open.1.insert(handle, Arc::new(file));
        FileHandle(handle)
    }

    /// An open file.
    pub fn file(&self, handle: FileHandle) -> Result<Arc<File>, Errno> {
        lock(&self.open).1.get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    /// Closes it.
    pub fn close(&self, handle: FileHandle) {
        lock(&self.open).1.remove(&handle.0);
    }
}

/// A path to what an open descriptor stands for.
pub fn path_of(fd: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// What the kernel is told of a file.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the fields' types differ")]
pub fn attributes(stat: &Stat, number: u64, mode: Option<u32>) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec as u32),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec as u32),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec as u32),
        crtime: UNIX_EPOCH,
        kind: kind(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        perm: mode.unwrap_or(stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u32,
        blksize: 4096,
        flags: 0,
    }
}

fn time(seconds: i64, nanos: u32) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), nanos)
}

/// The kernel's word for a type.
pub fn kind(kind: rustix::fs::FileType) -> FileType {
    match kind {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}
