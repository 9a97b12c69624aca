//! Who has a lock, for the person who reads an error: each holder writes it into its lock file. Nothing is decided by it,
//! for it may be a dead one's, or another container's pid.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, oneshot};

use crate::dir::{Resolve, Target, names};
use crate::error::{Error, ErrorKind};
use crate::process::thread::spawn_or_skip;
use crate::sys;

/// No record is longer; what is written beyond means that a waiter was there.
pub const LONGEST_RECORD: u64 = 255;

/// What is larger is no lock file of ours. Generous, for a lock that is refused stays refused, whatever has made it longer.
pub const LONGEST_LOCK: u64 = 4096;

/// So many threads read records at a time: each may hang for ever.
static ASKING: Semaphore = Semaphore::const_new(8);
const PATIENCE: Duration = Duration::from_secs(1);

/// The holder of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process, as it knows itself.
    pub pid: u32,
    /// Its machine, or container.
    pub host: String,
    /// Since when.
    pub since: SystemTime,
}

impl Holder {
    /// This process, from now on.
    pub fn this() -> Self {
        Self::since(SystemTime::now())
    }

    /// This process, since then.
    pub fn since(since: SystemTime) -> Self {
        Self { pid: std::process::id(), host: sys::host_name(), since }
    }

    /// Whether it is this process.
    pub fn is_this(&self) -> bool {
        self.pid == std::process::id() && self.host == sys::host_name()
    }

    /// Writes itself into an empty lock file, if that can be written.
    pub fn write(&self, file: &File) {
        self.write_padded(file, 0);
    }

    /// As [`Holder::write`], into one that a dead holder has left: nothing of its record, which may be longer, stays.
    pub fn write_over(&self, file: &File) {
        let length = file.metadata().map_or(0, |metadata| metadata.len()).min(LONGEST_RECORD);
        self.write_padded(file, usize::try_from(length).unwrap_or(0));
    }

    fn write_padded(&self, file: &File, length: usize) {
        let mut record = format!("{}\n", self.record()).into_bytes();
        if record.len() as u64 <= LONGEST_RECORD {
            record.resize(record.len().max(length), 0);
            // Without it the lock is as good.
            drop(write_from(file, 0, &record));
        }
    }

    fn record(&self) -> String {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        format!("{} {since} {}", self.pid, self.host)
    }

    /// Writes into a lock file, after its holder, that the lock is part of a transaction with its root `up` directories up.
    pub fn point_to_root(file: &File, up: usize) {
        let Some(end) = first_line(file).map(|line| line.len() as u64 + 1) else { return };
        let record = format!("{ROOT}{up}\n");
        if end + record.len() as u64 <= LONGEST_RECORD {
            // Without it the transaction is found by its journal, though not by a process that has looked there before.
            drop(write_from(file, end, record.as_bytes()));
        }
    }

    /// How many directories up the root is of the transaction that a lock file was left by.
    pub fn root_of(file: &File) -> Option<usize> {
        let mut record = [0; LONGEST_RECORD as usize];
        let got = sys::read_at(file, &mut record, 0).ok()?;
        let line = record[..got].split(|byte| *byte == b'\n').nth(1)?;
        std::str::from_utf8(line).ok()?.strip_prefix(ROOT)?.parse().ok()
    }

