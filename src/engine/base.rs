//! What this process last wrote to an index, so that the next update need not read it from disk again.
//!
//! Good only while nobody else has changed the file. Its version alone would not tell: an inode that was
//! given back may come again with the same number, the same size and, within one tick of the clock, the
//! same times. So the inode's generation must be the same too, and where the file system has none, nothing
//! is kept.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::queue::Key;
use super::sys::{self, Dir, Version};

/// Bytes kept in all: reading a larger index again costs little beside parsing it.
const MOST: usize = 128 << 20;
/// A program that goes through more indexes than this does not come back to each soon.
const MOST_FILES: usize = 64;

struct Base {
    key: Key,
    state: State,
    text: String,
}

/// One state of one file, as it will never come again.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    version: Version,
    generation: u64,
}

impl State {
    /// That of an open file that has just got its name; `None` where there is no telling.
    ///
    /// The name is the last change of all but the content. If the clock has not gone on since the content
    /// was written, an edit in place could still leave the times as they are.
    pub fn of(file: &File) -> Option<Self> {
        let (_, version) = Dir::stat_file(file).ok()?;
        let tells = version.modified < version.changed;
        Some(Self { version, generation: sys::generation(file).filter(|_| tells)? })
    }
}

fn bases() -> MutexGuard<'static, VecDeque<Base>> {
    static BASES: Mutex<VecDeque<Base>> = Mutex::new(VecDeque::new());
    BASES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of `file`, if it is in the state in which it was kept. It is handed out once: whoever
/// has it decides how long it is needed.
pub fn take(key: &Key, file: &File) -> Option<String> {
    let base = remove(&mut bases(), key)?;
    (State::of(file)? == base.state).then_some(base.text)
}

/// Keeps the text of a file in this state.
pub fn keep(key: Key, state: State, text: String) {
    let mut bases = bases();
    remove(&mut bases, &key);
    if state.version.size == text.len() as u64 {
        bases.push_back(Base { key, state, text });
    }
    while bases.len() > MOST_FILES || bases.iter().map(|base| base.text.len()).sum::<usize>() > MOST {
        bases.pop_front();
    }
}

fn remove(bases: &mut VecDeque<Base>, key: &Key) -> Option<Base> {
    let at = bases.iter().position(|base| base.key == *key)?;
    bases.remove(at)
}
