//! Patches of an index that nobody has to parse: they are applied to its text, in microseconds, and the worker that writes makes the next one.
//!
//! A function that comes after them is given what their text says. From then on the index is a value, and patches after it are functions.

use std::rc::Rc;
use std::time::Instant;

use engine::index::document::Document;
use engine::index::group::Written;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::{Group, Index};
use crate::js::index::call::{Call, Change};
use crate::js::index::held::Next;
use crate::js::index::patch::TextPatch;
use crate::js::index::textual;
use crate::js::value::Result;
use crate::js::value::thrown::internal;

impl Group {
    /// Whether a patch can be applied to the text: it is JSON, keeps its layout, and has not been parsed.
    pub(super) fn has_text(&self) -> bool {
        textual::suits(&self.format, self.schema.as_ref(), &self.options)
            && match self.policy.borrow().index() {
                Some(Index::Parsed(_) | Index::Missing) => false,
                Some(Index::Patched) => true,
                None => {
                    let held = self.held.borrow();
                    let is_there = held.as_ref().is_some_and(|held| held.text().is_some());
                    is_there || self.document.borrow().is_some()
                }
            }
    }

    /// Whether the index is a text that patches are being applied to, and nobody has had it parsed since.
    pub(super) fn is_text(&self) -> bool {
        self.has_text() && self.document.borrow().is_some()
    }

    /// Whether a change can be made of the text at once, if it is one for a text.
    pub(super) fn is_ready(&self, change: &Change) -> bool {
        let patches = match change {
            Change::Patch(patch, _) => std::slice::from_ref(patch),
            Change::Crowd(crowd) => &crowd.patches,
            _ => return true,
        };
        let (document, held) = (self.document.borrow(), self.held.borrow());
        let text = held.as_ref().and_then(|held| held.text());
        patches.iter().all(|TextPatch { operations, .. }| match &*document {
            Some(document) => document.is_ready(operations),
            None => text.is_none_or(|text| text.is_ready(operations)),
        })
    }

    /// Lets `patch` change the text. `None`: there is no text for it.
    pub(super) fn patch<T>(&self, patch: impl FnOnce(&mut Document) -> T) -> Option<T> {
        if !self.has_text() {
            return None;
        }
        let is_fresh = self.policy.borrow().index().is_none();
        let mut document = self.document.borrow_mut();
        if document.is_none() {
            *document = self.held.borrow_mut().as_mut()?.take_document();
        }
        let document = document.as_mut()?;
        if is_fresh {
            // What was done counts for nothing: the calls run again.
            document.reset();
        }
        Some(patch(document))
    }

    /// The text is as it is stored again.
    pub(super) fn put_back(&self) {
        if let (Some(document), Some(held)) = (self.document.take(), &mut *self.held.borrow_mut()) {
            held.put_back(document);
        }
    }

    /// What the text says after its patches, for a function. The stored one is put back.
    pub(super) fn parse_patched<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let document = self.document.take().ok_or_else(|| internal(env, "a text that is gone"))?;
        let (value, before) = textual::parse_next(env, document, self.options.numbers);
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.put_back(before);
        }
        value
    }

    /// Writes what patches have made.
    pub(super) fn write_patched(self: &Rc<Self>, env: &Env, sole: Option<Rc<Call>>, keep: bool) {
        let (document, held) = (self.document.take(), self.held.take());
        match (document, held) {
            (Some(document), Some(held)) => self.replace(env, held, Next::Patched(document), sole, keep),
            // A function has had it: the calls run again.
            (_, held) => {
                self.held.replace(held);
                self.policy.borrow_mut().written(Written::Changed, Ok(()), Instant::now());
            }
        }
    }
}
