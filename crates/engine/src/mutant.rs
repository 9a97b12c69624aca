//! Steps of the protocol that the crash lab leaves out, one at a time, to show that it would notice.
//!
//! Only builds with the feature `mutants` can: there the environment variable `ATOMIC_MUTANT` names
//! the step. In every other build [`leaves_out`] is a constant `false`, and gone.

/// A step that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutants"), allow(dead_code, reason = "named only by the variable"))]
pub enum Step {
    /// `file-fsync`: before the rename.
    FileSync,
    /// `dir-fsync`: after the rename.
    DirSync,
    /// `fsync-order`: the file is flushed only after its rename.
    SyncOrder,
    /// `write-loop`: what one write(2) takes is all that is written.
    WriteLoop,
    /// `verify`: the read-back.
    Verify,
    /// `next-flush`: a call that shares a directory's flush waits for one that began after its rename.
    NextFlush,
    /// `batch-fsync`: the files of a batch, before their renames.
    BatchSync,
    /// `tree-fsync`: the files of a tree, before the swap.
    TreeSync,
    /// `in-place-fsync`: a file that was overwritten.
    InPlaceSync,
    /// `lock-identity`: whether the lock file still has its name.
    LockIdentity,
    /// `mkdir-fsync`: the directory in which one was made.
    MkdirSync,
    /// `staged-fsync`: the files that a transaction has staged.
    StagedSync,
    /// `old-fsync`: what a transaction replaces, before its record.
    OldSync,
    /// `record-fsync`: the journal of a root.
    RecordSync,
    /// `names-fsync`: the directories of a transaction, before it counts as finished.
    NamesSync,
    /// `finished-order`: a transaction counts as finished only after its names.
    FinishedOrder,
    /// `last-look`: whether what a transaction has read is still there when it commits.
    LastLook,
    /// `checksum`: of a record.
    Checksum,
    /// `foreign-change`: recovery leaves what somebody has changed since.
    ForeignChange,
    /// `root-lock`: one transaction at a time in a root.
    RootLock,
    /// `lock-pointer`: an index that a killed transaction had locked is recovered before it is read.
    LockPointer,
    /// `moved-look`: whether the name that a transaction takes away still is that of the file that it has moved.
    MovedLook,
    /// `put-back`: another file gets the name back.
    PutBack,
    /// `bring-back`: recovery gives back what was taken away by a process that was killed before it looked at it.
    BringBack,
    /// `moved-fsync`: the directory that a file was moved from.
    MovedSync,
    /// `append-fsync`: a file of lines, after an append.
    AppendSync,
    /// `append-undo`: what was appended in part is taken back.
    AppendUndo,
    /// `torn-line`: a part of a line is set aside before the next append.
    TornLine,
    /// `patch-undo`: of a patch that fails nothing is left in the text that others are applied to.
    PatchUndo,
    /// `kept-text`: whether the file is still the one of which the text is kept.
    KeptText,
}

/// Whether this process is to do without `step`. `fsync` stands for both flushes.
#[cfg(feature = "mutants")]
pub fn leaves_out(step: Step) -> bool {
    static LEFT_OUT: std::sync::OnceLock<Vec<Step>> = std::sync::OnceLock::new();
    LEFT_OUT.get_or_init(|| named(&std::env::var("ATOMIC_MUTANT").unwrap_or_default())).contains(&step)
}

/// Nothing is left out.
#[cfg(not(feature = "mutants"))]
pub const fn leaves_out(_step: Step) -> bool {
    false
}

#[cfg(feature = "mutants")]
fn named(names: &str) -> Vec<Step> {
    let step = |name| match name {
        "" => vec![],
        "file-fsync" => vec![Step::FileSync],
        "dir-fsync" => vec![Step::DirSync],
        "fsync" => vec![Step::FileSync, Step::DirSync],
        "fsync-order" => vec![Step::SyncOrder],
        "write-loop" => vec![Step::WriteLoop],
        "verify" => vec![Step::Verify],
        "next-flush" => vec![Step::NextFlush],
        "batch-fsync" => vec![Step::BatchSync],
        "tree-fsync" => vec![Step::TreeSync],
        "in-place-fsync" => vec![Step::InPlaceSync],
        "lock-identity" => vec![Step::LockIdentity],
        "mkdir-fsync" => vec![Step::MkdirSync],
        "staged-fsync" => vec![Step::StagedSync],
        "old-fsync" => vec![Step::OldSync],
        "record-fsync" => vec![Step::RecordSync],
        "names-fsync" => vec![Step::NamesSync],
        "finished-order" => vec![Step::FinishedOrder],
        "last-look" => vec![Step::LastLook],
        "checksum" => vec![Step::Checksum],
        "foreign-change" => vec![Step::ForeignChange],
        "root-lock" => vec![Step::RootLock],
        "lock-pointer" => vec![Step::LockPointer],
        "moved-look" => vec![Step::MovedLook],
        "put-back" => vec![Step::PutBack],
        "bring-back" => vec![Step::BringBack],
        "moved-fsync" => vec![Step::MovedSync],
        "append-fsync" => vec![Step::AppendSync],
        "append-undo" => vec![Step::AppendUndo],
        "torn-line" => vec![Step::TornLine],
        "patch-undo" => vec![Step::PatchUndo],
        "kept-text" => vec![Step::KeptText],
        // A typing error must not pass for a mutant that survives.
        other => panic!("ATOMIC_MUTANT: no step is called {other}"),
    };
    names.split(',').flat_map(step).collect()
}
