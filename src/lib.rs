//! Files that are never half there, and JSON indexes that never lose an update.
//!
//! The promise: when a write is acknowledged, its bytes are on disk, were read back, and stand under
//! their final name; whatever happens before, the old file is still there, byte for byte.
//!
//! - [`engine`] is plain Rust. Start with [`engine::commit`], the protocol, and [`engine::index`], the
//!   read-modify-write on top of it; [`engine::blocking`] is both in one call for Rust programs.
//! - `js` is the N-API boundary: promises, arguments, errors, signals (feature `node`).
//! - `api` is what Node.js sees, its comments the users' documentation (feature `node`).
//!
//! Arrows run one way: `api → js → engine → engine::sys`, and only `engine::sys` knows platforms.
//! `docs/design.md` has the reasons and the figures behind them.

#[cfg(feature = "node")]
#[cfg_attr(test, allow(dead_code, reason = "napi registers exports outside of tests only"))]
mod api;
pub mod engine;
#[cfg(feature = "node")]
#[cfg_attr(test, allow(dead_code, reason = "as for `api`"))]
mod js;
