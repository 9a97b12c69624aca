//! Which errors each call can return, and which of them the library ignores on purpose. A failure that is neither
//! reported nor in the second table is a bug.

use serde_json::Value;

use crate::walk::scene::ORPHAN;
use crate::walk::strace::{Call, Object};

/// Errors that a call can return on a file system that is full, over quota, failing or not accessible, in a process
/// that is out of descriptors or gets a signal. They are from section 2 of the manual; the third column explains those
/// that are not.
const POSSIBLE: &[(&str, &[&str], &str)] = &[
    (
        "openat",
        &["ENOSPC", "EIO", "EDQUOT", "EACCES", "EMFILE", "EINTR"],
        "EIO: the directory's blocks; EINTR: a FUSE or NFS server that is slow",
    ),
    ("mkdirat", &["ENOSPC", "EIO", "EDQUOT", "EACCES"], ""),
    ("write", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], ""),
    ("fsync", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], "write-back was delayed until now"),
    ("fdatasync", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], "as fsync"),
    ("close", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], "NFS, FUSE and AFS flush here"),
    ("read", &["EIO", "EINTR"], ""),
    ("pread64", &["EIO", "EINTR"], ""),
    ("pwrite64", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], ""),
    ("linkat", &["ENOSPC", "EIO", "EDQUOT", "EACCES"], ""),
    ("renameat", &["ENOSPC", "EIO", "EDQUOT", "EACCES"], ""),
    ("renameat2", &["ENOSPC", "EIO", "EDQUOT", "EACCES"], ""),
    ("unlinkat", &["ENOSPC", "EIO", "EACCES"], "ENOSPC: btrfs copies the directory's block"),
    ("fchmod", &["ENOSPC", "EIO", "EDQUOT"], "ENOSPC, EDQUOT: copy-on-write inodes"),
    ("fchown", &["ENOSPC", "EIO", "EDQUOT"], "EDQUOT: the new owner's"),
    ("fsetxattr", &["ENOSPC", "EIO", "EDQUOT", "EACCES"], ""),
    ("llistxattr", &["EIO", "EACCES"], ""),
    ("lgetxattr", &["EIO", "EACCES"], ""),
    ("fgetxattr", &["EIO"], ""),
    ("newfstatat", &["EIO", "EACCES"], "EACCES: the search bit was taken away"),
    ("fstat", &["EIO"], "NFS asks the server"),
    ("statx", &["EIO"], ""),
    ("ftruncate", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], ""),
    ("fallocate", &["ENOSPC", "EIO", "EDQUOT", "EINTR"], ""),
    ("fstatfs", &["EIO"], ""),
    ("lseek", &["EIO"], ""),
    ("getdents64", &["EIO", "EACCES"], ""),
    ("readlinkat", &["EIO", "EACCES"], ""),
    ("flock", &["EIO", "EINTR"], "EIO: NFS turns it into a remote lock"),
    ("fcntl", &["EMFILE"], "F_DUPFD"),
    ("fadvise64", &["EIO"], ""),
    ("mincore", &["EIO"], ""),
    ("ioctl", &["EIO"], ""),
];

/// Errors to inject into `call`.
pub fn possible(call: &Call) -> &'static [&'static str] {
    let duplicates = call.line.contains("F_DUPFD");
    POSSIBLE
        .iter()
        .find(|(name, ..)| *name == call.name && (call.name != "fcntl" || duplicates))
        .map_or(&[], |(_, errors, _)| errors)
}

/// A failure that is not reported to the caller, and why that is right.
struct Ignored {
    call: &'static str,
    object: Object,
    /// Part of the trace's line; empty: any.
    mark: &'static str,
    /// Empty: any.
    errors: &'static [&'static str],
    /// Only after the new file has its name.
    committed_only: bool,
    /// Only of a descriptor through which nothing was written.
    reading_only: bool,
    /// Only of a descriptor of which a copy was made.
    copied_only: bool,
    why: &'static str,
}

