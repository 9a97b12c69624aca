//! The way out where a file cannot be replaced: its bytes are overwritten. A reader may see a part of them, and a crash may
//! leave a part, so this is done only for callers that asked for it, and the receipt says so.

use std::fs::File;
use std::io::{Seek, Write};

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::sys::{self, Dir, Kind, Obstacle};
use crate::write::options::{Options, Receipt};
use crate::write::verify::{self, Content};

/// Whether it is known before anything is written that the file of `target` can only be overwritten.
pub fn is_needed(target: &Target) -> bool {
    matches!(target.dir.obstacle(&target.name), Some(Obstacle::MountPoint | Obstacle::Sticky))
}

/// Opens the file for [`overwrite`], and locks it, as two at once would mix their bytes. `None`: another process has
/// locked it.
///
/// # Errors
/// `EACCES`, `EROFS`, … if it may not be written; [`ErrorKind::NotRegular`].
pub fn open(target: &Target) -> Result<Option<File>> {
    loop {
        let file = target.dir.open_to_overwrite(&target.name).named("open")?;
        if !matches!(Dir::stat_file(&file).named("fstat")?.0, Kind::File) {
            return Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into());
        }
        if !sys::hold(&file) {
            return Ok(None);
        }
        // It may have been replaced before it was locked.
        if target.dir.is_same(&target.name, &file).named("fstat")? {
            return Ok(Some(file));
        }
    }
}

/// The last step before the file changes: a full disk is found out, where the file system can reserve space. After it
/// an abort comes too late.
///
/// # Errors
/// [`ErrorKind::Aborted`]; `ENOSPC`.
pub fn reserve(file: &File, data: &[u8], cancel: &Cancel) -> Result<()> {
    cancel.check()?;
    sys::reserve(file, data.len() as u64).named("write")
}

/// Makes `data` the content of `file`, which is [open](open()), and has [room](reserve).
///
/// # Errors
/// Whatever fails first. The old content is there, unless [`Error::committed`].
pub fn overwrite(mut file: &File, data: &[u8], options: &Options) -> Result<Receipt> {
    let begun = |error: Error| error.after_commit().advise(Advice::Overwritten);
    if let Some(mode) = options.mode {
        sys::set_mode(file, mode, &|_, _| false)?;
    }
    file.rewind().named("lseek")?;
    file.write_all(data).named("write").map_err(begun)?;
    file.set_len(data.len() as u64).named("ftruncate").map_err(begun)?;
    let flushed = options.flush && sys::sync_file(file).named("fsync").map_err(begun)?;
    let verify = |level| verify::verify(file, Content::Bytes(data), level, &Cancel::default());
    let verified = options.verify.map(verify).transpose().map_err(begun)?;
    let durable = flushed && sys::is_durable(file);
    Ok(Receipt { written: true, bytes: data.len() as u64, durable, verified, atomic: false })
}
