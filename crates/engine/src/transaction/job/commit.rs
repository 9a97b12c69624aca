//! The commit of transactions, on workers.

use std::collections::HashSet;

use tokio::sync::oneshot;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::place::moved;
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::{Snapshot, UpdateOptions};
use crate::index::json;
use crate::job::{After, Job, Step};
use crate::process::spawn_or_run;
use crate::transaction::commit::{self, Attempt};
use crate::transaction::item::{Change, Expected, Item};
use crate::transaction::root::{Root, RootLock};
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
    /// It gets this content.
    Write(Data, Options),
    /// An index gets this text, in the place of what was read. With a path: what was read is kept there.
    Index(Data, Box<UpdateOptions>, Option<Snapshot>, Option<usize>),
    /// It becomes the name of that file, which loses its own.
    Rename(usize),
    /// It goes; `true`: it must be there.
    Remove(bool),
    /// It is to be what it was when it was read.
    Keep(Seen),
    /// Whatever else becomes of it: it must be there now, or must not.
    Require(bool),
}

/// Commits a group of transactions.
pub struct CommitJob {
    session: Session,
    stage: Committing,
    flush: bool,
    cancel: Cancel,
}

enum Committing {
    Wanted(Vec<Wanted>),
    Stage(Vec<Item>),
    Commit(Vec<Item>, RootLock),
}

/// What came of a commit.
pub enum Committed {
    /// All is there: the number of the transaction, if it has one, and what was done to each file.
    Done(Option<u64>, Vec<Receipt>),
    /// Nothing was done: these files (by position among what was wanted) are not what they were to be. None: another transaction
    /// has to be recovered first.
    Changed(Vec<usize>),
}

impl CommitJob {
    /// For a session that has its locks.
    pub fn new(session: Session, wanted: Vec<Wanted>, flush: bool, cancel: Cancel) -> Self {
        Self { session, stage: Committing::Wanted(wanted), flush, cancel }
    }

    fn stage(self, mut items: Vec<Item>) -> Step<Self> {
        let Self { session, flush, cancel, .. } = self;
        match commit::stage(&session.root, &mut items, flush, &cancel) {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                return Step::Again(Self { session, stage: Committing::Stage(items), flush, cancel }, error);
            }
            Err(error) => return Step::Done(Err(error)),
        }
        match session.root.try_lock() {
            Ok(Some(lock)) => {
                Self { session, stage: Committing::Stage(Vec::new()), flush, cancel }.commit(items, lock)
            }
            Err(error) => Step::Done(Err(error)),
            Ok(None) => {
                // What can be done without the root is done meanwhile.
                if let Err(error) = commit::flush_staged(&mut items, flush, &cancel) {
                    return Step::Done(Err(error));
                }
                let (tell, told) = oneshot::channel();
                let root = session.root.dir.clone();
                spawn_or_run("atomic-root", move || {
                    let lock = Root::open(&root).and_then(|root| root.map(|root| root.lock()).transpose());
                    // Nobody may listen any more; then it is free again.
                    drop(tell.send(lock));
                });
                Step::Wait(Box::pin(async move {
                    let lock = tokio::select! {
                        lock = told => lock,
                        () = cancel.cancelled() => return After::Done(Err(ErrorKind::Aborted.into())),
                    };
                    match lock {
                        Ok(Ok(Some(lock))) => After::Run(Self {
                            session,
                            stage: Committing::Commit(items, lock),
                            flush,
                            cancel,
                        }),
                        Ok(Err(error)) => After::Done(Err(error)),
                        _ => After::Done(Err(moved())),
                    }
                }))
            }
        }
    }

    fn commit(self, mut items: Vec<Item>, lock: RootLock) -> Step<Self> {
        let Self { mut session, flush, cancel, .. } = self;
        let committed = commit::commit(&session.root, &lock, &mut items, &session.locks, flush, &cancel);
        drop(lock);
        match committed {
            Ok(Attempt::Committed(txid)) => {
                session.release();
                let receipts = items.iter().map(|item| item.receipt).collect();
                Step::Done(Ok(Committed::Done(txid, receipts)))
            }
            Ok(Attempt::Changed(changed)) => Step::Done(Ok(Committed::Changed(changed))),
            Ok(Attempt::Recover) => Step::Done(Ok(Committed::Changed(Vec::new()))),
            Err(error) => {
                if matches!(error.kind(), ErrorKind::PendingNames { .. } | ErrorKind::UnknownOutcome { .. }) {
                    session.leave();
                }
                Step::Done(Err(error))
            }
        }
    }
}

