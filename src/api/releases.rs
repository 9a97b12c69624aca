//! What only stores have: `list`, `atomicPublish`, `readRelease`.

use std::ffi::CStr;

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::cloud::{peer, script};
use crate::js::value::{Result, Thrown, path, promise};

/// Lists the objects of a store whose names begin with `prefix` (`s3://bucket/blog/`), in the order of their names. For files it is refused
/// with `ERR_ATOMIC_UNSUPPORTED`: `readdir` of `node:fs` lists these. Errors reject the first step of the iteration.
#[napi(
    ts_args_type = "prefix: PathLike, options?: (CloudOptions & { signal?: AbortSignal }) | null",
    ts_return_type = "AsyncIterable<ListedObject>"
)]
pub fn list<'env>(
    env: &'env Env,
    prefix: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let listed = hand_on(
        env,
        c"list",
        &prefix,
        &[options],
        "the files of a directory are listed by readdir of node:fs",
    );
    promise::or_throw(env, listed.or_else(|Thrown(error)| script::call(env, c"failing", &[error])))
}

/// Publishes a whole set of objects below `prefix` at once, all or nothing: they are written under a prefix of their own, and then one
/// pointer is replaced. {@link readRelease} finds those of the newest release. Of older releases `keep` stay; what is left of publishers that
/// were killed is removed. For files it is refused with `ERR_ATOMIC_UNSUPPORTED`: there {@link atomicDirectory} replaces a whole directory.
///
/// The `path` of an entry is relative to the prefix.
#[napi(
    ts_args_type = "prefix: PathLike, entries: Iterable<ReleaseEntry> | AsyncIterable<ReleaseEntry>, options?: PublishOptions | null",
    ts_return_type = "Promise<PublishResult>"
)]
pub fn atomic_publish<'env>(
    env: &'env Env,
    prefix: Unknown<'env>,
    entries: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let instead = "in a file system atomicDirectory replaces a whole directory at once";
    promise::answer(env, hand_on(env, c"atomicPublish", &prefix, &[entries, options], instead))
}

/// Tells which release below `prefix` is the newest, and where its objects are. For files it is refused with
/// `ERR_ATOMIC_UNSUPPORTED`: a directory that {@link atomicDirectory} has replaced is read by its path.
#[napi(
    ts_args_type = "prefix: PathLike, options?: (CloudOptions & { signal?: AbortSignal }) | null",
    ts_return_type = "Promise<Release>"
)]
pub fn read_release<'env>(
    env: &'env Env,
    prefix: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let instead = "a directory that atomicDirectory has replaced is read by its path";
    promise::answer(env, hand_on(env, c"readRelease", &prefix, &[options], instead))
}

fn hand_on<'env>(
    env: &'env Env,
    name: &CStr,
    prefix: &Unknown<'env>,
    rest: &[Unknown<'env>],
    instead: &str,
) -> Result<'env, Unknown<'env>> {
    let prefix = path::cloud(env, "prefix", prefix, instead)?;
    peer::call(env, &prefix.shown, name, &[&[prefix.given], rest].concat())
}
