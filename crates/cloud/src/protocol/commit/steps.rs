//! The steps that a test can leave out, to see that another one notices.

use super::super::{Condition, Error, Object};
use super::Commit;

/// A step of the protocol that a test leaves out, to see that another one notices.
#[cfg(any(test, feature = "mutants"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    Ring,
    Nonce,
    Seq,
    Condition,
    Pause,
    Ledger,
}

#[cfg(any(test, feature = "mutants"))]
impl Mutant {
    /// The one that `ATOMIC_CLOUD_MUTANT` names, in a build with the feature `mutants`.
    pub(super) fn of_environment() -> Option<Self> {
        if !cfg!(feature = "mutants") {
            return None;
        }
        match std::env::var("ATOMIC_CLOUD_MUTANT").ok()?.as_str() {
            "ring" => Some(Self::Ring),
            "nonce" => Some(Self::Nonce),
            "seq" => Some(Self::Seq),
            "condition" => Some(Self::Condition),
            "pause" => Some(Self::Pause),
            "ledger" => Some(Self::Ledger),
            _ => None,
        }
    }
}

#[cfg(not(any(test, feature = "mutants")))]
impl Commit {
    pub(super) fn condition(&self, base: Option<&Object>) -> Condition {
        base.map_or(Condition::Absent, |base| Condition::Is(base.version.clone()))
    }

    pub(super) async fn pause_in_doubt(&mut self) -> Result<(), Error> {
        self.pause().await
    }

    pub(super) const fn reads_ring(&self) -> bool {
        true
    }

    pub(super) const fn checks_seq(&self) -> bool {
        true
    }

    pub(super) const fn adds_nonce(&self) -> bool {
        true
    }

    pub(in crate::protocol) const fn reads_ledger(&self) -> bool {
        true
    }
}

#[cfg(any(test, feature = "mutants"))]
impl Commit {
    pub(super) fn condition(&self, base: Option<&Object>) -> Condition {
        match base {
            _ if self.mutant == Some(Mutant::Condition) => Condition::None,
            None => Condition::Absent,
            Some(base) => Condition::Is(base.version.clone()),
        }
    }

    pub(super) async fn pause_in_doubt(&mut self) -> Result<(), Error> {
        if self.mutant == Some(Mutant::Pause) { Ok(()) } else { self.pause().await }
    }

    pub(super) fn reads_ring(&self) -> bool {
        self.mutant != Some(Mutant::Ring)
    }

    pub(super) fn checks_seq(&self) -> bool {
        self.mutant != Some(Mutant::Seq)
    }

    pub(super) fn adds_nonce(&self) -> bool {
        self.mutant != Some(Mutant::Nonce)
    }

    pub(in crate::protocol) fn reads_ledger(&self) -> bool {
        self.mutant != Some(Mutant::Ledger)
    }
}
