//! Reading back what was written, against what was given.

use std::cell::RefCell;
use std::fs::File;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Named, Result};
use crate::steps::{self, Step};
use crate::sys::{self, Dir, Kind};
use crate::write::digest::{Digest, Running};

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
    /// The first `bytes` of another file.
    Copy {
        /// The other file.
        of: &'a File,
        /// How many.
        bytes: u64,
    },
}

impl Content<'_> {
    /// How many bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Digest(digest) => digest.bytes,
            Self::Copy { bytes, .. } => *bytes,
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
    let _during = steps::begin(Step::Verify);
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
        Content::Bytes(expected) => compare(file, size, cancel, |offset, read| {
            Ok(alike(read, &expected[offset as usize..][..read.len()]))
        })?,
        Content::Copy { of, .. } => {
            let mut given = Vec::new();
            compare(file, size, cancel, |offset, read| {
                given.resize(read.len(), 0);
                let got = read_fully(of, &mut given, offset)?;
                Ok(alike(read, &given[..got]))
            })?;
        }
        Content::Digest(expected) if digest(file, size, cancel)? != expected => return Err(differs(None)),
        Content::Digest(_) => {}
    }
    Ok(level)
}

fn differs(offset: Option<u64>) -> Error {
    ErrorKind::Verify { offset }.into()
}

/// Reads a file; `alike` returns how many bytes at the beginning of a piece are right.
fn compare(
    file: &File,
    size: u64,
    cancel: &Cancel,
    mut alike: impl FnMut(u64, &[u8]) -> Result<usize>,
) -> Result<()> {
    let missing = read(file, size, cancel, |offset, read| match alike(offset, read)? {
        all if all == read.len() => Ok(()),
        some => Err(differs(Some(offset + some as u64))),
    })?;
    if missing == 0 { Ok(()) } else { Err(differs(Some(size - missing))) }
}

/// How many bytes of a file are those of `expected`, from its beginning.
///
/// # Errors
/// [`ErrorKind::Aborted`]; a failed read.
pub fn common(file: &File, expected: &[u8], cancel: &Cancel) -> Result<usize> {
    let compared = compare(file, expected.len() as u64, cancel, |offset, read| {
        Ok(alike(read, &expected[offset as usize..][..read.len()]))
    });
    match compared {
        Ok(()) => Ok(expected.len()),
        Err(error) => match error.kind() {
            ErrorKind::Verify { offset: Some(offset) } => Ok(*offset as usize),
            _ => Err(error),
        },
    }
}

/// How many bytes two slices have in common at their beginning.
fn alike(read: &[u8], given: &[u8]) -> usize {
    if read == given {
        return read.len();
    }
    read.iter().zip(given).take_while(|(read, given)| read == given).count()
}

/// Reads until `buffer` is full or the file ends.
pub fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match sys::read_at(file, &mut buffer[got..], offset + got as u64).named("read")? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}

/// The digest of a file's first `size` bytes, or of all if there are less.
pub fn digest(file: &File, size: u64, cancel: &Cancel) -> Result<Digest> {
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
        // No more than this file needs: many files are small, and many threads short-lived.
        let most = usize::try_from(size).map_or(CHUNK, |size| size.min(CHUNK));
        if buffer.len() < most {
            *buffer = vec![0; most];
        }
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
