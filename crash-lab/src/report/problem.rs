//! How a promise was broken, as the caller sees it. The tables count each kind by itself.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Neither old nor new: other bytes, JSON that does not parse, a file that was never written.
    Torn,
    /// Older than what was acknowledged.
    Lost,
    /// A later call fails, has to wait, or never ends.
    Stuck,
    /// Resolved, or reported as durable or verified, and was not.
    FalseSuccess,
    /// Rejected, or reported as not durable, and was; or rejected with another error than the one that occurred.
    FalseFailure,
    /// A temp file or a descriptor that stays behind.
    Leftover,
    /// The lab could not make its test, so nothing is shown.
    Untested,
}

impl Harm {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Torn,
        Self::Lost,
        Self::Stuck,
        Self::FalseSuccess,
        Self::FalseFailure,
        Self::Leftover,
        Self::Untested,
    ];

    /// For tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Lost => "acknowledged but lost",
            Self::Stuck => "stuck",
            Self::FalseSuccess => "false success",
            Self::FalseFailure => "false failure",
            Self::Leftover => "leftover",
            Self::Untested => "not tested",
        }
    }

    /// A problem of this kind.
    pub fn problem(self, what: impl Into<String>) -> Problem {
        Problem { harm: self, what: what.into() }
    }

    /// The kind of harm that these names do by staying: a lock may block other calls.
    pub fn of_leftovers(names: &[impl AsRef<str>]) -> Self {
        if names.iter().any(|name| name.as_ref().ends_with(".lock")) { Self::Stuck } else { Self::Leftover }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Problem {
    pub harm: Harm,
    what: String,
}

impl Problem {
    /// The same, with the place where it was found.
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { what: format!("{place}: {}", self.what), ..self }
    }

    /// The same, with a line of a trace.
    pub fn in_trace(self, line: &str) -> Self {
        Self { what: format!("{} [{line}]", self.what), ..self }
    }

    /// What a line of a workload reports: `problem` in words, `harm` for the tables.
    pub fn reported(line: &Value) -> Result<Option<Self>> {
        let Some(what) = line["problem"].as_str() else { return Ok(None) };
        let harm: Harm = Deserialize::deserialize(&line["harm"]).with_context(|| format!("{line}"))?;
        Ok(Some(harm.problem(what)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.harm.name(), self.what)
    }
}
