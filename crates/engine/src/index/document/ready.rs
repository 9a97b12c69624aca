//! Whether a patch is a matter of microseconds: a large container that is not taken apart yet is for a worker.

use crate::index::document::entry::State;
use crate::index::document::node::{Kind, Node, Value};
use crate::index::document::pointer::{Pointer, position};
use crate::index::document::{Document, Operation, Tables};

/// A container of so many bytes takes some 4 ms to be taken apart.
pub const LARGE: usize = 1 << 20;

impl Document {
    /// Whether nothing large is to be taken apart for `patch`: see [`Document::prepare`].
    pub fn is_ready(&self, patch: &[Operation]) -> bool {
        self.text.len() <= LARGE || is_ready(&self.nodes, &self.text, patch)
    }
}

impl Tables {
    /// As [`Document::is_ready`], of the text that they are of.
    pub(crate) fn is_ready(&self, text: &str, patch: &[Operation]) -> bool {
        is_ready(&self.nodes, text, patch)
    }
}

fn is_ready(nodes: &[Node], text: &str, patch: &[Operation]) -> bool {
    patch.iter().all(|operation| match operation {
        Operation::Upsert { at, key, .. } => match walk(nodes, text, &at.join("-")) {
            Walk::To(node) => {
                let is_known = node.keyed.iter().any(|keyed| keyed.member == *key);
                node.kind != Kind::Array || is_known || node.close - node.open <= LARGE
            }
            Walk::Small => true,
            Walk::Large => false,
        },
        _ => operation.ways().iter().all(|way| !matches!(walk(nodes, text, way), Walk::Large)),
    })
}

/// What a pointer leads through.
enum Walk<'n> {
    /// Containers that were taken apart, the last of which is this one.
    To(&'n Node),
    /// Others too, which are small, or it leads nowhere.
    Small,
    Large,
}

fn walk<'n>(nodes: &'n [Node], text: &str, pointer: &Pointer) -> Walk<'n> {
    let Some(mut node) = nodes.first() else { return Walk::Small };
    let mut next = (!node.entries.is_empty()).then_some(0);
    for token in pointer.iter() {
        let Some(at) = next else { return Walk::Small };
        let entry = node.entries[at];
        let size = match entry.state() {
            State::Gone => 0,
            State::Kept | State::Hidden => (entry.end - entry.start) as usize,
            State::Changed(change) => match &node.changes[change].value {
                Value::Text(text) => text.len(),
                Value::Node(inner) => {
                    node = &nodes[*inner];
                    next = match node.kind {
                        Kind::Array => position(&token).and_then(|position| node.item(position)),
                        _ => node.find(text, token.as_bytes()),
                    };
                    continue;
                }
            },
        };
        return if size > LARGE { Walk::Large } else { Walk::Small };
    }
    Walk::To(node)
}
