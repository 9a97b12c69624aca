//! What the workload of transactions reported.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::super::history::{Moment, take};
use crate::disk::recorder::Entry;

/// A transaction, or a plain write or update, which is one of a single file.
#[derive(Debug)]
pub struct Operation {
    pub started: Moment,
    /// When it was answered, durable or not.
    pub done: Option<Moment>,
    pub durable: Option<Moment>,
    /// When it was rejected.
    pub failed: Option<Moment>,
    pub what: What,
}

/// What an operation does.
#[derive(Debug, Deserialize)]
pub struct What {
    /// It is added to these.
    pub indexes: Vec<String>,
    pub writes: Vec<String>,
    pub removes: Option<String>,
    pub moves: Option<Move>,
    /// Folders that it makes.
    #[serde(default)]
    pub makes: Vec<String>,
}

/// A file that is moved.
#[derive(Debug, Deserialize)]
pub struct Move {
    pub from: String,
    pub to: String,
}

impl Operation {
    /// A plain write or update is not recovered, and may come between a transaction's record and its renames.
    pub fn is_plain(&self) -> bool {
        let is_one = self.what.writes.len() + self.what.indexes.len() == 1;
        is_one && self.what.moves.is_none() && self.what.makes.is_empty()
    }
}

/// All that was done.
#[derive(Debug, Default)]
pub struct History {
    pub operations: BTreeMap<u64, Operation>,
    /// `durable` of each result.
    pub results: Vec<bool>,
    pub largest_batch: usize,
    /// Bytes of a file.
    pub size: usize,
}

impl History {
    /// Reads the messages in a log.
    pub fn read(log: &[Entry], size: usize) -> Result<Self> {
        let mut history = Self { size, ..Self::default() };
        let mut rest: Vec<u8> = Vec::new();
        for (moment, entry) in log.iter().enumerate() {
            let Entry::Message(bytes) = entry else { continue };
            rest.extend_from_slice(bytes);
            while let Some((message, _, used)) = take(&rest)? {
                history.note(moment, &message)?;
                rest.drain(..used);
            }
        }
        ensure!(rest.is_empty(), "the workload's last message is cut off");
        Ok(history)
    }

    fn note(&mut self, moment: Moment, message: &Value) -> Result<()> {
        if let Some(id) = message["together"].as_u64() {
            let what = What::deserialize(message)?;
            let operation = Operation { started: moment, done: None, durable: None, failed: None, what };
            self.operations.insert(id, operation);
        } else if let Some(id) = message["failed"].as_u64() {
            self.operations.get_mut(&id).context("failed, but never started")?.failed = Some(moment);
        } else if let Some(id) = message["done"].as_u64() {
            let operation = self.operations.get_mut(&id).context("done, but never started")?;
            operation.done = Some(moment);
            operation.durable = (message["durable"] == true).then_some(moment);
            self.results.push(operation.durable.is_some());
            let batch = message["batch"].as_u64().unwrap_or(1) as usize;
            self.largest_batch = self.largest_batch.max(batch);
        } else {
            bail!("an unknown message: {message}");
        }
        Ok(())
    }

    /// Which operation writes these bytes: its number is in them.
    pub fn writer_of(&self, bytes: &[u8]) -> Option<u64> {
        let rest = bytes.strip_prefix(b"operation ")?;
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let id = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        (self.content(id) == bytes).then_some(id)
    }

    /// What `id` writes.
    pub fn content(&self, id: u64) -> Vec<u8> {
        let mut text = String::new();
        for line in 0.. {
            if text.len() >= self.size {
                break;
            }
            text.push_str(&format!("operation {id}, line {line}\n"));
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_which_operation_writes_them_if_they_are_whole() {
        let history = History { size: 10_000, ..History::default() };
        let bytes = history.content(100_007);
        assert_eq!(history.writer_of(&bytes), Some(100_007));
        assert_eq!(history.writer_of(&bytes[..bytes.len() - 1]), None);
        let mut mixed = bytes.clone();
        mixed[4096..].copy_from_slice(&history.content(100_008)[4096..]);
        assert_eq!(history.writer_of(&mixed), None);
        assert_eq!(history.writer_of(&vec![0; bytes.len()]), None);
    }
}
