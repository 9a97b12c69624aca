//! What one run is to be.

use serde::Deserialize;

use crate::protocol::commit::Mutant;
use crate::protocol::tests::memory::{Faults, Latency};

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `atomicIndexUpdate` on one object.
    Update,
    /// The same, and each second call takes back what the one before has done: earlier contents return.
    Undo,
    /// `atomicIndexPatch` through its inbox.
    Patch,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    S3,
    Express,
    Gcs,
}

impl Cloud {
    pub fn latency(self) -> Latency {
        match self {
            Self::S3 => Latency::s3(),
            Self::Express => Latency::express(),
            Self::Gcs => Latency::gcs(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    pub kind: Kind,
    pub store: Cloud,
    pub machines: u32,
    /// Calls of a machine in a second.
    pub rate: f64,
    /// For how long calls are made.
    pub seconds: f64,
    pub faults: bool,
    /// The mean time in seconds between two machines that are killed.
    pub kill: Option<f64>,
    pub seed: u64,
    #[serde(skip)]
    pub mutant: Option<Mutant>,
    /// Instead of those of a bad day.
    #[serde(skip)]
    pub own_faults: Option<Faults>,
}

impl Plan {
    /// Ten calls a second from each machine, on a bad day of S3, and a machine killed each five seconds.
    pub fn new(kind: Kind, machines: u32, seconds: f64) -> Self {
        Self {
            kind,
            store: Cloud::S3,
            machines,
            rate: 10.0,
            seconds,
            faults: true,
            kill: Some(5.0),
            seed: 1,
            mutant: None,
            own_faults: None,
        }
    }

    pub fn faults(&self) -> Faults {
        match self.own_faults {
            Some(faults) => faults,
            None if self.faults => super::bad_day(),
            None => Faults::default(),
        }
    }
}
