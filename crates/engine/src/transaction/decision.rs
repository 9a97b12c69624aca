//! What is to become of the files of an interrupted transaction: a table, which knows no file.

use crate::mutant::{Step, leaves_out};

/// What a name stands for now, as seen from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the transaction makes of it.
    New,
    /// What it was before.
    Old,
    /// Anything else.
    Other,
}

/// What is to be done about a file of a transaction that is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// The staged file gets its name.
    Rename,
    /// The file is removed.
    Unlink,
    /// The staged file is another name of what stands.
    DropStaged,
    /// Somebody else's file stays, and the staged one gets a name that no sweep takes.
    SetAside,
    /// Somebody else's file stays.
    Leave,
    /// It is done, or somebody has done something else since.
    Nothing,
    /// There is nothing that could be done.
    Lost,
}

/// The decision about one file. `staged`: whether the staged file is there and whole; `None` for a removal.
pub fn decide(staged: Option<bool>, target: Seen) -> Todo {
    match (staged, target) {
        (Some(true), Seen::Old) => Todo::Rename,
        (Some(true), Seen::New) => Todo::DropStaged,
        (Some(true), Seen::Other) if leaves_out(Step::ForeignChange) => Todo::Rename,
        (Some(true), Seen::Other) => Todo::SetAside,
        (Some(false), Seen::Old) => Todo::Lost,
        (Some(false), _) | (None, Seen::New) => Todo::Nothing,
        (None, Seen::Old) => Todo::Unlink,
        (None, Seen::Other) => Todo::Leave,
    }
}

/// Whether a transaction was never committed: names change only when all staged files are on disk. So if one is neither staged
/// nor in its place, and its target is still the old one, none has changed.
pub fn is_dropped(seen: impl IntoIterator<Item = (Option<bool>, Seen)> + Clone) -> bool {
    let is_new = |(staged, target): (Option<bool>, Seen)| target == Seen::New && staged.is_some();
    let is_missing = |at| matches!(at, (Some(false), Seen::Old));
    !seen.clone().into_iter().any(is_new) && seen.into_iter().any(is_missing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_decisions_is_this() {
        let table = [
            (Some(true), Seen::Old, Todo::Rename),
            (Some(true), Seen::New, Todo::DropStaged),
            (Some(true), Seen::Other, Todo::SetAside),
            (Some(false), Seen::New, Todo::Nothing),
            (Some(false), Seen::Other, Todo::Nothing),
            (Some(false), Seen::Old, Todo::Lost),
            (None, Seen::Old, Todo::Unlink),
            (None, Seen::New, Todo::Nothing),
            (None, Seen::Other, Todo::Leave),
        ];
        for (staged, target, todo) in table {
            assert_eq!(decide(staged, target), todo, "{staged:?} {target:?}");
        }
    }

    #[test]
    fn a_transaction_is_dropped_only_if_a_file_is_nowhere_and_none_has_its_name() {
        let missing = (Some(false), Seen::Old);
        assert!(is_dropped([missing, (Some(true), Seen::Old)]));
        assert!(is_dropped([missing, (None, Seen::Old), (Some(true), Seen::Other)]));
        assert!(!is_dropped([missing, (Some(false), Seen::New)]), "its name is proof that all was on disk");
        assert!(!is_dropped([(Some(true), Seen::Old), (None, Seen::Old)]));
        assert!(
            is_dropped([missing, (None, Seen::New)]),
            "a file that is gone may have been removed by anybody"
        );
    }
}
