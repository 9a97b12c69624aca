//! The option `onCorrupt` of an update: a broken index is recovered, and then updated.
//!
//! Only a call that has failed pays for that. It comes back as a recovery of its own and then as a new call.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::index::file::UpdateOptions as EngineOptions;
use engine::index::hold_job::HoldOptions;
use engine::steps::{self, Steps};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::api::{atomic_index_update, read_index, recover_index, start_update};
use crate::js::index::call::{self, Change, Request};
use crate::js::index::format::Format;
use crate::js::index::lock::AcquireArgs;
use crate::js::index::others::Ties;
use crate::js::index::recover::Recovery;
use crate::js::index::schema::Schema;
use crate::js::index::view::Maker;
use crate::js::inside;
use crate::js::value::{FilePath, Kept, Result, Signal, Target, Thrown, args, copy, promise, raw};

/// What to do for a broken object in a store.
const INSTEAD: &str = "an object in a store is not recovered by onCorrupt; let the bucket keep versions, and put an earlier one back";

/// What to recover an index with.
pub struct OnCorrupt {
    /// The caller's function.
    rebuild: Option<Kept>,
}

/// A call for a file, to be made once more.
pub struct Again {
    pub path: FilePath,
    pub on_corrupt: OnCorrupt,
    pub function: Kept,
    /// The function is that of an update which does the same as the patch that this one makes.
    pub maker: Option<Kept>,
    /// Whether the function is a patch.
    pub is_patch: bool,
    pub initial: Option<Vec<u16>>,
    pub options: EngineOptions,
    pub format: Format,
    pub schema: Option<Schema>,
    /// The caller's.
    pub signal: Option<Kept>,
    pub since: Instant,
    pub timeout: Duration,
    pub fn_timeout: Option<Duration>,
    pub keeps_value: bool,
    /// How long its steps take, if anyone wants to know.
    pub traced: Option<Arc<Steps>>,
}

/// `options.onCorrupt`; `None`: the call is to reject.
pub fn parse<'env>(
    env: &'env Env,
    given: Option<&Unknown<'_>>,
    target: &Target<'env>,
) -> Result<'env, Option<OnCorrupt>> {
    let Some(given) = given else { return Ok(None) };
    let rebuild = if raw::type_of(given) == ValueType::Function {
        Some(Kept::new(env, given)?)
    } else {
        match args::word(env, given)?.as_deref() {
            Some("reject") => return Ok(None),
            Some("recover") => None,
            _ => {
                let expected = "must be 'reject', 'recover' or a function that makes an index";
                return Err(args::wrong_value(env, "options.onCorrupt", expected, given));
            }
        }
    };
    match target {
        Target::Local(_) => Ok(Some(OnCorrupt { rebuild })),
        Target::Cloud(path) => Err(path.unsupported(env, INSTEAD)),
    }
}

impl Again {
    /// What the call that is over with `error` comes to.
    pub fn recover<'env>(self, env: &'env Env, error: Unknown<'env>) -> Result<'env, Unknown<'env>> {
        if !is_of_a_broken_index(env, &error)? {
            return Err(Thrown(error));
        }
        let signal = self.attach(env)?;
        let Self { path, options, format, schema, initial, .. } = &self;
        let hold = HoldOptions {
            mkdir: options.mkdir,
            network: options.network,
            in_place: options.commit.in_place,
            timeout: self.time_left(),
            cancel: signal.cancel(),
        };
        let options = EngineOptions { backup: None, space: None, ..options.clone() };
        let recovery = Recovery {
            read: read_index::from_file(path.clone(), options.clone(), format.clone(), None),
            options,
            format: format.clone(),
            schema: schema.clone(),
            initial: initial.clone(),
            rebuild: match &self.on_corrupt.rebuild {
                Some(rebuild) => Some(Kept::new(env, &rebuild.get(env)?)?),
                None => None,
            },
            timeout: atomic_index_update::DEFAULT_TIMEOUT,
            signal: Rc::new(self.attach(env)?),
            traced: self.traced.clone(),
            has_its_own_lock: true,
        };
        let args = AcquireArgs { paths: vec![path.clone()], options: hold, signal };
        let traced = self.traced.clone();
        let recover = || recover_index::under_its_lock(env, args, recovery);
        let recovered = steps::scope(traced.as_ref(), recover)?;
        promise::then(env, &recovered, move |env, _| steps::scope(traced.as_ref(), || self.update(env)))
    }

    fn update(self, env: &Env) -> Result<'_, Unknown<'_>> {
        let (signal, timeout) = (self.attach(env)?, self.time_left());
        let Self { path, function, maker, is_patch, initial, options, format, schema, .. } = self;
        let since = Instant::now();
        let request = Request {
            id: call::next_id(),
            change: match maker {
                Some(maker) => Change::View(Maker { function: maker, same: function }),
                None => Change::Call(function),
            },
            is_patch,
            shown: path.shown.clone(),
            initial,
            options,
            format,
            schema,
            inside: inside::current(env),
            signal,
            since,
            deadline: since.checked_add(timeout),
            keeps_value: self.keeps_value,
            fn_timeout: self.fn_timeout,
            steps: steps::current(),
            ties: Ties::default(),
            store: String::new(),
        };
        start_update::start_file(env, path.absolute, request, timeout)
    }

    fn attach<'env>(&self, env: &'env Env) -> Result<'env, Signal> {
        let signal = self.signal.as_ref().map(|signal| signal.get(env)).transpose()?;
        Signal::attach(env, signal.as_ref())
    }

    fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.since.elapsed())
    }
}

/// Whether the index could not be used, as far as the error tells, and nothing was written.
fn is_of_a_broken_index<'env>(env: &'env Env, error: &Unknown<'_>) -> Result<'env, bool> {
    if !raw::is_error(env, error) || raw::from_js(env, &raw::get(env, error, c"committed")?) == Some(true) {
        return Ok(false);
    }
    let word = |name| -> Result<'env, String> {
        let word = raw::get(env, error, name)?;
        if raw::type_of(&word) == ValueType::String { copy::text(env, &word) } else { Ok(String::new()) }
    };
    Ok(match word(c"code")?.as_str() {
        "ERR_ATOMIC_CORRUPT_INDEX" | "ERR_ATOMIC_SCHEMA" => true,
        "EIO" => word(c"syscall")? == "read",
        _ => false,
    })
}
