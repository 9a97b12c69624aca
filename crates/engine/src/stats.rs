//! Counters of this process since it started, for all of its threads together.
//!
//! Each thing is counted at one place: where it is done, and not where it is asked for. Counters are relaxed atomics: a reader
//! that looks while calls are at work may see one of two counters that belong together a little earlier than the other.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::process::lock;
use crate::write::Receipt;

/// Upper bounds of the buckets for waits, in microseconds: 0.1 ms to 30 s.
const WAITS: [u64; 12] =
    [100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000];
/// Upper bounds of the buckets for groups, in calls.
const GROUPS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

static WRITES: Counter = Counter::new();
static BYTES: Counter = Counter::new();
static UNCHANGED: Counter = Counter::new();
static FILE_FLUSHES: Counter = Counter::new();
static DIRECTORY_FLUSHES: Counter = Counter::new();
static SHARED_FLUSHES: Counter = Counter::new();
static LEFTOVERS: Counter = Counter::new();
static RECOVERIES: Counter = Counter::new();
static UPDATES: Counter = Counter::new();
static LINES: Counter = Counter::new();
static BATCHES: Counter = Counter::new();
static DIRECTORIES: Counter = Counter::new();
static TRANSACTIONS: Counter = Counter::new();
static LOCK_WAITS: Buckets<12> = Buckets::new(WAITS);
static GROUP_SIZES: Buckets<11> = Buckets::new(GROUPS);
/// By code. A lock will do: what fails takes longer.
static FAILURES: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Files that got new content, and their bytes; lines that were appended count as bytes only.
    pub writes: u64,
    /// See `writes`.
    pub bytes: u64,
    /// Files that were left alone because they had the right content.
    pub unchanged: u64,
    /// Errors that calls have ended with, by code.
    pub failures: BTreeMap<&'static str, u64>,
    /// fsync(2) and fdatasync(2) of files.
    pub file_flushes: u64,
    /// fsync(2) of directories.
    pub directory_flushes: u64,
    /// The flushes among both that served several calls.
    pub shared_flushes: u64,
    /// From the call until it had its locks, in microseconds.
    pub lock_waits: Histogram,
    /// How many calls shared a commit.
    pub group_sizes: Histogram,
    /// Temp files and directories of dead processes that were removed.
    pub leftovers: u64,
    /// Interrupted transactions and broken indexes that were recovered.
    pub recoveries: u64,
    /// Updates of indexes.
    pub updates: u64,
    /// Lines that were appended.
    pub lines: u64,
    /// Batches of files.
    pub batches: u64,
    /// Directories that were replaced.
    pub directories: u64,
    /// Transactions that were committed.
    pub transactions: u64,
}

/// How often values were in which range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The largest value of each bucket but the last, which has no bound.
    pub bounds: Vec<u64>,
    /// How many values are in each bucket: one bucket more than there are bounds.
    pub counts: Vec<u64>,
    /// Of all values.
    pub sum: u64,
}

/// What was counted until now.
pub fn read() -> Stats {
    Stats {
        writes: WRITES.get(),
        bytes: BYTES.get(),
        unchanged: UNCHANGED.get(),
        failures: lock(&FAILURES).clone(),
        file_flushes: FILE_FLUSHES.get(),
        directory_flushes: DIRECTORY_FLUSHES.get(),
        shared_flushes: SHARED_FLUSHES.get(),
        lock_waits: LOCK_WAITS.get(),
        group_sizes: GROUP_SIZES.get(),
        leftovers: LEFTOVERS.get(),
        recoveries: RECOVERIES.get(),
        updates: UPDATES.get(),
        lines: LINES.get(),
        batches: BATCHES.get(),
        directories: DIRECTORIES.get(),
        transactions: TRANSACTIONS.get(),
    }
}

/// A call has ended with an error of that code.
pub fn failed(code: &'static str) {
    *lock(&FAILURES).entry(code).or_default() += 1;
}

/// So many more calls have failed with the error of one that was counted.
pub fn failed_alike(code: &str, calls: usize) {
    if let Some(count) = lock(&FAILURES).get_mut(code) {
        *count += calls as u64;
    }
}

/// A commit of so many updates has succeeded.
pub fn updated(calls: usize) {
    UPDATES.add(calls);
    GROUP_SIZES.add(calls as u64);
}

/// A commit of so many transactions has succeeded.
pub fn transacted(calls: usize) {
    TRANSACTIONS.add(calls);
    GROUP_SIZES.add(calls as u64);
}

/// A commit of so many appends has succeeded.
pub(crate) fn appended(calls: usize, lines: usize, bytes: u64) {
    GROUP_SIZES.add(calls as u64);
    LINES.add(lines);
    BYTES.0.fetch_add(bytes, Ordering::Relaxed);
}

/// A file has the content that it was to get.
pub(crate) fn wrote(receipt: &Receipt) {
    if receipt.written {
        WRITES.add(1);
        BYTES.0.fetch_add(receipt.bytes, Ordering::Relaxed);
    } else {
        UNCHANGED.add(1);
    }
}

/// A batch of files is complete.
pub(crate) fn batched(receipts: &[Receipt]) {
    BATCHES.add(1);
    receipts.iter().for_each(wrote);
}

/// A directory was replaced.
pub(crate) fn replaced_directory() {
    DIRECTORIES.add(1);
}

/// A file is to be flushed.
pub(crate) fn flushes_file() {
    FILE_FLUSHES.add(1);
}

/// A directory is to be flushed.
pub(crate) fn flushes_directory() {
    DIRECTORY_FLUSHES.add(1);
}

/// So many calls had one flush.
pub(crate) fn flushed_for(calls: usize) {
    SHARED_FLUSHES.add(usize::from(calls > 1));
}

/// So many calls have their locks, so long after they were made.
pub(crate) fn waited(time: Duration, calls: usize) {
    LOCK_WAITS.add_several(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), calls);
}

/// What a dead process has left was removed.
pub(crate) fn swept() {
    LEFTOVERS.add(1);
}

/// What was interrupted or broken was recovered.
pub(crate) fn recovered() {
    RECOVERIES.add(1);
}

struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Buckets<const N: usize> {
    bounds: [u64; N],
    counts: [Counter; N],
    /// Values above all bounds.
    above: Counter,
    sum: AtomicU64,
}

impl<const N: usize> Buckets<N> {
    const fn new(bounds: [u64; N]) -> Self {
        Self { bounds, counts: [const { Counter::new() }; N], above: Counter::new(), sum: AtomicU64::new(0) }
    }

    fn add(&self, value: u64) {
        self.add_several(value, 1);
    }

    fn add_several(&self, value: u64, count: usize) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(at).unwrap_or(&self.above).add(count);
        self.sum.fetch_add(value.saturating_mul(count as u64), Ordering::Relaxed);
    }

    fn get(&self) -> Histogram {
        Histogram {
            bounds: self.bounds.to_vec(),
            counts: self.counts.iter().chain([&self.above]).map(Counter::get).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_is_not_below_it() {
        let buckets = Buckets::new([1, 10]);
        for value in [0, 1, 2, 10, 11, 1000] {
            buckets.add(value);
        }
        let Histogram { bounds, counts, sum } = buckets.get();
        assert_eq!((bounds, counts, sum), (vec![1, 10], vec![2, 2, 2], 1024));
    }
}
