//! What this process last wrote to an index, so that the next update need not read it from disk again.
//!
//! It is valid only while no other program has changed the file. The version alone would not tell: the number of an
//! inode that was freed may be given out again, with the same size and, within one tick of the clock, the
//! same times. So the inode's generation must be the same too, and where the file system has none, nothing
//! is kept.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Mutex, MutexGuard};

use crate::index::document::Tables;
use crate::index::options::Numbers;
use crate::mutant::{Step, leaves_out};
use crate::process::{Key, lock};
use crate::sys::{self, Dir, Version};

/// How many bytes of texts and tables are kept in all: reading a larger index again costs little beside parsing it.
const MOST: usize = 128 << 20;
/// How many an index takes at most that is patched as text, or of which the value is kept, and then it is the only one: nothing else is as slow there
/// as reading it.
const MOST_PATCHED: usize = 256 << 20;
/// A program that goes through more indexes than this does not return to each soon.
const MOST_FILES: usize = 64;

struct CachedText {
    key: Key,
    state: State,
    kept: Kept,
}

/// A text that was kept, and what is known of it.
#[derive(Debug)]
pub struct Kept {
    pub text: String,
    /// From patches.
    pub tables: Option<Tables>,
    /// It has no number that JavaScript would change, in this sense.
    pub checked: Option<Numbers>,
    /// What it is known by.
    pub edition: Option<u64>,
}

impl Kept {
    fn size(&self) -> usize {
        self.text.len() + self.tables.as_ref().map_or(0, Tables::size)
    }
}

/// One state of one file, which never comes again.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    version: Version,
    generation: u64,
}

impl State {
    /// That of an open file that has just got its name; `None` where it cannot be told from others.
    ///
    /// The name is the last change of all but the content. If the clock has not gone on since the content
    /// was written, an edit in place could still leave the times as they are.
    pub fn of(file: &File) -> Option<Self> {
        let (_, version) = Dir::stat_file(file).ok()?;
        let is_distinct = version.modified < version.changed;
        Some(Self { version, generation: sys::generation(file).filter(|_| is_distinct)? })
    }

    /// Whether the file still has the version that it had.
    pub fn is_of(&self, version: &Version) -> bool {
        self.version == *version
    }
}

/// The last texts, the oldest first.
#[derive(Default)]
struct Cache(VecDeque<CachedText>);

impl Cache {
    fn put(&mut self, cached: CachedText) {
        self.remove(&cached.key);
        let is_edited = cached.kept.tables.is_some() || cached.kept.edition.is_some();
        let most = if is_edited { MOST_PATCHED } else { MOST };
        if cached.kept.size() > most {
            return;
        }
        self.0.push_back(cached);
        while self.0.len() > MOST_FILES || self.0.len() > 1 && self.size() > MOST {
            self.0.pop_front();
        }
    }

    fn size(&self) -> usize {
        self.0.iter().map(|cached| cached.kept.size()).sum()
    }

    fn remove(&mut self, key: &Key) -> Option<CachedText> {
        let at = self.0.iter().position(|cached| cached.key == *key)?;
        self.0.remove(at)
    }
}

fn cache() -> MutexGuard<'static, Cache> {
    static CACHE: Mutex<Cache> = Mutex::new(Cache(VecDeque::new()));
    lock(&CACHE)
}

/// The text of `file`, if the file is in the state in which it was kept. It is handed out once: the caller decides how long
/// it is needed.
pub fn take(key: &Key, file: &File) -> Option<Kept> {
    let cached = cache().remove(key)?;
    let is_same = leaves_out(Step::KeptText) || State::of(file)? == cached.state;
    is_same.then_some(cached.kept)
}

/// What the texts are known by that are kept now.
pub fn editions() -> Vec<u64> {
    cache().0.iter().filter_map(|cached| cached.kept.edition).collect()
}

/// Keeps the text of a file in this state.
pub fn keep(key: Key, state: State, kept: Kept) {
    let mut cache = cache();
    if state.version.size == kept.text.len() as u64 {
        cache.put(CachedText { key, state, kept });
    } else {
        cache.remove(&key);
    }
}