    /// What the lock file of `index` says, if it can be read within a second: by a thread of its own, for a mount that
    /// does not answer would stop the one that waits for all calls.
    async fn ask(index: &Path) -> Option<Self> {
        let index = index.to_owned();
        let asked = async {
            let permit = ASKING.acquire().await.ok()?;
            let (tell, told) = oneshot::channel();
            spawn_or_skip("atomic-holder", move || {
                // Nobody may listen any more.
                drop(tell.send(Self::read(&index)));
                drop(permit);
            });
            told.await.ok().flatten()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
    }

    fn read(index: &Path) -> Option<Self> {
        let target = Target::resolve(index, Resolve { mkdir: false, exclusive: false }).ok()?;
        Self::of(&target.dir.open_file(&names::lock(&target.name)).ok()?)
    }

    /// What a lock file says.
    pub fn of(file: &File) -> Option<Self> {
        Self::parse(std::str::from_utf8(&first_line(file)?).ok()?)
    }

    /// What a lock file says in which there is nothing else than holders and waiters write. Other programs have lock files of such names,
    /// and some begin with two numbers.
    pub fn of_ours(file: &File) -> Option<Self> {
        let holder = Self::of(file)?;
        let mut bytes = [0; LONGEST_RECORD as usize + 1];
        let got = sys::read_at(file, &mut bytes, 0).ok()?;
        let rest = bytes[..got].splitn(2, |byte| *byte == b'\n').nth(1)?;
        let rest = match Self::root_of(file) {
            Some(up) => rest.strip_prefix(format!("{ROOT}{up}\n").as_bytes())?,
            None => rest,
        };
        rest.iter().all(|byte| *byte == 0).then_some(holder)
    }

    fn parse(record: &str) -> Option<Self> {
        let mut parts = record.splitn(3, ' ');
        let pid = parts.next()?.parse().ok()?;
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(parts.next()?.parse().ok()?))?;
        let holder = Self { pid, since, host: parts.next()?.to_owned() };
        let is_plausible = since >= UNIX_EPOCH + FIRST_TIME && since <= SystemTime::now() + DAY;
        let is_name = !holder.host.is_empty()
            && !holder.host.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        (is_plausible && is_name && holder.record() == record).then_some(holder)
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Since 1970, until 2015: no holder is older.
const FIRST_TIME: Duration = Duration::from_secs(1_420_070_400);

/// What is before the number of directories up to the root of a transaction.
const ROOT: &str = "root ";

/// Wherever the last call has ended: on Windows one that reads at an offset moves the position in the file, too.
fn write_from(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

fn first_line(file: &File) -> Option<Vec<u8>> {
    let mut record = [0; LONGEST_RECORD as usize];
    let got = sys::read_at(file, &mut record, 0).ok()?;
    let end = record[..got].iter().position(|byte| *byte == b'\n')?;
    Some(record[..end].to_vec())
}

/// What keeps a call from its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// An earlier call of this process, which has the index or waits for it.
    EarlierCall,
    /// The lock, which no earlier call of this process has.
    Lock,
    /// The other locks of this process, which has as many as it may.
    OwnLocks,
    /// Programs without the lock, which change the index each time before it is written.
    Changes,
}

/// What a call has waited for in vain.
#[derive(Clone, Debug)]
pub struct Timeout {
    /// For how long.
    pub waited: Duration,
    /// What for.
    pub blocker: Blocker,
    /// Who has the lock, if that is known.
    pub holder: Option<Holder>,
    /// The lock file.
    pub lock: Option<PathBuf>,
    /// As their callers know them, the files whose functions wait for this call.
    pub inside: Vec<String>,
    /// The call waits for nothing.
    pub is_now: bool,
}

impl Timeout {
    /// For the index at this path.
    pub fn new(waited: Duration, blocker: Blocker, holder: Option<Holder>, index: &Path) -> Self {
        let lock = index.file_name().map(|name: &OsStr| index.with_file_name(names::lock(name)));
        Self { waited, blocker, holder, lock, inside: Vec::new(), is_now: false }
    }

    /// For an object in a store, which has no lock.
    pub fn of_object(waited: Duration) -> Self {
        Self {
            waited,
            blocker: Blocker::EarlierCall,
            holder: None,
            lock: None,
            inside: Vec::new(),
            is_now: false,
        }
    }

    /// As [`Timeout::new`], with the holder that the lock file names.
    pub async fn ask(waited: Duration, blocker: Blocker, index: &Path) -> Self {
        let holder = if blocker == Blocker::OwnLocks { None } else { Holder::ask(index).await };
        Self::new(waited, blocker, holder, index)
    }

    /// As [`Timeout::ask`], for a call that waits for nothing, on this thread, which has read in the directory just before.
    pub fn ask_now(waited: Duration, blocker: Blocker, index: &Path) -> Self {
        let holder = if blocker == Blocker::OwnLocks { None } else { Holder::read(index) };
        Self { is_now: true, ..Self::new(waited, blocker, holder, index) }
    }
}

impl From<Timeout> for Error {
    fn from(timeout: Timeout) -> Self {
        ErrorKind::LockTimeout(Box::new(timeout)).into()
    }
}

impl std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timed out after {} ms waiting for ", self.waited.as_millis())?;
        match (self.blocker, &self.holder) {
            (Blocker::Changes, _) => {
                f.write_str("other programs to stop changing what is read: they did so again and again")?;
            }
            (Blocker::OwnLocks, _) => {
                f.write_str("a lock that this process holds to be released: it holds as many as it may")?;
            }
            // A pid and a host may be another container's too; but an earlier call there is in any case.
            (Blocker::EarlierCall, holder) if holder.as_ref().is_none_or(Holder::is_this) => {
                f.write_str("an earlier call of this process")?;
            }
            (blocker, Some(Holder { pid, host, since })) => {
                let held = since.elapsed().unwrap_or_default().as_secs();
                write!(f, "process {pid} on {host}, which has the index for {held} s")?;
                if blocker == Blocker::EarlierCall {
                    f.write_str(", after earlier calls of this process")?;
                }
            }
            (_, None) => f.write_str("another process, which does not say who it is")?,
        }
        if !self.inside.is_empty() {
            let names: Vec<_> = self.inside.iter().map(|name| format!("'{name}'")).collect();
            write!(
                f,
                ", and the function of the call for {} waits for this one",
                names.join(", inside that for ")
            )?;
        }
        f.write_str(if self.is_now {
            "; call acquireIndexLock, which waits"
        } else {
            "; options.timeout sets how long to wait"
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let holder = Holder::this();
        holder.write(file.as_file());
        let record = std::fs::read_to_string(file.path()).unwrap();
        let read = Holder::parse(record.trim_end()).unwrap();
        assert_eq!((read.pid, &read.host), (holder.pid, &holder.host));
        assert!(read.is_this() && !read.host.is_empty());
        assert!(holder.since.duration_since(read.since).unwrap() < Duration::from_millis(1));
    }

    #[test]
    fn a_lock_of_a_transaction_says_where_its_root_is_and_by_whom_it_is_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        Holder::this().write(file.as_file());
        assert_eq!(Holder::root_of(file.as_file()), None);
        // As a waiter does it.
        file.as_file().set_len(LONGEST_RECORD + 1).unwrap();
        Holder::point_to_root(file.as_file(), 3);
        assert_eq!(Holder::root_of(file.as_file()), Some(3));
        let record = std::fs::read_to_string(file.path()).unwrap();
        assert!(Holder::parse(record.lines().next().unwrap()).unwrap().is_this());
        assert_eq!(record.len() as u64, LONGEST_RECORD + 1, "the waiter's mark stays");
    }

    #[test]
    fn what_a_dead_holder_has_left_is_written_over_from_the_start_wherever_a_look_has_ended() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut file = file.as_file();
        Holder::since(UNIX_EPOCH + FIRST_TIME).write(file);
        file.set_len(LONGEST_RECORD + 1).unwrap();
        // As a read at an offset does on Windows.
        file.seek(SeekFrom::Start(LONGEST_RECORD)).unwrap();
        Holder::this().write_over(file);
        assert_eq!(file.metadata().unwrap().len(), LONGEST_RECORD + 1);
        assert!(Holder::of(file).unwrap().since > UNIX_EPOCH + FIRST_TIME + DAY);
    }

