//! The parts of a transaction that run on workers: finding its files, taking their locks, the commit; and recovery.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::Directory;
use crate::dir::place::moved;
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::{Snapshot, UpdateOptions};
use crate::index::json;
use crate::job::{After, Job, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::sidecar::Taking;
use crate::process::{Inside, Ticket, Turn, spawn_or_run};
use crate::transaction::commit::{self, Attempt};
use crate::transaction::item::{Change, Expected, Item};
use crate::transaction::recover::{self, Recovered};
use crate::transaction::root::{Root, RootLock};
use crate::transaction::session::{Seen, Session, Waiting};
use crate::write::{Options, Receipt};

/// Finds the files of transactions.
pub struct FindJob {
    root: PathBuf,
    paths: Vec<Find>,
}

/// What is to be found.
pub struct Find {
    /// Absolute.
    pub path: PathBuf,
    /// Make missing directories.
    pub mkdir: bool,
    /// It is a directory, to be made.
    pub is_directory: bool,
}

/// What was found: a position for each path (those of directories mean nothing), or why not.
pub struct Found {
    /// What to go on with.
    pub session: Session,
    /// As the paths.
    pub files: Vec<Result<usize>>,
}

impl FindJob {
    /// `root` is absolute.
    pub fn new(root: PathBuf, paths: Vec<Find>) -> Self {
        Self { root, paths }
    }

    fn find(&self) -> Result<Found> {
        let mut session = Session::open(&self.root)?;
        let find = |Find { path, mkdir, is_directory }: &Find| match is_directory {
            true => session.make_directory(path).map(|()| 0),
            false => session.find(path, *mkdir),
        };
        let files: Vec<_> = self.paths.iter().map(find).collect();
        match files.into_iter().map(transient).collect::<Result<_>>() {
            Ok(files) => Ok(Found { session, files }),
            Err(error) => Err(error),
        }
    }
}

/// What passes by itself is a failure of the job.
fn transient<T>(found: Result<T>) -> Result<Result<T>> {
    match found {
        Err(error) if error.is_transient() => Err(error),
        found => Ok(found),
    }
}

impl Job for FindJob {
    type Output = Found;

    fn run(self) -> Step<Self> {
        match self.find() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            found => Step::Done(found),
        }
    }
}

/// Takes the turns of all files and the locks of the indexes, and reads these.
pub struct LockJob {
    session: Session,
    how: Lock,
    stage: Locking,
}

struct Lock {
    /// Files to be updated, and how they are read.
    indexes: Vec<(usize, UpdateOptions)>,
    /// Files that were read before.
    seen: Vec<(usize, Seen)>,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

enum Locking {
    Turns(Ticket),
    Locks(Vec<usize>, Waiting, bool),
}

/// What a transaction works on.
pub struct Locked {
    /// With all locks.
    pub session: Session,
    /// As the indexes.
    pub indexes: Vec<Result<Option<Snapshot>>>,
    /// The files among those that were read before which are not what they were.
    pub stale: Vec<usize>,
    /// From the call on.
    pub waited: Duration,
}

impl LockJob {
    /// For a group of transactions, of which the first was called at `since`. The session holds nothing yet.
    pub fn new(
        session: Session,
        indexes: Vec<(usize, UpdateOptions)>,
        seen: Vec<(usize, Seen)>,
        inside: Inside,
        timeout: Duration,
        cancel: Cancel,
    ) -> Self {
        let how = Lock { indexes, seen, since: Instant::now(), timeout, cancel };
        Self { session, how, stage: Locking::Turns(Ticket::take().inside(inside)) }
    }
}

impl Job for LockJob {
    type Output = Locked;

