//! Paths: of files, checked as `node:fs` checks them, and of objects in stores, which begin with `s3://`, `az://` or `gs://`.
//!
//! A function says at once which of the two it takes, so that no URL of a store becomes a directory named `s3:`.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use engine::dir::target::{LONGEST_PATH, path_from_bytes};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::value::args::{wrong_type, wrong_value};
use crate::js::value::file_url::{self, Fault};
use crate::js::value::thrown::{self, Result, Thrown, type_error};
use crate::js::value::{copy, raw};

/// A file's name: where it is, and what the caller calls it.
#[derive(Clone, Debug)]
pub struct FilePath {
    /// Absolute: a later `process.chdir` does not change what the call meant.
    pub absolute: PathBuf,
    /// For messages.
    pub shown: String,
}

/// An object's name, as the caller gave it.
#[derive(Clone)]
pub struct CloudPath<'env> {
    /// What the peer is to be given: a string or a URL.
    pub given: Unknown<'env>,
    /// For messages: without a password and without what is after a question mark, which may be a signature.
    pub shown: String,
}

/// What a path leads to.
pub enum Target<'env> {
    /// A file.
    Local(FilePath),
    /// An object in a store.
    Cloud(CloudPath<'env>),
}

impl FilePath {
    /// What the caller would call the file at `path`: as they wrote their own, if the two are side by side. Behind a link they have
    /// no name for it, and get the absolute path.
    pub fn beside(&self, path: &Path) -> String {
        let name = path.file_name().filter(|_| path.parent() == self.absolute.parent());
        match (name, Path::new(&self.shown).parent()) {
            (Some(name), Some(folder)) => folder.join(name).to_string_lossy().into_owned(),
            _ => path.to_string_lossy().into_owned(),
        }
    }
}

/// The protocols of object stores.
const SCHEMES: [&str; 3] = ["s3:", "az:", "gs:"];

/// A string, the bytes of a name, a `file:` URL, or the URL of an object in a store.
pub fn target<'env>(env: &'env Env, name: &str, path: &Unknown<'env>) -> Result<'env, Target<'env>> {
    target_with(env, name, path, absolute)
}

/// As [`target`], for functions of files only; `instead` says what to do with an object.
pub fn local<'env>(
    env: &'env Env,
    name: &str,
    path: &Unknown<'env>,
    instead: &str,
) -> Result<'env, FilePath> {
    target(env, name, path)?.local(env, instead)
}

/// As [`local`]; what is relative is below `base`.
pub fn local_in<'env>(
    env: &'env Env,
    name: &str,
    path: &Unknown<'env>,
    base: &Path,
    instead: &str,
) -> Result<'env, FilePath> {
    let below = |bytes| {
        let path = path_from_bytes(bytes)?;
        Some(if path.as_os_str().is_empty() { path } else { base.join(path) })
    };
    target_with(env, name, path, below)?.local(env, instead)
}

/// As [`target`], for functions of stores only; `instead` says what to do with a file.
pub fn cloud<'env>(
    env: &'env Env,
    name: &str,
    path: &Unknown<'env>,
    instead: &str,
) -> Result<'env, CloudPath<'env>> {
    match target(env, name, path)? {
        Target::Cloud(path) => Ok(path),
        Target::Local(path) => Err(unsupported(env, instead, &path.shown)),
    }
}

impl<'env> Target<'env> {
    /// What the caller calls it, for messages.
    pub fn shown(&self) -> &str {
        match self {
            Self::Local(path) => &path.shown,
            Self::Cloud(path) => &path.shown,
        }
    }

    fn local(self, env: &'env Env, instead: &str) -> Result<'env, FilePath> {
        match self {
            Self::Local(path) => Ok(path),
            Self::Cloud(path) => Err(path.unsupported(env, instead)),
        }
    }
}

impl CloudPath<'_> {
    /// `ERR_ATOMIC_UNSUPPORTED`; `instead` says what to do.
    pub fn unsupported<'env>(&self, env: &'env Env, instead: &str) -> Thrown<'env> {
        unsupported(env, instead, &self.shown)
    }
}

