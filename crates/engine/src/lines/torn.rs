//! Setting a torn line aside: its bytes go to a file of their own, which is on disk before they leave the other one.

use std::ffi::{OsStr, OsString};
use std::fs::File;

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::dir::names::NAME_MAX;
use crate::error::{Error, Named, Result};
use crate::lines::options::{AppendOptions, Torn};
use crate::process::flush;
use crate::sys::{self, Dir};
use crate::write::verify::read_fully;
use crate::write::{Options, Running, Writer};

const CHUNK: usize = 256 << 10;

/// Moves what is from `start` to `end`, the end of the file, to a file beside it, and says so in `torn`. `false`: another program has
/// changed the file meanwhile, and nothing was cut off.
///
/// What another program appends between the last look at the size and ftruncate(2) is lost: the system has no step for both.
///
/// # Errors
/// Those of writing that file, of ftruncate(2) and of fsync(2). Whatever fails, the bytes are at least in one of the two.
pub fn set_aside(
    target: &Target,
    file: &File,
    (start, end): (u64, u64),
    options: &AppendOptions,
    torn: &mut Option<Torn>,
) -> Result<bool> {
    let mut running = Running::default();
    each(file, start, end, |bytes| {
        running.add(bytes);
        Ok(())
    })?;
    // A kill right after the copy has the next call find the same bytes: they get the same name, and there is one copy.
    let path = target.real_path().with_file_name(name(&target.name, start, running.digest().hash()));
    copy(file, start, end, &path, options).map_err(|error| error.about(&path))?;
    let now = Dir::stat_file(file).named("fstat")?.1.size;
    if now != end {
        // All of it is where it was, and may be a whole line by now.
        if now > end {
            drop(std::fs::remove_file(&path));
        }
        return Ok(false);
    }
    file.set_len(start).named("ftruncate").map_err(|error| target.explain(error))?;
    *torn = Some(Torn { path, offset: start, bytes: end - start });
    if options.flush {
        flush::file(file).named("fsync")?;
    }
    Ok(true)
}

fn copy(file: &File, start: u64, end: u64, to: &std::path::Path, options: &AppendOptions) -> Result<()> {
    let never = Cancel::default();
    // No more open than the file that the bytes come from.
    let mode = sys::access_of(file).named("fstat")?.mode & 0o777;
    // Flushed whatever the caller asks for: the bytes may have been on disk for long, and are to be there at any time.
    let how = Options { mode: Some(mode), flush: true, verify: options.verify, ..Options::default() };
    let mut writer = Writer::open(to, how, false, &never)?;
    each(file, start, end, |bytes| writer.write(bytes, &never))?;
    writer.publish(&never)?.flush().map(drop)
}

fn each(file: &File, start: u64, end: u64, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut at = start;
    while at < end {
        let wanted = usize::try_from(end - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        let got = read_fully(file, &mut chunk[..wanted], at)?;
        if got == 0 {
            return Err(Error::raw("read", sys::EAGAIN));
        }
        each(&chunk[..got])?;
        at += got as u64;
    }
    Ok(())
}

/// `NAME.torn-` and 16 hexadecimal digits, which follow from what was torn, and where.
fn name(of: &OsStr, start: u64, hash: u128) -> OsString {
    let tag = format!(".torn-{:016x}", (hash as u64) ^ start.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut name = sys::cut(of, NAME_MAX - tag.len());
    name.push(tag);
    name
}
