//! A sparse disk image in memory. Images share pages, so that a crash state costs only what differs
//! from the one before it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::fs::{SeekFrom, seek};

/// The unit of the page cache, of the file systems here and of a drive that writes sectors of 4 KB.
pub const PAGE: usize = 4096;

/// One page, shared by all images that hold it.
pub type Page = Arc<[u8; PAGE]>;

/// Comparing with one is fast without optimisation too; looking at byte after byte is not.
static ZEROES: [u8; PAGE] = [0; PAGE];

/// A disk's content; what was never written is zero.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pages: HashMap<u64, Page>,
}

impl Pages {
    /// The content of an image file, its holes left out.
    pub fn load(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let len = file.metadata()?.len();
        ensure!(len.is_multiple_of(PAGE as u64), "an image of {len} bytes");
        let mut pages = Self::default();
        let mut at = 0;
        // ENXIO: nothing but a hole up to the end.
        while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
            let end = seek(&file, SeekFrom::Hole(data))?;
            let mut bytes = vec![0; usize::try_from(end - data)?];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, data)?;
            // mkfs zeroes journals; comparing them in every state would cost more than all the rest.
            for (i, page) in bytes.chunks(PAGE).enumerate().filter(|(_, page)| *page != &ZEROES[..page.len()])
            {
                pages.write(data + (i * PAGE) as u64, page, &Self::default());
            }
            at = end;
        }
        Ok(pages)
    }

    /// Fills `buffer` from `at`; what is not here is taken from `below`.
    pub fn read(&self, at: u64, buffer: &mut [u8], below: &Self) {
        for (number, within, range) in pieces(at, buffer.len()) {
            match self.pages.get(&number).or_else(|| below.pages.get(&number)) {
                Some(page) => buffer[range.clone()].copy_from_slice(&page[within..within + range.len()]),
                None => buffer[range].fill(0),
            }
        }
    }

    /// Puts `data` at `at`; the rest of a page is taken from `below`.
    pub fn write(&mut self, at: u64, data: &[u8], below: &Self) {
        for (number, within, range) in pieces(at, data.len()) {
            self.change(number, below)[within..within + range.len()].copy_from_slice(&data[range]);
        }
    }

    /// Zeroes, as a discard does on the drives that are hardest to work with.
    pub fn zero(&mut self, at: u64, len: u64, below: &Self) {
        for (number, within, range) in pieces(at, usize::try_from(len).unwrap_or(usize::MAX)) {
            self.change(number, below)[within..within + range.len()].fill(0);
        }
    }

    fn change(&mut self, number: u64, below: &Self) -> &mut [u8; PAGE] {
        let page = self
            .pages
            .entry(number)
            .or_insert_with(|| below.pages.get(&number).cloned().unwrap_or_else(|| Arc::new([0; PAGE])));
        Arc::make_mut(page)
    }

    /// The page at `at`; `None` for a hole.
    pub fn page(&self, at: u64) -> Option<&Page> {
        self.pages.get(&(at / PAGE as u64))
    }

    /// All pages that are not holes, with their positions.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(number, page)| (number * PAGE as u64, page))
    }

    /// Takes over all pages of `above`.
    pub fn absorb(&mut self, above: &Self) {
        self.pages.extend(above.pages.iter().map(|(number, page)| (*number, page.clone())));
    }

    /// The same, with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(number, page)| (*number, page))
    }

    /// A number that differs when the image `self` over `below` does.
    pub fn fingerprint(&self, below: &Self) -> u64 {
        // The map's order must not matter.
        self.numbered().fold(0, |sum, (number, page)| sum.wrapping_add(Self::part(number, page, below)))
    }

    /// What a page adds to a fingerprint.
    pub fn part(number: u64, page: &Page, below: &Self) -> u64 {
        let differs = match below.pages.get(&number) {
            Some(old) => old != page,
            None => **page != ZEROES,
        };
        if differs { xxhash_rust::xxh3::xxh3_64_with_seed(&page[..], number.wrapping_add(1)) } else { 0 }
    }
}

/// The pages that hold `len` bytes from `at`: number, offset within the page, range of the bytes.
fn pieces(at: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let position = at + done as u64;
        let within = (position % PAGE as u64) as usize;
        let count = (PAGE - within).min(len - done);
        let piece = (position / PAGE as u64, within, done..done + count);
        done += count;
        (count > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_over_an_image_leaves_the_image_alone() {
        let mut below = Pages::default();
        below.write(4000, &[7; 200], &Pages::default());
        let mut above = Pages::default();
        above.write(4095, &[9; 2], &below);
        let mut bytes = [0; 6];
        above.read(4093, &mut bytes, &below);
        assert_eq!(bytes, [7, 7, 9, 9, 7, 7]);
        below.read(4093, &mut bytes, &Pages::default());
        assert_eq!(bytes, [7; 6]);
    }

    #[test]
    fn images_that_are_the_same_have_the_same_fingerprint() {
        let mut below = Pages::default();
        below.write(0, &[1; PAGE], &Pages::default());
        let mut above = Pages::default();
        above.write(0, &[1; 10], &below);
        above.zero(PAGE as u64, 10, &below);
        assert_eq!(above.fingerprint(&below), 0);
        above.write(5, &[2], &below);
        assert_ne!(above.fingerprint(&below), 0);
    }
}
