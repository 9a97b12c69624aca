//! Several files, as they were at one moment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::{Directory, Resolve, Target};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::job::{After, Job, Step};
use crate::lock::holder::{Blocker, Timeout};
use crate::process::room_to_read;
use crate::sys::{self, Dir, Kind, Version};
use crate::transaction::decision::{Todo, decide, is_dropped};
use crate::transaction::place::{Home, Place};
use crate::transaction::recover;
use crate::transaction::root::{Journal, Root, RootWait};
use crate::transaction::session::{Seen, resolve};
use crate::write::verify::read_fully;

/// How long to wait for a transaction that is at work before looking again.
const PAUSE: Duration = Duration::from_millis(1);
/// After so many rounds in vain transactions are kept out.
const ROUNDS: u32 = 8;

/// A file's content, and which version it is; `None`: there is none.
pub type Content = Option<Vec<u8>>;

/// Reads files below a root as of one moment.
pub struct SnapshotJob {
    root: PathBuf,
    paths: Vec<PathBuf>,
    since: Instant,
    timeout: Duration,
    rounds: u32,
    /// Its place among those who wait for the root's lock, after [`ROUNDS`].
    waiting: Option<RootWait>,
    cancel: Cancel,
}

impl SnapshotJob {
    /// `root` and `paths` are absolute.
    pub fn new(root: PathBuf, paths: Vec<PathBuf>, timeout: Duration, cancel: Cancel) -> Self {
        Self { root, paths, since: Instant::now(), timeout, rounds: 0, waiting: None, cancel }
    }
}

/// What came of a round.
enum Round {
    Done(Vec<Content>),
    /// Something has changed meanwhile.
    Again,
}

impl Job for SnapshotJob {
    type Output = Vec<Content>;

    fn run(mut self) -> Step<Self> {
        if let Err(error) = self.cancel.check() {
            return Step::Done(Err(error));
        }
        match self.round() {
            Ok(Round::Done(contents)) => return Step::Done(Ok(contents)),
            Err(error) if error.is_transient() => {
                self.waiting = None;
                return Step::Again(self, error);
            }
            Err(error) => return Step::Done(Err(error)),
            Ok(Round::Again) => self.rounds += 1,
        }
        let waited = self.since.elapsed();
        Step::Wait(Box::pin(async move {
            if waited >= self.timeout {
                let timeout = Timeout::new(waited, Blocker::Changes, None, &self.root);
                return After::Done(Err(timeout.into()));
            }
            tokio::time::sleep(PAUSE).await;
            After::Run(self)
        }))
    }
}

impl SnapshotJob {
    fn round(&mut self) -> Result<Round> {
        let dir = Directory::open(None, &self.root, false)?;
        let Some(root) = Root::open(&dir)? else { return self.read_all(&dir, None, None) };
        // Transactions that follow each other closely leave no room; this one waits for its turn like they do.
        let kept_out = if self.rounds >= ROUNDS && root.is_writable {
            root.try_lock_in_turn(self.waiting.get_or_insert_default()).ok().flatten()
        } else {
            None
        };
        if kept_out.is_some() {
            // The turn is given back: whoever is next waits for the lock itself.
            self.waiting = None;
        }
        let before = root.read()?;
        if let Some(record) = before.pending() {
            let is_live = if kept_out.is_some() { Some(false) } else { root.is_locked() };
            match is_live {
                Some(true) | None if before.state.applied >= record.txid => {}
                Some(true) => return Ok(Round::Again),
                // Whether it lives is not to be known: it has had time.
                None if self.since.elapsed() < self.timeout / 2 => return Ok(Round::Again),
                _ if root.is_writable => {
                    drop(kept_out);
                    self.waiting = None;
                    recover::attempt(&root)?;
                    return Ok(Round::Again);
                }
                _ => return self.read_all(&dir, Some(&root), Some(&before)),
            }
        }
        let read = self.read_all(&dir, Some(&root), None)?;
        drop(kept_out);
        match read {
            Round::Done(contents) if is_same(&before, &root.read()?) => Ok(Round::Done(contents)),
            _ => Ok(Round::Again),
        }
    }

