//! What a function is told of its run: its second argument. It costs nothing for functions that declare only one.

use std::cell::RefCell;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::{Kept, Result, raw};

/// What ends the run of a function, if the function wants to hear of it: an `AbortController`.
#[derive(Default)]
pub struct Stop(RefCell<Option<Kept>>);

impl Stop {
    /// `{ signal, attempt }` for a run that begins, if `function` declares a second parameter.
    pub fn argument<'env>(
        &self,
        env: &'env Env,
        function: &Unknown<'_>,
        attempt: u32,
    ) -> Result<'env, Option<Unknown<'env>>> {
        self.forget();
        let declared = raw::get(env, function, c"length")?;
        if raw::from_js::<f64>(env, &declared).is_none_or(|declared| declared < 2.0) {
            return Ok(None);
        }
        let controller = raw::construct(env, &raw::global(env, c"AbortController")?, &[])?;
        let run = raw::object(env)?;
        raw::define(env, &run, c"signal", &raw::get(env, &controller, c"signal")?)?;
        raw::define(env, &run, c"attempt", &raw::to_js(env, attempt)?)?;
        self.0.replace(Some(Kept::new(env, &controller)?));
        Ok(Some(run))
    }

    /// The run is over.
    pub fn forget(&self) {
        self.0.take();
    }

    /// Nobody waits for the run any more.
    pub fn abort(&self, env: &Env, reason: Option<Unknown<'_>>) {
        let controller = self.0.take();
        let abort = |controller: Kept| -> Result<'_, ()> {
            let reason = reason.unwrap_or_else(|| raw::undefined(env));
            raw::invoke(env, &controller.get(env)?, c"abort", &[reason]).map(drop)
        };
        // A listener that throws is the program's, and Node.js reports it.
        controller.into_iter().for_each(|controller| drop(abort(controller)));
    }
}