/// As [`keep`], of a text that was taken and is still the one of the file: unless another one is kept meanwhile.
pub fn give_back(key: Key, state: State, kept: Kept) {
    let mut cache = cache();
    let is_known = cache.0.iter().any(|cached| cached.key == key);
    if state.version.size == kept.text.len() as u64 && !is_known {
        cache.put(CachedText { key, state, kept });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::index::document::{Document, Pointer};
    use crate::sys::FileId;

    fn cached(name: usize, bytes: usize) -> CachedText {
        let id = FileId::for_tests(&name.to_string());
        let version = Version { id: id.clone(), size: bytes as u64, modified: 0, changed: 1, links: 1 };
        CachedText {
            key: Key::File(id, "index".into()),
            state: State { version, generation: 0 },
            kept: Kept { text: " ".repeat(bytes), tables: None, checked: None, edition: None },
        }
    }

    fn kept(cache: &mut Cache, names: std::ops::Range<usize>) -> Vec<usize> {
        names.filter(|name| cache.remove(&cached(*name, 0).key).is_some()).collect()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_files() {
        let mut cache = Cache::default();
        (0..MOST_FILES + 3).for_each(|name| cache.put(cached(name, 10)));
        assert_eq!(kept(&mut cache, 0..MOST_FILES + 3), (3..MOST_FILES + 3).collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much_text() {
        let mut cache = Cache::default();
        // Three are within the bounds, and four are not.
        (0..4).for_each(|name| cache.put(cached(name, MOST / 3)));
        assert_eq!(kept(&mut cache, 0..4), [1, 2, 3]);
    }

    #[test]
    fn a_text_that_is_too_large_by_itself_is_not_kept_and_the_others_are() {
        let mut cache = Cache::default();
        cache.put(cached(0, 10));
        cache.put(cached(1, MOST + 1));
        assert_eq!(kept(&mut cache, 0..2), [0]);
    }

    #[test]
    fn tables_count_and_a_large_text_that_has_them_or_an_edition_is_kept_alone() {
        let text = format!("[{}1]", "1,".repeat(1000));
        let with_tables = |name: usize, bytes: usize| {
            let mut document = Document::new(text.clone());
            document.expand(&Pointer::parse("/0").unwrap());
            let mut cached = cached(name, bytes);
            cached.kept.tables = Some(document.into_parts().1);
            cached
        };
        let mut cache = Cache::default();
        cache.put(with_tables(0, MOST / 2));
        cache.put(with_tables(1, MOST / 2));
        assert_eq!(kept(&mut cache, 0..2), [1]);
        cache.put(cached(1, 10));
        cache.put(with_tables(2, MOST));
        cache.put(with_tables(3, MOST_PATCHED));
        assert_eq!(cache.0.len(), 1);
        assert!(cache.remove(&cached(2, 0).key).unwrap().kept.tables.is_some());
        let mut with_edition = cached(4, MOST + 1);
        with_edition.kept.edition = Some(1);
        cache.put(with_edition);
        assert_eq!(kept(&mut cache, 0..5), [4]);
    }

    #[test]
    fn another_text_of_the_same_file_takes_the_place_of_the_first() {
        let mut cache = Cache::default();
        [10, 20].into_iter().for_each(|bytes| cache.put(cached(1, bytes)));
        assert_eq!(cache.0.len(), 1);
        assert_eq!(cache.remove(&cached(1, 0).key).unwrap().kept.text.len(), 20);
    }

    #[test]
    fn a_file_that_has_not_changed_since_its_content_tells_nothing() {
        let file = tempfile::tempfile().unwrap();
        if sys::generation(&file).is_none() {
            return;
        }
        file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
        assert!(State::of(&file).is_some(), "it got its name later");
        // As if it had got its name within the same tick; the other time cannot be set.
        file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
        assert!(State::of(&file).is_none());
    }
}