const ANY: Ignored = Ignored {
    call: "",
    object: Object::Directory,
    mark: "",
    errors: &[],
    committed_only: false,
    reading_only: false,
    copied_only: false,
    why: "",
};

const SWEEP: &str = "the sweep of orphans: nothing depends on it, the next process sweeps again";
const RELEASE: &str = "the release of the lock: the kernel frees it with the descriptor, and the next holder takes \
    over a lock file that stays";
const KIND: &str = "the kind of the file system is unknown: the result says durable: false";
const ACL: &str =
    "whether the new file has its directory's ACL: where that cannot be told, it is removed all the same";
const READ_ONLY: &str = "nothing was written through this descriptor, and Linux closes it all the same";
const HOLD: &str =
    "the mark against sweepers: where locks fail, a sweeper cannot find the file unlocked either";
const HINT: &str = "only the size of a first buffer (std's read_to_end)";
const RECORD: &str =
    "which process has the lock, for the error of a call that waits in vain: the lock is as good without it";
const SAID: &str = "what a lock file says: one that cannot be read is taken for a lock, of a process that is in no transaction";

const GRACE: &str = "the lock of an old tree: without it, a sweeper may remove the tree a moment too early";
const COPIED: &str = "a copy of this descriptor was closed before, which would have told of lost writes";
const LEVEL: &str = "the pages may not have been dropped: the result says verified: 'cache'";
const COURTESY: &str = "the mark by which a holder sees that another process waits: without it, the other waits a \
    little longer";
const KEPT: &str = "the text is not kept in memory then: the next update reads the file again";
const FREED: &str = "the old file, held open to be freed after the answer: without it, it is freed before";
const FALLBACK: &str = "there is another way: a directory that may not be listed is opened with O_PATH (durable \
    is false then), another user's lock for reading";
const NOT_PERMITTED: &str = "an attribute that may not be set is not copied";
const FOREIGN: &str = "an attribute that may not be read is not copied";

const PLACE: &str =
    "whether the directory is still at its place: where that cannot be told, it is taken to be";
const GUARD: &str =
    "the file that guards a staging directory: it is removed last, and a sweep takes one that stays";
const NEAR: &str =
    "what an earlier transaction left above: a call for other files goes on, and the next one looks again";
const OBSTACLE: &str = "what would stop the rename is asked before it; what is not answered, the rename says";

/// What is asked of a file that may be in the way of being replaced, as strace prints it.
const OWNER: &str = "STATX_UID, {";
const VERSION: &str = "FS_IOC_GETVERSION";

