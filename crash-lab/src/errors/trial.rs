//! What is tried: one error at one call, and what it excuses.

use std::fmt;

use super::table::ignored;
use crate::walk::scene::{ORPHAN, Op};
use crate::walk::strace::Object;
use crate::walk::{Point, Thread};

/// They go away when somebody lets go of something; what met them is done again.
pub const PASSING: [&str; 2] = ["EINTR", "EMFILE"];

/// One error at one call.
#[derive(Clone, Debug)]
pub struct Trial {
    pub point: Point,
    pub error: &'static str,
    /// Every later call of the name fails as well.
    pub persistent: bool,
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

    /// Why nobody need be told.
    pub fn why_ignored(&self) -> Option<&'static str> {
        let Point { call, thread, .. } = &self.point;
        if *thread == Thread::Waiter && [Object::Directory, Object::Target].contains(&call.object) {
            return Some("the wait ends, and the worker resolves the path again and tells what it finds");
        }
        if self.point.scene.op == Op::Tree && call.name == "close" {
            // Its files are written by others: it opens them, and directories, to read and to flush.
            return Some("nothing was written through this descriptor, and Linux closes it all the same");
        }
        let again = match call.name.as_str() {
            "openat" => call.line.contains("AT_FDCWD"),
            "fstat" => call.object == Object::Directory,
            "newfstatat" => call.object == Object::Target,
            _ => false,
        };
        if self.point.scene.op == Op::Tree && again && !self.point.committed {
            return Some(
                "it has its turn, and goes by the real path: where that fails, the caller's is followed again",
            );
        }
        ignored(&self.point.call, self.error, self.point.committed)
    }

    /// Whether `name` may still be there after a rejection, or after a success that could not remove it.
    ///
    /// A lock file whose identity cannot be told must stay: it may be the next holder's already. So must a
    /// staging directory, and an old tree as long as a power cut may bring it back.
    pub fn may_leave(&self, name: &str) -> bool {
        let Point { call, scene, .. } = &self.point;
        if name.contains(ORPHAN) {
            return true;
        }
        let looks = ["fstat", "newfstatat", "flock"].contains(&call.name.as_str());
        if name.ends_with(".lock") && looks && (call.object == Object::Lock || self.persistent) {
            return true;
        }
        let looks = ["fstat", "newfstatat"].contains(&call.name.as_str());
        if scene.op == Op::Tree && (looks || self.persistent || self.point.committed) {
            return true;
        }
        call.name == "unlinkat" || self.why_ignored().is_some()
    }

    /// Whether a directory that was made may not be on disk: as long as the process remembers, nothing in
    /// it is durable.
    pub fn casts_doubt(&self) -> bool {
        let Point { call, scene, committed, .. } = &self.point;
        let fails = match call.name.as_str() {
            "fsync" => self.error != "EINTR",
            // A directory that may not be listed cannot be flushed either; the target's own holds no made folder.
            "openat" => {
                let own = call.line.ends_with(&format!("/{}>", scene.missing));
                self.error == "EACCES" && !self.persistent && call.succeeded() && !own
            }
            _ => false,
        };
        fails && call.object == Object::Directory && !committed && !scene.missing.is_empty()
    }
}
