//! `stats`: what this process has done so far.

use std::collections::HashMap;

use engine::stats;
use napi_derive::napi;

/// What {@link stats} returns. Each counter begins at 0 with the process and never goes down; what happens in the time between
/// two calls is the difference.
#[napi(object, object_from_js = false)]
pub struct Stats {
    /// Files that have got new content under their names, by whatever function: an update that is written is one, a batch of ten files is
    /// ten, a backup that had to be copied is one of its own.
    pub writes: f64,
    /// The bytes of these files, and of lines that were appended.
    pub bytes: f64,
    /// Files that were left alone because they had the right content: by `ifChanged`, and indexes that no function changed.
    pub unchanged: f64,
    /// Read-backs that found other bytes than those given. The calls reject with `ERR_ATOMIC_VERIFY`.
    pub verify_failures: f64,
    /// How often calls for files have met an error of the system or of this package, by its `code`: `ENOSPC`,
    /// `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_SCHEMA`, … An error that a call goes on after (a broken index that `onCorrupt` recovers)
    /// counts too, and what a schema that returns promises refuses of a function that ran twice counts twice. Not counted: aborts,
    /// wrong arguments, what functions of the caller throw or return that is no index (`ERR_INVALID_RETURN_VALUE`), and the
    /// errors of object stores.
    #[napi(ts_type = "Record<string, number>")]
    pub failures: HashMap<String, f64>,
    /// Flushes of files: calls of fsync(2) or fdatasync(2).
    pub file_flushes: f64,
    /// Flushes of directories.
    pub directory_flushes: f64,
    /// The flushes of directories that served several calls at once.
    pub shared_flushes: f64,
    /// How long calls have waited from when they were made until they had their locks, in milliseconds: updates, locks that were acquired,
    /// and groups of transactions.
    pub lock_waits: Histogram,
    /// How many calls have shared a commit: one value for each commit of updates, transactions or appends.
    pub group_sizes: Histogram,
    /// Temp files and directories that were removed because the processes that had made them are dead.
    pub leftovers: f64,
    /// Recoveries: interrupted transactions that were completed or dropped, and indexes that were given other content because they were
    /// broken or missing.
    pub recoveries: f64,
    /// Updates of indexes that have succeeded, each of those that share a commit; of objects in stores too.
    pub updates: f64,
    /// Lines that were appended.
    pub lines: f64,
    /// Calls of {@link atomicWriteAll} that have written files.
    pub batches: f64,
    /// Directories that were replaced or made by {@link atomicDirectory} and {@link copyDirectoryAtomic}.
    pub directories: f64,
    /// Transactions that were committed, each of those that share a commit.
    pub transactions: f64,
}

/// How often a value was in which range, in {@link Stats}.
#[napi(object, object_from_js = false)]
pub struct Histogram {
    /// What values are measured in.
    #[napi(ts_type = "'ms' | 'calls'")]
    pub unit: &'static str,
    /// The largest value of each bucket. A value is in the first bucket whose bound it does not exceed.
    pub bounds: Vec<f64>,
    /// How many values are in each bucket: one number more than there are bounds, the last for larger values.
    pub counts: Vec<f64>,
    /// How many values there are.
    pub count: f64,
    /// The sum of all values.
    pub sum: f64,
}

/// Counts what this process has done since it started: all of its threads together, and all copies of the package that share
/// one addon. Counting costs a few nanoseconds a call.
///
/// Not promised: that counters which belong together are read at one moment while calls are at work.
#[napi]
pub fn stats() -> Stats {
    let read = stats::read();
    let failures: HashMap<_, _> =
        read.failures.iter().map(|(code, count)| ((*code).to_owned(), *count as f64)).collect();
    Stats {
        writes: read.writes as f64,
        bytes: read.bytes as f64,
        unchanged: read.unchanged as f64,
        verify_failures: failures.get("ERR_ATOMIC_VERIFY").copied().unwrap_or_default(),
        failures,
        file_flushes: read.file_flushes as f64,
        directory_flushes: read.directory_flushes as f64,
        shared_flushes: read.shared_flushes as f64,
        lock_waits: histogram("ms", &read.lock_waits, 1000.0),
        group_sizes: histogram("calls", &read.group_sizes, 1.0),
        leftovers: read.leftovers as f64,
        recoveries: read.recoveries as f64,
        updates: read.updates as f64,
        lines: read.lines as f64,
        batches: read.batches as f64,
        directories: read.directories as f64,
        transactions: read.transactions as f64,
    }
}

/// `scale`: how many of the engine's units make one of `unit`.
fn histogram(unit: &'static str, of: &stats::Histogram, scale: f64) -> Histogram {
    let stats::Histogram { bounds, counts, sum } = of;
    Histogram {
        unit,
        bounds: bounds.iter().map(|bound| *bound as f64 / scale).collect(),
        counts: counts.iter().map(|count| *count as f64).collect(),
        count: counts.iter().sum::<u64>() as f64,
        sum: *sum as f64 / scale,
    }
}
