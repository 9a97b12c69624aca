//! What an index said when it was committed, for a caller who asks. Nobody may, and the text stays until the handle of it is garbage, so V8 is told
//! how much it is: to V8 a handle is a few bytes, and transactions that follow each other would leave a gigabyte before it looks.

use std::cell::Cell;
use std::ffi::CStr;
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use engine::process::drop_later;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::textual;
use crate::js::transaction::natives::Native;
use crate::js::transaction::textual::numbers;
use crate::js::value::handle::{make, with};
use crate::js::value::thrown::{Result, internal};

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 2] =
    [(c"written", |env, _| make::<Written>(env, Rc::default())), (c"parseWritten", parse_written)];

pub type Written = Rc<WrittenText>;

/// What an index said.
#[derive(Default)]
pub struct WrittenText {
    text: Arc<OnceLock<String>>,
    /// So many bytes V8 was told of.
    told: Cell<Option<(Env, i64)>>,
}

impl WrittenText {
    /// A worker puts the text there.
    pub fn for_worker(&self) -> Arc<OnceLock<String>> {
        self.text.clone()
    }

    /// The worker is done.
    pub fn tell_size(&self, env: &Env) {
        let size = self.text.get().and_then(|text| i64::try_from(text.capacity()).ok());
        if let Some(size) = size.filter(|_| self.told.get().is_none())
            && env.adjust_external_memory(size).is_ok()
        {
            self.told.set(Some((*env, size)));
        }
    }
}

impl Drop for WrittenText {
    fn drop(&mut self) {
        // Only the handle has what was told of, and its environment drops it.
        if let Some((env, size)) = self.told.take() {
            // Fails only in an environment that is ending.
            let _ = env.adjust_external_memory(-size);
        }
        let text = mem::take(&mut self.text);
        let size = text.get().map_or(0, String::capacity);
        drop_later(text, size);
    }
}

/// `(written, update) → value`
fn parse_written<'env>(
    env: &'env Env,
    [written, update, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let written = with(env, &written, Written::clone)?;
    let text = written.text.get().ok_or_else(|| internal(env, "a text that was not written"))?;
    textual::parse(env, text, numbers(env, &update)?)
}
