//! The top level of a JSON object: the values below it stay as they are, digit by digit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::protocol::{Error, Kind};

/// What a patch does, key by key: a value is set, none removes the key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Change {
    /// The keys with their values.
    pub set: Members,
    /// The keys to remove, before any is set.
    #[serde(default)]
    pub delete: Vec<Key>,
}

/// A string, as it is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Box<RawValue>")]
pub struct Key(Box<RawValue>);

impl TryFrom<Box<RawValue>> for Key {
    type Error = &'static str;

    fn try_from(text: Box<RawValue>) -> Result<Self, Self::Error> {
        if text.get().starts_with('"') { Ok(Self(text)) } else { Err("a key is a string") }
    }
}

/// What a key stands for: its UTF-8, and of half of a surrogate pair, which no Rust string can have, what would be its UTF-8.
type Name = Vec<u8>;

fn name_of(key: &RawValue) -> Name {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Name;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a key")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
            Ok(bytes.to_owned())
        }
    }
    #[cfg(test)]
    tests::NAMED.with(|named| named.set(named.get() + 1));
    let name = serde_json::Deserializer::from_str(key.get()).deserialize_bytes(Bytes);
    // Not of a string.
    name.unwrap_or_else(|_| key.get().into())
}

/// A key and its value.
type Member = (Box<RawValue>, Box<RawValue>);

/// The members of an object, in their order. A key is there once: of equal ones in a text the last value counts, as for `JSON.parse`.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// `None`: it is deleted.
    all: Vec<Option<Member>>,
    /// Where each key is.
    places: HashMap<Name, usize>,
}

impl Members {
    /// Of an index: an object.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        serde_json::from_slice(text).map_err(|_| Error::of(Kind::NotObject))
    }

    /// Does what a patch says.
    pub fn apply(&mut self, change: &Change) {
        for Key(key) in &change.delete {
            if let Some(at) = self.places.remove(&name_of(key)) {
                self.all[at] = None;
            }
        }
        for (key, value) in change.set.all.iter().flatten() {
            self.set(key.clone(), value.clone());
        }
    }

    fn set(&mut self, key: Box<RawValue>, value: Box<RawValue>) {
        match self.places.entry(name_of(&key)) {
            Entry::Occupied(place) => {
                if let Some((_, old)) = &mut self.all[*place.get()] {
                    *old = value;
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.all.len());
                self.all.push(Some((key, value)));
            }
        }
    }

    /// With the indent of the text before.
    pub fn print(&self, before: &[u8]) -> String {
        self.lay_out(indent(before).as_deref())
    }

    fn lay_out(&self, indent: Option<&str>) -> String {
        let (start, between, end) = match indent {
            Some(indent) => (format!("{{\n{indent}"), format!(",\n{indent}"), "\n}"),
            None => ("{".into(), ",".into(), "}"),
        };
        if self.places.is_empty() {
            return "{}".into();
        }
        let colon = if indent.is_some() { ": " } else { ":" };
        let member = |(key, value): &Member| format!("{}{colon}{}", key.get(), value.get());
        format!("{start}{}{end}", self.all.iter().flatten().map(member).collect::<Vec<_>>().join(&between))
    }
}

fn indent(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?.trim_start_matches('\u{FEFF}').trim_start().strip_prefix('{')?;
    let line = text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n"))?;
    Some(line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect())
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some((key, value)) = map.next_entry()? {
                    members.set(key, value);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.lay_out(None)).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many keys were taken apart.
        pub static NAMED: Cell<usize> = const { Cell::new(0) };
    }

    fn patched(text: &str, change: &str) -> String {
        let mut members = Members::parse(text.as_bytes()).unwrap();
        members.apply(&serde_json::from_str(change).unwrap());
        members.print(text.as_bytes())
    }

    #[test]
    fn other_values_and_the_order_stay() {
        let text = r#"{"z":1.50,"a":{"n":12345678901234567890},"b":2}"#;
        let change = r#"{"set":{"c":3,"z":0},"delete":["b"]}"#;
        assert_eq!(patched(text, change), r#"{"z":0,"a":{"n":12345678901234567890},"c":3}"#);
    }

    #[test]
    fn of_equal_keys_the_last_one_counts_and_none_of_them_hides_what_is_set() {
        let text = r#"{"a":1,"b":0,"a":2}"#;
        assert_eq!(patched(text, r#"{"set":{"c":3}}"#), r#"{"a":2,"b":0,"c":3}"#);
        assert_eq!(patched(text, r#"{"set":{"a":3}}"#), r#"{"a":3,"b":0}"#);
        assert_eq!(patched(text, r#"{"set":{"b":1},"delete":["a"]}"#), r#"{"b":1}"#);
    }

    #[test]
    fn a_key_may_have_half_of_a_surrogate_pair() {
        let change = r#"{"set":{"\udc00":2,"\u0062":3},"delete":["\uD800"]}"#;
        assert_eq!(patched(r#"{"\ud800":1,"a":0,"b":1}"#, change), r#"{"a":0,"b":3,"\udc00":2}"#);
        // As it is in the inbox.
        let change: Change = serde_json::from_str(change).unwrap();
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(patched(r#"{"\ud800":1,"\udc00":0}"#, &text), r#"{"\udc00":2,"\u0062":3}"#);
    }

    #[test]
    fn a_patch_takes_its_own_keys_apart_and_not_those_of_the_index() {
        let text = serde_json::json!((0..100).map(|at| (at.to_string(), at)).collect::<HashMap<_, _>>());
        let mut members = Members::parse(text.to_string().as_bytes()).unwrap();
        let change: Change = serde_json::from_str(r#"{"set":{"new":1,"2":0},"delete":["0","1"]}"#).unwrap();
        let before = NAMED.get();
        members.apply(&change);
        assert_eq!(NAMED.get() - before, 4);
        assert_eq!(members.places.len(), 99);
    }

    #[test]
    fn all_that_is_deleted_leaves_nothing_and_what_is_set_again_comes_last() {
        assert_eq!(patched(r#"{"a":1,"b":2}"#, r#"{"set":{},"delete":["b","a","c"]}"#), "{}");
        assert_eq!(patched(r#"{"a":1,"b":2}"#, r#"{"set":{"a":3},"delete":["a"]}"#), r#"{"b":2,"a":3}"#);
    }

    #[test]
    fn a_key_that_is_no_string_is_refused() {
        for key in ["1", "null", "[\"a\"]"] {
            let change = format!(r#"{{"set":{{}},"delete":[{key}]}}"#);
            assert!(serde_json::from_str::<Change>(&change).is_err(), "{key}");
        }
    }

    #[test]
    fn the_indent_stays() {
        assert_eq!(patched("{\n\t\"a\": 1\n}", r#"{"set":{"b":2}}"#), "{\n\t\"a\": 1,\n\t\"b\": 2\n}");
    }

    #[test]
    fn an_array_is_refused() {
        assert!(Members::parse(b"[]").is_err());
    }
}
