//! The commit of transactions, on workers.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::index::document::{Document, Operation, Tables};
use crate::index::file::{Snapshot, UpdateOptions};
use crate::index::format::Format;
use crate::index::json;
use crate::index::text::laid_out;
use crate::job::{Job, Step};
use crate::lock::backoff::Backoff;
use crate::lock::holder::{Blocker, Timeout};
use crate::process::{copy_text, retry_transient};
use crate::stats;
use crate::steps;
use crate::transaction::commit::{self, Attempt};
use crate::transaction::item::{Change, Expected, Item, NextText};
use crate::transaction::root::{Root, RootLock, RootWait};
use crate::transaction::session::{Seen, Session};
use crate::write::{Options, Receipt};

/// What is to become of one file.
pub struct Wanted {
    /// Its position among those of the session.
    pub at: usize,
    /// What is to become of it.
    pub what: What,
}

/// What is to become of a file.
pub enum What {
    /// It gets this content. With a position: what was there is kept in that file.
    Write(Arc<Data>, Options, Option<usize>),
    /// An index gets this text, in the place of what was read. With a path: what was read is kept there.
    Index(Next, Box<UpdateOptions>, Option<Box<Snapshot>>, Option<usize>),
    /// It becomes the name of that file, which loses its own.
    Rename(usize),
    /// It goes; `true`: it must be there.
    Remove(bool),
    /// It is to be what it was when it was read.
    Keep(Seen),
    /// Nothing is to be there; not even its directory was, so it has no position.
    Absent(PathBuf),
    /// Whatever else becomes of it: it must be there now, or must not.
    Require(bool),
}

/// The next text of an index.
pub enum Next {
    /// This one, which is laid out here as far as `JSON.stringify` could not.
    Text(Arc<Data>),
    /// What [`Text::take_document`](crate::index::text::Text::take_document) has taken out of the snapshot, and was patched since. The text is
    /// put there as well.
    Patched(Box<Document>, Arc<OnceLock<String>>),
    /// The same after these operations, which make the text of a value that is kept. If one does not fit the text, that counts as a file which others
    /// have changed.
    Edited(Box<Document>, Vec<Operation>),
}

/// Commits a group of transactions.
pub struct CommitJob {
    session: Session,
    stage: Committing,
    flush: bool,
    timeout: Duration,
    cancel: Cancel,
}

enum Committing {
    Wanted(Vec<Wanted>),
    Stage(Vec<Item>),
    Commit(Vec<Item>, RootLock),
}

/// What came of a commit.
pub enum Committed {
    /// All is there: the number of the transaction, if it has one, what was done to each file, and whether all is on disk.
    Done(Option<u64>, Vec<Receipt>, bool),
    /// Nothing was done: these files (by position among what was wanted) are not what they were to be. None: another transaction
    /// has to be recovered first.
    Changed(Vec<usize>),
}

impl CommitJob {
    /// For a session that has its locks.
    pub fn new(
        session: Session,
        wanted: Vec<Wanted>,
        flush: bool,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        Self { session, stage: Committing::Wanted(wanted), flush, timeout, cancel }
    }

    fn stage(self, mut items: Vec<Item>) -> Step<Self> {
        let during = steps::begin(steps::Step::Stage);
        let staged = commit::stage(&self.session.root, &mut items, self.flush, &self.cancel);
        drop(during);
        match staged {
            Ok(moved) if moved.is_empty() => {}
            Ok(moved) => return Step::Done(Ok(Committed::Changed(moved))),
            Err(error) => return self.failed(items, error),
        }
        let mut waiting = RootWait::default();
        match self.session.root.try_lock_in_turn(&mut waiting) {
            Ok(Some(lock)) => {
                drop(waiting);
                return self.commit(items, lock);
            }
            Err(error) if !error.is_transient() => return Step::Done(Err(error)),
            _ => {}
        }
        // What can be done without the root is done meanwhile.
        if let Err(error) = commit::flush_staged(&mut items, self.flush, &self.cancel) {
            return self.failed(items, error);
        }
        Step::Wait(Box::pin(async move {
            let lock = lock_root(&self.session.root, waiting, self.timeout, &self.cancel).await;
            lock.map(|lock| Self { stage: Committing::Commit(items, lock), ..self }).into()
        }))
    }

