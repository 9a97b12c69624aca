//! Applies patches. What is done can be undone, so that one that fails leaves nothing.

use std::sync::Arc;

use crate::error::ErrorKind;
use crate::index::document::entry::State;
use crate::index::document::equal::is_equal;
use crate::index::document::fault::{Fault, What};
use crate::index::document::node::{Kind, Value};
use crate::index::document::operation::Operation;
use crate::index::document::pointer::{Pointer, position};
use crate::index::document::scan::{Children, skip_white};
use crate::index::document::string::plain;
use crate::index::document::{Document, sum};
use crate::index::json::check_text;
use crate::index::options::Numbers;
use crate::mutant::{Step, leaves_out};

/// Where a pointer leads.
pub(super) struct Place {
    /// The container of its last step.
    pub node: usize,
    /// The member or item, if there is one.
    pub entry: Option<usize>,
    /// The containers on the way, and which of their entries is the way.
    way: Vec<(usize, usize)>,
}

impl Document {
    /// Applies all of a patch, or nothing.
    ///
    /// # Errors
    /// [`Fault`]: a pointer leads nowhere or to what the step does not fit, a test fails, a sum would lose digits, or what is left is no
    /// object and no array. Then the document is as it was.
    pub fn apply(&mut self, patch: &[Operation], numbers: Numbers) -> Result<(), Fault> {
        let before = self.journal.len();
        let applied = patch
            .iter()
            .try_for_each(|operation| self.apply_one(operation, numbers))
            .and_then(|()| self.check_root());
        if applied.is_err() && !leaves_out(Step::PatchUndo) {
            self.undo_to(before);
        }
        applied
    }

    fn check_root(&self) -> Result<(), Fault> {
        // A text that is too long to be patched has none here.
        if self.nodes[0].entries.is_empty() {
            return Ok(());
        }
        let what = self.what(0, 0);
        if matches!(what, What::Object | What::Array) {
            return Ok(());
        }
        Err(Fault::at(&Pointer::default(), format!("would be {what}: an index is an object or an array")))
    }

    fn apply_one(&mut self, operation: &Operation, numbers: Numbers) -> Result<(), Fault> {
        // The next text is not checked again.
        for value in operation.values() {
            check_text(value.as_bytes()).map_err(|error| {
                let reason = match error.kind() {
                    ErrorKind::InvalidJson { reason } => reason.clone(),
                    _ => error.to_string(),
                };
                Fault::at(operation.pointer(), format!("is to be given something that is no JSON: {reason}"))
            })?;
        }
        match operation {
            Operation::Set { at, value } => self.set(at, value.clone()),
            Operation::Add { at, value } => self.add(at, value.clone()),
            Operation::Replace { at, value } => {
                let (place, entry) = self.taken(at)?;
                self.put(place.node, entry, value.clone());
                self.touch(&place);
                Ok(())
            }
            Operation::Remove { at } => {
                let (place, entry) = self.taken(at)?;
                self.remove(place.node, entry);
                self.touch(&place);
                Ok(())
            }
            Operation::Upsert { at, key, records, remove } => self.upsert(at, key, records, remove, numbers),
            Operation::Increment { at, by } => self.increment(at, by, numbers),
            Operation::Append { at, values } => self.append(at, values),
            Operation::Test { at, value } => {
                let (place, entry) = self.taken(at)?;
                let found = self.value_of(place.node, entry).ok_or_else(|| Fault::no_memory(at))?;
                if is_equal(&found, value, numbers) {
                    return Ok(());
                }
                Err(Fault::at(at, "has another value than the patch is made for"))
            }
            Operation::Move { from, at } => {
                let (place, entry) = self.taken(from)?;
                if at == from {
                    return Ok(());
                }
                if at.is_within(from) {
                    let reason = format!("is inside of '{from}', which is to be moved there");
                    return Err(Fault { reached: from.to_string(), ..Fault::at(at, reason) });
                }
                let value = self.value_of(place.node, entry).ok_or_else(|| Fault::no_memory(from))?;
                self.remove(place.node, entry);
                self.touch(&place);
                self.add(at, value)
            }
            Operation::Copy { from, at } => {
                let (place, entry) = self.taken(from)?;
                let value = self.value_of(place.node, entry).ok_or_else(|| Fault::no_memory(from))?;
                self.add(at, value)
            }
            Operation::Merge { patch } => self.merge(patch),
        }
    }

