//! The Node.js addon of `@pipeline/atomic`.
//!
//! - `api` is what Node.js sees, its comments the users' documentation.
//! - `js` is the N-API boundary: promises, arguments, errors, signals.
//! - The crate `pipeline-atomic-engine` does the work and knows no JavaScript.
//!
//! Arrows run one way: `api → js → engine`. `docs/design.md` has the reasons and the figures behind them.

#[cfg_attr(test, allow(dead_code, reason = "napi registers exports outside of tests only"))]
mod api;
#[cfg_attr(test, allow(dead_code, reason = "as for `api`"))]
mod js;