    fn run(self) -> Step<Self> {
        let Self { mut session, how, stage } = self;
        match stage {
            Locking::Turns(ticket) => {
                // What is pending is recovered with nothing held.
                match recover::attempt(&session.root) {
                    Err(error) if error.is_transient() => {
                        return Step::Again(Self { session, how, stage: Locking::Turns(ticket) }, error);
                    }
                    Err(error) => return Step::Done(Err(error)),
                    Ok(recovered) => session.note(recovered),
                }
                let places = ticket.join_all(session.keys());
                Step::Wait(Box::pin(async move {
                    let turns = tokio::select! {
                        turns = places.turns() => turns.map_err(|(_, error)| error),
                        () = how.cancel.cancelled() => Err(ErrorKind::Aborted.into()),
                        () = tokio::time::sleep(how.timeout) => {
                            Err(Timeout::new(how.timeout, Blocker::EarlierCall, None, &session.root.path).into())
                        }
                    };
                    turns.map(|turns| how.with_turns(session, turns)).into()
                }))
            }
            Locking::Locks(mut indexes, mut waiting, is_last) => {
                let taking = if is_last { Taking::Now } else { Taking::Fairly };
                match session.try_lock(&mut indexes, taking) {
                    Ok(true) => how.read(session),
                    Err(error) => Step::Done(Err(error)),
                    Ok(false) => Step::Wait(Box::pin(async move {
                        let index =
                            indexes.last().map(|at| session.targets[*at].real_path()).unwrap_or_default();
                        let paused = waiting.pause(&index, &how.cancel).await;
                        let stage = Locking::Locks(indexes, waiting, false);
                        paused.map(|()| Self { session, how, stage }).into()
                    })),
                }
            }
        }
    }
}

impl Lock {
    fn with_turns(self, mut session: Session, turns: Vec<Turn>) -> LockJob {
        session.turns = turns;
        let indexes = self.indexes.iter().map(|(at, _)| *at).collect();
        let waiting = Waiting::new(self.since, self.timeout);
        LockJob { session, stage: Locking::Locks(indexes, waiting, self.timeout.is_zero()), how: self }
    }

    fn read(self, session: Session) -> Step<LockJob> {
        let mut indexes = Vec::new();
        for (at, options) in &self.indexes {
            match transient(session.read(*at, options)) {
                Ok(read) => indexes.push(read),
                Err(error) => return again(session, self, error),
            }
        }
        let mut stale = Vec::new();
        for (at, seen) in &self.seen {
            match session.is_as_seen(*at, seen) {
                Ok(true) => {}
                Ok(false) => stale.push(*at),
                Err(error) if error.is_transient() => return again(session, self, error),
                Err(_) => stale.push(*at),
            }
        }
        Step::Done(Ok(Locked { session, indexes, stale, waited: self.since.elapsed() }))
    }
}

fn again(session: Session, how: Lock, error: Error) -> Step<LockJob> {
    let waiting = Waiting::new(how.since, how.timeout);
    Step::Again(LockJob { session, stage: Locking::Locks(Vec::new(), waiting, false), how }, error)
}

impl Session {
    fn note(&mut self, recovered: Option<Recovered>) {
        if let Some(recovered) = recovered.filter(|recovered| recovered.transaction.is_some()) {
            self.recovered = Some(recovered);
        }
    }
}

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

/// Recovers what is pending below a root.
pub struct RecoverJob {
    root: PathBuf,
    give_up: bool,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

impl RecoverJob {
    /// `give_up`: what cannot be recovered is set aside.
    pub fn new(root: PathBuf, give_up: bool, timeout: Duration, cancel: Cancel) -> Self {
        Self { root, give_up, since: Instant::now(), timeout, cancel }
    }

    fn attempt(&self) -> Result<Option<Recovered>> {
        let dir = Directory::open(None, &self.root, false)?;
        match Root::open(&dir)? {
            None => Ok(Some(Recovered::default())),
            Some(root) => match recover::attempt(&root) {
                Err(error) if self.give_up && !error.is_transient() => recover::give_up(&root),
                recovered => recovered,
            },
        }
    }
}

impl Job for RecoverJob {
    type Output = Recovered;

    fn run(self) -> Step<Self> {
        match self.attempt() {
            Ok(Some(recovered)) => Step::Done(Ok(recovered)),
            Err(error) if error.is_transient() => Step::Again(self, error),
            Err(error) => Step::Done(Err(error)),
            Ok(None) => Step::Wait(Box::pin(async move {
                let mut waiting = Waiting::new(self.since, self.timeout);
                let paused = waiting.pause(&self.root.join(".atomic"), &self.cancel).await;
                paused.map(|()| self).into()
            })),
        }
    }
}
