//! The way out where a file cannot be replaced: its bytes are overwritten. A reader may see a part of them, and a crash may
//! leave a part, so this is done only for callers that asked for it, and the receipt says so.

use std::fs::File;
use std::io::{Seek, Write};

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::stats;
use crate::steps;
use crate::sys::{self, Dir, Kind, Obstacle};
use crate::write::options::{Options, Receipt};
use crate::write::verify::{self, Content};

/// Whether it is known before anything is written that the file of `target` can only be overwritten.
pub fn is_needed(target: &Target) -> bool {
    matches!(target.dir.obstacle(&target.name), Some(Obstacle::MountPoint | Obstacle::Sticky))
}

/// A file that is open to be overwritten, and locked for as long as that.
#[derive(Debug)]
pub struct InPlace(File);

impl InPlace {
    /// Opens the file of `target`, and locks it, as two at once would mix their bytes. `None`: another process has locked
    /// it. On a file system without locks it is not locked.
    ///
    /// # Errors
    /// `EACCES`, `EROFS`, … if it may not be written; `ENOENT`; [`ErrorKind::NotRegular`].
    pub fn open(target: &Target) -> Result<Option<Self>> {
        loop {
            let file = target.dir.open_to_overwrite(&target.name).named("open")?;
            if !matches!(Dir::stat_file(&file).named("fstat")?.0, Kind::File) {
                return Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into());
            }
            match sys::try_hold(&file) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.raw_os_error().is_some_and(sys::has_no_locks) => {}
                Err(error) => return Err(error).named("flock"),
            }
            let file = Self(file);
            // It may have been replaced before it was locked.
            if file.is(target)? {
                return Ok(Some(file));
            }
        }
    }

    /// Whether it is still the file of `target`.
    ///
    /// # Errors
    /// Those of fstat(2) and stat(2).
    pub fn is(&self, target: &Target) -> Result<bool> {
        target.dir.is_same(&target.name, &self.0).named("fstat")
    }

    /// The last step before the file changes: a full disk is found out, where the file system can reserve space. After it
    /// an abort comes too late, and nothing may have to wait: to the file system the file has changed.
    ///
    /// # Errors
    /// [`ErrorKind::Aborted`]; `ENOSPC`.
    pub fn reserve<'a>(&'a self, data: &'a [u8], cancel: &Cancel) -> Result<Reserved<'a>> {
        cancel.check()?;
        // To be closed: some file systems say only then that writes were lost.
        let copy = self.0.try_clone().named("open")?;
        sys::reserve(&self.0, data.len() as u64).named("write")?;
        Ok(Reserved { file: &self.0, copy, data })
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        // Closing would do, but for a child process that was forked just now and has a copy.
        sys::release(&self.0);
    }
}

/// A file, the data that is to be its content, and room for that.
#[derive(Debug)]
pub struct Reserved<'a> {
    file: &'a File,
    copy: File,
    data: &'a [u8],
}

impl Reserved<'_> {
    /// Makes the data the content of the file.
    ///
    /// # Errors
    /// Whatever fails first. The old content is there, unless [`Error::committed`].
    pub fn overwrite(self, options: &Options) -> Result<Receipt> {
        let Self { mut file, copy, data } = self;
        let _during = steps::begin(steps::Step::Stage);
        let begun = |error: Error| error.after_commit().advise(Advice::Overwritten);
        if let Some(mode) = options.mode {
            sys::set_mode(file, mode, &|_, _| false)?;
        }
        file.rewind().named("lseek")?;
        file.write_all(data).named("write").map_err(begun)?;
        file.set_len(data.len() as u64).named("ftruncate").map_err(begun)?;
        let flushed = options.flush
            && (leaves_out(Step::InPlaceSync) || flush::file(file).named("fsync").map_err(begun)?);
        let verify = |level| verify::verify(file, Content::Bytes(data), level, &Cancel::default());
        let verified = options.verify.map(verify).transpose().map_err(begun)?;
        sys::close(copy).named("close").map_err(begun)?;
        let durable = flushed && sys::is_durable(file);
        let receipt = Receipt { written: true, bytes: data.len() as u64, durable, verified, atomic: false };
        stats::wrote(&receipt);
        Ok(receipt)
    }
}
