//! What follows from each answer, for the person who has to decide where data goes.

use crate::inspect::{Trait, Value};

/// One sentence.
pub fn of(of: Trait, value: &Value) -> &'static str {
    match (of, value) {
        (_, Value::Unknown) => "This system does not tell.",
        (_, Value::Is(true)) => yes(of),
        (_, Value::Is(false)) => no(of),
        (Trait::FileSystem, _) => "The type that the system mounts it as.",
        (Trait::Device, _) => "What it is mounted from; calls on other devices do not wait for this one.",
        (Trait::LongestName, Value::Number(longest)) if *longest < 255.0 => {
            "Names of temp and lock files are made for 255 bytes; files with long names cannot be written here."
        }
        (Trait::LongestName, _) => "Longer names are refused; those of temp and lock files are cut to fit.",
        (Trait::FlushTime, Value::Number(ms)) if *ms < 0.05 => {
            "Nothing is waited for: the data is in memory, or the device flushes nothing."
        }
        (Trait::FlushTime, Value::Number(ms)) if *ms > 5.0 => {
            "A durable write takes at least two of these: write many files with atomicWriteAll, and update at once to share flushes."
        }
        (_, _) => "A durable write takes at least two of these, shared by calls at once.",
    }
}

fn yes(of: Trait) -> &'static str {
    match of {
        Trait::ExclusiveCreate => "Temp files and locks are made safely.",
        Trait::RenameOver => "Readers find the old file or the new one at any time.",
        Trait::RenameNoReplace => {
            "The flag 'wx' and new directories are decided in one step, and watchers see a rename."
        }
        Trait::Exchange => "atomicDirectory replaces a directory in one step, and a backup costs no copy.",
        Trait::HardLinks => {
            "The flag 'wx' works, and backups and broken files get second names without a copy."
        }
        Trait::UnnamedFiles => {
            "A killed write leaves nothing behind, unless it is killed at the rename: then a temp file."
        }
        Trait::DirectoryFlush => "The name of a new file survives a power cut once the call has resolved.",
        Trait::Durable => "Results have durable: true.",
        Trait::Locks => {
            "Indexes can be updated by many processes, and leftovers of killed ones are told from living ones."
        }
        Trait::Local => "Indexes may be here without the option network.",
        Trait::DeviceVerify => "verify: 'device' reads back what the device has.",
        Trait::CaseSensitive => "Names that differ in case are two files.",
        Trait::NormalizationSensitive => "The two ways to write é are two files; use one of them throughout.",
        Trait::Modes => "Mode and owner are kept, and a temp file is never more open than its target.",
        Trait::ExtendedAttributes => "Attributes are carried over to the new version.",
        Trait::Acls => "ACLs are carried over to the new version.",
        Trait::FileSystem | Trait::Device | Trait::LongestName | Trait::FlushTime => "",
    }
}

fn no(of: Trait) -> &'static str {
    match of {
        Trait::ExclusiveCreate => "Do not put data here: two writers can take the same temp name.",
        Trait::RenameOver => "Do not put data here: a file cannot be replaced in one step.",
        Trait::RenameNoReplace => "The flag 'wx' needs hard links here.",
        Trait::Exchange => {
            "atomicDirectory rejects with ERR_ATOMIC_NO_EXCHANGE unless fallback is 'rename', and a backup is a copy."
        }
        Trait::HardLinks => "The flag 'wx' needs a rename that refuses a taken name, and backups are copies.",
        Trait::UnnamedFiles => {
            "A killed write can leave a temp file, which the next process that writes here removes."
        }
        Trait::DirectoryFlush => "A power cut can take new names away: results have durable: false.",
        Trait::Durable => "A power cut can take everything away: results have durable: false.",
        Trait::Locks => {
            "Indexes are refused (ERR_ATOMIC_NO_LOCKS), and nothing is swept: keep them on another file system."
        }
        Trait::Local => "Indexes are refused (ERR_ATOMIC_NETWORK_FS) unless network is 'allow'.",
        Trait::DeviceVerify => {
            "verify: 'device' compares with the page cache only, and the result says 'cache'."
        }
        Trait::CaseSensitive => "Names that differ in case only are one file.",
        Trait::NormalizationSensitive => {
            "The two ways to write é are one file, but two for the order of calls."
        }
        Trait::Modes => "All files have the permissions of the mount; the option mode has no effect.",
        Trait::ExtendedAttributes => "Attributes do not exist here; files that are copied here lose theirs.",
        Trait::Acls => "ACLs do not exist here; the mode alone decides.",
        Trait::FileSystem | Trait::Device | Trait::LongestName | Trait::FlushTime => "",
    }
}
