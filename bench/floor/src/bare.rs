//! The system calls that the promise cannot do without, and nothing else: no queue, no look at the
//! file that is replaced, no owner, no mode. The directory is opened once for the whole batch.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, linkat, open, openat, renameat};

/// As much as the engine writes at a time, and reads back.
const WRITTEN: usize = 512 << 10;
const PIECE: usize = 256 << 10;

pub struct Folder {
    directory: OwnedFd,
    temps: AtomicUsize,
    spent: [AtomicU64; STEPS],
}

/// Create, write, flush, read back, link and rename, flush the directory.
const STEPS: usize = 6;

impl Folder {
    pub fn open(path: &Path) -> Result<Self> {
        let directory = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { directory, temps: AtomicUsize::new(0), spent: Default::default() })
    }

    /// Nanoseconds for each of the steps, of all threads together.
    pub fn spent(&self) -> Vec<u64> {
        self.spent.iter().map(|step| step.load(Ordering::Relaxed)).collect()
    }

    /// All steps, in their order.
    pub fn write(&self, name: &str, data: &[u8], replace: bool) -> Result<()> {
        let mut since = Instant::now();
        let mut steps = self.spent.iter();
        let mut done = || {
            let now = Instant::now();
            let took = now.duration_since(std::mem::replace(&mut since, now)).as_nanos() as u64;
            steps.next().map(|step| step.fetch_add(took, Ordering::Relaxed));
        };
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, c".", flags, Mode::from_raw_mode(0o644))?);
        done();
        for (index, piece) in data.chunks(WRITTEN).enumerate() {
            file.write_all_at(piece, (index * WRITTEN) as u64)?;
        }
        done();
        fsync(&file)?;
        done();
        read_back(&file, data)?;
        done();
        if replace {
            let temp = format!(".{}.tmp", self.temps.fetch_add(1, Ordering::Relaxed));
            self.link(&file, &temp)?;
            renameat(&self.directory, &temp, &self.directory, name)?;
        } else {
            self.link(&file, name)?;
        }
        done();
        fsync(&self.directory)?;
        done();
        Ok(())
    }

    fn link(&self, file: &File, name: &str) -> Result<()> {
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, unnamed, &self.directory, name, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }
}

thread_local! {
    static BACK: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

fn read_back(file: &File, data: &[u8]) -> Result<()> {
    BACK.with_borrow_mut(|back| {
        for (index, piece) in data.chunks(PIECE).enumerate() {
            let back = &mut back[..piece.len()];
            file.read_exact_at(back, (index * PIECE) as u64)?;
            ensure!(back == piece, "read back something else");
        }
        Ok(())
    })
}
