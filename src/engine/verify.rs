//! Reading back what was written, against what was given.

use std::cell::RefCell;
use std::fs::File;

use super::cancel::Cancel;
use super::error::{ErrorKind, Named, Result};
use super::sys::{self, Dir, Kind};

/// How far a read-back reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Through the page cache: short and lying writes are found, and bugs.
    Cache,
    /// From the device, the cached pages having been dropped: lost write-back is found too.
    Device,
}

/// Large enough that calls cost nothing, small enough to stay in the second-level cache.
const CHUNK: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Compares a file's size and bytes with `expected`, and says how far it could see.
///
/// # Errors
/// [`ErrorKind::Verify`] at the first difference; [`ErrorKind::Aborted`]; a failed read.
pub fn verify(file: &File, expected: &[u8], wanted: Level, cancel: &Cancel) -> Result<Level> {
    let size = expected.len() as u64;
    let level = match wanted {
        Level::Device if size > 0 && sys::drop_pages(file, size) => Level::Device,
        _ => Level::Cache,
    };
    match first_difference(file, expected, cancel)? {
        None => Ok(level),
        Some(offset) => Err(ErrorKind::Verify { offset }.into()),
    }
}

fn first_difference(file: &File, expected: &[u8], cancel: &Cancel) -> Result<Option<u64>> {
    let (kind, version) = Dir::stat_file(file).named("fstat")?;
    if kind != Kind::File || version.size != expected.len() as u64 {
        return Ok(Some(version.size.min(expected.len() as u64)));
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK, 0);
        let mut offset = 0;
        while offset < expected.len() {
            cancel.check()?;
            let want = CHUNK.min(expected.len() - offset);
            let got = sys::read_at(file, &mut buffer[..want], offset as u64).named("read")?;
            let (read, given) = (&buffer[..got], &expected[offset..offset + got]);
            if got == 0 || read != given {
                let same = read.iter().zip(given).take_while(|(read, given)| read == given).count();
                return Ok(Some((offset + same) as u64));
            }
            offset += got;
        }
        Ok(None)
    })
}
