//! The protocol against a store in memory, in virtual time: hours pass in milliseconds, and each run has its seed.

mod commit;
mod memory;
mod mutants;
mod patch;
mod probe;
mod release;
mod settle;
mod simulation;
mod write;

use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use memory::{Faults, Memory};

use super::commit::Mutant;
use super::{Commit, Done, Error, Limits};

thread_local! {
    static SLEPT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time of this test, for its machine and its store.
pub fn now() -> SystemTime {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let (start, now) = (*START, tokio::time::Instant::now().into_std());
    let at_start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + SLEPT.get();
    // A test may have begun before the one that has set the start.
    at_start + now.duration_since(start) - start.duration_since(now)
}

/// The machine is suspended for so long: its timers stand still.
fn suspend(time: Duration) {
    SLEPT.set(SLEPT.get() + time);
}

/// Enough time for anything, and no end to the tries.
fn limits() -> Limits {
    limits_of(Duration::from_secs(600))
}

fn limits_of(timeout: Duration) -> Limits {
    Limits::new(timeout, u32::MAX).0
}

/// One update as a caller makes it: the function runs again after each conflict.
async fn update(
    store: &Arc<Memory>,
    limits: Limits,
    mutant: Option<Mutant>,
    change: impl Fn(&str) -> String,
) -> Result<Done, Error> {
    let mut commit = Commit::new(store.clone(), "index.json".into(), limits, true);
    commit.mutant = mutant;
    loop {
        let object = commit.read(true).await?;
        let text = object.map(|object| String::from_utf8(object.body.into()).unwrap()).unwrap_or_default();
        if let Some(done) = commit.replace_if(Bytes::from(change(&text))).await? {
            return Ok(done);
        }
    }
}

/// A word is added to the text: after the run each word tells how often its update was done.
fn add(word: &str) -> impl Fn(&str) -> String + use<> {
    let word = word.to_owned();
    move |text| format!("{text} {word}")
}

/// What is in the object, without its nonce.
fn words(store: &Memory) -> Vec<String> {
    store.text("index.json").split_whitespace().map(str::to_owned).collect()
}

/// So many machines, so many updates of each, all at once. Returns how often updates that were acknowledged are in the
/// object, as the difference to once each, and how many stayed unknown.
async fn race(store: &Arc<Memory>, machines: u32, each: u32, mutant: Option<Mutant>) -> (i64, usize) {
    let running: Vec<_> = (0..machines)
        .map(|machine| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acked = Vec::new();
                let mut unknown = 0;
                for n in 0..each {
                    let word = format!("m{machine}n{n}");
                    match update(&store, limits(), mutant, add(&word)).await {
                        Ok(_) => acked.push(word),
                        Err(error) if error.code() == "ERR_ATOMIC_UNKNOWN_OUTCOME" => unknown += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (acked, unknown)
            })
        })
        .collect();
    let mut acked = Vec::new();
    let mut unknown = 0;
    for machine in running {
        let (more, some) = machine.await.unwrap();
        acked.extend(more);
        unknown += some;
    }
    // Late requests of the last updates.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let found = words(store);
    let wrong =
        acked.iter().map(|word| (found.iter().filter(|other| *other == word).count() as i64 - 1).abs()).sum();
    (wrong, unknown)
}

/// The faults of a bad day.
fn bad_day() -> Faults {
    Faults { lost: 0.05, refused: 0.03, late: 0.02, failed: 0.02, ..Faults::default() }
}
