//! The calls that are walked: what is there before, what is called, what must be there after.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, XattrFlags, flock};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use serde_json::{Value, json};

use super::four_files;

/// Name of the target in every scene; its folder differs.
pub const TARGET: &str = "index.json";

/// What a file of lines may end in: a part of a line.
pub const HALF: &[u8] = b"half a li";

/// Names of the files that are written together with the target or in it, in this order. They end as the target
/// does, by which a trace recognises them.
pub const COMPANIONS: [&str; 2] = ["second-index.json", "third-index.json"];

/// Part of the name of a temp file whose writer has been killed.
pub const ORPHAN: &str = "0rphan0rphan";

/// What is called; the names are those that `workload/call.mjs` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Write,
    Update,
    /// `atomicIndexPatch`, which changes the text of an index.
    Patch,
    /// `AtomicFile`, in several pieces.
    File,
    /// `atomicWriteAll`, of the target and the [`COMPANIONS`].
    All,
    /// `atomicDirectory`: the target is a directory with the [`COMPANIONS`] in it.
    Tree,
    /// `atomicTransaction`, of the target and the files of `together.rs`.
    Transaction,
    /// `recover`, of a transaction that was interrupted.
    Recover,
    /// `snapshotRead`, of the same files.
    Snapshot,
    /// `appendLines`, of one line.
    Append,
    /// `fs.writeFile`: the lab has to find faults with it.
    Control,
}

impl Op {
    /// Made of several calls, or of several files.
    pub fn is_composed(self) -> bool {
        matches!(self, Self::File | Self::All | Self::Tree | Self::Append) || self.is_together()
    }

    /// About the files of a transaction.
    pub fn is_together(self) -> bool {
        matches!(self, Self::Transaction | Self::Recover | Self::Snapshot)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::File => "file",
            Self::All => "all",
            Self::Tree => "tree",
            Self::Transaction => "transaction",
            Self::Recover => "recover",
            Self::Snapshot => "snapshot",
            Self::Append => "append",
            Self::Control => "control",
        }
    }
}

/// One kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub name: &'static str,
    pub op: Op,
    /// How many updates at once are one call; 0 for a single call.
    pub group: u32,
    /// There is a file, version 1, before the call.
    pub old: bool,
    /// Folders between the test's folder and the target that are missing.
    pub missing: &'static str,
    /// Another process holds the lock at first.
    pub waits: bool,
    /// A killed writer has left a temp file.
    pub orphan: bool,
    /// A transaction before this call was killed right before this file got its name; empty: none.
    pub interrupted: &'static str,
    /// A transaction removes one of its files, and is the first in its directory.
    pub removes: bool,
    /// A transaction moves one of its files to another directory, and is the first in its own.
    pub moves: bool,
    /// It moves that one into folders that the transaction makes, and writes there.
    pub makes: bool,
    /// The file ends in a part of a line.
    pub half: bool,
    pub size: usize,
    /// As JSON.
    pub options: &'static str,
}