impl Job for CommitJob {
    type Output = Committed;

    fn run(mut self) -> Step<Self> {
        match std::mem::replace(&mut self.stage, Committing::Wanted(Vec::new())) {
            Committing::Wanted(wanted) => match items(&self.session, wanted, &self.cancel) {
                Ok(items) => self.stage(items),
                Err(error) => Step::Done(Err(error)),
            },
            Committing::Stage(items) => self.stage(items),
            Committing::Commit(items, lock) => self.commit(items, lock),
        }
    }
}

/// What is wanted, with all that is known of the files.
fn items(session: &Session, wanted: Vec<Wanted>, cancel: &Cancel) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut backups = Vec::new();
    let positions: Vec<_> = wanted.iter().map(|wanted| wanted.at).collect();
    let renamed: HashSet<_> = wanted
        .iter()
        .filter_map(|wanted| match wanted.what {
            What::Rename(from) => Some(from),
            _ => None,
        })
        .collect();
    for (position, Wanted { at, what }) in wanted.into_iter().enumerate() {
        let target = session.targets[at].clone();
        let item = |change, expected, is_index| items.push(Item::new(target, change, expected, is_index));
        match what {
            What::Write(data, options) => {
                let data = data.into_bytes().map_err(|error| error.of_entry(position))?;
                item(Change::Write(data, options), Expected::Any, false);
            }
            What::Rename(from) => item(Change::Rename(session.targets[from].clone()), Expected::Any, false),
            What::Remove(must) => item(Change::Remove(must), Expected::Any, false),
            What::Require(true) => item(Change::Keep, Expected::Present, false),
            What::Require(false) => item(Change::Keep, Expected::Absent, false),
            What::Keep(Seen(version)) => item(Change::Keep, Expected::Version(version), false),
            What::Index(text, options, snapshot, backup) => {
                let text = index_text(text, &options, snapshot.as_ref())
                    .map_err(|error| error.of_entry(position))?;
                let version = snapshot.as_ref().map(|snapshot| snapshot.version.clone());
                let expected = Expected::Version(version);
                if let Some(old) = &snapshot
                    && old.says(&text, &options, cancel)?
                {
                    item(Change::Keep, expected, true);
                    continue;
                }
                if let (Some(backup), Some(old)) = (backup, &snapshot) {
                    let mode = session.targets[at].existing()?.map(|stat| stat.access.mode);
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
                item(Change::Write(text, options.commit.clone()), expected, true);
            }
        }
    }
    let is_source = |at: &usize| renamed.contains(at);
    for (item, at) in items.iter_mut().zip(&positions) {
        item.is_moved = is_source(at);
    }
    // After those that were asked for, so that positions are the callers'.
    items.append(&mut backups);
    Ok(items)
}

/// The bytes of an index, laid out as it was.
fn index_text(text: Data, options: &UpdateOptions, snapshot: Option<&Snapshot>) -> Result<Vec<u8>> {
    let layout = snapshot.map(|snapshot| snapshot.layout.clone()).unwrap_or_default();
    let lone = |_| Error::from(ErrorKind::InvalidJson { reason: "a lone surrogate".to_owned() });
    let text = text.into_bytes().map_err(lone)?;
    let text = layout.apply(text, options.space.as_ref());
    json::check_length(&text, options.longest)?;
    json::check_text(&text)?;
    Ok(text)
}
