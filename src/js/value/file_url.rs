//! The path of a `file:` URL, as `url.fileURLToPath` takes it out. Plain Rust: `fuzz/` takes this file in.

use percent_encoding::percent_decode_str;

/// Why a URL stands for no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A name would have a separator in it.
    EncodedSeparator,
    /// It is on another machine.
    Host,
}

/// The bytes of the path, of a URL's `hostname` and `pathname`.
pub fn path(host: &str, pathname: &str, windows: bool) -> Result<Vec<u8>, Fault> {
    if !windows && !host.is_empty() {
        return Err(Fault::Host);
    }
    let lower = pathname.to_ascii_lowercase();
    if lower.contains("%2f") || windows && lower.contains("%5c") {
        return Err(Fault::EncodedSeparator);
    }
    let decoded: Vec<u8> = percent_decode_str(pathname).collect();
    if !windows {
        return Ok(decoded);
    }
    // `/C:/x` is `C:\x`, and a host makes it a share's.
    let path = String::from_utf8_lossy(&decoded).replace('/', "\\");
    let share = if host.is_empty() { String::new() } else { format!("\\\\{host}\\") };
    Ok(format!("{share}{}", path.trim_start_matches('\\')).into_bytes())
}

#[cfg(any(test, fuzzing))]
#[path = "file_url_fuzz.rs"]
pub mod fuzz;
