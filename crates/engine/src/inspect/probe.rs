//! Each attempt, on names of its own. One that fails for another reason than the one that it is about is no answer.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::error::{Error, Result};
use crate::inspect::folder::Folder;
use crate::inspect::{Row, Trait, Value, means};
use crate::process::retry_transient;
use crate::sys::{self, Dir};

const PRIVATE: u32 = 0o600;
const BLOCK: [u8; 4096] = [b'x'; 4096];
/// How often a flush is timed.
const FLUSHES: usize = 11;
/// No system has longer names.
const LONGEST: usize = 1024;

type Probe = fn(&Folder) -> io::Result<Value>;

/// What is tried, but for what [`Directory::file_system`] knows.
const PROBES: [(Trait, Probe); 16] = [
    (Trait::ExclusiveCreate, exclusive_create),
    (Trait::RenameOver, rename_over),
    (Trait::RenameNoReplace, rename_no_replace),
    (Trait::Exchange, exchange),
    (Trait::HardLinks, hard_links),
    (Trait::UnnamedFiles, unnamed_files),
    (Trait::DirectoryFlush, directory_flush),
    (Trait::Locks, locks),
    (Trait::DeviceVerify, device_verify),
    (Trait::CaseSensitive, case_sensitive),
    (Trait::NormalizationSensitive, normalization_sensitive),
    (Trait::Modes, modes),
    (Trait::ExtendedAttributes, extended_attributes),
    (Trait::Acls, acls),
    (Trait::LongestName, longest_name),
    (Trait::FlushTime, flush_time),
];

/// Tries all.
///
/// # Errors
/// If there can be no folder to try in; [`ErrorKind::Aborted`](crate::error::ErrorKind::Aborted).
pub fn all(dir: &Arc<Directory>, cancel: &Cancel) -> Result<Vec<Row>> {
    // In an append-only directory there can be none.
    let folder = match dir.check_lets_go() {
        Ok(()) => Ok(retry_transient(|| Folder::make(dir))?),
        Err(error) => Err(error.words()),
    };
    let file_system = dir.file_system();
    let (kind, device) = dir.mount().unzip();
    let text = |text: Option<String>| text.map_or(Value::Unknown, Value::Text);
    let mut rows = vec![row(Trait::FileSystem, text(kind)), row(Trait::Device, text(device))];
    for (of, probe) in PROBES {
        cancel.check()?;
        let tried = match &folder {
            Ok(folder) => probe(folder).map_err(|error| Error::system("probe", error).words()),
            Err(words) => Err(words.clone()),
        };
        let unknown = |means: &str| Row { of, value: Value::Unknown, means: means.to_owned() };
        let row = match tried {
            Ok(value) => row(of, value),
            Err(words) => unknown(&format!("It could not be tried: {words}.")),
        };
        let is_flushed = row.value == Value::Is(true);
        let untried = (folder.is_err() && file_system.is_durable).then(|| unknown(&row.means));
        rows.push(row);
        // In the order of the traits.
        match of {
            Trait::DirectoryFlush => {
                let found = || self::row(Trait::Durable, Value::Is(is_flushed && file_system.is_durable));
                rows.push(untried.map_or_else(found, |untried| Row { of: Trait::Durable, ..untried }));
            }
            Trait::Locks => rows.push(self::row(Trait::Local, Value::Is(file_system.network.is_none()))),
            _ => {}
        }
    }
    Ok(rows)
}

fn row(of: Trait, value: Value) -> Row {
    let means = means::of(of, &value).to_owned();
    Row { of, value, means }
}

/// A new file.
fn make(folder: &Dir, name: &str) -> io::Result<File> {
    folder.create_new(name.as_ref(), PRIVATE)
}

/// Two new files.
fn two(folder: &Dir, one: &str, other: &str) -> io::Result<(File, File)> {
    Ok((make(folder, one)?, make(folder, other)?))
}

fn exclusive_create(folder: &Folder) -> io::Result<Value> {
    make(folder, "exclusive")?;
    match make(folder, "exclusive") {
        Err(error) if is(&error, sys::EEXIST) => Ok(Value::Is(true)),
        made => made.map(|_| Value::Is(false)),
    }
}

fn rename_over(folder: &Folder) -> io::Result<Value> {
    let (new, _old) = two(folder, "new", "old")?;
    folder.rename(OsStr::new("new"), folder, OsStr::new("old"))?;
    folder.is_same(OsStr::new("old"), &new).map(Value::Is)
}

fn rename_no_replace(folder: &Folder) -> io::Result<Value> {
    two(folder, "from", "taken")?;
    // The kernel itself refuses a name that is taken; whether the file system knows the flag shows with a free one.
    if !folder.rename_no_replace(OsStr::new("from"), OsStr::new("free"))? {
        return Ok(Value::Is(false));
    }
    match folder.rename_no_replace(OsStr::new("free"), OsStr::new("taken")) {
        Err(error) if is(&error, sys::EEXIST) => Ok(Value::Is(true)),
        renamed => renamed.map(|_| Value::Is(false)),
    }
}

