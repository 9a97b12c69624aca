//! A drive that loses writes and says nothing: the fault that a read-back from the device is for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::Errno;

use crate::drive::Backing;
use crate::pages::{PAGE, Pages};

/// A page that starts with this never reaches the medium.
const MARK: &[u8] = b"THE DRIVE LOSES THIS PAGE";

/// The drive.
#[derive(Debug)]
pub struct Liar {
    size: u64,
    pages: Mutex<Pages>,
    lies: AtomicU64,
}

impl Liar {
    /// A drive of `size` bytes that holds `image`.
    pub fn new(size: u64, image: Pages) -> Self {
        Self { size, pages: Mutex::new(image), lies: AtomicU64::new(0) }
    }

    /// How many pages were lost.
    pub fn lies(&self) -> u64 {
        self.lies.load(Ordering::Relaxed)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for Liar {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        self.pages().read(at, buffer, &Pages::default());
        Ok(())
    }

    fn write(&self, at: u64, data: &[u8]) -> Result<(), Errno> {
        for (i, page) in data.chunks(PAGE).enumerate() {
            if page.starts_with(MARK) {
                self.lies.fetch_add(1, Ordering::Relaxed);
            } else {
                self.pages().write(at + (i * PAGE) as u64, page, &Pages::default());
            }
        }
        Ok(())
    }

    fn zero(&self, at: u64, len: u64) -> Result<(), Errno> {
        self.pages().zero(at, len, &Pages::default());
        Ok(())
    }

    fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }
}