    fn commit(mut self, mut items: Vec<Item>, lock: RootLock) -> Step<Self> {
        let Self { session, flush, cancel, .. } = &mut self;
        let committed = commit::commit(&session.root, &lock, &mut items, &session.locks, *flush, cancel);
        drop(lock);
        match committed {
            Ok(Attempt::Committed(txid)) => {
                session.release();
                let receipts: Vec<Receipt> = items.iter().map(|item| item.receipt).collect();
                receipts.iter().filter(|receipt| receipt.written).for_each(stats::wrote);
                items.into_iter().for_each(Item::keep_text);
                let is_durable =
                    session.has_durable_directories && receipts.iter().all(|receipt| receipt.durable);
                Step::Done(Ok(Committed::Done(txid, receipts, is_durable)))
            }
            Ok(Attempt::Changed(changed)) => Step::Done(Ok(Committed::Changed(changed))),
            Ok(Attempt::Recover) => Step::Done(Ok(Committed::Changed(Vec::new()))),
            Err(error) if error.committed() => {
                if matches!(error.kind(), ErrorKind::PendingNames { .. }) {
                    session.leave();
                }
                Step::Done(Err(error))
            }
            Err(error) => {
                if matches!(error.kind(), ErrorKind::UnknownOutcome { .. }) {
                    session.leave();
                }
                self.failed(items, error)
            }
        }
    }

    /// Nothing has changed: from the looks on again, if that helps.
    fn failed(self, items: Vec<Item>, error: Error) -> Step<Self> {
        match error.is_transient() {
            true => Step::Again(Self { stage: Committing::Stage(items), ..self }, error),
            false => Step::Done(Err(error)),
        }
    }
}