fn exchange(folder: &Folder) -> io::Result<Value> {
    let (one, _other) = two(folder, "one", "other")?;
    match folder.exchange(OsStr::new("one"), folder, OsStr::new("other")) {
        Ok(()) => folder.is_same(OsStr::new("other"), &one).map(Value::Is),
        Err(error) if error.raw_os_error().is_some_and(sys::cannot_exchange) => Ok(Value::Is(false)),
        Err(error) => Err(error),
    }
}

fn hard_links(folder: &Folder) -> io::Result<Value> {
    let file = make(folder, "first")?;
    match folder.link(OsStr::new("first"), folder, OsStr::new("second")) {
        Ok(()) => folder.is_same(OsStr::new("second"), &file).map(Value::Is),
        Err(error) if error.raw_os_error().is_some_and(sys::cannot_link) => Ok(Value::Is(false)),
        Err(error) => Err(error),
    }
}

fn unnamed_files(folder: &Folder) -> io::Result<Value> {
    let Some(file) = folder.create_unnamed(PRIVATE)? else { return Ok(Value::Is(false)) };
    match folder.link_unnamed(&file, OsStr::new("named")) {
        Ok(()) => Ok(Value::Is(true)),
        Err(error) if error.raw_os_error().is_some_and(sys::cannot_link) => Ok(Value::Is(false)),
        Err(error) => Err(error),
    }
}

fn directory_flush(folder: &Folder) -> io::Result<Value> {
    folder.sync().map(Value::Is)
}

fn locks(folder: &Folder) -> io::Result<Value> {
    let file = make(folder, "lock")?;
    let try_again = || folder.open_file(OsStr::new("lock")).and_then(|again| sys::try_lock(&again));
    match sys::try_lock(&file) {
        Ok(is_locked) => Ok(Value::Is(is_locked && !try_again()?)),
        Err(error) if error.raw_os_error().is_some_and(sys::has_no_locks) => Ok(Value::Is(false)),
        Err(error) => Err(error),
    }
}

fn device_verify(folder: &Folder) -> io::Result<Value> {
    let mut file = make(folder, "device")?;
    file.write_all(&BLOCK)?;
    sys::sync_file(&file)?;
    Ok(Value::Is(sys::drop_pages(&file, BLOCK.len() as u64)))
}

fn case_sensitive(folder: &Folder) -> io::Result<Value> {
    are_two(folder, "case", "CASE")
}

fn normalization_sensitive(folder: &Folder) -> io::Result<Value> {
    are_two(folder, "\u{e9}", "e\u{301}")
}

/// Whether two names are two files.
fn are_two(folder: &Folder, one: &str, other: &str) -> io::Result<Value> {
    make(folder, one)?;
    folder.stat(other.as_ref()).map(|found| Value::Is(found.is_none()))
}

fn modes(folder: &Folder) -> io::Result<Value> {
    let file = make(folder, "mode")?;
    Ok(Value::Is(sys::access_of(&file)?.mode & 0o777 == PRIVATE))
}

fn extended_attributes(folder: &Folder) -> io::Result<Value> {
    sys::keeps_attributes(&make(folder, "attribute")?).map(|keeps| keeps.map_or(Value::Unknown, Value::Is))
}

fn acls(folder: &Folder) -> io::Result<Value> {
    sys::keeps_acls(&make(folder, "acl")?).map(|keeps| keeps.map_or(Value::Unknown, Value::Is))
}

fn longest_name(folder: &Folder) -> io::Result<Value> {
    let fits = |length: usize| {
        let name = "n".repeat(length);
        // A file system that cuts a name answers with success, and has another name.
        let made = make(folder, &name).and_then(|file| folder.is_same(name.as_ref(), &file));
        drop(folder.unlink(name.as_ref()));
        made
    };
    // The shortest must do, or something else is wrong.
    fits(1)?;
    let (mut longest, mut too_long) = (1, LONGEST + 1);
    while too_long - longest > 1 {
        let between = longest.midpoint(too_long);
        match fits(between) {
            Ok(true) => longest = between,
            _ => too_long = between,
        }
    }
    Ok(Value::Number(longest as f64))
}

fn flush_time(folder: &Folder) -> io::Result<Value> {
    let mut file = make(folder, "flush")?;
    let mut times: Vec<Duration> = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let since = Instant::now();
        file.write_all(&BLOCK)?;
        sys::sync_file(&file)?;
        let took = since.elapsed();
        times.insert(times.partition_point(|time| *time < took), took);
    }
    Ok(times.get(FLUSHES / 2).map_or(Value::Unknown, |median| Value::Number(median.as_secs_f64() * 1000.0)))
}

fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}
