//! The jobs of an open file: open, append, commit, discard. One job at a time has the writer, and
//! gives it back.

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::error::{Error, ErrorKind};
use crate::job::{Job, Step};
use crate::process::{Place, Turn, buffer_pool};
use crate::write::job::settle;
use crate::write::options::{Options, Receipt};
use crate::write::published::Settled;
use crate::write::writer::Writer;

/// Stages a file.
pub struct OpenFile {
    /// Absolute.
    pub path: PathBuf,
    /// How to write.
    pub options: Options,
    /// Make missing directories.
    pub mkdir: bool,
    /// The caller's.
    pub cancel: Cancel,
}

impl Job for OpenFile {
    type Output = Writer;

    fn run(self) -> Step<Self> {
        match Writer::open(&self.path, self.options.clone(), self.mkdir, &self.cancel) {
            Err(error) if error.is_transient() => Step::Again(self, error),
            opened => Step::Done(opened),
        }
    }
}

/// Writes what has come.
pub struct Append {
    /// The file.
    pub writer: Writer,
    /// What to append to it.
    pub pieces: Vec<Data>,
    /// The caller's.
    pub cancel: Cancel,
}

impl Job for Append {
    type Output = Writer;

    fn run(self) -> Step<Self> {
        let Self { mut writer, pieces, cancel } = self;
        match append(&mut writer, pieces, &cancel) {
            Ok(()) => Step::Done(Ok(writer)),
            Err(failure) => give_up(writer, failure),
        }
    }
}

/// Pieces that are smaller are put together: a write(2) each would cost more than the copy.
const TOGETHER: usize = 64 << 10;

fn append(writer: &mut Writer, pieces: Vec<Data>, cancel: &Cancel) -> Result<(), Error> {
    let mut together = Vec::new();
    for piece in pieces {
        let bytes = piece.into_bytes()?;
        if together.len() + bytes.len() > TOGETHER {
            writer.write(&together, cancel)?;
            together.clear();
        }
        if bytes.len() < TOGETHER {
            together.extend_from_slice(&bytes);
        } else {
            writer.write(&bytes, cancel)?;
            buffer_pool::keep(bytes);
        }
    }
    writer.write(&together, cancel)
}

/// Nothing of the file must be left when the caller gets the failure.
fn give_up<J: Job>(writer: Writer, failure: Error) -> Step<J> {
    writer.discard();
    Step::Done(Err(failure))
}

/// Publishes a file that is complete.
pub struct Commit {
    /// The file.
    pub writer: Writer,
    /// Its turn, or its place in the queue.
    pub wait: Wait,
    /// The caller's.
    pub cancel: Cancel,
}

/// How far a commit is on the way to its turn.
pub enum Wait {
    /// It is in the queue.
    InQueue(Place),
    /// Its turn has come.
    Over(Turn),
}

impl Job for Commit {
    type Output = Receipt;

    fn run(self) -> Step<Self> {
        let Self { mut writer, wait, cancel } = self;
        let turn = match wait {
            Wait::Over(turn) => turn,
            Wait::InQueue(mut place) => match place.try_turn() {
                Some(turn) => turn,
                None if cancel.is_cancelled() => return give_up(writer, ErrorKind::Aborted.into()),
                None => {
                    return Step::Wait(Box::pin(async move {
                        let wait = tokio::select! {
                            turn = place.turn() => turn.map(Wait::Over),
                            () = cancel.cancelled() => Ok(Wait::InQueue(place)),
                        };
                        wait.map(|wait| Self { writer, wait, cancel }).into()
                    }));
                }
            },
        };
        match writer.publish(&cancel) {
            Err(error) if error.is_transient() => {
                Step::Again(Self { writer, wait: Wait::Over(turn), cancel }, error)
            }
            Err(error) => give_up(writer, error),
            Ok(published) => settle(published, Settled::in_place),
        }
    }
}

/// Discards a file, and is done when nothing of it is left.
pub struct Discard(pub Writer);

impl Job for Discard {
    type Output = ();

    fn run(self) -> Step<Self> {
        self.0.discard();
        Step::Done(Ok(()))
    }
}