    /// Where a pointer leads.
    pub(super) fn place(&mut self, pointer: &Pointer) -> Result<Place, Fault> {
        let Some(root) = self.nodes[0].entries.first() else {
            return Err(Fault::at(
                pointer,
                "cannot be looked for: a text of 4 GiB or more is not patched as text",
            ));
        };
        let root = (root.state() != State::Gone).then_some(0);
        let mut place = Place { node: 0, entry: root, way: Vec::new() };
        for (depth, token) in pointer.iter().enumerate() {
            let Some(entry) = place.entry else {
                let before = depth.saturating_sub(1);
                return Err(Fault::nowhere(pointer, before, self.what_is(place.node)));
            };
            let node =
                self.expanded(place.node, entry).map_err(|what| Fault::nowhere(pointer, depth, what))?;
            place.way.push((place.node, entry));
            let holder = &self.nodes[node];
            place.entry = match holder.kind {
                Kind::Array => position(&token).and_then(|position| holder.item(position)),
                _ => holder.find(&self.text, token.as_bytes()),
            };
            place.node = node;
        }
        Ok(place)
    }

    /// Where a pointer leads that must lead to something.
    pub(super) fn taken(&mut self, pointer: &Pointer) -> Result<(Place, usize), Fault> {
        let place = self.place(pointer)?;
        match place.entry {
            Some(entry) => Ok((place, entry)),
            None => Err(self.lacking(pointer, &place)),
        }
    }

    /// The last step of `pointer` leads nowhere.
    fn lacking(&self, pointer: &Pointer, place: &Place) -> Fault {
        Fault::nowhere(pointer, pointer.len().saturating_sub(1), self.what_is(place.node))
    }

    pub(super) fn what_is(&self, node: usize) -> What {
        match self.nodes[node].kind {
            Kind::Root => What::Nothing,
            Kind::Object => What::Object,
            Kind::Array => What::Array,
        }
    }

    /// What the value of an entry is.
    fn what(&self, node: usize, at: usize) -> What {
        let holder = &self.nodes[node];
        match holder.entries[at].state() {
            State::Gone => What::Nothing,
            State::Changed(change) => match &holder.changes[change].value {
                Value::Node(inner) => self.what_is(*inner),
                Value::Text(text) => What::of(text.as_bytes().get(skip_white(text.as_bytes(), 0))),
            },
            State::Kept | State::Hidden => {
                What::of(holder.bytes(&self.text).get(holder.value_start(&self.text, at)))
            }
        }
    }

    fn set(&mut self, pointer: &Pointer, value: Arc<str>) -> Result<(), Fault> {
        let place = self.place(pointer)?;
        let holder = &self.nodes[place.node];
        let (last, length) = (pointer.last().unwrap_or_default(), holder.entries.len());
        match (place.entry, holder.kind) {
            (Some(entry), _) => self.put(place.node, entry, value),
            (None, Kind::Root) => self.put(0, 0, value),
            (None, Kind::Object) => self.insert(place.node, length, Some(&last), value),
            (None, Kind::Array) if last == "-" || position(&last) == Some(holder.count()) => {
                self.insert(place.node, length, None, value);
                self.learn_record(place.node, length);
            }
            (None, Kind::Array) => return Err(self.lacking(pointer, &place)),
        }
        self.touch(&place);
        Ok(())
    }

    fn add(&mut self, pointer: &Pointer, value: Arc<str>) -> Result<(), Fault> {
        let place = self.place(pointer)?;
        match place.entry {
            Some(entry) if self.nodes[place.node].kind == Kind::Array => {
                self.insert(place.node, entry, None, value);
                self.touch(&place);
                Ok(())
            }
            _ => self.set(pointer, value),
        }
    }

