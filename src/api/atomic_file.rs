//! `AtomicFile`: one file, written piece by piece, replaced as a whole.

use std::rc::Rc;

use engine::write::Receipt;
use napi::bindgen_prelude::{This, Unknown};
use napi::{Env, JsValue as _, ValueType};
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::file::handle::{self, File, OpenArgs};
use crate::js::file::writable;
use crate::js::value::thrown::invalid_state;
use crate::js::value::{Encoding, Result, Signal, path, promise, raw};

/// A file that is written piece by piece and replaced as a whole: until {@link AtomicFile.commit} resolves, and after
/// any crash, every reader sees the old file, or none if there was none. Use it for content that is too large to be
/// held in memory, or that arrives over time.
///
/// What was written is not kept in memory: only a digest is, and the file is read back and compared with it.
///
/// ```ts
/// const file = await AtomicFile.open('sitemap.xml')
/// try {
///   for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
///   await file.commit()
/// } finally {
///   await file[Symbol.asyncDispose]() // gives the file up, unless it is committed
/// }
/// ```
///
/// TypeScript since 5.2 and Node.js since 24 can say the same with `await using`:
///
/// ```ts
/// await using file = await AtomicFile.open('sitemap.xml')
/// for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
/// await file.commit()
/// ```
///
/// Leaving the block without a commit, because of an exception for example, leaves the old file unchanged and nothing
/// beside it. A file that is neither committed nor aborted is given up when it is garbage-collected. If the process
/// exits or is killed before, the operating system frees the file, or the next process that writes into the directory
/// removes it.
///
/// Methods reject with an {@link AtomicError} as {@link atomicWrite} does. A method that is called at the wrong time
/// (a write after the commit, a second commit) rejects with `ERR_INVALID_STATE` and changes nothing.
#[napi]
pub struct AtomicFile {
    file: Rc<File>,
}

#[napi]
impl AtomicFile {
    /// Follows `path`, creates missing parent directories and starts a file beside the target that no reader sees.
    ///
    /// The options are those of {@link atomicWrite}; a string is the encoding. `flag: 'wx'` is checked here and
    /// decided by the commit. An abort of `signal` gives the file up, until it has its name.
    ///
    /// At most a quarter of the descriptors that the process may have are used for open files. Another one waits up
    /// to ten seconds for one of them to be committed or aborted, and then rejects with `EMFILE`.
    #[napi(
        ts_args_type = "path: PathLike, options?: Omit<WriteOptions, 'fallback' | 'ifVersion' | 'backup' | keyof CloudOptions> | BufferEncoding | null",
        ts_return_type = "Promise<AtomicFile>"
    )]
    pub fn open<'env>(
        env: &'env Env,
        path: Unknown<'env>,
        options: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        promise::answer(env, open(env, &path, options))
    }

    /// Appends `chunk`, in the order of the calls. The chunk is copied during the call. `encoding` is that of this
    /// string, by default the one of the options. The promise resolves when there is room for more: if you await each
    /// write, no more than about 1 MiB and one chunk is in memory.
    ///
    /// A resolved write does not mean that the data is on disk: only a resolved {@link AtomicFile.commit} does. After
    /// a failure (a full disk) the file is given up, and every later method but `abort` rejects with that failure, so
    /// it is not lost if a write was not awaited; such a write causes no unhandled rejection. A chunk that is refused
    /// itself (a number, half of a surrogate pair) is not written and changes nothing else.
    #[napi(ts_args_type = "chunk: Data, encoding?: BufferEncoding", ts_return_type = "Promise<void>")]
    pub fn write<'env>(
        &self,
        env: &'env Env,
        chunk: Unknown<'env>,
        encoding: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        let encoding = Some(&encoding).filter(|encoding| raw::type_of(encoding) != ValueType::Undefined);
        promise::answer(env, self.file.write(env, &chunk, encoding))
    }

    /// The file as a stream, for `pipeTo` and `stream.pipeline`. Closing the stream ends the content and does not
    /// commit: a source that ended early would look complete. Aborting the stream, as `pipeTo` and `pipeline` do when
    /// the source fails, gives the file up. The method `pipe` of a Node.js stream does not write to web streams, and throws
    /// `ERR_INVALID_ARG_TYPE` here: `await Readable.toWeb(readable).pipeTo(file.writable)` does, and reports errors of both. While the stream is locked, holds chunks that it has not passed on, or
    /// has failed, a commit is refused with `ERR_INVALID_STATE`.
    #[napi(getter, ts_return_type = "WritableStream<Data>")]
    pub fn writable<'env>(&self, env: &'env Env, this: This<'env>) -> napi::Result<Unknown<'env>> {
        promise::or_throw(env, stream(env, &self.file, &this))
    }

    /// Waits for all writes, flushes the file, reads it back and gives it its name, as {@link atomicWrite} does.
    /// Among the writes to one file, its place is that of this call.
    ///
    /// If it rejects, the old file is unchanged unless `error.committed === true`, and this file is given up. If its
    /// directory was replaced or removed in the meantime, or before this resolves, it rejects with `ENOENT`.
    #[napi(ts_return_type = "Promise<WriteResult>")]
    pub fn commit<'env>(&self, env: &'env Env, this: This<'env>) -> napi::Result<Unknown<'env>> {
        promise::answer(env, commit(env, &self.file, &this))
    }

    /// Gives the file up: when the promise resolves, nothing of it is left. A commit that is running is stopped and
    /// rejects with an `AbortError`. If the file has its name already, this rejects with `ERR_INVALID_STATE`. A
    /// second abort does nothing.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn abort<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.file.abort(env))
    }

    /// What `await using` calls at the end of its block: waits for a commit that is running, and gives the file up if
    /// it is not committed.
    #[napi(well_known_symbol = "asyncDispose", ts_return_type = "Promise<void>")]
    pub fn dispose<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.file.dispose(env))
    }
}

