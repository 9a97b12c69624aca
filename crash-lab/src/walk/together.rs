//! The files of a transaction, in two directories: two indexes, of which one has a backup, and two posts, or one post and a
//! draft that goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::check::{Content, is_temp, version_of};
use super::four_files::{DRAFT, FILLED, FOLDERS, FROM, SURVIVOR, companions, to};
use super::scene::{Op, Scene, TARGET, backup};
use crate::lab::Lab;
use crate::report::problem::{Harm, Problem};

const STAGED: &str = ".atomic-txn";
/// What somebody else had changed is kept under such a name.
const ASIDE: &str = ".atomic-lost";
const RANDOM: usize = 12;
/// What transactions keep in their root, and never remove.
const KEPT: [&str; 4] = [".gitignore", "journal", "lock", "turn"];

/// What the two names of a file stand for that is moved; before that there may be another file.
const BEFORE: [[Content; 2]; 2] =
    [[Content::Version(1), Content::Version(0)], [Content::Version(1), Content::Absent]];
const BETWEEN: [Content; 2] = [Content::Version(1), Content::Version(1)];
const AFTER: [Content; 2] = [Content::Absent, Content::Version(1)];

/// Lets a transaction be killed where the scene says.
pub fn interrupt(lab: &Lab, scene: &Scene, folder: &Path) -> Result<()> {
    let before = Scene { op: Op::Transaction, interrupted: "", ..*scene };
    let spec = before.spec(folder, 1, false, folder)?;
    let node = lab.node("call.mjs", &lab.addon);
    let name = scene.interrupted.rsplit('/').next().unwrap_or_default();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-P", name, "-e", "trace=/^rename"]);
    strace.args(["-e", "inject=/^rename:signal=SIGKILL:when=1"]).arg(node.get_program());
    strace.args(node.get_args()).arg(spec.to_string());
    for (name, value) in node.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    ensure!(!status.success(), "the transaction before was not interrupted");
    Ok(())
}

/// What is in a test's folder.
#[derive(Debug)]
pub struct Together {
    /// The target, and its [`companions`].
    pub files: Vec<(PathBuf, Content)>,
    /// `None`: none is removed here.
    draft: Option<Content>,
    /// The old and the new name of a file; `None`: none is moved here.
    moved: Option<[Content; 2]>,
    /// What is before a file that is moved: its place in `BEFORE`.
    makes: bool,
    /// What is written in new folders; `None`: none are made here.
    filled: Option<Content>,
    backup: Content,
    /// Temp files, locks, staged files.
    pub leftovers: Vec<String>,
    /// Names that are neither those nor expected.
    unexpected: Vec<String>,
}

impl Together {
    /// What `folder` holds now.
    pub fn look(scene: &Scene, folder: &Path) -> Result<Self> {
        let names = [&[TARGET][..], &companions(scene)].concat();
        let read = |name: &&str| Ok((folder.join(name), version_of(scene, &folder.join(name))?));
        let draft = scene.removes.then(|| version_of(scene, &folder.join(DRAFT))).transpose()?;
        let ends =
            || Ok([version_of(scene, &folder.join(FROM))?, version_of(scene, &folder.join(to(scene)))?]);
        let moved: Option<Result<_>> = scene.moves.then(ends);
        let mut found = Self {
            files: names.iter().map(read).collect::<Result<_>>()?,
            draft,
            moved: moved.transpose()?,
            makes: scene.makes,
            filled: scene.makes.then(|| version_of(scene, &folder.join(FILLED))).transpose()?,
            backup: version_of(scene, &backup(&folder.join(TARGET)))?,
            leftovers: Vec::new(),
            unexpected: Vec::new(),
        };
        for inner in ["", "other", ".atomic"].into_iter().chain(FOLDERS) {
            if folder.join(inner).exists() {
                found.names(scene, folder, &folder.join(inner))?;
            }
        }
        Ok(found)
    }

    fn names(&mut self, scene: &Scene, root: &Path, folder: &Path) -> Result<()> {
        let is_own = folder.ends_with(".atomic");
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let expected = self.files.iter().any(|(file, _)| *file == path)
                || path == backup(&root.join(TARGET))
                || [SURVIVOR, "other", ".atomic"].iter().any(|name| root.join(name) == path)
                || (scene.removes && root.join(DRAFT) == path)
                || (scene.moves && [FROM, to(scene)].iter().any(|name| root.join(name) == path))
                || (scene.makes && [FILLED].iter().chain(&FOLDERS).any(|name| root.join(name) == path))
                || (is_own && (KEPT.contains(&name.as_str()) || name.ends_with(".live")));
            if is_temp(&name) || name.ends_with(".lock") || is_ours(&name, STAGED) || is_ours(&name, ASIDE) {
                self.leftovers.push(name);
            } else if !expected {
                self.unexpected.push(name);
            }
        }
        Ok(())
    }

    /// Marks of processes. Each has one while it lives.
    pub fn marks(folder: &Path) -> usize {
        let entries = fs::read_dir(folder.join(".atomic")).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".live")).count()
    }

    /// At any moment each file is one of its versions, up to `newest`, and there are no other names.
    pub fn torn(&self, newest: u32) -> Option<Problem> {
        let is =
            |content: Content, least| matches!(content, Content::Version(n) if (least..=newest).contains(&n));
        let draft = self.draft.is_none_or(|draft| [Content::Absent, Content::Version(1)].contains(&draft));
        let before = BEFORE[usize::from(self.makes)];
        let moved = self.moved.is_none_or(|moved| [before, BETWEEN, AFTER].contains(&moved));
        let filled = self.filled.is_none_or(|filled| filled == Content::Absent || is(filled, 2));
        let right = self.files.iter().all(|(_, content)| is(*content, 1))
            && is(self.backup, 0)
            && draft
            && moved
            && filled;
        (!right || !self.unexpected.is_empty()).then(|| Harm::Torn.problem(format!("{self:?}")))
    }

    /// Whether all files are at this version, but for the target, which is so many updates further.
    pub fn is(&self, version: u32, updates: u32) -> bool {
        let target = self.files[0].1 == Content::Version(version + updates);
        let rest = self.files[1..].iter().all(|(_, content)| *content == Content::Version(version));
        let draft = if version > 1 { Content::Absent } else { Content::Version(1) };
        let backup = self.backup == Content::Version(version - 1);
        let moved = if version > 1 { AFTER } else { BEFORE[usize::from(self.makes)] };
        let filled = if version > 1 { Content::Version(version) } else { Content::Absent };
        target
            && rest
            && backup
            && self.draft.is_none_or(|found| found == draft)
            && self.moved.is_none_or(|found| found == moved)
            && self.filled.is_none_or(|found| found == filled)
    }
}

/// As the pattern of temp files, with another end.
fn is_ours(name: &str, end: &str) -> bool {
    let middle = name.strip_prefix('.').and_then(|name| name.strip_suffix(end));
    middle.and_then(|middle| middle.rsplit_once('.')).is_some_and(|(_, random)| {
        random.len() >= RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
