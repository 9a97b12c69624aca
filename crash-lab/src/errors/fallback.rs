//! Errors for which the library has another way: no `O_TMPFILE`, no links, no attributes, no fsync. The call
//! must succeed, be right, and say `durable: false` only where nothing could be flushed.

use crate::walk::strace::{Call, Object};

/// Failures of one call.
struct Fallback {
    call: &'static str,
    object: Object,
    /// Part of the trace's line; empty: any.
    mark: &'static str,
    errors: &'static [&'static str],
    /// The cause is gone at the next try, so it cannot last.
    once: bool,
    durable: bool,
    /// What is done instead.
    why: &'static str,
}

const ANY: Fallback =
    Fallback { call: "", object: Object::Staged, mark: "", errors: &[], once: false, durable: true, why: "" };

const FALLBACKS: &[Fallback] = &[
    Fallback {
        call: "openat",
        mark: "O_TMPFILE",
        errors: &["EOPNOTSUPP", "EISDIR", "EINVAL", "ENOSYS"],
        // The next openat is that of the temp name. The walk without O_TMPFILE shows what happens if it lasts.
        once: true,
        why: "the staged file has a temp name from the start",
        ..ANY
    },
    Fallback {
        call: "linkat",
        errors: &["ENOENT", "EPERM", "EINVAL", "ENOSYS", "EOPNOTSUPP", "EXDEV", "EMLINK"],
        why: "by way of /proc, else staged again under a temp name",
        ..ANY
    },
    Fallback {
        call: "linkat",
        mark: ".atomic-tmp",
        errors: &["EEXIST"],
        once: true,
        why: "another temp name",
        ..ANY
    },
    Fallback {
        call: "openat",
        mark: "O_CREAT",
        errors: &["EEXIST"],
        once: true,
        why: "another temp name",
        ..ANY
    },
    Fallback {
        call: "openat",
        object: Object::Lock,
        mark: "O_CREAT",
        errors: &["EEXIST"],
        once: true,
        why: "another process made the lock file in between: it is opened",
        ..ANY
    },
    Fallback {
        call: "openat",
        object: Object::Target,
        errors: &["ENOENT"],
        once: true,
        why: "another process removed the index in between: the update begins again",
        ..ANY
    },
    Fallback {
        call: "llistxattr",
        object: Object::Target,
        errors: &["EOPNOTSUPP", "ENOENT"],
        why: "no attributes, or no /proc to reach them by",
        ..ANY
    },
    Fallback {
        call: "lgetxattr",
        object: Object::Target,
        errors: &["EPERM", "ENODATA"],
        why: "it may not be read, or is gone since it was listed",
        ..ANY
    },
    Fallback {
        call: "statx",
        object: Object::Directory,
        mark: "STATX_MNT_ID",
        errors: &["ENOSYS", "EPERM"],
        why: "fstat(2), as before Linux 5.8: mounts of one file system are not told apart",
        ..ANY
    },
    Fallback {
        call: "fchown",
        errors: &["EINVAL"],
        why: "an owner that this user namespace does not know: set-id bits go",
        ..ANY
    },
    Fallback {
        call: "fsync",
        errors: &["EINVAL", "ENOSYS", "EOPNOTSUPP"],
        durable: false,
        why: "the file system cannot flush files",
        ..ANY
    },
    Fallback {
        call: "fallocate",
        object: Object::Target,
        errors: &["EOPNOTSUPP", "ENOSYS", "EINVAL"],
        why: "space cannot be reserved: a full disk may be found out when a part is written",
        ..ANY
    },
    Fallback {
        call: "fsync",
        object: Object::Target,
        errors: &["EINVAL", "ENOSYS", "EOPNOTSUPP"],
        durable: false,
        why: "the file system cannot flush files",
        ..ANY
    },
    Fallback {
        call: "fsync",
        object: Object::Directory,
        errors: &["EINVAL", "ENOSYS", "EOPNOTSUPP", "EBADF"],
        durable: false,
        why: "the file system cannot flush directories, or this one may not be read",
        ..ANY
    },
];

fn of(call: &Call) -> impl Iterator<Item = &'static Fallback> {
    FALLBACKS.iter().filter(|entry| {
        (entry.call, entry.object) == (call.name.as_str(), call.object) && call.line.contains(entry.mark)
    })
}

/// Errors to inject into `call`, and whether each may last.
pub fn errors(call: &Call) -> impl Iterator<Item = (&'static str, bool)> {
    of(call).flat_map(|entry| entry.errors.iter().map(|error| (*error, !entry.once)))
}

/// What `durable` must be when `call` fails with `error`, and what is done instead; `None`: there is no other way.
pub fn instead(call: &Call, error: &str) -> Option<(bool, &'static str)> {
    of(call).find(|entry| entry.errors.contains(&error)).map(|entry| (entry.durable, entry.why))
}

/// For the page that lists them.
#[cfg(test)]
pub fn lines() -> impl Iterator<Item = String> {
    FALLBACKS.iter().map(|entry| {
        let durable = if entry.durable { "" } else { "; `durable: false`" };
        let object = format!("{:?}", entry.object).to_lowercase();
        format!("| `{}` | {object} | {} | {}{durable} |", entry.call, entry.errors.join(", "), entry.why)
    })
}
