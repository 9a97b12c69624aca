//! Indexes of a transaction, from when they are locked and read until they are committed. Patches change the text of one, as in
//! `index/group/textual`, as long as no function is given what it says.

use std::ffi::CStr;

use engine::index::document::{Document, Operation};
use engine::index::file::{Numbers, Snapshot};
use engine::transaction::job::Next;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::patch::{Patch, TextPatch};
use crate::js::index::{textual, view};
use crate::js::transaction::natives::Native;
use crate::js::transaction::parse::ParsedUpdate;
use crate::js::transaction::written::Written;
use crate::js::value::handle::{change, flag, make, with};
use crate::js::value::thrown::{Result, internal};
use crate::js::value::{copy, raw};

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 7] = [
    (c"textPatch", text_patch),
    (c"patchText", patch_text),
    (c"viewText", view_text),
    (c"isMissing", is_missing),
    (c"findInText", find_in_text),
    (c"makerOf", maker_of),
    (c"parsePatched", parse_patched),
];

/// An index that is locked.
pub struct Locked {
    snapshot: Option<Snapshot>,
    /// Its text, which is not with the snapshot then.
    document: Option<Document>,
}

impl Locked {
    /// As it was read.
    pub fn new(snapshot: Option<Snapshot>) -> Self {
        Self { snapshot, document: None }
    }

    /// It is as it was read, whatever patches have made of it.
    pub fn put_back(&mut self) {
        if let (Some(document), Some(snapshot)) = (self.document.take(), &mut self.snapshot) {
            snapshot.text.put_back(document);
        }
    }

    /// What was read, if no patch has it.
    pub fn as_read(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().filter(|_| self.document.is_none())
    }

    /// For the commit of a text.
    pub fn into_snapshot(mut self) -> Option<Snapshot> {
        self.put_back();
        self.snapshot
    }

    /// For the commit of what patches have made. `written` is told the text.
    pub fn into_patched(self, written: &Written) -> Option<(Next, Option<Snapshot>)> {
        Some((Next::Patched(Box::new(self.document?), written.for_worker()), self.snapshot))
    }

    /// For the commit of what these operations make of the text that was read.
    pub fn into_edited(mut self, edits: Vec<Operation>) -> Option<(Next, Option<Snapshot>)> {
        self.put_back();
        self.document()?;
        Some((Next::Edited(Box::new(self.document?), edits), self.snapshot))
    }

    /// Its text, to be patched. `None`: there is none.
    fn document(&mut self) -> Option<&mut Document> {
        if self.document.is_none() {
            let snapshot = self.snapshot.as_mut().filter(|snapshot| snapshot.fault.is_none())?;
            self.document = (!snapshot.text.json().is_empty()).then(|| snapshot.text.take_document());
        }
        self.document.as_mut()
    }
}

/// `(patch, update) → text patch | undefined`: `undefined`, if it has to be applied to what the index says.
fn text_patch<'env>(env: &'env Env, [patch, update, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, format, schema, .. } = with(env, &update, ParsedUpdate::clone)?;
    let text = match textual::suits(&format, schema.as_ref(), &options) {
        true => TextPatch::new(env, &Patch::of(patch))?,
        false => None,
    };
    text.map_or_else(|| Ok(raw::undefined(env)), |text| make(env, text))
}

/// `(index, text patch, update, shown, isFirst) → boolean`: applies a patch, wholly or not at all, and throws why it could not be. `isFirst`: what
/// others have done counts for nothing, as they run again. `false`: there is no text.
fn patch_text<'env>(
    env: &'env Env,
    [index, patch, update, shown, is_first, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let patch = with(env, &patch, TextPatch::clone)?;
    let numbers = numbers(env, &update)?;
    let applied = change(env, &index, |index: &mut Locked| {
        let document = index.document()?;
        if flag(env, &is_first) {
            document.reset();
        }
        Some(document.apply(&patch.operations, numbers))
    })?;
    match applied {
        Some(Err(fault)) => Err(patch.failure(env, &fault, &copy::text(env, &shown)?)),
        applied => raw::to_js(env, applied.is_some()),
    }
}

/// Whether patches can be applied to the text of an index that is updated so.
pub fn is_text(ParsedUpdate { options, format, schema, .. }: &ParsedUpdate) -> bool {
    textual::suits(format, schema.as_ref(), options)
}

/// `(index) → boolean`: there is no file.
fn is_missing<'env>(env: &'env Env, [index, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    raw::to_js(env, with(env, &index, |index: &Locked| index.snapshot.is_none())?)
}

/// `(index, isFirst) → boolean`: a function is about to look into the text; see [`patch_text`].
fn view_text<'env>(env: &'env Env, [index, is_first, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let is_there = change(env, &index, |index: &mut Locked| {
        let document = index.document()?;
        if flag(env, &is_first) {
            document.reset();
        }
        Some(())
    })?;
    raw::to_js(env, is_there.is_some())
}

/// `(index, update, kind, pointer, key, value)`: see [`view::find`].
fn find_in_text<'env>(
    env: &'env Env,
    [index, update, kind, pointer, key, value, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let numbers = numbers(env, &update)?;
    change(env, &index, |index: &mut Locked| match index.document() {
        Some(document) => view::find(env, document, [kind, pointer, key, value], numbers),
        None => raw::null(env),
    })?
}

/// `(maker, update) → function`: what makes the patch when it is given what looks into the text.
fn maker_of<'env>(env: &'env Env, [maker, update, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    view::maker_of(env, &maker, numbers(env, &update)?)
}

/// `(index, update) → value`: what the text says after its patches. From here on it is as it was read.
fn parse_patched<'env>(
    env: &'env Env,
    [index, update, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let numbers = numbers(env, &update)?;
    let document = change(env, &index, |index: &mut Locked| index.document.take())?;
    let document = document.ok_or_else(|| internal(env, "a text that is gone"))?;
    let (value, before) = textual::parse_next(env, document, numbers);
    change(env, &index, |index: &mut Locked| {
        index.document = Some(before);
        index.put_back();
    })?;
    value
}

pub(super) fn numbers<'env>(env: &'env Env, update: &Unknown<'_>) -> Result<'env, Numbers> {
    with(env, update, |update: &ParsedUpdate| update.options.numbers)
}
