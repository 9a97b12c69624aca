//! A value that is made once in each environment, such as what a script of ours has returned.

use std::cell::RefCell;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, sys};

use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::Result;

/// For a `thread_local`. These are no `Kept`s, because the thread outlives its environments. There are several where the module
/// is loaded again.
pub struct Once(RefCell<Vec<(sys::napi_env, sys::napi_ref)>>);

impl Once {
    /// With nothing in it.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// The value of this environment, which `make` makes at first.
    pub fn get<'env>(
        &self,
        env: &'env Env,
        make: impl FnOnce() -> Result<'env, Unknown<'env>>,
    ) -> Result<'env, Unknown<'env>> {
        let known = self.0.borrow().iter().find(|(of, _)| *of == env.raw()).map(|(_, made)| *made);
        if let Some(reference) = known {
            return raw::referenced(env, reference);
        }
        let made = make()?;
        self.0.borrow_mut().push((env.raw(), Kept::new(env, &made)?.into_raw()));
        Ok(made)
    }
}

/// What a script of ours says, whose functions V8 compiles.
pub fn run_script<'env>(env: &'env Env, source: &str) -> Result<'env, Unknown<'env>> {
    let source = raw::to_js(env, source)?;
    // SAFETY: a string of the current scope.
    raw::value(env, |raw| unsafe { sys::napi_run_script(env.raw(), source.raw(), raw) })
}