    fn append(&mut self, pointer: &Pointer, values: &[Arc<str>]) -> Result<(), Fault> {
        let place = self.place(pointer)?;
        let Some(entry) = place.entry else {
            if self.nodes[place.node].kind == Kind::Array {
                return Err(self.lacking(pointer, &place));
            }
            return self.set(pointer, format!("[{}]", values.join(",")).into());
        };
        let list = self.expanded(place.node, entry).ok().filter(|list| self.nodes[*list].kind == Kind::Array);
        let Some(list) = list else {
            let what = self.what(place.node, entry);
            return Err(Fault::at(pointer, format!("cannot be appended to: it is {what}")));
        };
        for value in values {
            let length = self.nodes[list].entries.len();
            self.insert(list, length, None, value.clone());
            self.learn_record(list, length);
        }
        self.touch(&place);
        Ok(())
    }

    fn increment(&mut self, pointer: &Pointer, by: &str, numbers: Numbers) -> Result<(), Fault> {
        let place = self.place(pointer)?;
        let old = match place.entry {
            None if self.nodes[place.node].kind == Kind::Array => return Err(self.lacking(pointer, &place)),
            None => Some("0"),
            Some(entry) => match self.what(place.node, entry) {
                What::Number => self.piece(place.node, entry).ok().and_then(|old| str::from_utf8(old).ok()),
                what => return Err(Fault::at(pointer, format!("cannot be incremented: it is {what}"))),
            },
        };
        let Some(sum) = old.and_then(|old| sum::sum(old, by, numbers)) else {
            let reason = "cannot be incremented: the sum would lose digits; { numbers: 'exact' } keeps those of whole numbers, up to 38";
            return Err(Fault::at(pointer, reason));
        };
        match place.entry {
            Some(entry) => self.put(place.node, entry, sum.into()),
            None => return self.set(pointer, sum.into()),
        }
        self.touch(&place);
        Ok(())
    }

    fn merge(&mut self, patch: &str) -> Result<(), Fault> {
        let bytes = patch.as_bytes();
        let mut inner = vec![(Pointer::default(), skip_white(bytes, 0))];
        while let Some((pointer, start)) = inner.pop() {
            if bytes.get(start) != Some(&b'{') {
                // Only the whole patch comes here.
                self.set(&pointer, patch.into())?;
                continue;
            }
            self.make_object(&pointer)?;
            let first = inner.len();
            for child in Children::new(bytes, start) {
                let name = plain(child.name(bytes));
                let Ok(name) = std::str::from_utf8(&name) else {
                    return Err(Fault::at(
                        &pointer,
                        "cannot be merged with a name that has half of a surrogate pair",
                    ));
                };
                let member = pointer.join(name);
                match bytes.get(child.value.start) {
                    Some(b'n') => {
                        let place = self.place(&member)?;
                        if let Some(entry) = place.entry {
                            self.remove(place.node, entry);
                            self.touch(&place);
                        }
                    }
                    Some(b'{') => {
                        // Its place among the members is this one; what it has comes later.
                        self.make_object(&member)?;
                        inner.push((member, child.value.start));
                    }
                    _ => self.set(&member, patch[child.value].into())?,
                }
            }
            inner[first..].reverse();
        }
        Ok(())
    }

    /// Puts an empty object where no object is.
    fn make_object(&mut self, pointer: &Pointer) -> Result<(), Fault> {
        let place = self.place(pointer)?;
        match place.entry {
            Some(entry) if self.what(place.node, entry) == What::Object => Ok(()),
            _ => self.set(pointer, "{}".into()),
        }
    }

    /// What is at the place, or inside of it, was changed: records that are on the way may have other keys now.
    pub(super) fn touch(&mut self, place: &Place) {
        if let Some(entry) = place.entry {
            self.learn_record(place.node, entry);
        }
        for (node, entry) in &place.way {
            self.learn_record(*node, *entry);
        }
    }
}