/// A file that is replaced, with the default options.
pub const WRITE: Scene = Scene {
    name: "",
    op: Op::Write,
    group: 0,
    old: true,
    missing: "",
    waits: false,
    orphan: false,
    interrupted: "",
    removes: false,
    moves: false,
    makes: false,
    half: false,
    size: 10_000,
    options: "{}",
};
/// An index that is updated. Its timeout is longer than any machine takes: a call that times out waits for nothing.
pub const UPDATE: Scene = Scene { op: Op::Update, options: r#"{"timeout":600000}"#, ..WRITE };
/// The same, by a patch.
pub const PATCH: Scene = Scene { op: Op::Patch, ..UPDATE };
/// A file of lines that gets one more.
pub const APPEND: Scene = Scene { op: Op::Append, ..UPDATE };
/// Four files in two directories that change together.
pub const TRANSACTION: Scene = Scene { op: Op::Transaction, ..UPDATE };
/// A transaction that was committed, and has changed some of its names.
pub const RECOVER: Scene = Scene { op: Op::Recover, interrupted: four_files::POST, removes: true, ..UPDATE };

const IN_PLACE: &str = r#"{"fallback":"in-place"}"#;
const UPDATE_IN_PLACE: &str = r#"{"timeout":600000,"fallback":"in-place"}"#;
const BACKUP_IN_PLACE: &str = r#"{"timeout":600000,"fallback":"in-place","backup":true}"#;

pub const SCENES: &[Scene] = &[
    Scene { name: "new file", old: false, ..WRITE },
    Scene { name: "new file in new directories", old: false, missing: "a/b", ..WRITE },
    Scene { name: "replacement", ..WRITE },
    Scene { name: "replacement, with an orphan", orphan: true, ..WRITE },
    Scene { name: "replacement of 9 MB", size: 9_000_000, ..WRITE },
    Scene { name: "replacement, verify: 'device'", options: r#"{"verify":"device"}"#, ..WRITE },
    Scene { name: "exclusive creation", old: false, options: r#"{"flag":"wx"}"#, ..WRITE },
    Scene { name: "new file by a rename", old: false, options: r#"{"publish":"rename"}"#, ..WRITE },
    Scene { name: "index update", ..UPDATE },
    Scene { name: "update with backup", options: r#"{"timeout":600000,"backup":true}"#, ..UPDATE },
    Scene { name: "index creation", old: false, ..UPDATE },
    Scene { name: "waiting update", waits: true, ..UPDATE },
    Scene { name: "eight updates at once", group: 8, ..UPDATE },
    Scene { name: "index patch", ..PATCH },
    Scene { name: "eight patches at once", group: 8, ..PATCH },
    Scene { name: "replacement piece by piece", op: Op::File, size: 200_000, ..WRITE },
    Scene { name: "new file piece by piece", op: Op::File, old: false, missing: "a/b", ..WRITE },
    Scene { name: "three files together", op: Op::All, ..WRITE },
    Scene { name: "three new files together", op: Op::All, old: false, missing: "a/b", ..WRITE },
    Scene { name: "a mounted file, in place", options: IN_PLACE, ..WRITE },
    Scene { name: "a mounted index, in place", options: UPDATE_IN_PLACE, ..UPDATE },
    Scene { name: "a mounted index, in place, with backup", options: BACKUP_IN_PLACE, ..UPDATE },
    Scene { name: "a directory", op: Op::Tree, ..WRITE },
    Scene { name: "a new directory", op: Op::Tree, old: false, missing: "a/b", ..WRITE },
    Scene { name: "appended line", ..APPEND },
    Scene { name: "line after half a line", half: true, ..APPEND },
    Scene { name: "transaction", ..TRANSACTION },
    Scene { name: "first transaction, with a removal", removes: true, ..TRANSACTION },
    Scene { name: "first transaction, with a move", moves: true, ..TRANSACTION },
    Scene { name: "first transaction, with new folders", moves: true, makes: true, ..TRANSACTION },
    Scene { name: "transaction after an interrupted one", interrupted: four_files::SECOND, ..TRANSACTION },
    Scene { name: "recovery", ..RECOVER },
    Scene { name: "recovery before the first name", interrupted: TARGET, ..RECOVER },
    Scene { name: "recovery of a move", removes: false, moves: true, ..RECOVER },
    Scene {
        name: "recovery of a move, before its old name goes",
        interrupted: four_files::FROM,
        removes: false,
        moves: true,
        ..RECOVER
    },
    Scene { name: "recovery in new folders", removes: false, moves: true, makes: true, ..RECOVER },
    Scene { name: "control: fs.writeFile", op: Op::Control, ..WRITE },
];

impl Scene {
    pub fn target(&self, folder: &Path) -> PathBuf {
        folder.join(self.missing).join(TARGET)
    }

    /// Files that are written as the target is.
    pub fn companions(&self, folder: &Path) -> Vec<PathBuf> {
        let target = self.target(folder);
        match self.op {
            Op::All => COMPANIONS.iter().map(|name| target.with_file_name(name)).collect(),
            _ => Vec::new(),
        }
    }

    /// It takes the lock of an index.
    pub fn is_update(&self) -> bool {
        matches!(self.op, Op::Update | Op::Patch) || self.op.is_together()
    }

    /// It adds to a file and changes nothing of what is there.
    pub fn is_append(&self) -> bool {
        self.op == Op::Append
    }

    /// A transaction that is not the first: it finds a journal with the record of another one.
    pub fn is_rooted(&self) -> bool {
        self.op == Op::Transaction && !self.removes && !self.moves && self.interrupted.is_empty()
    }

    /// The lab has to find faults with it.
    pub fn is_control(&self) -> bool {
        self.op == Op::Control
    }

    pub fn has_backup(&self) -> bool {
        self.options.contains("backup") || self.op.is_together()
    }

    pub fn is_exclusive(&self) -> bool {
        self.options.contains("wx")
    }

    pub fn verifies_device(&self) -> bool {
        self.options.contains("device")
    }

    /// The target is a mount point, and so can only be overwritten.
    pub fn is_in_place(&self) -> bool {
        self.options.contains("in-place")
    }

    /// The bytes of version `n`: 1 is there before, and the call makes 2 (or one more) of it.
    pub fn bytes(&self, n: u32) -> Vec<u8> {
        if self.is_update() {
            let pad = "x".repeat(self.size);
            return format!("{{\n  \"n\": {n},\n  \"pad\": \"{pad}\"\n}}").into_bytes();
        }
        if self.is_append() {
            return format!("{}\n", "x".repeat(self.size)).repeat(n as usize).into_bytes();
        }
        // A file that is overwritten becomes shorter. Until its end is cut off it is no version.
        let size = if self.is_in_place() && n < 2 { self.size * 2 } else { self.size };
        repeated(&fill(n), size)
    }

    /// The version that the call makes of `version`.
    pub fn next(&self, version: u32) -> u32 {
        if self.is_update() || self.is_append() { version + self.group.max(1) } else { 2 }
    }

    /// Which version `bytes` is.
    pub fn version(&self, bytes: &[u8]) -> Option<u32> {
        if self.group > 0 {
            return Some(1 + u32::try_from(self.done(bytes)?.len()).ok()?);
        }
        // Nothing is appended behind a part of a line.
        let bytes = if self.half { bytes.strip_suffix(HALF).unwrap_or(bytes) } else { bytes };
        (0..=6).find(|n| self.bytes(*n) == bytes)
    }

    /// Which updates of a group are in `bytes`; `None` if that is no version.
    pub fn done(&self, bytes: &[u8]) -> Option<Vec<u64>> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let done: Vec<u64> = match &value["done"] {
            Value::Null => Vec::new(),
            done => serde_json::from_value(done.clone()).ok()?,
        };
        let mut whole = self.bytes(1 + u32::try_from(done.len()).ok()?);
        if !done.is_empty() {
            let ids: Vec<_> = done.iter().map(|id| format!("\n    {id}")).collect();
            whole.truncate(whole.len() - b"\n}".len());
            whole.extend(format!(",\n  \"done\": [{}\n  ]\n}}", ids.join(",")).bytes());
        }
        (whole == bytes).then_some(done)
    }

    /// Prepares `folder`: the state before the call.
    pub fn prepare(&self, folder: &Path) -> Result<()> {
        clear(folder)?;
        fs::create_dir(folder)?;
        let target = self.target(folder);
        if self.old && self.op == Op::Tree {
            fs::create_dir(&target)?;
            for name in COMPANIONS {
                fs::write(target.join(name), self.bytes(1))?;
            }
        } else if self.old {
            let half = if self.half { HALF } else { &[] };
            fs::write(&target, [&self.bytes(1)[..], half].concat())?;
            for companion in self.companions(folder) {
                fs::write(companion, self.bytes(1))?;
            }
            if !self.is_update() {
                // Then the routine has to copy owner, mode and attributes. Not every file system has them.
                let _ = chown(&target, Some(1000), Some(1000));
                let _ = fs::set_permissions(&target, fs::Permissions::from_mode(0o640));
                let _ = rustix::fs::setxattr(&target, "user.crash-lab", b"1", XattrFlags::empty());
            }
        }
        if self.op.is_together() {
            four_files::prepare(folder, self, &self.bytes(0), &self.bytes(1))?;
        }
        if self.has_backup() {
            fs::write(backup(&target), self.bytes(0))?;
        }
        if self.orphan {
            fs::write(folder.join(format!(".{TARGET}.{ORPHAN}.atomic-tmp")), "half a fi")?;
        }
        if self.is_in_place() {
            // As a container sees a single file of its host.
            mount_bind(&target, &target).context("mounting a file on itself")?;
        }
        Ok(())
    }

    /// The argument of `workload/call.mjs`.
    pub fn spec(&self, folder: &Path, calls: u32, traced: bool, warm: &Path) -> Result<Value> {
        let options: Value = serde_json::from_str(self.options)?;
        Ok(json!({
            "op": self.op.name(),
            "path": self.target(folder),
            "companions": if self.op.is_together() { four_files::companions(self) } else { COMPANIONS.into() },
            "removes": self.removes.then_some(four_files::DRAFT),
            "moves": self.moves.then_some([four_files::FROM, four_files::to(self)]),
            "makes": if self.makes { four_files::FOLDERS.into() } else { Vec::new() },
            "fills": self.makes.then_some(four_files::FILLED),
            "rooted": self.is_rooted() && traced,
            "fill": fill(2),
            "size": self.size,
            "options": options,
            "group": self.group,
            "warm": (self.waits && traced).then_some(warm),
            "waits": self.waits && traced,
            "calls": calls,
            "traced": traced,
        }))
    }

    /// The lock, which this process holds as another process with the library would.
    pub fn hold_lock(&self, folder: &Path) -> Result<Held> {
        let path = folder.join(format!(".{TARGET}.lock"));
        let file = File::create_new(&path).context("the lab's own lock")?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Held { path, _file: file })
    }
}

/// Removes what a call has left in `folder`, and the mount of its target.
pub fn clear(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    match unmount(folder.join(TARGET), UnmountFlags::DETACH) {
        // It is no mount point, or absent.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(error) => return Err(error).context("unmounting a file"),
    }
    Ok(fs::remove_dir_all(folder)?)
}

fn fill(n: u32) -> String {
    format!("version {n}, 0123456789 ")
}

/// `text` again and again, `size` bytes. Without optimisation copies are many times faster than an iterator over bytes.
pub fn repeated(text: &str, size: usize) -> Vec<u8> {
    let mut bytes = text.repeat(size.div_ceil(text.len())).into_bytes();
    bytes.truncate(size);
    bytes
}

pub fn backup(target: &Path) -> PathBuf {
    target.with_file_name(format!("{TARGET}.backup"))
}

/// A lock that is removed and then released, as the library does.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
