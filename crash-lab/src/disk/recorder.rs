//! A disk that records its requests: every write with its data, every flush, and the messages that
//! came in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fuser::Errno;

use super::drive::Backing;
use super::pages::Pages;

/// What a flush takes at least, as on a common SSD. If it took no time, no other call would arrive during one, and a
/// protocol that lets a call share a flush that began too early would pass.
const FLUSH: Duration = Duration::from_millis(1);

/// One entry of the log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Into the disk's cache.
    Write(u64, Arc<[u8]>),
    /// A discard.
    Zero(u64, u64),
    /// All before it is on the medium.
    Flush,
    /// Not a request: what the workload reported at this point.
    Message(Vec<u8>),
}

/// The recording disk.
#[derive(Debug)]
pub struct Recorder {
    size: u64,
    state: Mutex<State>,
    /// Writes fail with EIO, as on a disk that is dying.
    pub fail_writes: AtomicBool,
}

#[derive(Debug)]
struct State {
    now: Pages,
    log: Vec<Entry>,
}

impl Recorder {
    /// A disk of `size` bytes that holds `image`.
    pub fn new(size: u64, image: Pages) -> Self {
        let state = State { now: image, log: Vec::new() };
        Self { size, state: Mutex::new(state), fail_writes: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a new log, for [`Recorder::log`]. Returns what the disk holds now.
    pub fn start(&self) -> Pages {
        let mut state = self.state();
        state.log.clear();
        state.now.clone()
    }

    /// Takes the log up to now.
    pub fn log(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().log)
    }
}

impl Backing for Recorder {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        self.state().now.read(at, buffer, &Pages::default());
        Ok(())
    }

    fn write(&self, at: u64, data: &[u8]) -> Result<(), Errno> {
        if self.fail_writes.load(Ordering::Relaxed) {
            return Err(Errno::EIO);
        }
        let mut state = self.state();
        state.now.write(at, data, &Pages::default());
        state.log.push(Entry::Write(at, data.into()));
        Ok(())
    }

    fn zero(&self, at: u64, len: u64) -> Result<(), Errno> {
        let mut state = self.state();
        state.now.zero(at, len, &Pages::default());
        state.log.push(Entry::Zero(at, len));
        Ok(())
    }

    fn flush(&self) -> Result<(), Errno> {
        std::thread::sleep(FLUSH);
        self.state().log.push(Entry::Flush);
        Ok(())
    }

    fn message(&self, bytes: &[u8]) {
        self.state().log.push(Entry::Message(bytes.into()));
    }
}