/// `ERR_ATOMIC_UNSUPPORTED`; `instead` says what to do with `shown`.
pub fn unsupported<'env>(env: &'env Env, instead: &str, shown: &str) -> Thrown<'env> {
    let code = "ERR_ATOMIC_UNSUPPORTED";
    thrown::error(env, &format!("{code}: {instead}, '{shown}'"))
        .with(env, c"code", code)
        .with(env, c"path", shown)
}

fn target_with<'env>(
    env: &'env Env,
    name: &str,
    path: &Unknown<'env>,
    absolute: impl FnOnce(Vec<u8>) -> Option<PathBuf>,
) -> Result<'env, Target<'env>> {
    let bytes = match raw::type_of(path) {
        ValueType::String => copy::text(env, path)?.into_bytes(),
        ValueType::Object if copy::is_uint8_array(env, path) => copy::bytes(env, path)?.unwrap_or_default(),
        ValueType::Object => match url(env, path)? {
            Some(Url::File(bytes)) => bytes,
            Some(Url::Cloud(href)) => return object(env, name, path, &href),
            None => return Err(not_a_path(env, name, path)),
        },
        _ => return Err(not_a_path(env, name, path)),
    };
    if bytes.contains(&0) {
        return Err(wrong_value(env, name, "must be a string, Uint8Array, or URL without null bytes", path));
    }
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    if is_cloud(&bytes) {
        return object(env, name, path, &shown);
    }
    if is_url(&bytes) {
        return Err(foreign(env, name, &shown));
    }
    match absolute(bytes) {
        Some(absolute) => Ok(Target::Local(FilePath { absolute, shown })),
        None => Err(wrong_value(env, name, "must be a path that is valid on this system", path)),
    }
}

/// Whether it begins with the protocol of a store and a slash. `s3:x` is a file.
fn is_cloud(path: &[u8]) -> bool {
    let Some((scheme, rest)) = path.split_at_checked(3) else { return false };
    rest.starts_with(b"/") && SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether it begins as a URL does: with a protocol of two letters at least, because `C:` is a drive, and two slashes.
fn is_url(path: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let length = path.iter().take_while(|byte| is_part(byte)).count();
    length > 1 && path[0].is_ascii_alphabetic() && path[length..].starts_with(b"://")
}

/// A URL of something else, as text: it would become a directory named after its protocol.
fn foreign<'env>(env: &'env Env, name: &str, url: &str) -> Thrown<'env> {
    let advice = if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:")) {
        "pass a file: URL as an instance of URL"
    } else {
        "objects in stores begin with s3://, az:// or gs:// (the option `endpoint` names a server)"
    };
    let url = without_secrets(url.split('#').next().unwrap_or_default());
    let message = format!(
        "The argument '{name}' must be a path, or a URL that is known: {advice}. A local directory of that name begins \
         with ./. Received '{url}'"
    );
    type_error(env, "ERR_INVALID_ARG_VALUE", &message)
}

fn object<'env>(env: &'env Env, name: &str, given: &Unknown<'env>, url: &str) -> Result<'env, Target<'env>> {
    if !url[3..].starts_with("//") {
        let reason = "must be a URL with two slashes, such as s3://bucket/key (path.join makes one of them), or begin \
                      with ./ for a local directory of that name";
        return Err(wrong_value(env, name, reason, given));
    }
    // The bytes of a name become text: the peer takes no others.
    let is_bytes = copy::is_uint8_array(env, given);
    let given = if is_bytes { raw::to_js(env, url)? } else { *given };
    Ok(Target::Cloud(CloudPath { given, shown: without_secrets(url) }))
}

