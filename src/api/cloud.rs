//! What `index.js` tells the addon.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::cloud::peer;
use crate::js::value::{args, promise, raw};

/// Takes the function that loads the optional peer. `index.js` calls it; users do not see it.
#[napi(skip_typescript)]
pub fn set_cloud_loader<'env>(env: &'env Env, load: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    let kept = args::function(env, "load", &load).and_then(|()| peer::keep_loader(env, &load));
    promise::or_throw(env, kept.map(|()| raw::undefined(env)))
}