/// Waits for the root, without a thread.
async fn lock_root(
    root: &Root,
    mut waiting: RootWait,
    timeout: Duration,
    cancel: &Cancel,
) -> Result<RootLock> {
    let mut backoff = Backoff::new(Instant::now(), timeout);
    loop {
        let pause = match backoff.pause() {
            Ok(pause) => pause,
            Err(waited) => {
                let none = Timeout::new(waited, Blocker::Lock, None, &root.path);
                return Err(Timeout { lock: Some(root.lock_path()), ..none }.into());
            }
        };
        cancel.sleep(pause).await?;
        match root.try_lock_in_turn(&mut waiting) {
            Ok(Some(lock)) => return Ok(lock),
            Err(error) if !error.is_transient() => return Err(error),
            _ => {}
        }
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(mut self) -> Step<Self> {
        match std::mem::replace(&mut self.stage, Committing::Wanted(Vec::new())) {
            Committing::Wanted(wanted) => match prepare(&self.session, wanted, &self.cancel) {
                Ok(Prepared::Items(items)) => self.stage(items),
                Ok(Prepared::Unfit(position)) => Step::Done(Ok(Committed::Changed(vec![position]))),
                Err(error) => Step::Done(Err(error)),
            },
            Committing::Stage(items) => self.stage(items),
            Committing::Commit(items, lock) => self.commit(items, lock),
        }
    }
}

/// What is wanted, with all that is known of the files.
enum Prepared {
    Items(Vec<Item>),
    /// What is to be edited there is another text.
    Unfit(usize),
}

fn prepare(session: &Session, wanted: Vec<Wanted>, cancel: &Cancel) -> Result<Prepared> {
    let mut items = Vec::new();
    let mut backups = Vec::new();
    for (position, Wanted { at, what }) in wanted.into_iter().enumerate() {
        let target = match &what {
            // Its directory is missing: the root stands for it.
            What::Absent(_) => Target::again(session.root.dir.clone(), "".into(), session.root.path.clone()),
            _ => session.targets[at].clone(),
        };
        let mut item =
            |change, expected, is_index| items.push(Item::new(target.clone(), change, expected, is_index));
        match what {
            What::Write(data, options, backup) => {
                let data = Data::of_shared(data).and_then(Data::into_bytes);
                let data = data.map_err(|error| error.of_entry(position))?;
                let mut expected = Expected::Any;
                if let Some(backup) = backup
                    && let Some((old, version, mode)) = retry_transient(|| session.content(at))?
                {
                    let options =
                        Options { mode: Some(mode), if_changed: true, exclusive: false, ..options.clone() };
                    let target = session.targets[backup].clone();
                    backups.push(Item::new(target, Change::Write(old, options), Expected::Any, false));
                    expected = Expected::Version(Some(version));
                }
                item(Change::Write(data, options), expected, false);
            }
            What::Absent(path) => item(Change::Keep, Expected::NoPath(path), false),
            What::Rename(from) => item(Change::Rename(session.targets[from].clone()), Expected::Any, false),
            What::Remove(must) => item(Change::Remove(must), Expected::Any, false),
            What::Require(true) => item(Change::Keep, Expected::Present, false),
            What::Require(false) => item(Change::Keep, Expected::Absent, false),
            What::Keep(Seen(version)) => item(Change::Keep, Expected::Version(version), false),
            What::Index(next, options, snapshot, backup) => {
                let mut snapshot = snapshot.map(|snapshot| *snapshot);
                let made =
                    index_text(next, &options, &mut snapshot).map_err(|error| error.of_entry(position))?;
                let Some((mut text, tables)) = made else { return Ok(Prepared::Unfit(position)) };
                let version = snapshot.as_ref().map(|snapshot| snapshot.version.clone());
                let expected = Expected::Version(version);
                if let Some(old) = &snapshot
                    && old.says(&text, &options, cancel)?
                {
                    if options.format == Format::Json && *old.text.whole.as_bytes() == *text {
                        old.keep_unchanged(target.key(), &mut text, tables, options.edition);
                    }
                    item(Change::Keep, expected, true);
                    continue;
                }
                if let (Some(backup), Some(old)) = (backup, &snapshot) {
                    let stat = retry_transient(|| session.targets[at].existing())?;
                    let mode = stat.map(|stat| stat.access.mode);
                    let options =
                        Options { mode, exclusive: false, if_changed: true, ..options.commit.clone() };
                    let target = session.targets[backup].clone();
                    backups.push(Item::new(
                        target,
                        Change::Write(old.bytes()?, options),
                        Expected::Any,
                        false,
                    ));
                }
                let next = NextText::new(&text, snapshot.as_ref(), tables, &options);
                let change = Change::Write(text, options.commit.clone());
                items.push(Item::new(target, change, expected, true).with_text(next));
            }
        }
    }
    // After those that were asked for, so that positions are the callers'.
    items.append(&mut backups);
    Ok(Prepared::Items(items))
}

/// The bytes of an index, laid out as it was, and what is known of them. `None`: edits do not fit.
fn index_text(
    next: Next,
    options: &UpdateOptions,
    snapshot: &mut Option<Snapshot>,
) -> Result<Option<(Vec<u8>, Option<Tables>)>> {
    let (document, told) = match next {
        Next::Text(text) => return printed(text, options, snapshot.as_ref()).map(|text| Some((text, None))),
        Next::Patched(document, told) => (document, Some(told)),
        Next::Edited(mut document, edits) => match document.apply(&edits, options.numbers) {
            Ok(()) => (document, None),
            Err(_) => return Ok(None),
        },
    };
    let (next, before) = document.advance().map_err(|_| Error::no_memory())?;
    if let Some(snapshot) = snapshot {
        snapshot.text.whole = before;
    }
    let (text, tables) = next.into_parts();
    json::check_length(text.as_bytes(), options.longest)?;
    if let Some(told) = told
        && told.get().is_none()
    {
        let copy = copy_text(&text)?;
        told.get_or_init(|| copy);
    }
    Ok(Some((text.into_bytes(), Some(tables))))
}

/// What `JSON.stringify`, or a codec, has made.
fn printed(text: Arc<Data>, options: &UpdateOptions, snapshot: Option<&Snapshot>) -> Result<Vec<u8>> {
    let layout = snapshot.map(|snapshot| snapshot.text.layout.clone()).unwrap_or_default();
    let text = laid_out(Data::of_shared(text)?, &layout, options)?;
    json::check_length(&text, options.longest)?;
    options.format.check_made(&text)?;
    Ok(text)
}
