//! Object stores with conditional writes, for `@pipeline/atomic`: `s3://`, `az://`, `gs://`.
//!
//! - `protocol` is how a write or an update comes about exactly once although requests and replies get lost. It knows
//!   a store by the trait [`protocol::Store`] alone, so its tests run in virtual time against one in memory.
//! - `store` is that trait over the crate `object_store`.
//! - `js` is the N-API boundary. `packages/cloud` makes the public functions and errors of it.

#[cfg_attr(test, allow(dead_code, reason = "napi registers exports outside of tests only"))]
mod js;
pub mod protocol;
mod store;
mod sys;
