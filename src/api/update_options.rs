//! The options of an update of a file, checked.

use std::time::Duration;

use engine::index::file::UpdateOptions as EngineOptions;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::api::atomic_index_update::UpdateOptions;
use crate::api::backup;
use crate::api::index_text::parse_text;
use crate::api::options::{Checked, WriteOptions, milliseconds};
use crate::js::index::format::Format;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{FilePath, Once, Result, args, members, raw};

/// The options of an update or of a patch, as they are given.
#[derive(Default)]
pub struct Given<'env> {
    /// Only a patch has it.
    pub wait: Option<Unknown<'env>>,
    /// Those of an update.
    pub own: UpdateOptions<'env>,
    /// Those that a write has as well.
    pub shared: WriteOptions<'env>,
}

/// Each is read once.
pub fn read<'env>(env: &'env Env, options: &Unknown<'_>) -> Result<'env, Given<'env>> {
    thread_local! {
        static READER: Once = const { Once::new() };
    }
    match raw::type_of(options) {
        ValueType::Undefined | ValueType::Null => return Ok(Given::default()),
        ValueType::Object => {}
        _ => return Err(args::wrong_type(env, "options", "of type Object", options)),
    }
    let names = [
        "wait",
        "initial",
        "space",
        "keep",
        "numbers",
        "backup",
        "timeout",
        "fnTimeout",
        "network",
        "codec",
        "schema",
        "migrate",
        "onCorrupt",
        "mode",
        "flush",
        "verify",
        "mkdir",
        "fallback",
        "publish",
        "signal",
    ];
    let [wait, initial, space, keep, numbers, backup, timeout, fn_timeout, network, codec, given @ ..] =
        members::read(env, &READER, names, options)?;
    let [schema, migrate, on_corrupt, mode, flush, verify, mkdir, fallback, publish, signal] = given;
    Ok(Given {
        wait,
        own: UpdateOptions {
            initial,
            space,
            keep,
            numbers,
            backup,
            timeout,
            fn_timeout,
            network,
            codec,
            schema,
            migrate,
            on_corrupt,
        },
        shared: WriteOptions { mode, flush, verify, mkdir, fallback, publish, signal, ..Default::default() },
    })
}

/// The option `wait`.
pub fn check_wait<'env>(env: &'env Env, given: Option<&Unknown<'_>>) -> Result<'env, ()> {
    let Some(wait) = given else { return Ok(()) };
    match args::word(env, wait)?.as_deref() {
        Some("accepted" | "applied") => Ok(()),
        _ => Err(args::wrong_value(env, "options.wait", "must be 'accepted' or 'applied'", wait)),
    }
}

/// How long a run of the function may take.
pub fn fn_timeout<'env>(env: &'env Env, own: &UpdateOptions<'_>) -> Result<'env, Option<Duration>> {
    let given = own.fn_timeout.as_ref();
    given.map(|_| milliseconds(env, "options.fnTimeout", given, Duration::ZERO)).transpose()
}

/// Whether functions get a frozen value, which is kept.
pub fn keeps_value<'env>(env: &'env Env, own: &UpdateOptions<'_>, format: &Format) -> Result<'env, bool> {
    let Some(given) = &own.keep else { return Ok(false) };
    match args::word(env, given)?.as_deref() {
        Some("text") => Ok(false),
        Some("value") => Ok(*format == Format::Json),
        _ => Err(args::wrong_value(env, "options.keep", "must be 'text' or 'value'", given)),
    }
}

/// How to read and write an index.
pub fn parse<'env>(
    env: &'env Env,
    path: &FilePath,
    own: &UpdateOptions<'env>,
    shared: &WriteOptions<'_>,
) -> Result<'env, ParsedUpdate> {
    let shared = WriteOptions {
        mode: shared.mode,
        flush: shared.flush,
        verify: shared.verify,
        mkdir: shared.mkdir,
        fallback: shared.fallback,
        publish: shared.publish,
        ..WriteOptions::default()
    };
    let Checked { commit, mkdir } = shared.check(env)?;
    let backup = backup::parse(env, own.backup.as_ref(), path)?;
    let network = network(env, own.network.as_ref())?;
    let text = parse_text(env, own)?;
    let options = EngineOptions { commit, backup, mkdir, network, ..text.options };
    Ok(ParsedUpdate { options, ..text })
}

/// Whether the file may be on a network file system.
pub fn network<'env>(env: &'env Env, given: Option<&Unknown<'_>>) -> Result<'env, bool> {
    let Some(given) = given else { return Ok(false) };
    match args::word(env, given)?.as_deref() {
        Some("refuse") => Ok(false),
        Some("allow") => Ok(true),
        _ => Err(args::wrong_value(env, "options.network", "must be 'refuse' or 'allow'", given)),
    }
}
