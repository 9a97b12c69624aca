//! What is known of a text from its patches, for those that only look into it.

use std::ops::Range;

use crate::index::document::entry::State;
use crate::index::document::find::find;
use crate::index::document::node::{Kind, Node, Value};
use crate::index::document::pointer::{Pointer, position};

/// What is known of a text: the containers in it that were taken apart.
#[derive(Debug)]
pub struct Tables {
    pub(super) nodes: Vec<Node>,
    /// See [`Tables::may_bring_numbers`].
    pub(super) brings_numbers: bool,
}

impl Tables {
    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.nodes.iter().map(Node::size).sum()
    }

    /// Whether a number may be in the text that was not in the one before its patches, and that JavaScript would change. Only what the patches have brought was
    /// looked at: they may be at both ends of a large text.
    pub(crate) fn may_bring_numbers(&self) -> bool {
        self.brings_numbers
    }

    /// As [`find`], in the text that they are of: containers that were taken apart are not gone through again.
    pub fn find(&self, text: &str, pointer: &Pointer) -> Option<Range<usize>> {
        let (mut node, mut at) = (self.nodes.first()?, 0);
        if node.entries.is_empty() {
            return find(text, pointer).map(|found| found.range);
        }
        for (depth, token) in pointer.iter().enumerate() {
            let known = match node.entries[at].state() {
                State::Changed(change) => match node.changes[change].value {
                    Value::Node(inner) => self.nodes.get(inner),
                    Value::Text(_) => None,
                },
                _ => None,
            };
            let Some(inner) = known else {
                let range = value_of(node, text, at);
                let found = find(&text[range.clone()], &pointer.after(depth))?.range;
                return Some(range.start + found.start..range.start + found.end);
            };
            at = match inner.kind {
                Kind::Array => inner.item(position(&token)?)?,
                _ => inner.find(text, token.as_bytes())?,
            };
            node = inner;
        }
        Some(value_of(node, text, at))
    }
}

fn value_of(node: &Node, text: &str, at: usize) -> Range<usize> {
    node.value_start(text, at)..node.entries[at].end as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::index::document::{Document, Operation};
    use crate::index::options::Numbers;

    #[test]
    fn what_is_found_by_tables_is_what_is_found_without() {
        let items: Vec<_> = (0..100).map(|at| format!("{{\"id\": {at}, \"tags\": [\"a\", {at}]}}")).collect();
        let text = format!(
            "\u{feff} {{\"list\": [{}], \"o\": {{\"a\": 1, \"\\u0061\": 2, \"b\": {{\"c\": []}}}}, \"n\": null}}\n",
            items.join(", ")
        );
        let mut document = Document::new(text);
        for expanded in ["", "/list/3/tags/1", "/o/b/c/-", "/list/0/id"] {
            document.expand(&Pointer::parse(expanded).unwrap());
            let set = Operation::Set { at: Pointer::parse("/o/new").unwrap(), value: "[7]".into() };
            document
                .apply(&[set, Operation::Remove { at: Pointer::parse("/list/1").unwrap() }], Numbers::Strict)
                .unwrap();
            document = document.advance().unwrap().0;
            let (text, tables) = document.into_parts();
            for pointer in [
                "",
                "/list",
                "/list/0",
                "/list/1/id",
                "/list/50/tags/0",
                "/list/99",
                "/list/-",
                "/o/a",
                "/o/new/0",
                "/o/b/c",
                "/o/b/c/0",
                "/o/x",
                "/n",
                "/n/x",
                "/x",
            ] {
                let pointer = Pointer::parse(pointer).unwrap();
                let plain = find(&text, &pointer).map(|found| found.range);
                assert_eq!(tables.find(&text, &pointer), plain, "{pointer}");
            }
            document = Document::with_tables(text, tables);
        }
    }
}