fn without_secrets(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = url.split_once("//") else { return url.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    // A password may have slashes in it, and then it has no end if there is no `@`.
    let bare = match rest.rfind('@') {
        _ if !authority.contains([':', '@']) => rest,
        Some(at) => &rest[at + 1..],
        None => "",
    };
    format!("{scheme}//{bare}")
}

fn not_a_path<'env>(env: &'env Env, name: &str, got: &Unknown<'_>) -> Thrown<'env> {
    wrong_type(env, name, "of type string or an instance of Buffer or URL", got)
}

/// The empty path stays empty: it means no file, not the working directory.
fn absolute(bytes: Vec<u8>) -> Option<PathBuf> {
    let path = path_from_bytes(bytes)?;
    if path.as_os_str().is_empty() || path.is_absolute() {
        return Some(path);
    }
    // Joined as text: `link/..` is for the system to resolve. A working directory that is gone
    // leaves the path relative, and opening it fails as it should.
    let joined = std::env::current_dir().unwrap_or_default().join(&path);
    // Too long to be opened, while the relative path is not: a later `process.chdir` counts then.
    Some(if joined.as_os_str().len() > LONGEST_PATH { Path::new(".").join(path) } else { joined })
}

enum Url {
    /// The path that it stands for.
    File(Vec<u8>),
    /// Its text.
    Cloud(String),
}

/// As `url.fileURLToPath`; like Node, by its looks, for a URL may come from another realm.
fn url<'env>(env: &'env Env, url: &Unknown<'_>) -> Result<'env, Option<Url>> {
    let kind = |name| raw::get(env, url, name).map(|part| raw::type_of(&part));
    if kind(c"href")? != ValueType::String
        || kind(c"protocol")? != ValueType::String
        || kind(c"auth")? != ValueType::Undefined
    {
        return Ok(None);
    }
    let part = |name| raw::get(env, url, name).and_then(|part| copy::text(env, &part));
    let protocol = part(c"protocol")?;
    if SCHEMES.contains(&protocol.as_str()) {
        let href = part(c"href")?;
        return Ok(is_cloud(href.as_bytes()).then_some(Url::Cloud(href)));
    }
    if protocol != "file:" {
        return Err(type_error(env, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file"));
    }
    let (host, pathname) = (part(c"hostname")?, part(c"pathname")?);
    let fault = match file_url::path(&host, &pathname, MAIN_SEPARATOR == '\\') {
        Ok(path) => return Ok(Some(Url::File(path))),
        Err(fault) => fault,
    };
    let (code, message) = match fault {
        Fault::EncodedSeparator => {
            ("ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters")
        }
        Fault::Host => ("ERR_INVALID_FILE_URL_HOST", "File URL host must be \"localhost\" or empty"),
    };
    Err(type_error(env, code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_its_protocol_and_a_slash() {
        for store in ["s3://b/k", "AZ://c", "gs:/b/k"] {
            assert!(is_cloud(store.as_bytes()), "{store}");
        }
        for file in ["./s3://b/k", "/tmp/s3://b", "s3:", "s3:k", "s3", "", "file:///a", "C:/a"] {
            assert!(!is_cloud(file.as_bytes()), "{file}");
        }
    }

    #[test]
    fn a_url_is_known_by_its_protocol_and_two_slashes() {
        for url in ["https://b/k", "gcs://b", "s3a://b/k", "File:///a", "git+ssh://x"] {
            assert!(is_url(url.as_bytes()), "{url}");
        }
        for file in
            ["", "./gcs://b", "/tmp/a://b", "a b://c", "C://a", "gcs:/b", "gcs:b", "://a", "1a://b", "ü://a"]
        {
            assert!(!is_url(file.as_bytes()), "{file}");
        }
    }

    #[test]
    fn a_file_beside_the_callers_is_called_as_that_is() {
        for (shown, absolute, path, expected) in [
            ("i", "/d/i", "/d/i.x", "i.x"),
            ("./i", "/d/./i", "/d/./i.x", "./i.x"),
            ("../e/i", "/d/../e/i", "/d/../e/i.x", "../e/i.x"),
            ("/d/i", "/d/i", "/d/i.x", "/d/i.x"),
            ("i", "/d/i", "/d/e/target.x", "/d/e/target.x"),
        ] {
            let file = FilePath { absolute: absolute.into(), shown: shown.to_owned() };
            assert_eq!(file.beside(Path::new(path)), expected);
        }
    }

    #[test]
    fn messages_have_no_secrets() {
        for (url, shown) in [
            ("s3://b/k", "s3://b/k"),
            ("s3://b/k@1", "s3://b/k@1"),
            ("s3://id:secret@b/k", "s3://b/k"),
            ("s3://id:se/cret@b/k", "s3://b/k"),
            ("s3://id:se/cret", "s3://"),
            ("az://c/k?sig=secret", "az://c/k"),
            ("gs://b@c", "gs://c"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
