//! An index as text that is looked into, and changed, without parsing all of it.
//!
//! A [`Document`] takes apart only the containers that pointers of patches go through, each into a table of its members or items;
//! all else stays a range of bytes. A patch changes entries of tables, which takes microseconds however large the text is. Then the
//! next text is made of the ranges that are still there and of what is new, and the tables get their new places in it, so
//! they are made once.
//!
//! Every text here was accepted by [`check_index`](super::json::check_index).

mod entry;
mod equal;
mod fault;
mod find;
mod keyed;
mod next;
mod node;
mod operation;
mod out;
mod patch;
mod pointer;
mod ready;
mod records;
mod scan;
mod string;
mod sum;
mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
mod value;
mod view;

use std::sync::Arc;

pub use fault::Fault;
pub(super) use find::is_named;
pub use find::{Found, Keys, find, keys};
pub use operation::{Operation, Operations};
pub(super) use pointer::position;
pub use pointer::{Invalid, Pointer};
pub use ready::LARGE;
pub use scan::{Child, Children};
pub(super) use scan::{Strings, skip_string};
pub use string::literal;
pub use tables::Tables;

use crate::index::document::entry::{NEW, State};
use crate::index::document::node::{Change, Node, Value};
use crate::index::layout::Layout;
use crate::index::number;
use crate::index::options::Numbers;

/// An index that is changed as text.
#[derive(Debug)]
pub struct Document {
    text: String,
    layout: Layout,
    /// The first one is around the value of the text.
    nodes: Vec<Node>,
    /// How to undo what has been done since the text was made.
    journal: Vec<Undo>,
    /// Whether a patch may have brought a number that JavaScript would change.
    brings_numbers: bool,
}

/// How to undo a step.
#[derive(Debug)]
enum Undo {
    /// An entry gets its state back.
    State { node: usize, at: usize, state: State },
    /// An entry goes that was added.
    Insert { node: usize, at: usize },
}

impl Document {
    /// Of a text that [`check_index`](super::json::check_index) accepted. One of 4 GiB or more has no place for a patch.
    pub fn new(text: String) -> Self {
        let nodes = vec![Self::root_of(&text)];
        Self { layout: Layout::of(&text), nodes, text, journal: Vec::new(), brings_numbers: false }
    }

    /// Of a text and what is known of it: see [`Document::into_parts`].
    pub fn with_tables(text: String, tables: Tables) -> Self {
        Self { nodes: tables.nodes, ..Self::new(text) }
    }

    /// The text, without what was changed since it was made, and what is known of it.
    pub fn into_parts(mut self) -> (String, Tables) {
        self.reset();
        (self.text, Tables { nodes: self.nodes, brings_numbers: self.brings_numbers })
    }

    fn root_of(text: &str) -> Node {
        if text.len() >= NEW as usize {
            return Node::none();
        }
        let end = text.trim_end_matches([' ', '\t', '\r', '\n']).len();
        Node::root(find::root(text)..end, text.len())
    }

    /// The text, without what was changed since it was made.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many bytes it takes: the text, the tables, and what was changed.
    pub fn size(&self) -> usize {
        self.text.len() + self.nodes.iter().map(Node::size).sum::<usize>()
    }

    /// Whether there is something that the text does not have.
    pub fn is_changed(&self) -> bool {
        !self.journal.is_empty()
    }

    /// Leaves the text as the only thing that is known, and frees the tables.
    pub fn drop_tables(&mut self) {
        self.reset();
        self.nodes = vec![Self::root_of(&self.text)];
    }

    /// Undoes all since the text was made. Tables stay.
    pub fn reset(&mut self) {
        self.undo_to(0);
    }

    /// Takes the containers apart that patches for `pointer` need, up to the one in which its last step is. A large one takes a while: for
    /// a worker, ahead of the patches. Nothing else changes, whether it leads anywhere or not.
    pub fn expand(&mut self, pointer: &Pointer) {
        // What is wrong is told by the patch.
        drop(self.place(pointer));
    }

