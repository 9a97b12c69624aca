//! The half of an index update from what the functions have made to the disk.

use std::sync::Arc;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::Target;
use crate::dir::place::moved;
use crate::error::{Advice, Error, ErrorKind};
use crate::index::document::{Document, Operation, Tables};
use crate::index::file::{IndexFile, UpdateOptions};
use crate::index::group::Written;
use crate::index::job::{Opened, Origin};
use crate::index::reopen_job::Lost;
use crate::index::text::laid_out;
use crate::job::{Job, Step};
use crate::write::{Receipt, Settled};

/// From the new text to the disk.
pub struct CommitJob {
    stage: Committing,
    how: Commit,
}

struct Commit {
    options: UpdateOptions,
    keep: bool,
    cancel: Cancel,
}

enum Committing {
    Replace(Box<Opened>, Text),
    /// The path is to be followed again; what came of the write if it leads elsewhere.
    Follow(Box<Settling>, Written<Outcome>),
}

/// An index after the write.
struct Settling {
    index: IndexFile,
    origin: Origin,
    waited: Duration,
    /// What came of it.
    written: Written<Outcome>,
}

enum Text {
    Given(Data),
    /// After these operations.
    Patched(Box<Document>, Vec<Operation>),
    Encoded(Vec<u8>, Option<Tables>),
}

/// What came of a commit.
pub struct Committed {
    /// Of the write.
    pub written: Written<Outcome>,
    /// The index as it is now, if it is still to be changed.
    pub now: Now,
}

/// An index after a commit.
pub enum Now {
    /// As it is read.
    Open(Box<Opened>),
    /// It is to be waited for.
    Lost(Box<Lost>),
    /// It cannot be had, or is not needed any more.
    Gone(Outcome),
}

/// What the calls are told that share a commit.
pub type Outcome = Arc<std::result::Result<Receipt, Error>>;

impl CommitJob {
    /// `text`, which is laid out here as far as `JSON.stringify` could not, is to replace the snapshot in `opened`.
    /// `keep`: the index is needed after that as well.
    pub fn new(opened: Opened, text: Data, options: UpdateOptions, keep: bool, cancel: Cancel) -> Self {
        Self::of(opened, Text::Given(text), options, keep, cancel)
    }

    /// As [`CommitJob::new`], with the document that [`Text::take_document`](crate::index::text::Text::take_document) has taken out of the
    /// snapshot and that was patched since.
    pub fn patched(
        opened: Opened,
        document: Document,
        options: UpdateOptions,
        keep: bool,
        cancel: Cancel,
    ) -> Self {
        Self::edited(opened, document, Vec::new(), options, keep, cancel)
    }

    /// As [`CommitJob::patched`], with operations that are applied here. If one does not fit the text, that counts as a text which others have changed.
    pub fn edited(
        opened: Opened,
        document: Document,
        edits: Vec<Operation>,
        options: UpdateOptions,
        keep: bool,
        cancel: Cancel,
    ) -> Self {
        Self::of(opened, Text::Patched(Box::new(document), edits), options, keep, cancel)
    }

    fn of(opened: Opened, text: Text, options: UpdateOptions, keep: bool, cancel: Cancel) -> Self {
        let how = Commit { options, keep, cancel };
        Self { stage: Committing::Replace(Box::new(opened), text), how }
    }
}

impl Commit {
    fn at(self, stage: Committing) -> CommitJob {
        CommitJob { stage, how: self }
    }

