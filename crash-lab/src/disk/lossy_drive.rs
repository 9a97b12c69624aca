//! A drive that loses writes without an error: the fault that reading back from the device detects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::Errno;

use super::drive::Backing;
use super::pages::{PAGE, Pages};

/// A page that starts with this never reaches the medium.
const MARK: &[u8] = b"THE DRIVE LOSES THIS PAGE";

/// The drive.
#[derive(Debug)]
pub struct LossyDrive {
    size: u64,
    pages: Mutex<Pages>,
    losses: AtomicU64,
}

impl LossyDrive {
    /// A drive of `size` bytes that holds `image`.
    pub fn new(size: u64, image: Pages) -> Self {
        Self { size, pages: Mutex::new(image), losses: AtomicU64::new(0) }
    }

    /// How many pages were lost.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for LossyDrive {
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
                self.losses.fetch_add(1, Ordering::Relaxed);
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
