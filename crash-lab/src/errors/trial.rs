//! A trial: one error at one call, and what the error excuses.

use std::fmt;

use super::fallback;
use super::table::{ignored, possible};
use crate::walk::scene::{ORPHAN, Op};
use crate::walk::strace::Object;
use crate::walk::{At, Point, Thread};

/// Transient errors: a call that meets one is made again.
pub const TRANSIENT: [&str; 2] = ["EINTR", "EMFILE"];

/// One error at one call.
#[derive(Clone, Debug)]
pub struct Trial {
    pub point: Point,
    pub error: &'static str,
    /// Every later call of the name fails as well.
    pub persistent: bool,
}

/// All errors to try at one call.
pub fn of(point: &Point) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |error, persistent| trials.push(Trial { point: point.clone(), error, persistent });
    for error in possible(&point.call) {
        add(error, false);
        // A loop over EINTR is what POSIX asks for; it ends because signals do. And libuv writes to its
        // eventfd from the same thread, and aborts if that fails; full disks are among the real faults.
        if *error != "EINTR" && point.call.name != "write" {
            add(error, true);
        }
    }
    for (error, may_last) in fallback::errors(&point.call) {
        add(error, false);
        if may_last {
            add(error, true);
        }
    }
    trials
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.persistent { "+" } else { "" };
        write!(f, "{}{plus} {}", self.point.describe(), self.error)
    }
}

impl Trial {
    /// The library waits for descriptors before it gives up.
    pub fn takes_long(&self) -> bool {
        self.error == "EMFILE" && self.persistent
    }

    /// Why the caller need not get this error.
    pub fn why_ignored(&self) -> Option<&'static str> {
        let Point { at: At { scene, thread, .. }, call, committed, .. } = &self.point;
        if *thread == Thread::Waiter && [Object::Directory, Object::Target].contains(&call.object) {
            return Some("the wait ends, and the worker resolves the path again and reports what it finds");
        }
        if scene.op == Op::Tree && call.name == "close" {
            // The library does not write these files: it opens them, and directories, to read and to flush.
            return Some("nothing was written through this descriptor, and Linux closes it all the same");
        }
        if scene.is_in_place() && call.object == Object::Target && !committed {
            let opens = ["openat", "fstat", "newfstatat", "flock"].contains(&call.name.as_str());
            if scene.is_update() && opens {
                return Some(
                    "an index that cannot be opened to be overwritten is opened again when it has to be",
                );
            }
            // Of a file that is only read it is a mark; here it is what keeps others out.
            if call.name == "flock" && !call.line.contains("LOCK_UN") {
                return None;
            }
        }
        let makes_file = ["openat", "linkat"].contains(&call.name.as_str());
        if scene.is_in_place() && scene.has_backup() && makes_file && self.error == "EACCES" {
            return Some("a backup for which no file can be made is overwritten, as the index is");
        }
        let again = match call.name.as_str() {
            "openat" => call.line.contains("AT_FDCWD"),
            "fstat" => call.object == Object::Directory,
            "statx" => call.line.contains("STATX_MNT_ID"),
            "newfstatat" => call.object == Object::Target,
            _ => false,
        };
        if scene.op == Op::Tree && again && !committed {
            return Some(
                "it has its turn, and follows the real path: if that fails, it follows the caller's again",
            );
        }
        ignored(call, self.error, *committed)
    }

    /// Whether `name` may still be there after a rejection, or after a success that could not remove it.
    ///
    /// A lock file whose identity is unknown must stay: it may be the next holder's already. So must a
    /// staging directory, and an old tree as long as a power cut may bring it back.
    pub fn may_leave(&self, name: &str) -> bool {
        let Point { at: At { scene, .. }, call, committed, .. } = &self.point;
        if name.contains(ORPHAN) {
            return true;
        }
        let looks = ["fstat", "newfstatat", "flock"].contains(&call.name.as_str());
        if name.ends_with(".lock") && looks && (call.object == Object::Lock || self.persistent) {
            return true;
        }
        let looks = ["fstat", "statx", "newfstatat"].contains(&call.name.as_str());
        if scene.op == Op::Tree && (looks || self.persistent || *committed) {
            return true;
        }
        call.name == "unlinkat" || self.why_ignored().is_some()
    }

    /// Whether a directory that was made may not be on disk. Then nothing in it is durable, as long as the process
    /// remembers it.
    pub fn casts_doubt(&self) -> bool {
        let Point { at: At { scene, .. }, call, committed, .. } = &self.point;
        let fails = match call.name.as_str() {
            "fsync" => self.error != "EINTR",
            // A directory that may not be listed cannot be flushed either; the target's own holds no made folder.
            "openat" => {
                let own = call.line.ends_with(&format!("/{}>", scene.missing));
                self.error == "EACCES" && !self.persistent && call.succeeded() && !own
            }
            _ => false,
        };
        let makes = scene.makes || !scene.missing.is_empty();
        fails && call.object == Object::Directory && !committed && makes
    }
}