fn open<'env>(env: &'env Env, path: &Unknown<'env>, options: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path =
        path::local(env, "path", path, "an object is written as a whole; pass its content to atomicWrite")?;
    let options = WriteOptions::read(env, options)?;
    options.check_without_fallback(env)?;
    options.check_for_files(env)?;
    let Checked { commit, mkdir } = options.check(env)?;
    let encoding = Encoding::parse(env, options.encoding.as_ref())?;
    let signal = Signal::attach(env, options.signal.as_ref())?;
    let given =
        OpenArgs { shown: path.shown, path: path.absolute, options: commit, mkdir, encoding, signal, answer };
    handle::open(env, given, wrap)
}

fn wrap(env: &Env, file: Rc<File>) -> Result<'_, Unknown<'_>> {
    raw::to_js(env, AtomicFile { file })
}

fn answer(env: &Env, receipt: Receipt) -> Result<'_, Unknown<'_>> {
    WriteResult::from(receipt).to_js(env)
}

/// Made when it is first asked for, and then the object's own.
fn stream<'env>(env: &'env Env, file: &Rc<File>, this: &This<'env>) -> Result<'env, Unknown<'env>> {
    let stream = writable::stream(env, file)?;
    raw::define(env, &object(env, this), c"writable", &stream)?;
    file.streams();
    Ok(stream)
}

fn commit<'env>(env: &'env Env, file: &Rc<File>, this: &This<'env>) -> Result<'env, Unknown<'env>> {
    if file.is_streaming() && writable::is_in_use(env, &raw::get(env, &object(env, this), c"writable")?)? {
        return Err(invalid_state(
            env,
            "the stream of the file is locked or has failed: wait until it is closed, or abort the file",
        ));
    }
    file.commit(env)
}

/// The object that a method was called on.
fn object<'env>(env: &'env Env, this: &This<'env>) -> Unknown<'env> {
    // SAFETY: a value of the current scope.
    unsafe { Unknown::from_raw_unchecked(env.raw(), this.object.raw()) }
}
