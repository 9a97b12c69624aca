//! Who has a lock, for the person who reads an error: each holder writes it into its lock file. Nothing is decided by it,
//! for it may be a dead one's, or another container's pid.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::dir::{Resolve, Target, names};
use crate::error::{Error, ErrorKind};
use crate::sys;

/// No record is longer; what is written beyond means that a waiter was there.
pub const LONGEST_RECORD: u64 = 255;

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
    /// This process, now.
    pub fn this() -> Self {
        Self { pid: std::process::id(), host: sys::host_name(), since: SystemTime::now() }
    }

    /// Whether it is this process.
    pub fn is_this(&self) -> bool {
        self.pid == std::process::id() && self.host == sys::host_name()
    }

    /// Writes itself into an empty lock file, if that can be written.
    pub fn write(&self, mut file: &File) {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let record = format!("{} {since} {}\n", self.pid, self.host);
        if record.len() as u64 <= LONGEST_RECORD {
            // Without it the lock is as good.
            drop(file.write_all(record.as_bytes()));
        }
    }

    /// What the lock file of `index` says.
    pub fn read(index: &Path) -> Option<Self> {
        let target = Target::resolve(index, Resolve { mkdir: false, exclusive: false }).ok()?;
        let file = target.dir.open_file(&names::lock(&target.name)).ok()?;
        let mut record = Vec::new();
        file.take(LONGEST_RECORD).read_to_end(&mut record).ok()?;
        Self::parse(std::str::from_utf8(record.split(|byte| *byte == b'\n').next()?).ok()?)
    }

    fn parse(record: &str) -> Option<Self> {
        let mut parts = record.splitn(3, ' ');
        let pid = parts.next()?.parse().ok()?;
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(parts.next()?.parse().ok()?))?;
        Some(Self { pid, since, host: parts.next()?.to_owned() })
    }
}

/// What a call has waited for in vain.
#[derive(Debug)]
pub struct Timeout {
    /// For how long.
    pub waited: Duration,
    /// An earlier call of this process, and not another process.
    pub in_queue: bool,
    /// Who has the lock, if that is known.
    pub holder: Option<Holder>,
    /// The lock file.
    pub lock: Option<PathBuf>,
    /// As their callers know them, the files whose functions wait for this call.
    pub inside: Vec<String>,
}

impl Timeout {
    /// For the index at this path.
    pub fn new(waited: Duration, in_queue: bool, index: &Path) -> Self {
        let lock = index.file_name().map(|name: &OsStr| index.with_file_name(names::lock(name)));
        Self { waited, in_queue, holder: Holder::read(index), lock, inside: Vec::new() }
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
        match &self.holder {
            Some(holder) if !holder.is_this() => {
                let Holder { pid, host, since } = holder;
                let held = since.elapsed().unwrap_or_default().as_secs();
                let after = if self.in_queue { ", after earlier calls of this process" } else { "" };
                write!(f, "process {pid} on {host}, which has the index for {held} s{after}")?;
            }
            Some(_) => f.write_str("an earlier call of this process")?,
            None if self.in_queue => f.write_str("an earlier call of this process")?,
            None => f.write_str("another process, which does not say who it is")?,
        }
        if !self.inside.is_empty() {
            let names: Vec<_> = self.inside.iter().map(|name| format!("'{name}'")).collect();
            write!(
                f,
                ", and the function of the call for {} waits for this one",
                names.join(", inside that for ")
            )?;
        }
        f.write_str("; options.timeout sets how long to wait")
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
    fn anything_else_is_no_record() {
        for record in ["", "1", "1 2", "x 2 host", "1 x host", "-1 2 host", "1 99999999999999999999 host"] {
            assert_eq!(Holder::parse(record), None, "{record}");
        }
    }
}
