//! Arguments, checked as `node:fs` checks them and refused in its words.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use engine::dir::target::{LONGEST_PATH, path_from_bytes};
use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, ValueType};

use crate::js::value::thrown::{Result, Thrown, type_error};
use crate::js::value::{copy, raw};

/// A file's name: where it is, and what the caller calls it.
#[derive(Clone, Debug)]
pub struct FilePath {
    /// Absolute: a later `process.chdir` does not change what the call meant.
    pub absolute: PathBuf,
    /// For messages.
    pub shown: String,
}

/// `ERR_INVALID_ARG_TYPE`.
pub fn wrong_type<'env>(env: &'env Env, name: &str, expected: &str, got: &Unknown<'_>) -> Thrown<'env> {
    let what = if name.contains('.') { "property" } else { "argument" };
    let message = format!("The \"{name}\" {what} must be {expected}. Received {}", describe(env, got));
    type_error(env, "ERR_INVALID_ARG_TYPE", &message)
}

/// `ERR_INVALID_ARG_VALUE`.
pub fn wrong_value<'env>(env: &'env Env, name: &str, reason: &str, got: &Unknown<'_>) -> Thrown<'env> {
    let what = if name.contains('.') { "property" } else { "argument" };
    let message = format!("The {what} '{name}' {reason}. Received {}", describe(env, got));
    type_error(env, "ERR_INVALID_ARG_VALUE", &message)
}

/// A string, the bytes of a name, or a `file:` URL.
pub fn path<'env>(env: &'env Env, name: &str, path: &Unknown<'_>) -> Result<'env, FilePath> {
    path_with(env, name, path, absolute)
}

/// As [`path`]; what is relative is below `base`.
pub fn path_in<'env>(env: &'env Env, name: &str, path: &Unknown<'_>, base: &Path) -> Result<'env, FilePath> {
    path_with(env, name, path, |bytes| {
        let path = path_from_bytes(bytes)?;
        Some(if path.as_os_str().is_empty() { path } else { base.join(path) })
    })
}

fn path_with<'env>(
    env: &'env Env,
    name: &str,
    path: &Unknown<'_>,
    absolute: impl FnOnce(Vec<u8>) -> Option<PathBuf>,
) -> Result<'env, FilePath> {
    let bytes = match raw::type_of(path) {
        ValueType::String => copy::text(env, path)?.into_bytes(),
        ValueType::Object if copy::is_uint8_array(env, path) => copy::bytes(env, path).unwrap_or_default(),
        ValueType::Object => match url(env, path)? {
            Some(bytes) => bytes,
            None => return Err(not_a_path(env, name, path)),
        },
        _ => return Err(not_a_path(env, name, path)),
    };
    if bytes.contains(&0) {
        return Err(wrong_value(env, name, "must be a string, Uint8Array, or URL without null bytes", path));
    }
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    match absolute(bytes) {
        Some(absolute) => Ok(FilePath { absolute, shown }),
        None => Err(wrong_value(env, name, "must be a path that is valid on this system", path)),
    }
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

