//! What a patch is made of.

use std::ops::{Deref, Range};
use std::sync::{Arc, LazyLock};

use crate::index::document::pointer::Pointer;
use crate::index::document::scan::{Children, skip_white};
use crate::index::document::string::plain;

/// All of a patch. What a program has said of it can be taken apart where it is needed first, which is on a worker.
#[derive(Clone)]
pub struct Operations {
    all: Arc<LazyLock<Vec<Operation>, Make>>,
    /// Those of this patch, if others are there too; `None`: all.
    own: Option<Range<usize>>,
}

type Make = Box<dyn FnOnce() -> Vec<Operation> + Send>;

impl Operations {
    /// What `make` returns when they are needed.
    pub fn later(make: impl FnOnce() -> Vec<Operation> + Send + 'static) -> Self {
        Self { all: Arc::new(LazyLock::new(Box::new(make))), own: None }
    }

    /// Those of one of several patches, which are freed together.
    #[must_use]
    pub fn part(&self, own: Range<usize>) -> Self {
        Self { all: self.all.clone(), own: Some(own) }
    }
}

impl From<Vec<Operation>> for Operations {
    fn from(operations: Vec<Operation>) -> Self {
        Self::later(|| operations)
    }
}

impl Deref for Operations {
    type Target = [Operation];

    fn deref(&self) -> &[Operation] {
        self.own.as_ref().map_or(&self.all, |own| &self.all[own.clone()])
    }
}

/// One step of a patch. Values are JSON texts, however they are laid out.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the operations say what their parts are")]
pub enum Operation {
    /// A member is set, whether it is there or not; an item of an array is set, or added behind the last one.
    Set { at: Pointer, value: Arc<str> },
    /// As [`Operation::Set`], but an item comes before the one that is there (RFC 6902).
    Add { at: Pointer, value: Arc<str> },
    /// Something that is there is set.
    Replace { at: Pointer, value: Arc<str> },
    /// Something that is there is removed.
    Remove { at: Pointer },
    /// Records are removed by their keys, which need not be there, and then others are put there: into an object under their keys,
    /// or into an array in the place of the first one of their key, or else behind the last one. A key is a string or a number.
    Upsert { at: Pointer, key: String, records: Vec<Arc<str>>, remove: Vec<Arc<str>> },
    /// A number is added to the one that is there, or to 0.
    Increment { at: Pointer, by: Arc<str> },
    /// Items come behind the last one of an array; without one it is made.
    Append { at: Pointer, values: Vec<Arc<str>> },
    /// What is there must be this value, with members in any order.
    Test { at: Pointer, value: Arc<str> },
    /// Something is removed there, and added elsewhere.
    Move { from: Pointer, at: Pointer },
    /// Something is added elsewhere too.
    Copy { from: Pointer, at: Pointer },
    /// A JSON Merge Patch (RFC 7396) of all of it.
    Merge { patch: Arc<str> },
}

impl Operation {
    /// The JSON texts of what it puts into a document.
    pub(super) fn values(&self) -> &[Arc<str>] {
        use std::slice::from_ref;

        match self {
            Self::Set { value, .. }
            | Self::Add { value, .. }
            | Self::Replace { value, .. }
            | Self::Test { value, .. }
            | Self::Increment { by: value, .. }
            | Self::Merge { patch: value } => from_ref(value),
            Self::Upsert { records: values, .. } | Self::Append { values, .. } => values,
            Self::Remove { .. } | Self::Move { .. } | Self::Copy { .. } => &[],
        }
    }

    /// Where it changes a document.
    pub(super) fn pointer(&self) -> &Pointer {
        static ROOT: Pointer = Pointer::root();
        match self {
            Self::Set { at, .. }
            | Self::Add { at, .. }
            | Self::Replace { at, .. }
            | Self::Remove { at }
            | Self::Upsert { at, .. }
            | Self::Increment { at, .. }
            | Self::Append { at, .. }
            | Self::Test { at, .. }
            | Self::Move { at, .. }
            | Self::Copy { at, .. } => at,
            Self::Merge { .. } => &ROOT,
        }
    }

    /// The pointers that it follows. Of an upsert also its records are looked at.
    pub(super) fn ways(&self) -> Ways<'_> {
        match self {
            Self::Set { at, .. }
            | Self::Add { at, .. }
            | Self::Replace { at, .. }
            | Self::Remove { at }
            | Self::Increment { at, .. }
            | Self::Test { at, .. } => Ways::Given([Some(at), None]),
            Self::Upsert { at, .. } | Self::Append { at, .. } => Ways::Made(vec![at.join("-")]),
            Self::Move { from, at } | Self::Copy { from, at } => Ways::Given([Some(from), Some(at)]),
            Self::Merge { patch } => Ways::Made(members(patch)),
        }
    }
}

/// Pointers that an operation follows: its own, which are not copied for each look, or others.
pub(super) enum Ways<'o> {
    Given([Option<&'o Pointer>; 2]),
    Made(Vec<Pointer>),
}

impl Ways<'_> {
    pub fn iter(&self) -> impl Iterator<Item = &Pointer> {
        let (given, made): (&[Option<&Pointer>], &[Pointer]) = match self {
            Self::Given(given) => (given, &[]),
            Self::Made(made) => (&[], made),
        };
        given.iter().copied().flatten().chain(made)
    }
}

/// The pointers of what is merged, each before those inside of it.
fn members(patch: &str) -> Vec<Pointer> {
    let bytes = patch.as_bytes();
    let (mut ways, mut inner) = (Vec::new(), vec![(Pointer::default(), skip_white(bytes, 0))]);
    while let Some((at, start)) = inner.pop() {
        for child in Children::new(bytes, start) {
            if let Ok(name) = std::str::from_utf8(&plain(child.name(bytes))) {
                let way = at.join(name);
                if bytes[child.value.start] == b'{' {
                    inner.push((way.clone(), child.value.start));
                }
                ways.push(way);
            }
        }
    }
    ways
}
