//! What is at a place in a text, without parsing the rest.

use std::ops::Range;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::index::document::pointer::{Pointer, position};
use crate::index::document::scan::{Child, Children, skip_white};
use crate::index::document::string::plain;
use crate::index::layout::MARK;

/// A value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub range: Range<usize>,
    /// Whether a member on the way occurs more than once. The last one is the one that counts, as for `JSON.parse`.
    pub repeated: bool,
}

/// What the children of a container are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The literals of the names, with their quotes, in the order of the text. A name that occurs more than once is there once, in its
    /// first place.
    Members(Vec<Range<usize>>),
    /// So many items.
    Items(usize),
}

/// Where the value of a text begins, which may have a byte order mark before it.
pub fn root(text: &str) -> usize {
    skip_white(text.as_bytes(), if text.starts_with(MARK) { MARK.len_utf8() } else { 0 })
}

/// The value at `pointer`; `None`: it leads nowhere. The text must be one that
/// [`check_index`](crate::index::json::check_index) accepted.
///
/// ```
/// use pipeline_atomic_engine::index::document::{Pointer, find};
///
/// let text = r#"{"posts": {"hello": {"tags": ["a", "b"]}}}"#;
/// let found = find(text, &Pointer::parse("/posts/hello/tags/1")?).ok_or("nowhere")?;
/// assert_eq!(&text[found.range], r#""b""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn find(text: &str, pointer: &Pointer) -> Option<Found> {
    let bytes = text.as_bytes();
    let start = root(text);
    let all = start..text.trim_end_matches([' ', '\t', '\r', '\n']).len();
    pointer.iter().try_fold(Found { range: all, repeated: false }, |found, token| {
        let (child, again) = child(bytes, found.range.start, &token)?;
        Some(Found { range: child.value, repeated: found.repeated | again })
    })
}

/// The child that `token` names in the container that begins at `at`, and whether it occurs more than once.
fn child(text: &[u8], at: usize, token: &str) -> Option<(Child, bool)> {
    let mut children = Children::new(text, at);
    match text.get(at)? {
        b'{' => {
            let mut named = children.filter(|child| is_named(child.name(text), token));
            let first = named.next()?;
            // All are looked at: the last one counts.
            Some(named.last().map_or((first, false), |last| (last, true)))
        }
        b'[' => children.nth(position(token)?).map(|child| (child, false)),
        _ => None,
    }
}

/// Whether what is between the quotes of a name stands for `token`.
pub fn is_named(inside: &[u8], token: &str) -> bool {
    inside == token.as_bytes() || inside.contains(&b'\\') && *plain(inside) == *token.as_bytes()
}

/// The names of the members, or the number of items, of the container at `pointer`; `None`: there is none.
pub fn keys(text: &str, pointer: &Pointer) -> Option<Keys> {
    let bytes = text.as_bytes();
    let start = find(text, pointer)?.range.start;
    let children = Children::new(bytes, start);
    match bytes.get(start)? {
        b'{' => {
            let all: Vec<_> = children.map(|child| child.key).collect();
            let name = |key: &Range<usize>| plain(&bytes[key.start + 1..key.end - 1]);
            let seed = fastrand::u64(..);
            let mut seen = HashTable::with_capacity(all.len());
            let mut members: Vec<Range<usize>> = Vec::with_capacity(all.len());
            for key in all {
                let hash = |key: &Range<usize>| xxh3_64_with_seed(&name(key), seed);
                let is_same = |at: &u32| name(&members[*at as usize]) == name(&key);
                let entry = seen.entry(hash(&key), is_same, |at| hash(&members[*at as usize]));
                if let Entry::Vacant(place) = entry {
                    place.insert(u32::try_from(members.len()).ok()?);
                    members.push(key);
                }
            }
            Some(Keys::Members(members))
        }
        b'[' => Some(Keys::Items(children.count())),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(text: &str, pointer: &str) -> Option<(String, bool)> {
        let found = find(text, &Pointer::parse(pointer).unwrap())?;
        Some((text[found.range].to_owned(), found.repeated))
    }

    fn once(value: &str) -> Option<(String, bool)> {
        Some((value.to_owned(), false))
    }

    #[test]
    fn the_examples_of_rfc_6901_are_found() {
        let text = r#"{
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        }"#;
        for (pointer, value) in [
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(at(text, pointer), once(value), "{pointer}");
        }
        assert_eq!(at(text, ""), once(text));
    }

    #[test]
    fn a_pointer_that_leads_nowhere_finds_nothing() {
        let text = r#"{"a": [1, {"b": "c"}], "n": null}"#;
        for pointer in ["/b", "/a/2", "/a/-", "/a/01", "/a/b", "/a/1/b/0", "/n/x", "/a/0/0", "/a/1/"] {
            assert_eq!(at(text, pointer), None, "{pointer}");
        }
        assert_eq!(at("3", "/0"), None);
        assert_eq!(at("\u{feff} [ 3 ]\n", "/0"), once("3"));
        assert_eq!(at("\u{feff} 3 \n", ""), once("3"));
    }

    #[test]
    fn names_are_compared_by_what_they_stand_for() {
        let text = r#"{"a\u0062": 1, "\ud83d\ude00": {"\/": 2}, "\ud800": 3, "": {"": 4}}"#;
        assert_eq!(at(text, "/ab"), once("1"));
        assert_eq!(at(text, "/😀/~1"), once("2"));
        assert_eq!(at(text, "/\u{fffd}"), None, "half of a pair is no character");
        assert_eq!(at(text, "//"), once("4"));
    }

    #[test]
    fn the_last_of_equal_members_counts_and_is_told() {
        let text = r#"{"a": {"x": 1}, "b": 0, "\u0061": {"y": 2}, "b": 3}"#;
        assert_eq!(at(text, "/a/x"), None);
        assert_eq!(at(text, "/a/y"), Some(("2".to_owned(), true)));
        assert_eq!(at(text, "/b"), Some(("3".to_owned(), true)));
        assert_eq!(at(r#"{"x": {"a": 1, "a": 2}, "y": 1}"#, "/y"), once("1"));
    }

    #[test]
    fn brackets_and_quotes_in_strings_are_no_structure() {
        let text = r#"{"a": "}]\"\\", "b\"}": ["\\\"]", {"c": "\\"}], "d" : 1e400 ,"e":-0}"#;
        assert_eq!(at(text, "/b\"}/1/c"), once(r#""\\""#));
        assert_eq!((at(text, "/d"), at(text, "/e")), (once("1e400"), once("-0")));
    }

    #[test]
    fn depth_costs_no_stack() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let text = format!("{{\"a\":{open}{close},\"b\":1}}");
        assert_eq!(at(&text, "/b"), once("1"));
        let pointer = "/0".repeat(100);
        assert_eq!(at(&text, &format!("/a{pointer}")).map(|(found, _)| found.len()), Some(2 * 99_900));
    }

    #[test]
    fn keys_are_names_or_a_number() {
        let text = r#"{"o": {"b": 1, "a\u0021": [2, 3], "b": 4}, "a": [1, [2, 3], {}], "e": {}, "n": 1}"#;
        let of = |pointer| keys(text, &Pointer::parse(pointer).unwrap());
        let Some(Keys::Members(names)) = of("/o") else { panic!() };
        let names: Vec<_> = names.into_iter().map(|name| &text[name]).collect();
        assert_eq!(names, [r#""b""#, r#""a\u0021""#]);
        assert_eq!(of("/a"), Some(Keys::Items(3)));
        assert_eq!(of("/e"), Some(Keys::Members(vec![])));
        assert_eq!((of("/n"), of("/x")), (None, None));
    }
}