const IGNORED: &[Ignored] = &[
    Ignored { call: "openat", mark: "\".\", O_RDONLY", why: SWEEP, ..ANY },
    Ignored { call: "getdents64", why: SWEEP, ..ANY },
    Ignored { call: "fcntl", mark: "F_GETFL", why: SWEEP, ..ANY },
    Ignored { call: "openat", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "flock", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "fstat", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "newfstatat", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "unlinkat", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "close", object: Object::Staged, mark: ORPHAN, why: SWEEP, ..ANY },
    Ignored { call: "newfstatat", object: Object::Lock, committed_only: true, why: RELEASE, ..ANY },
    Ignored { call: "unlinkat", object: Object::Lock, why: RELEASE, ..ANY },
    Ignored { call: "statx", object: Object::Lock, committed_only: true, why: COURTESY, ..ANY },
    Ignored { call: "ftruncate", object: Object::Lock, why: COURTESY, ..ANY },
    Ignored { call: "flock", object: Object::Lock, mark: "LOCK_UN", why: RELEASE, ..ANY },
    Ignored { call: "write", object: Object::Lock, why: RECORD, ..ANY },
    Ignored { call: "lseek", object: Object::Lock, why: RECORD, ..ANY },
    Ignored { call: "pread64", object: Object::Lock, why: SAID, ..ANY },
    Ignored { call: "close", object: Object::Lock, why: RELEASE, ..ANY },
    Ignored { call: "close", why: READ_ONLY, ..ANY },
    // The version that was read; the new one has the name by then.
    Ignored { call: "close", object: Object::Target, mark: ">(deleted)", why: READ_ONLY, ..ANY },
    Ignored { call: "close", object: Object::Target, reading_only: true, why: READ_ONLY, ..ANY },
    Ignored { call: "close", object: Object::Target, copied_only: true, why: COPIED, ..ANY },
    // A directory of a tree, or a file of it that was opened to be flushed.
    Ignored { call: "close", object: Object::Staged, reading_only: true, why: READ_ONLY, ..ANY },
    // The old version, which becomes the backup, is opened on an overlay only to be flushed.
    Ignored { call: "close", object: Object::Backup, reading_only: true, why: READ_ONLY, ..ANY },
    Ignored { call: "flock", object: Object::Staged, mark: "LOCK_EX", why: HOLD, ..ANY },
    Ignored { call: "flock", object: Object::Target, why: HOLD, ..ANY },
    Ignored { call: "flock", object: Object::Backup, mark: "LOCK_EX", why: HOLD, ..ANY },
    Ignored { call: "statx", object: Object::Target, why: HINT, ..ANY },
    Ignored { call: "newfstatat", mark: "newfstatat(AT_FDCWD", why: PLACE, ..ANY },
    Ignored { call: "statx", mark: "/.atomic\", AT_", why: NEAR, ..ANY },
    Ignored { call: "unlinkat", object: Object::Staged, committed_only: true, why: GUARD, ..ANY },
    Ignored { call: "flock", object: Object::Backup, mark: "LOCK_UN", why: RELEASE, ..ANY },
    Ignored { call: "linkat", object: Object::Staged, errors: &["EACCES"], why: FALLBACK, ..ANY },
    Ignored { call: "statx", mark: OWNER, why: OBSTACLE, ..ANY },
    Ignored { call: "statx", object: Object::Backup, mark: OWNER, why: OBSTACLE, ..ANY },
    Ignored { call: "lseek", object: Object::Target, why: HINT, ..ANY },
    // The trace may still show the staged file's name, or already the target's.
    Ignored { call: "fstat", object: Object::Staged, committed_only: true, why: KEPT, ..ANY },
    Ignored { call: "fstat", object: Object::Target, committed_only: true, why: KEPT, ..ANY },
    Ignored { call: "ioctl", object: Object::Staged, mark: VERSION, why: KEPT, ..ANY },
    Ignored { call: "ioctl", object: Object::Target, mark: VERSION, why: KEPT, ..ANY },
    Ignored { call: "fadvise64", object: Object::Staged, why: LEVEL, ..ANY },
    Ignored { call: "mincore", object: Object::Node, why: LEVEL, ..ANY },
    Ignored { call: "fstatfs", why: KIND, ..ANY },
    Ignored { call: "fstatfs", object: Object::Target, why: KIND, ..ANY },
    Ignored { call: "openat", object: Object::Target, mark: "O_DIRECTORY", why: GRACE, ..ANY },
    Ignored { call: "openat", object: Object::Target, mark: "O_PATH", why: FREED, ..ANY },
    Ignored { call: "openat", errors: &["EACCES"], why: FALLBACK, ..ANY },
    Ignored { call: "openat", object: Object::Lock, errors: &["EACCES"], why: FALLBACK, ..ANY },
    Ignored { call: "fgetxattr", object: Object::Staged, why: ACL, ..ANY },
    Ignored { call: "fsetxattr", object: Object::Staged, errors: &["EACCES"], why: NOT_PERMITTED, ..ANY },
    Ignored { call: "lgetxattr", object: Object::Target, errors: &["EACCES"], why: FOREIGN, ..ANY },
];

