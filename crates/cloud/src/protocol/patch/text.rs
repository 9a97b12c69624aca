//! The top level of a JSON object: the values below it stay as they are, digit by digit.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
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
    pub delete: Vec<String>,
}

/// The members of an object, in their order.
#[derive(Clone, Debug, Default)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Of an index: an object.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        serde_json::from_slice(text).map_err(|_| Error::of(Kind::NotText))
    }

    /// Does what a patch says.
    pub fn apply(&mut self, change: &Change) {
        self.0.retain(|(key, _)| !change.delete.contains(key));
        for (key, value) in &change.set.0 {
            match self.0.iter_mut().find(|(own, _)| own == key) {
                Some((_, own)) => own.clone_from(value),
                None => self.0.push((key.clone(), value.clone())),
            }
        }
    }

    /// With the indent of the text before.
    pub fn print(&self, before: &[u8]) -> String {
        let indent = indent(before);
        let (start, between, end) = match &indent {
            Some(indent) => (format!("{{\n{indent}"), format!(",\n{indent}"), "\n}"),
            None => ("{".into(), ",".into(), "}"),
        };
        if self.0.is_empty() {
            return "{}".into();
        }
        let colon = if indent.is_some() { ": " } else { ":" };
        let member = |(key, value): &(String, Box<RawValue>)| {
            format!("{}{colon}{}", serde_json::json!(key), value.get())
        };
        format!("{start}{}{end}", self.0.iter().map(member).collect::<Vec<_>>().join(&between))
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
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_indent_stays() {
        assert_eq!(patched("{\n\t\"a\": 1\n}", r#"{"set":{"b":2}}"#), "{\n\t\"a\": 1,\n\t\"b\": 2\n}");
    }

    #[test]
    fn an_array_is_refused() {
        assert!(Members::parse(b"[]").is_err());
    }
}
