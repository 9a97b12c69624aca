//! Reading back what was written, against what was given.

use std::cell::RefCell;
use std::fs::File;

use super::cancel::Cancel;
use super::digest::{Digest, Running};
use super::error::{Error, ErrorKind, Named, Result};
use super::sys::{self, Dir, Kind};

/// How far a read-back reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Through the page cache: short and lying writes are found, and bugs.
    Cache,
    /// From the device, the cached pages having been dropped: lost write-back is found too.
    Device,
}

/// What a file is to hold.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Bytes with this digest.
    Digest(Digest),
}

impl Content<'_> {
    /// How many bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Digest(digest) => digest.bytes,
        }
    }
}

/// Large enough that calls cost nothing, small enough to stay in the second-level cache.
const CHUNK: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Compares a file's size and content with what is `expected`, and says how far it could see.
///
/// # Errors
/// [`ErrorKind::Verify`], with the first difference if the bytes are known; [`ErrorKind::Aborted`]; a failed read.
pub fn verify(file: &File, expected: Content<'_>, wanted: Level, cancel: &Cancel) -> Result<Level> {
    let size = expected.size();
    let level = match wanted {
        Level::Device if size > 0 && sys::drop_pages(file, size) => Level::Device,
        _ => Level::Cache,
    };
    let (kind, version) = Dir::stat_file(file).named("fstat")?;
    if kind != Kind::File || version.size != size {
        return Err(differs(Some(version.size.min(size))));
    }
    match expected {
        Content::Bytes(expected) => compare(file, expected, cancel)?,
        Content::Digest(expected) if digest(file, size, cancel)? != expected => return Err(differs(None)),
        Content::Digest(_) => {}
    }
    Ok(level)
}

fn differs(offset: Option<u64>) -> Error {
    ErrorKind::Verify { offset }.into()
}

fn compare(file: &File, expected: &[u8], cancel: &Cancel) -> Result<()> {
    let rest = read(file, expected.len() as u64, cancel, |offset, read| {
        let given = &expected[offset as usize..][..read.len()];
        if read == given {
            return Ok(());
        }
        let same = read.iter().zip(given).take_while(|(read, given)| read == given).count();
        Err(differs(Some(offset + same as u64)))
    })?;
    if rest == 0 { Ok(()) } else { Err(differs(Some(expected.len() as u64 - rest))) }
}

/// The digest of a file's first `size` bytes, or of all if there are less.
fn digest(file: &File, size: u64, cancel: &Cancel) -> Result<Digest> {
    let mut running = Running::default();
    read(file, size, cancel, |_, read| {
        running.add(read);
        Ok(())
    })?;
    Ok(running.digest())
}

/// Reads the first `size` bytes piece by piece, and answers how many were missing.
fn read(
    file: &File,
    size: u64,
    cancel: &Cancel,
    mut each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<u64> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK, 0);
        let mut offset = 0;
        while offset < size {
            cancel.check()?;
            let want = usize::try_from(size - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
            let got = sys::read_at(file, &mut buffer[..want], offset).named("read")?;
            if got == 0 {
                break;
            }
            each(offset, &buffer[..got])?;
            offset += got as u64;
        }
        Ok(size - offset)
    })
}
