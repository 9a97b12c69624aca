//! What a text says at a place, with all that patches have changed, for a function that is to make the next patch.
//!
//! A large container on the way is taken apart, so that the next look costs nothing; a small one is looked through, for a table of each record that was
//! looked at once would be kept for nothing.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;
use crate::index::document::node::Kind;
use crate::index::document::pointer::{Pointer, position};
use crate::index::document::records::{RecordKey, member_of};
use crate::index::document::scan::{Children, skip_white};
use crate::index::document::value::shared;
use crate::index::document::{Document, Keys, find, keys};
use crate::index::options::Numbers;

/// A container of so many bytes is looked through in a microsecond or two.
const SMALL: usize = 4096;

/// Where something is.
enum Spot {
    /// It is an entry of a container that is taken apart.
    Entry(usize, usize),
    /// It is a part of the text of such an entry, or of all of the text: this one.
    Part(Arc<str>),
}

impl Document {
    /// The value at `pointer`, as JSON, however it is laid out. `None`: it leads nowhere.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn value_at(&mut self, pointer: &Pointer) -> Result<Option<Arc<str>>, Error> {
        Ok(match self.spot(pointer)? {
            Some(Spot::Entry(node, at)) => Some(self.value_of(node, at).ok_or_else(Error::no_memory)?),
            Some(Spot::Part(text)) => Some(text),
            None => None,
        })
    }

    /// How many members or items the value at `pointer` has; `None`: it has none, or there is nothing.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn count_at(&mut self, pointer: &Pointer) -> Result<Option<usize>, Error> {
        Ok(self.container(pointer)?.and_then(|found| match found {
            Ok(node) => Some(self.nodes[node].count()),
            Err(text) => match keys(&text, &Pointer::root())? {
                Keys::Members(members) => Some(members.len()),
                Keys::Items(count) => Some(count),
            },
        }))
    }

    /// The records of the array at `pointer` whose `member` is `key`, a JSON text: their positions, and each as JSON. A large array is looked through once
    /// for each member.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn records_at(
        &mut self,
        pointer: &Pointer,
        member: &str,
        key: &str,
        numbers: Numbers,
    ) -> Result<Vec<(usize, Arc<str>)>, Error> {
        let Some(key) = RecordKey::of(key.as_bytes(), numbers) else { return Ok(Vec::new()) };
        Ok(match self.container(pointer)? {
            Some(Ok(node)) if self.nodes[node].kind == Kind::Array => {
                self.index_records(node, member, numbers);
                let found = self.find_records(node, member, &key, numbers);
                let record = |at| Some((self.nodes[node].position(at), self.value_of(node, at)?));
                found.into_iter().map(record).collect::<Option<_>>().ok_or_else(Error::no_memory)?
            }
            Some(Err(text)) => {
                let bytes = text.as_bytes();
                let start = find::root(&text);
                if bytes.get(start) != Some(&b'[') {
                    return Ok(Vec::new());
                }
                let has_key = |item: &Range<usize>| {
                    let own = member_of(&bytes[item.clone()], member);
                    own.and_then(|own| RecordKey::of(own, numbers)).as_ref() == Some(&key)
                };
                let items = (0..).zip(Children::new(bytes, start).map(|child| child.value));
                let found = items.filter(|(_, item)| has_key(item));
                let record = |(position, item): (_, Range<usize>)| Some((position, shared(&text[item])?));
                found.map(record).collect::<Option<_>>().ok_or_else(Error::no_memory)?
            }
            _ => Vec::new(),
        })
    }

    /// The container at `pointer`: taken apart, or a text of its own. `None`: there is none.
    fn container(&mut self, pointer: &Pointer) -> Result<Option<Result<usize, Arc<str>>>, Error> {
        Ok(match self.spot(pointer)? {
            None => None,
            Some(Spot::Part(text)) => Some(Err(text)),
            Some(Spot::Entry(node, at)) => match self.piece(node, at) {
                Err(inner) => Some(Ok(inner)),
                Ok(text) if text.len() <= SMALL => self.value_of(node, at).map(Err),
                Ok(_) => self.expanded(node, at).ok().map(Ok),
            },
        })
    }

    fn spot(&mut self, pointer: &Pointer) -> Result<Option<Spot>, Error> {
        // A text that is too long to be taken apart.
        if self.nodes[0].entries.is_empty() {
            let Some(found) = find(&self.text, pointer) else { return Ok(None) };
            let part = shared(&self.text[found.range]).ok_or_else(Error::no_memory)?;
            return Ok(Some(Spot::Part(part)));
        }
        Ok(self.spot_of_a_part(pointer))
    }

    /// In a text that is taken apart.
    fn spot_of_a_part(&mut self, pointer: &Pointer) -> Option<Spot> {
        let (mut node, mut at) = (0, 0);
        for (depth, token) in pointer.iter().enumerate() {
            let inner = match self.piece(node, at) {
                Err(inner) => inner,
                Ok(text) if text.len() > SMALL => self.expanded(node, at).ok()?,
                Ok(text) => {
                    let text = std::str::from_utf8(&text[skip_white(text, 0)..]).ok()?;
                    let range = find(text, &pointer.after(depth))?.range;
                    return Some(Spot::Part(text[range].into()));
                }
            };
            let holder = &self.nodes[inner];
            at = match holder.kind {
                Kind::Array => holder.item(position(&token)?)?,
                _ => holder.find(&self.text, token.as_bytes())?,
            };
            node = inner;
        }
        Some(Spot::Entry(node, at))
    }
}
