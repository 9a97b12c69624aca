//! `AtomicFile`: one file, written piece by piece, replaced as a whole.

use std::rc::Rc;

use engine::write::options::Receipt;
use napi::bindgen_prelude::{This, Unknown};
use napi::{Env, JsValue as _, ValueType};
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::file::handle::{self, File, OpenArgs};
use crate::js::file::writable;
use crate::js::value::data::Encoding;
use crate::js::value::signal::Signal;
use crate::js::value::thrown::{Result, invalid_state};
use crate::js::value::{args, promise, raw};

/// A file that is written piece by piece and takes its place as a whole: until {@link AtomicFile.commit}
/// resolves, and after any crash, every reader finds the old file or none.
///
/// What was written is not kept in memory: a digest is, and the file is read back against it.
///
/// ```ts
/// await using file = await AtomicFile.open('sitemap.xml')
/// for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
/// await file.commit()
/// ```
///
/// Leaving the block without a commit, by an exception say, leaves the old file and nothing else. Without
/// `await using` call {@link AtomicFile.abort} yourself; a file that is forgotten is given up when it is
/// collected, and one that a process had open when it exited or was killed is gone, or swept away by the
/// next process that writes there.
///
/// Rejections look as those of {@link atomicWrite}. A method that does not go with what was done before
/// (a write after the commit, a second commit) rejects with `ERR_INVALID_STATE` and changes nothing.
#[napi]
pub struct AtomicFile {
    file: Rc<File>,
}

#[napi]
impl AtomicFile {
    /// Follows `path`, makes missing directories and starts a file beside it, which nobody sees.
    /// The options are those of {@link atomicWrite}; a string is the encoding. `flag: 'wx'` is looked at
    /// here, and decided by the commit; so is whether the directory is still where it was (`ENOENT`). An abort of
    /// `signal` gives the file up.
    ///
    /// A quarter of the descriptors that the process may have can be open files. One more waits up to ten
    /// seconds for another to be let go, and rejects with `EMFILE` then.
    #[napi(
        ts_args_type = "path: PathLike, options?: WriteOptions | BufferEncoding | null",
        ts_return_type = "Promise<AtomicFile>"
    )]
    pub fn open<'env>(
        env: &'env Env,
        path: Unknown<'env>,
        options: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        promise::answer(env, open(env, &path, options))
    }

    /// Appends, in call order. The data is copied at the call. Resolves when there is room for more: await
    /// it, and memory stays bounded by about a megabyte and what one call is given.
    ///
    /// That the data has been written is not said before {@link AtomicFile.commit} resolves. After a
    /// failure (a full disk) the file is given up, and all methods but `abort` reject with that failure, so
    /// that a write that nobody awaited is not lost; not awaiting one is no unhandled rejection then. A chunk
    /// that is refused itself (no data, half of a surrogate pair) is only not written.
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

    /// The file as a stream, for `pipeTo` and `stream.pipeline`. Closing it ends the content and does not
    /// commit; aborting it gives the file up. A commit before it is closed is refused (`ERR_INVALID_STATE`)
    /// while the stream is locked, has chunks that it has not passed on, or has failed.
    #[napi(getter, ts_return_type = "WritableStream<Data>")]
    pub fn writable<'env>(&self, env: &'env Env, this: This<'env>) -> napi::Result<Unknown<'env>> {
        promise::or_throw(env, stream(env, &self.file, &this))
    }

    /// Waits for all writes, flushes the file, reads it back, and puts it under its name: what
    /// {@link atomicWrite} does when it has written. Its place among the writes to one file is that of
    /// this call. After a rejection the old file is there, unless `error.committed === true`, and this
    /// one is given up.
    #[napi(ts_return_type = "Promise<WriteResult>")]
    pub fn commit<'env>(&self, env: &'env Env, this: This<'env>) -> napi::Result<Unknown<'env>> {
        promise::answer(env, commit(env, &self.file, &this))
    }

    /// Gives the file up: nothing of it is left when this resolves. A commit that is under way is stopped,
    /// and rejects with an `AbortError`, unless it has come too far: then this rejects, as it does after
    /// a commit.
    /// Aborting twice does nothing.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn abort<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.file.abort(env))
    }

    /// What `await using` calls: gives the file up, unless it is committed; waits for a commit that is
    /// under way.
    #[napi(well_known_symbol = "asyncDispose", ts_return_type = "Promise<void>")]
    pub fn dispose<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise::answer(env, self.file.dispose(env))
    }
}

fn open<'env>(env: &'env Env, path: &Unknown<'_>, options: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path = args::path(env, "path", path)?;
    let options = WriteOptions::read(env, options)?;
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
    raw::to_js(env, WriteResult::from(receipt))
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
        return Err(invalid_state(env, "the stream of the file is in use, or has failed"));
    }
    file.commit(env)
}

/// The object that a method was called on.
fn object<'env>(env: &'env Env, this: &This<'env>) -> Unknown<'env> {
    // SAFETY: a value of the current scope.
    unsafe { Unknown::from_raw_unchecked(env.raw(), this.object.raw()) }
}
