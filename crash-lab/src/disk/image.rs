//! An image file that is one crash state after the other.
//!
//! Mounting runs the file system's recovery, which writes. The lab does not know what it wrote, so it makes the next
//! state by comparing, but only the pages that the file really holds, as it is sparse and in a tmpfs. That
//! is ten times faster than passing every request of the recovery through this process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};

use super::pages::{PAGE, Pages};

/// How much is compared at once.
const STRETCH: usize = 64 * PAGE;

/// The file, and the content that all states of the epoch have in common.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    below: Pages,
    buffer: Vec<u8>,
}

impl Image {
    /// A file of `size` bytes at `path` that holds `base`.
    pub fn new(path: &Path, size: u64, base: Pages) -> Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        file.set_len(size)?;
        let mut image =
            Self { file, path: path.to_owned(), below: Pages::default(), buffer: vec![0; STRETCH] };
        image.settle(base)?;
        Ok(image)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on, the content that all states have in common includes `pages`.
    pub fn settle(&mut self, pages: Pages) -> Result<()> {
        self.write(&pages)?;
        self.below.absorb(&pages);
        Ok(())
    }

    /// The content that all states have in common.
    pub fn below(&self) -> &Pages {
        &self.below
    }

    /// Makes the file hold `state` over the common content, whatever it held before.
    pub fn show(&mut self, state: &Pages) -> Result<()> {
        self.write(state)?;
        let mut at = 0;
        // ENXIO: a hole up to the end.
        while let Ok(start) = seek(&self.file, SeekFrom::Data(at)) {
            let end = seek(&self.file, SeekFrom::Hole(start))?;
            at = start;
            while at < end {
                let len = (end - at).min(STRETCH as u64);
                self.compare(at, len as usize, state)?;
                at += len;
            }
        }
        Ok(())
    }

    fn compare(&mut self, start: u64, len: usize, state: &Pages) -> Result<()> {
        let Self { file, buffer, below, .. } = self;
        file.read_exact_at(&mut buffer[..len], start)?;
        for (i, found) in buffer[..len].chunks(PAGE).enumerate() {
            let at = start + (i * PAGE) as u64;
            match state.page(at).or_else(|| below.page(at)) {
                Some(page) if page[..] == *found => {}
                Some(page) => file.write_all_at(&page[..], at)?,
                // Make it a hole again, or there would be more and more zeros to compare.
                None => punch(file, at)?,
            }
        }
        Ok(())
    }

    fn write(&self, pages: &Pages) -> Result<()> {
        for (at, page) in pages.iter() {
            self.file.write_all_at(&page[..], at)?;
        }
        Ok(())
    }
}

fn punch(file: &File, at: u64) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, at, PAGE as u64)?)
}