/// As `url.fileURLToPath`; like Node, by its looks, for a URL may come from another realm.
fn url<'env>(env: &'env Env, url: &Unknown<'_>) -> Result<'env, Option<Vec<u8>>> {
    let kind = |name| raw::get(env, url, name).map(|part| raw::type_of(&part));
    if kind(c"href")? != ValueType::String
        || kind(c"protocol")? != ValueType::String
        || kind(c"auth")? != ValueType::Undefined
    {
        return Ok(None);
    }
    let part = |name| raw::get(env, url, name).and_then(|part| copy::text(env, &part));
    if part(c"protocol")? != "file:" {
        return Err(type_error(env, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file"));
    }
    let (host, pathname) = (part(c"hostname")?, part(c"pathname")?);
    let windows = MAIN_SEPARATOR == '\\';
    let lower = pathname.to_ascii_lowercase();
    if lower.contains("%2f") || windows && lower.contains("%5c") {
        let message = "File URL path must not include encoded / characters";
        return Err(type_error(env, "ERR_INVALID_FILE_URL_PATH", message));
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(&pathname).collect();
    match (windows, host.as_str()) {
        (false, "") => Ok(Some(decoded)),
        (false, _) => {
            let message = "File URL host must be \"localhost\" or empty";
            Err(type_error(env, "ERR_INVALID_FILE_URL_HOST", message))
        }
        // `/C:/x` is `C:\x`, and a host makes it a share's.
        (true, host) => {
            let path = String::from_utf8_lossy(&decoded).replace('/', "\\");
            let share = if host.is_empty() { String::new() } else { format!("\\\\{host}\\") };
            Ok(Some(format!("{share}{}", path.trim_start_matches('\\')).into_bytes()))
        }
    }
}

/// An options object, read once. `undefined` and `null` mean none.
pub fn options<'env, T: FromNapiValue>(
    env: &'env Env,
    expected: &str,
    options: &Unknown<'_>,
) -> Result<'env, Option<T>> {
    match raw::type_of(options) {
        ValueType::Undefined | ValueType::Null => Ok(None),
        ValueType::Object => raw::convert(env, options).map(Some),
        _ => Err(wrong_type(env, "options", expected, options)),
    }
}

/// `true` or `false`.
pub fn boolean<'env>(
    env: &'env Env,
    name: &str,
    given: Option<&Unknown<'_>>,
    default: bool,
) -> Result<'env, bool> {
    match given {
        None => Ok(default),
        Some(given) if raw::type_of(given) == ValueType::Boolean => {
            Ok(raw::from_js(env, given).unwrap_or(default))
        }
        Some(given) => Err(wrong_type(env, name, "of type boolean", given)),
    }
}

/// Permission bits: a number, or a string of octal digits.
pub fn mode<'env>(env: &'env Env, given: Option<&Unknown<'_>>) -> Result<'env, Option<u32>> {
    let Some(given) = given else { return Ok(None) };
    let mode = match raw::type_of(given) {
        ValueType::Number => raw::from_js::<f64>(env, given)
            .filter(|mode| mode.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(mode))
            .map(|mode| mode as u32),
        ValueType::String => {
            u32::from_str_radix(&copy::text(env, given)?, 8).ok().filter(|mode| *mode <= 0o7777)
        }
        _ => return Err(wrong_type(env, "options.mode", "of type number or string", given)),
    };
    let octal = "must be permission bits as a number or as a string of octal digits";
    // What `fs.stat` calls a mode has the file's type in it as well.
    mode.map(|mode| Some(mode & 0o7777)).ok_or_else(|| wrong_value(env, "options.mode", octal, given))
}

/// A text, or `None` for a value that is no string.
pub fn word<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Option<String>> {
    match raw::type_of(given) {
        ValueType::String => copy::text(env, given).map(Some),
        _ => Ok(None),
    }
}

/// A function.
pub fn function<'env>(env: &'env Env, name: &str, given: &Unknown<'_>) -> Result<'env, ()> {
    match raw::type_of(given) {
        ValueType::Function => Ok(()),
        _ => Err(wrong_type(env, name, "of type function", given)),
    }
}

/// A value in the words that Node uses in its messages.
pub fn describe(env: &Env, what: &Unknown<'_>) -> String {
    describe_or_throw(env, what).unwrap_or_else(|_| "a value that cannot be shown".to_owned())
}

fn describe_or_throw<'env>(env: &'env Env, what: &Unknown<'_>) -> Result<'env, String> {
    let name_of = |value: &Unknown<'_>| raw::get(env, value, c"name").and_then(|name| copy::text(env, &name));
    Ok(match raw::type_of(what) {
        ValueType::Undefined => "undefined".to_owned(),
        ValueType::Null => "null".to_owned(),
        ValueType::Function => format!("function {}", name_of(what).unwrap_or_default()),
        ValueType::Object => match raw::get(env, what, c"constructor").and_then(|class| name_of(&class)) {
            Ok(class) if !class.is_empty() => format!("an instance of {class}"),
            _ => "an object".to_owned(),
        },
        ValueType::Symbol => "type symbol".to_owned(),
        ValueType::String => {
            let text = copy::text(env, what)?;
            let short: String = text.chars().take(25).collect();
            let more = if short.len() < text.len() { "..." } else { "" };
            format!("type string ('{}'{more})", short.replace('\0', "\\x00"))
        }
        kind => {
            let name = format!("{kind:?}").to_lowercase();
            let shown = raw::call(env, &raw::undefined(env), &raw::global(env, c"String")?, &[*what])?;
            format!("type {name} ({})", copy::text(env, &shown)?)
        }
    })
}