/// Why `call` may fail with `error` without a report to the caller.
pub fn ignored(call: &Call, error: &str, committed: bool) -> Option<&'static str> {
    IGNORED
        .iter()
        .find(|entry| {
            (entry.call, entry.object) == (call.name.as_str(), call.object)
                && call.line.contains(entry.mark)
                && (entry.errors.is_empty() || entry.errors.contains(&error))
                && (committed || !entry.committed_only)
                && (call.ends_reading || !entry.reading_only)
                && (call.has_copy || !entry.copied_only)
        })
        .map(|entry| entry.why)
}

/// Whether an error of `call` (strace's name) may say `syscall`: what `node:fs` calls it, or its own name where that has
/// none.
pub fn is_named(call: &str, syscall: &str) -> bool {
    let node: &[&str] = match call {
        // A staging directory is made together with the file that guards it.
        "openat" => &["open", "scandir", "mkdir"],
        "getdents64" => &["scandir"],
        "mkdirat" => &["mkdir"],
        "pread64" => &["read"],
        "linkat" => &["link"],
        // Space is reserved in order to write.
        "fallocate" => &["write"],
        "renameat" | "renameat2" => &["rename"],
        "unlinkat" => &["unlink", "rmdir"],
        "llistxattr" => &["listxattr"],
        "lgetxattr" => &["getxattr"],
        "fsetxattr" => &["setxattr"],
        // Looking at a name is part of opening it.
        "newfstatat" => &["stat", "open", "lstat", "fstat", "mkdir"],
        "fstat" | "statx" => &["fstat", "open", "stat", "mkdir"],
        "readlinkat" => &["readlink"],
        // The copy is made in order to be closed.
        "fcntl" => &["close", "open"],
        _ => &[call],
    };
    node.contains(&syscall)
}

/// The number of an error by its name.
fn number(error: &str) -> i32 {
    match error {
        "EACCES" => libc::EACCES,
        "EDQUOT" => libc::EDQUOT,
        "EINTR" => libc::EINTR,
        "EMFILE" => libc::EMFILE,
        "ENOSPC" => libc::ENOSPC,
        "EBADF" => libc::EBADF,
        "EEXIST" => libc::EEXIST,
        "EINVAL" => libc::EINVAL,
        "EISDIR" => libc::EISDIR,
        "EMLINK" => libc::EMLINK,
        "ENODATA" => libc::ENODATA,
        "ENOENT" => libc::ENOENT,
        "ENOSYS" => libc::ENOSYS,
        "EOPNOTSUPP" => libc::EOPNOTSUPP,
        "EPERM" => libc::EPERM,
        "EXDEV" => libc::EXDEV,
        _ => libc::EIO,
    }
}

/// Whether what was rejected with has the code and the number of `error`. Node has another name for one of them.
pub fn is_error(rejected: &Value, error: &str) -> bool {
    let code = if error == "EOPNOTSUPP" { "ENOTSUP" } else { error };
    rejected["code"] == code && rejected["errno"] == -number(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::errors::fallback;

    /// Readers of the page need the tables too. The test prints a line that is missing there.
    #[test]
    fn the_page_lists_what_is_ignored_and_what_there_is_another_way_for() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crash-lab-faults.md");
        let page = std::fs::read_to_string(page).unwrap();
        let missing: Vec<String> =
            lines().chain(fallback::lines()).filter(|line| !page.contains(line.as_str())).collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    fn lines() -> impl Iterator<Item = String> {
        IGNORED.iter().map(|entry| {
            let object = format!("{:?}", entry.object).to_lowercase();
            let mark = match entry.mark {
                ORPHAN => " (an orphan)".to_owned(),
                "" => String::new(),
                mark => format!(" (`{mark}`)"),
            };
            let errors = if entry.errors.is_empty() { "any".into() } else { entry.errors.join(", ") };
            let when = match entry {
                Ignored { committed_only: true, .. } => ", after the rename",
                Ignored { reading_only: true, .. } => ", not written to",
                Ignored { copied_only: true, .. } => ", with a copy",
                _ => "",
            };
            format!("| `{}` | {object}{mark}{when} | {errors} | {} |", entry.call, entry.why)
        })
    }
}
