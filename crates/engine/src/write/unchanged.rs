//! A file that holds the right bytes already is not written again.

use std::fs::File;

use crate::cancel::Cancel;
use crate::dir::{Failed, Target};
use crate::error::{ErrorKind, Named, Result};
use crate::process::flush;
use crate::stats;
use crate::sys::{Dir, Version};
use crate::write::options::{Options, Receipt};
use crate::write::verify::{self, Content, Level};

/// For a file that holds the right bytes already: flushes it, because the program that wrote it may not have.
///
/// `None`: it holds something else, or may not be read.
pub fn leave_alone(
    target: &Target,
    content: Content<'_>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Option<Receipt>> {
    let Some(Unchanged { file, level, .. }) = unchanged(target, content, options, cancel)? else {
        return Ok(None);
    };
    confirm(target, &file, content.size(), options, level).map(Some)
}

/// A file that has the right content already.
pub struct Unchanged {
    pub file: File,
    /// Its state before it was read: any later change makes it another.
    pub version: Version,
    /// How far it was read.
    pub level: Level,
}

/// The file, if it has this content already. A file of another size is not read.
pub fn unchanged(
    target: &Target,
    content: Content<'_>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Option<Unchanged>> {
    let file = match target.dir.open_file(&target.name).named("open") {
        Ok(file) => file,
        Err(error) if error.is_transient() => return Err(error),
        Err(_) => return Ok(None),
    };
    let (_, version) = Dir::stat_file(&file).named("fstat")?;
    if version.size != content.size() {
        return Ok(None);
    }
    match verify::verify(&file, content, options.verify.unwrap_or(Level::Cache), cancel) {
        Ok(level) => Ok(Some(Unchanged { file, version, level })),
        Err(error) if matches!(error.kind(), ErrorKind::Verify { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes sure that a file which holds the right bytes already will go on doing so.
pub fn confirm(target: &Target, file: &File, bytes: u64, options: &Options, level: Level) -> Result<Receipt> {
    // The name may be among what a failed flush has lost.
    let lost = target.dir.failed_flushes() != Failed::default();
    let durable = options.flush
        && flush::file(file).named("fsync")?
        && target.dir.sync()?
        && target.dir.is_durable()
        && !lost;
    let receipt = Receipt { written: false, bytes, durable, verified: Some(level), atomic: true };
    stats::wrote(&receipt);
    Ok(receipt)
}
