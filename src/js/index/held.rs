//! An index that a group of updates has in its hands, wherever it is: in a file under its lock, or in a store.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::Error;
use engine::index::document::{Document, Operation};
use engine::index::file::UpdateOptions;
use engine::index::group::{Times, Written};
use engine::index::text::Text;
use engine::process::{CallId, Key};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::call::Call;
use crate::js::value::Result;

/// An index in our hands. Dropped, it is given back.
pub trait Held {
    /// What it says; `None`: it does not exist yet.
    fn text(&self) -> Option<&Text>;
    /// What calls would wait for that are made while a function has it.
    fn keys(&self) -> Arc<[Key]>;
    /// From the call until the index was held.
    fn waited(&self) -> Duration;
    /// Takes the next call in the queue along, if it is `wanted`.
    fn take_follower(&self, wanted: &dyn Fn(CallId) -> bool) -> Option<CallId>;
    /// Tells why a call is not served in time.
    fn patience(&self) -> Patience;
    /// What it says as a document, to be patched: the text is not here then, until it is put back. `None`: there is none to be patched.
    fn take_document(&mut self) -> Option<Document> {
        None
    }
    /// See [`Held::take_document`].
    fn put_back(&mut self, _document: Document) {}
    /// The text is not needed any more, but to compare the next one with it.
    fn forget(&mut self);
    /// What calls are told of an index that is not there, and of which nothing was made.
    fn nothing(&self, env: &Env) -> Outcome;
    /// Looks after what is to be replaced. `None`: that does not end by the time of the calls.
    fn doubt(&self) -> Option<Doubt> {
        None
    }
    /// Puts `next` in its place, on a worker or elsewhere, and then tells what came of it.
    fn replace(self: Box<Self>, env: &Env, next: Next, how: Replace, done: Done);
    /// Gives it back, and then tells so.
    fn release(self: Box<Self>, env: &Env, done: Box<dyn FnOnce(&Env)>);
}

/// What an index is to be.
pub enum Next {
    /// This text, which is laid out on a worker as far as `JSON.stringify` could not.
    Text(Data),
    /// What this document is after the patches that were applied to it.
    Patched(Document),
    /// What this document is after these operations.
    Edited(Document, Vec<Operation>),
}

/// How to replace an index.
pub struct Replace {
    /// How it is written.
    pub options: UpdateOptions,
    /// It is needed after that as well.
    pub keep: bool,
    /// The call whose change it is, if it is only one.
    pub sole: Option<Rc<Call>>,
    /// How long the calls whose change it is are willing to wait.
    pub times: Times,
    /// When the last of the calls is not willing to wait any longer; `None`: never.
    pub until: Option<Instant>,
}

/// Hears what came of a replacement.
pub type Done = Box<dyn FnOnce(&Env, Replaced)>;

/// What came of a replacement.
pub struct Replaced {
    /// Of the write.
    pub written: Written<Outcome>,
    /// The index as it is now, if it is still to be changed.
    pub held: std::result::Result<Now, Outcome>,
}

/// An index after a write.
pub enum Now {
    /// It is in our hands.
    Held(Box<dyn Held>),
    /// It is in nobody's.
    Lost(Lost),
}

/// An index that is to be waited for.
pub struct Lost {
    /// Tells why a call is not served in time.
    pub patience: Patience,
    /// Has it waited for.
    pub wait: Wait,
}

/// Waits, until then at most (`None`: without a limit), unless it is cancelled.
pub type Wait = Box<dyn FnOnce(&Env, Option<Instant>, Cancel, Reheld)>;

/// Hears what came of a wait.
pub type Reheld = Box<dyn FnOnce(&Env, std::result::Result<Box<dyn Held>, Outcome>)>;

/// Makes what a caller is told, in a reaction of its call, of the number of calls that shared the commit.
pub type Outcome = Rc<dyn for<'env> Fn(&'env Env, &Call, usize) -> Result<'env, Unknown<'env>>>;

/// Tells while an index is replaced what a call is told that does not wait any longer, if its change may be stored;
/// `None`: nothing is stored so far.
pub type Doubt = Box<dyn Fn(&Env) -> Option<Outcome>>;

/// Makes the error of a call that has waited for so long: for a held index that others changed each time (`true`), or
/// behind another call.
pub type Patience = Box<dyn Fn(Duration, bool) -> Error>;

/// Tells of a failure.
pub fn failed(error: impl Into<Arc<Error>>) -> Outcome {
    let error = error.into();
    Rc::new(move |env, call, _| {
        let signal = &call.request.signal;
        Err(from_engine(env, &error, &call.request.shown, || signal.reason(env)))
    })
}