    fn replace(self, mut opened: Box<Opened>, text: Text) -> Step<CommitJob> {
        let layout = opened.layout();
        let text = match text {
            Text::Given(data) => laid_out(data, &layout, &self.options).map(|text| (text, None)),
            Text::Patched(mut document, edits) => {
                if document.apply(&edits, self.options.numbers).is_err() {
                    return self.done(Settling::of(*opened, Written::Changed));
                }
                document.advance().map_err(|_| Error::no_memory()).map(|(next, before)| {
                    if let Some(snapshot) = &mut opened.snapshot {
                        snapshot.text.whole = before;
                    }
                    let (text, tables) = next.into_parts();
                    (text.into_bytes(), Some(tables))
                })
            }
            Text::Encoded(text, tables) => Ok((text, tables)),
        };
        let Opened { index, snapshot, .. } = &mut *opened;
        let settled = match text {
            Err(failure) => Err(failure),
            Ok((mut text, mut tables)) => {
                let (options, cancel) = (&self.options, &self.cancel);
                let replaced = if tables.is_some() {
                    index.replace_patched(&mut text, &mut tables, snapshot, options, cancel)
                } else {
                    index.replace(&mut text, snapshot, options, cancel)
                };
                match replaced {
                    Err(error) if error.is_transient() => {
                        let text = Text::Encoded(text, tables);
                        return Step::Again(self.at(Committing::Replace(opened, text)), error);
                    }
                    settled => settled,
                }
            }
        };
        let index = &opened.index;
        let (is_moved, written) = match settled {
            Ok(Some(Settled::InPlace(receipt))) => (false, Written::Done(Arc::new(Ok(receipt)))),
            Ok(Some(Settled::Moved(receipt))) => (true, Written::Done(Arc::new(Ok(receipt)))),
            Ok(None) if matches!(index.has_lost_lock(), Ok(true)) => {
                let target = index.target().clone();
                return Settling::of(*opened, Written::Changed).lost(&target);
            }
            Ok(None) => (index.is_moved(), Written::Changed),
            Err(failure) if index.is_linked(&failure) => {
                return self.follow_link(Settling::of(*opened, Written::Changed));
            }
            // The index is another one, whose lock its caller does not have.
            Err(failure) if failure.is_link() => {
                (false, Written::Failed(Arc::new(Err(failure.advise(Advice::Linked)))))
            }
            Err(failure) if failure.is_texts_fault() => (false, Written::Invalid(Arc::new(Err(failure)))),
            // In a directory that was removed nothing can be made, and the system's words are those for other causes.
            Err(failure) => {
                let is_moved = failure.is_system() && !failure.committed() && index.is_moved();
                (is_moved, Written::Failed(Arc::new(Err(failure))))
            }
        };
        let is_lent = index.is_lent();
        let settling = Settling::of(*opened, written);
        match is_moved {
            false => self.done(settling),
            // The lock of another index is none of the one that has it.
            true if is_lent => {
                self.done(Settling { written: Written::Failed(Arc::new(Err(moved()))), ..settling })
            }
            // What was written there counts for nothing, and the functions run again.
            true => self.follow(settling, Written::Changed),
        }
    }

    /// Takes the index that the caller's path means now in the place of one that it may not mean any more; then `elsewhere` came of the write.
    fn follow(self, settling: Settling, elsewhere: Written<Outcome>) -> Step<CommitJob> {
        let target = match settling.origin.resolve() {
            Ok(target) => target,
            Err(error) if error.is_transient() => {
                return Step::Again(self.at(Committing::Follow(Box::new(settling), elsewhere)), error);
            }
            Err(error) => {
                let now = Now::Gone(Arc::new(Err(error)));
                return Step::Done(Ok(Committed { written: elsewhere, now }));
            }
        };
        // It was moved, and so was a link on the caller's path, which leads there again.
        if *settling.index.key() == target.key() && *settling.index.name() == target.name {
            return self.read(settling);
        }
        Settling { written: elsewhere, ..settling }.lost(&target)
    }

    /// Takes the index that the name leads to now, which is a link. What was written before it became one counts: it leads to that as a rule.
    fn follow_link(self, settling: Settling) -> Step<CommitJob> {
        let elsewhere = settling.written.clone();
        self.follow(settling, elsewhere)
    }

    fn done(self, settling: Settling) -> Step<CommitJob> {
        let index = &settling.index;
        if self.needs(&settling.written) && !index.is_lent() && index.is_moved() {
            // There is nothing to be read any more in a directory that was removed.
            let elsewhere = settling.written.clone();
            return self.follow(settling, elsewhere);
        }
        self.read(settling)
    }

    /// Whether the index is needed any more.
    fn needs(&self, written: &Written<Outcome>) -> bool {
        self.keep || matches!(written, Written::Changed | Written::Invalid(_))
    }

    fn read(self, Settling { index, origin, waited, written }: Settling) -> Step<CommitJob> {
        let opened = if self.needs(&written) {
            match Opened::read(index, waited, origin).map_err(|failed| *failed) {
                Err((index, origin, failure)) if index.is_linked(&failure) => {
                    return self.follow_link(Settling { index, origin, waited, written });
                }
                opened => opened.map_err(|(_, _, failure)| failure),
            }
        } else {
            // The caller does not look at it.
            Err(ErrorKind::Panic("an index was lost".into()).into())
        };
        let now = opened
            .map_or_else(|failure| Now::Gone(Arc::new(Err(failure))), |opened| Now::Open(Box::new(opened)));
        Step::Done(Ok(Committed { written, now }))
    }
}

impl Settling {
    fn of(Opened { index, origin, waited, .. }: Opened, written: Written<Outcome>) -> Self {
        Self { index, origin, waited, written }
    }

    /// The index is to be had again, at `target`.
    fn lost(self, target: &Target) -> Step<CommitJob> {
        let Self { index, origin, waited, written } = self;
        let lost = Lost::new(Some(index), target, origin, waited);
        Step::Done(lost.map(|lost| Committed { written, now: Now::Lost(Box::new(lost)) }))
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        match stage {
            Committing::Replace(opened, text) => how.replace(opened, text),
            Committing::Follow(settling, elsewhere) => how.follow(*settling, elsewhere),
        }
    }
}

impl From<Error> for Committed {
    /// The job itself has failed, and the index is gone.
    fn from(error: Error) -> Self {
        let outcome = Arc::new(Err(error));
        Self { written: Written::Failed(outcome.clone()), now: Now::Gone(outcome) }
    }
}