    /// All files, if there was a moment at which all of them stood. `through`: as they will be when this transaction, which is
    /// dead, is recovered.
    fn read_all(
        &self,
        dir: &Arc<Directory>,
        root: Option<&Root>,
        through: Option<&Journal>,
    ) -> Result<Round> {
        let find_at =
            |(at, path): (usize, &PathBuf)| find(dir, root, path).map_err(|error| error.of_entry(at));
        let targets: Vec<_> = self.paths.iter().enumerate().map(find_at).collect::<Result<_>>()?;
        let mut places = Vec::new();
        if let (Some(root), Some(record)) = (root, through.and_then(Journal::pending)) {
            let home = Home::of(record, root);
            for op in &record.ops {
                let mut place = Place::open(root, op)?;
                place.look(&home)?;
                places.push(place);
            }
            if is_dropped(places.iter().map(Place::seen)) {
                places.clear();
            }
        }
        let open = |target: &Option<Target>| -> Result<Option<Read>> {
            let Some(target) = target else { return Ok(None) };
            let is_it = |place: &&Place<'_>| {
                place.op.name == target.name
                    && place.dir.as_ref().is_some_and(|dir| dir.id() == target.dir.id())
            };
            if let Some(place) = places.iter().find(is_it) {
                let (staged, seen) = place.seen();
                match (decide(staged, seen), place.staged()) {
                    (Todo::Rename, Some(file)) => return Read::of(file.try_clone().named("dup")?).map(Some),
                    (Todo::Unlink, _) => return Ok(None),
                    _ => {}
                }
            }
            Read::open(target)
        };
        let open_at = |at: usize| open(&targets[at]).map_err(|error| error.of_entry(at));
        let files = (0..targets.len()).map(open_at).collect::<Result<Vec<_>>>()?;
        let mut contents = Vec::new();
        for (at, file) in files.iter().enumerate() {
            self.cancel.check()?;
            let content = file.as_ref().map(Read::content).transpose();
            contents.push(content.map_err(|error| error.of_entry(at))?);
        }
        // The descriptors keep inode numbers from being given out again: what is the same now was there all the time.
        for (at, (file, content)) in files.iter().zip(&contents).enumerate() {
            let is_same = match (open_at(at)?, file) {
                (None, None) => true,
                (Some(now), Some(file)) => {
                    now.version.has_content_of(&file.version)
                        && content.as_ref().is_some_and(|content| content.len() as u64 == file.version.size)
                }
                _ => false,
            };
            if !is_same {
                return Ok(Round::Again);
            }
        }
        Ok(Round::Done(contents))
    }
}

fn is_same(before: &Journal, now: &Journal) -> bool {
    let txid = |journal: &Journal| journal.record.as_ref().map(|record| record.txid);
    before.state == now.state && txid(before) == txid(now)
}

/// The file that a path means. `None`: not even its directory is there.
fn find(dir: &Arc<Directory>, root: Option<&Root>, path: &Path) -> Result<Option<Target>> {
    let found = match root {
        Some(root) => resolve(root, path, false),
        None => below(dir, path),
    };
    match found {
        Err(error) if matches!(error.errno_of("open"), Some(sys::ENOENT | sys::ENOTDIR)) => Ok(None),
        found => found.map(Some),
    }
}

/// As [`resolve`], where no transaction has been yet.
fn below(dir: &Directory, path: &Path) -> Result<Target> {
    let target = Target::resolve(path, Resolve { mkdir: false, exclusive: false })?;
    let is_below = target.dir.path().named("readlink")?.starts_with(dir.path().named("readlink")?);
    if is_below && target.dir.is_in_mount_of(dir) { Ok(target) } else { Err(ErrorKind::OutsideRoot.into()) }
}

/// An open file and its version.
struct Read {
    file: File,
    version: Version,
}

impl Read {
    fn open(target: &Target) -> Result<Option<Self>> {
        match target.dir.open_file(&target.name) {
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(None),
            opened => opened.named("open").and_then(Self::of).map(Some),
        }
    }

    fn of(file: File) -> Result<Self> {
        let (kind, version) = Dir::stat_file(&file).named("fstat")?;
        if kind != Kind::File {
            return Err(Error::raw("open", sys::EISDIR));
        }
        Ok(Self { file, version })
    }

    fn content(&self) -> Result<Vec<u8>> {
        let mut bytes = room_to_read(self.version.size)?;
        bytes.resize(usize::try_from(self.version.size).unwrap_or(0), 0);
        let got = read_fully(&self.file, &mut bytes, 0)?;
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// Reads one file below a root, for a transaction that is to be committed only if it still is what it was.
pub struct ReadJob {
    root: PathBuf,
    path: PathBuf,
    /// Files that the transaction changes: is it one of them?
    others: Vec<PathBuf>,
}

/// What was read.
pub struct WasRead {
    /// `None`: there is no file.
    pub content: Content,
    /// To be compared at the commit.
    pub seen: Seen,
    /// What tells the file; `None`: its directory is missing.
    pub identity: Option<String>,
    /// The same, of the others.
    pub identities: Vec<Option<String>>,
}

impl ReadJob {
    /// All paths are absolute.
    pub fn new(root: PathBuf, path: PathBuf, others: Vec<PathBuf>) -> Self {
        Self { root, path, others }
    }

    fn read(&self) -> Result<WasRead> {
        let dir = match Directory::open(None, &self.root, false) {
            Err(error) if error.errno_of("open") == Some(sys::ENOENT) => {
                let identities = vec![None; self.others.len()];
                return Ok(WasRead { content: None, seen: Seen(None), identity: None, identities });
            }
            opened => opened?,
        };
        let root = Root::open(&dir)?;
        let target = find(&dir, root.as_ref(), &self.path)?;
        let identity = |target: &Target| format!("{:?} {:?}", target.dir.id(), target.name);
        let identify =
            |other: &PathBuf| find(&dir, root.as_ref(), other).ok().flatten().as_ref().map(identity);
        let identities = self.others.iter().map(identify).collect();
        let known = target.as_ref().map(identity);
        let Some(read) = target.as_ref().map(Read::open).transpose()?.flatten() else {
            return Ok(WasRead { content: None, seen: Seen(None), identity: known, identities });
        };
        let content = read.content()?;
        Ok(WasRead { content: Some(content), seen: Seen(Some(read.version)), identity: known, identities })
    }
}

impl Job for ReadJob {
    type Output = WasRead;

    fn run(self) -> Step<Self> {
        match self.read() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            read => Step::Done(read),
        }
    }
}
