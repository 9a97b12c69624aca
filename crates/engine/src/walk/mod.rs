//! Going through a tree, however deep, with few descriptors.
//!
//! The directories nearest to the current one are open; those further up are closed, and opened again by way of
//! `..` on the way back. So a path's length has no limit, and nothing is opened by a path that another process could
//! redirect meanwhile: the directory found above must be the one that was left.

pub mod crew;
pub mod remove;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Named, Result};
use crate::sys::{self, Dir, FileId};

/// How many directories of a path are open.
const OPEN: usize = 8;

/// A directory on the way, or two that are walked side by side.
pub trait Node: Sized {
    /// The one called `name` in here.
    fn enter(&self, name: &OsStr) -> io::Result<Self>;
    /// The one that this is in.
    fn back(&self) -> io::Result<Self>;
    /// Its identity.
    fn id(&self) -> io::Result<FileId>;
}

/// A directory in a tree of our own.
impl Node for Dir {
    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        self.open_own_child(name)
    }

    fn back(&self) -> io::Result<Self> {
        self.open_parent()
    }

    fn id(&self) -> io::Result<FileId> {
        Self::id(self)
    }
}

/// What is done on the way. Paths are for messages.
pub trait Visitor<L: Node> {
    /// Looks at all entries of a directory; returns the directories to be entered.
    fn look(&mut self, level: &Arc<L>, path: &Path) -> Result<Vec<OsString>>;

    /// Back in `level` from `name`.
    fn left(&mut self, level: &L, name: &OsStr, path: &Path) -> Result<()>;

    /// All below `level` is done.
    fn done(&mut self, _level: &Arc<L>, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// A directory cannot be entered or looked at. An error ends the walk.
    fn failed(&mut self, error: Error) -> Result<()> {
        Err(error)
    }
}

struct Frame<L> {
    /// `None`: closed on the way down.
    level: Option<Arc<L>>,
    /// Its name in the one above.
    name: OsString,
    /// Its identity, if it is closed.
    id: Option<FileId>,
    rest: Vec<OsString>,
}

/// Goes through all below `root`, deepest first.
pub fn walk<L: Node>(root: Arc<L>, path: &Path, visitor: &mut impl Visitor<L>) -> Result<()> {
    let mut path = path.to_owned();
    let rest = visitor.look(&root, &path)?;
    let mut frames = vec![Frame { level: Some(root), name: OsString::new(), id: None, rest }];
    while let Some(frame) = frames.last_mut() {
        let level = match &frame.level {
            Some(level) => level.clone(),
            None => return Err(lost(&path)),
        };
        if let Some(name) = frame.rest.pop() {
            path.push(&name);
            match go_into(&*level, &name, &path, visitor) {
                Ok((child, rest)) => frames.push(Frame { level: Some(child), name, id: None, rest }),
                Err(error) => {
                    visitor.failed(error)?;
                    path.pop();
                }
            }
            close_far(&mut frames).map_err(|error| error.about(&path))?;
            continue;
        }
        visitor.done(&level, &path)?;
        let Some(Frame { name, .. }) = frames.pop() else { break };
        if let Some(above) = frames.last_mut() {
            if above.level.is_none() {
                match reopen(&*level, above.id.as_ref(), &path) {
                    Ok(reopened) => above.level = Some(Arc::new(reopened)),
                    Err(error) => {
                        visitor.failed(error)?;
                        find_again(&mut frames, &mut path);
                        continue;
                    }
                }
            }
            drop(level);
            if let Some(above) = &above.level {
                visitor.left(above, &name, &path)?;
            }
            path.pop();
        }
    }
    Ok(())
}

fn go_into<L: Node>(
    level: &L,
    name: &OsStr,
    path: &Path,
    visitor: &mut impl Visitor<L>,
) -> Result<(Arc<L>, Vec<OsString>)> {
    let child = level.enter(name).named("open").map_err(|error| error.about(path))?;
    let child = Arc::new(child);
    let rest = visitor.look(&child, path)?;
    Ok((child, rest))
}

/// Opens closed directories again from the root down, as far as they are where they were. The others are left out.
fn find_again<L: Node>(frames: &mut Vec<Frame<L>>, path: &mut PathBuf) {
    // Of the one that was left last.
    path.pop();
    for at in 1..frames.len() {
        let (above, here) = frames.split_at_mut(at);
        let is_it = |found: &L| found.id().is_ok_and(|id| here[0].id.as_ref() == Some(&id));
        let found = above[at - 1].level.as_ref().and_then(|above| above.enter(&here[0].name).ok());
        let Some(found) = found.filter(is_it) else {
            for _ in at..frames.len() {
                path.pop();
            }
            frames.truncate(at);
            return;
        };
        here[0].level = Some(Arc::new(found));
        // The root stays open.
        if at > OPEN {
            frames[at - OPEN].level = None;
        }
    }
}

fn close_far<L: Node>(frames: &mut [Frame<L>]) -> Result<()> {
    // The root stays open, so that what is left can be found when a directory is moved away.
    let Some(at) = frames.len().checked_sub(OPEN + 1).filter(|at| *at > 0) else { return Ok(()) };
    let far = &mut frames[at];
    if let Some(level) = far.level.take() {
        far.id = Some(level.id().named("fstat")?);
    }
    Ok(())
}

fn reopen<L: Node>(below: &L, id: Option<&FileId>, path: &Path) -> Result<L> {
    let above = below.back().named("open").map_err(|error| error.about(path))?;
    match id {
        Some(id) if above.id().is_ok_and(|found| found == *id) => Ok(above),
        _ => Err(lost(path)),
    }
}

/// Another process moved directories while we were in them.
fn lost(path: &Path) -> Error {
    Error::raw("open", sys::ESTALE).about(PathBuf::from(path))
}
