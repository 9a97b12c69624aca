//! Reading lines, on workers: without a lock, and without a right to write.

use std::path::PathBuf;

use crate::dir::{Resolve, Target};
use crate::error::{ErrorKind, Named, Result};
use crate::job::{Job, Step};
use crate::lines::splitter::{Piece, Reader};
use crate::sys::{Dir, Kind};

/// Opens a file of lines.
pub struct OpenLinesJob {
    /// Where it is.
    pub path: PathBuf,
    /// Each line is a JSON value.
    pub json: bool,
    /// The longest line that the caller can take, in bytes.
    pub longest: usize,
}

impl OpenLinesJob {
    fn open(&self) -> Result<Reader> {
        let target = Target::resolve(&self.path, Resolve { mkdir: false, exclusive: false })?;
        let file = target.dir.open_file(&target.name).named("open")?;
        match Dir::stat_file(&file).named("fstat")?.0 {
            Kind::File => Ok(Reader::new(file, self.json, self.longest)),
            _ => Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into()),
        }
    }
}

impl Job for OpenLinesJob {
    type Output = Reader;

    fn run(self) -> Step<Self> {
        match self.open() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            opened => Step::Done(opened),
        }
    }
}

/// Reads the next lines. After an error there are none.
pub struct ReadLinesJob(pub Reader);

impl Job for ReadLinesJob {
    type Output = (Reader, Piece);

    fn run(mut self) -> Step<Self> {
        match self.0.read() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            Err(error) => Step::Done(Err(error)),
            Ok(piece) => Step::Done(Ok((self.0, piece))),
        }
    }
}
