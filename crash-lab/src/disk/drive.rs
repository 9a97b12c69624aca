//! One file served by FUSE, as the backing file of a loop device: a drive all of whose requests pass through
//! this process.
//!
//! The file bypasses the page cache on the FUSE side, so the requests are those that the loop device
//! got, in its order; one thread serves them, so there is one order. A flush of the device arrives as
//! fsync. A second file, `control`, takes messages that are ordered with the drive's requests.
//!
//! A thread that waits for a drive cannot be killed before the drive answers. So the thread that serves it alone holds the
//! descriptor of /dev/fuse, in a table of its own: when the process is killed, that thread ends, the
//! descriptor goes with it, every request fails, and those that wait end too.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    Session, SessionACL, TimeOrNow, WriteFlags,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// The content of the file. An error is the errno with which the device's request fails.
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
    server: Option<JoinHandle<()>>,
}

impl Drive {
    /// Serves `backing` in `folder`.
    pub fn serve(backing: Arc<impl Backing>, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let place = folder.to_owned();
        let (sender, started) = mpsc::channel();
        let server = std::thread::Builder::new().name("drive".to_owned()).spawn(move || {
            match start(Served(backing), &place) {
                Err(error) => drop(sender.send(Err(error))),
                Ok(session) => {
                    drop(sender.send(Ok(())));
                    if let Err(error) = session.run() {
                        eprintln!("the drive in {}: {error}", place.display());
                    }
                }
            }
        })?;
        started.recv().map_err(|_| anyhow!("the drive's thread panicked"))??;
        Ok(Self { folder: folder.to_owned(), server: Some(server) })
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
        // A loop device may let go of the image a little later. The server ends after that.
        match unmount(&self.folder, UnmountFlags::DETACH) {
            Ok(()) => drop(self.server.take().map(JoinHandle::join)),
            Err(error) => eprintln!("unmounting {}: {error}", self.folder.display()),
        }
    }
}

/// Mounts the drive in `folder`, with a descriptor that no other thread of this process has.
fn start<B: Backing>(served: Served<B>, folder: &Path) -> Result<Session<Served<B>>> {
    // SAFETY: takes numbers only. The descriptors that are closed are this thread's copies, and nothing here uses them.
    let unshared =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    if unshared != 0 {
        return Err(std::io::Error::last_os_error()).context("close_range");
    }
    let device = File::options().read(true).write(true).open("/dev/fuse").context("/dev/fuse")?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("crash-lab", folder, "fuse", flags, Some(CString::new(options)?.as_c_str()))
        .context("mounting FUSE")?;
    Session::from_fd(served, OwnedFd::from(device), SessionACL::Owner, Config::default())
        .context("starting FUSE")
}

const DISK: INodeNo = INodeNo(2);
const CONTROL: INodeNo = INodeNo(3);
/// How long the kernel may keep attributes: they do not change.
const ALWAYS: Duration = Duration::from_secs(86_400);

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
        reply.entry(&ALWAYS, &self.attributes(node), Generation(0));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&ALWAYS, &self.attributes(node));
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
        // O_TRUNC and time stamps: there is nothing to do.
        reply.attr(&ALWAYS, &self.attributes(node));
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
        // A loop device turns discards and zeroing into these.
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
