//! What callers were told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::{Error, Kind};

/// What one call may have done, as far as its caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: its machine was killed, or the outcome is unknown.
    Unsure,
    Done,
    Failed,
}

impl Told {
    pub fn of(outcome: &Result<(), Error>) -> Self {
        match outcome {
            Ok(()) => Self::Done,
            Err(Error { kind: Kind::UnknownOutcome { .. }, .. }) => Self::Unsure,
            Err(_) => Self::Failed,
        }
    }

    /// Whether the change can be in the index, and whether it can be missing.
    pub fn possible(self) -> &'static [bool] {
        match self {
            Self::Unsure => &[false, true],
            Self::Done => &[true],
            Self::Failed => &[false],
        }
    }
}

#[derive(Default)]
pub struct Book {
    /// By machine, in the order of its calls.
    pub calls: BTreeMap<u32, Vec<Told>>,
    /// From a call to its answer.
    pub answered: Vec<Duration>,
    /// Of patches: until it was in the inbox.
    pub accepted: Vec<Duration>,
    pub unknown: u32,
    pub failed: u32,
    /// Patches that were accepted, and were not in the index within the timeout.
    pub late: u32,
    pub kills: u32,
    /// How often a function found an index that is not as the call before it has left it.
    pub wrong: u32,
}

#[derive(Default)]
pub struct Account(Mutex<Book>);

impl Account {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// A call begins; returns its number among those of its machine.
    pub fn call(&self, machine: u32) -> usize {
        let mut book = self.book();
        let calls = book.calls.entry(machine).or_default();
        calls.push(Told::Unsure);
        calls.len() - 1
    }

    pub fn tell(&self, machine: u32, number: usize, since: Instant, outcome: &Result<(), Error>) {
        let mut book = self.book();
        let told = Told::of(outcome);
        book.calls.get_mut(&machine).unwrap()[number] = told;
        match told {
            Told::Done => book.answered.push(since.elapsed()),
            Told::Failed => book.failed += 1,
            Told::Unsure => book.unknown += 1,
        }
    }

    /// A patch is in the inbox: it will be in the index, whatever its caller still hears.
    pub fn accepted(&self, machine: u32, number: usize, since: Instant) {
        let mut book = self.book();
        book.calls.get_mut(&machine).unwrap()[number] = Told::Done;
        book.accepted.push(since.elapsed());
    }

    /// The caller of an accepted patch hears that it is in the index, or that it has waited for too long.
    pub fn applied(&self, since: Instant, outcome: &Result<(), Error>) {
        let mut book = self.book();
        match outcome {
            Ok(()) => book.answered.push(since.elapsed()),
            Err(_) => book.late += 1,
        }
    }

    pub fn killed(&self) {
        self.book().kills += 1;
    }
}