    #[test]
    fn a_holder_with_our_pid_and_host_is_taken_for_this_process_only_behind_an_earlier_call() {
        let said = |blocker| {
            Timeout::new(Duration::ZERO, blocker, Some(Holder::this()), Path::new("index.json")).to_string()
        };
        let this = format!("process {} on {}", std::process::id(), sys::host_name());
        assert!(said(Blocker::Lock).contains(&this));
        assert!(said(Blocker::EarlierCall).contains("for an earlier call of this process;"));
        assert!(said(Blocker::Changes).contains("for other programs to stop changing what is read"));
    }

    #[test]
    fn anything_else_is_no_record() {
        assert!(Holder::parse("1 1700000000000 host").is_some());
        for record in [
            "",
            "1",
            "1 2",
            "x 1700000000000 host",
            "1 x host",
            "-1 1700000000000 host",
            "+1 1700000000000 host",
            "1 99999999999999999999 host",
            "1 2 host",
            "1 4000000000000 host",
            "1 1700000000000 ",
            "1 1700000000000 two words",
            "1  1700000000000 host",
        ] {
            assert_eq!(Holder::parse(record), None, "{record}");
        }
    }

    #[test]
    fn a_lock_file_is_ours_only_if_there_is_nothing_else_in_it() {
        let ours = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            Holder::of_ours(file.as_file()).is_some()
        };
        for rest in ["", "\0\0", "root 3\n", "root 3\n\0"] {
            assert!(ours(&format!("1 1700000000000 host\n{rest}")), "{rest:?}");
        }
        for rest in ["text", "root 3\ntext", "root +3\n", "\0text"] {
            assert!(!ours(&format!("1 1700000000000 host\n{rest}")), "{rest:?}");
        }
    }

    #[test]
    fn nothing_stays_of_a_longer_record() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("4194304 1700000000000 {}\n", "x".repeat(200))).unwrap();
        Holder::this().write_over(file.as_file());
        assert!(Holder::of_ours(file.as_file()).is_some_and(|holder| holder.is_this()));
    }
}