    /// As [`Document::expand`], for an upsert: the container at `pointer` too, and the records in it by their `member`.
    pub fn expand_records(&mut self, pointer: &Pointer, member: &str, numbers: Numbers) {
        if let Ok(place) = self.place(pointer)
            && let Some(at) = place.entry
            && let Ok(node) = self.expanded(place.node, at)
        {
            self.index_records(node, member, numbers);
        }
    }

    /// Takes apart what `operation` needs: see [`Document::expand`].
    pub fn prepare(&mut self, operation: &Operation, numbers: Numbers) {
        if let Operation::Upsert { at, key, .. } = operation {
            return self.expand_records(at, key, numbers);
        }
        operation.ways().iter().for_each(|way| self.expand(way));
    }

    /// The container that is an entry's value, taken apart; `Err`: it is none.
    fn expanded(&mut self, node: usize, at: usize) -> Result<usize, fault::What> {
        let holder = &self.nodes[node];
        let (source, open) = match holder.entries[at].state() {
            State::Gone => return Err(fault::What::Nothing),
            State::Changed(change) => match &holder.changes[change].value {
                Value::Node(inner) => return Ok(*inner),
                Value::Text(text) => (Some(text.clone()), scan::skip_white(text.as_bytes(), 0)),
            },
            State::Kept | State::Hidden => (holder.source.clone(), holder.value_start(&self.text, at)),
        };
        let bytes = source.as_deref().unwrap_or(&self.text).as_bytes();
        let what = fault::What::of(bytes.get(open));
        if !matches!(what, fault::What::Object | fault::What::Array) {
            return Err(what);
        }
        let inner = Node::expand(source, &self.text, open);
        self.nodes.push(inner);
        let value = Value::Node(self.nodes.len() - 1);
        let inner = self.nodes.len() - 1;
        let holder = &mut self.nodes[node];
        // The same value in other words: nothing of it is to be undone.
        match holder.entries[at].state() {
            State::Changed(change) => holder.changes[change].value = value,
            _ => {
                let state = holder.change(Change { key: None, value });
                holder.set_state(at, state);
            }
        }
        Ok(inner)
    }

    fn set_state(&mut self, node: usize, at: usize, state: State) {
        let state = self.nodes[node].set_state(at, state);
        self.journal.push(Undo::State { node, at, state });
    }

    /// Gives an entry another value.
    fn put(&mut self, node: usize, at: usize, value: Arc<str>) {
        let holder = &mut self.nodes[node];
        let key = match holder.entries[at].state() {
            State::Changed(change) => holder.changes[change].key.clone(),
            _ => None,
        };
        self.brings_numbers |= number::may_change(value.as_bytes(), Numbers::Exact);
        let state = holder.change(Change { key, value: Value::Text(value) });
        self.set_state(node, at, state);
    }

    /// Adds an entry: an item, or a member with this name.
    fn insert(&mut self, node: usize, at: usize, name: Option<&str>, value: Arc<str>) {
        let key = name.map(|name| literal(name).into());
        self.brings_numbers |= number::may_change(value.as_bytes(), Numbers::Exact);
        let holder = &mut self.nodes[node];
        holder.insert(at, Change { key, value: Value::Text(value) });
        if name.is_some() {
            holder.learn(&self.text, at);
        }
        self.journal.push(Undo::Insert { node, at });
    }

    fn remove(&mut self, node: usize, at: usize) {
        // An earlier member of this name would count then.
        let mut doomed = self.nodes[node].hidden_by(&self.text, at);
        doomed.push(at);
        for at in doomed {
            self.nodes[node].forget(&self.text, at);
            self.set_state(node, at, State::Gone);
        }
    }

    fn undo_to(&mut self, length: usize) {
        if self.journal.len() > length {
            // Tables of records know nothing of those that come back.
            self.nodes.iter_mut().for_each(|node| node.keyed.clear());
        }
        while self.journal.len() > length {
            match self.journal.pop() {
                Some(Undo::State { node, at, state }) => {
                    let node = &mut self.nodes[node];
                    if node.set_state(at, state) == State::Gone && state != State::Hidden {
                        node.learn(&self.text, at);
                    }
                }
                Some(Undo::Insert { node, at }) => {
                    let node = &mut self.nodes[node];
                    node.forget(&self.text, at);
                    node.take_out(at);
                }
                None => {}
            }
        }
    }
}
