//! What is recorded, and what has to hold after a cut in it.

use anyhow::Result;

use super::history::History;
use super::together;
use crate::disk::recorder::Entry;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Every way of writing that promises something about one file, or about one directory.
    Files,
    /// Transactions, beside plain writes and updates of the same files. After a cut they are recovered.
    Together,
}

impl Work {
    /// In front of the name of a row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "",
            Self::Together => "transactions, ",
        }
    }

    /// What Node runs.
    pub fn script(self) -> &'static str {
        match self {
            Self::Files => "power.mjs",
            Self::Together => "transactions.mjs",
        }
    }

    /// So many at once.
    pub fn processes(self) -> usize {
        match self {
            Self::Files => 1,
            Self::Together => 2,
        }
    }

    /// What it has promised; `before` was there when the log began, `size` are the bytes of a file.
    pub fn promises(self, log: &[Entry], before: History, size: usize) -> Result<Promises> {
        Ok(match self {
            Self::Files => Promises::Files(History::read(log, before)?),
            Self::Together => Promises::Together(together::History::read(log, size)?),
        })
    }
}

/// What a workload has reported.
#[derive(Debug)]
pub enum Promises {
    Files(History),
    Together(together::History),
}

impl Promises {
    /// `durable` of each result.
    pub fn results(&self) -> &[bool] {
        match self {
            Self::Files(history) => &history.results,
            Self::Together(history) => &history.results,
        }
    }

    /// The most calls that shared a commit.
    pub fn largest_batch(&self) -> usize {
        match self {
            Self::Files(history) => history.largest_batch(),
            Self::Together(history) => history.largest_batch,
        }
    }
}
