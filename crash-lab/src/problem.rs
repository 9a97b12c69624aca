//! What a broken promise looks like to the person it was given to: the kinds that the figures count apart.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Neither old nor new: other bytes, JSON that does not parse, a file that nobody gave.
    Torn,
    /// Older than what was acknowledged.
    Lost,
    /// A later call does not succeed at once, or never ends, or finds a lock that nobody holds.
    Stuck,
    /// Resolved, or called durable or verified, and was not.
    FalseSuccess,
    /// Rejected, or called not durable, and was; or rejected with another error than the one it met.
    FalseFailure,
    /// A temp file or a descriptor that stays.
    Leftover,
    /// The lab could not do what it meant to do: nothing is shown.
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

    /// For people.
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
    pub fn told(self, what: impl Into<String>) -> Problem {
        Problem { harm: self, what: what.into() }
    }

    /// That of names that should not be there any more: a lock may be in somebody's way.
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

    /// The same, with what goes before it.
    pub fn after(self, line: &str) -> Self {
        Self { what: format!("{} [{line}]", self.what), ..self }
    }

    /// What a workload says of itself: `problem` in words, `harm` for the tables.
    pub fn said(line: &Value) -> Result<Option<Self>> {
        let Some(what) = line["problem"].as_str() else { return Ok(None) };
        let harm: Harm = Deserialize::deserialize(&line["harm"]).with_context(|| format!("{line}"))?;
        Ok(Some(harm.told(what)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.harm.name(), self.what)
    }
}
