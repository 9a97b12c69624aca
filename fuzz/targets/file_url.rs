//! The path of a `file:` URL is the one that the crate `url` finds, which reads URLs by the same standard as Node.js; and each
//! path comes back from the URL that is made of it.

#![no_main]

#[path = "../../src/js/value/file_url.rs"]
mod file_url;

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use file_url::Fault;
use url::Url;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(url) = Url::parse(&format!("file:{text}"))
    {
        read(&url);
    }
    let path = [b"/", bytes].concat();
    if let Ok(url) = Url::from_file_path(Path::new(OsStr::from_bytes(&path))) {
        read(&url);
    }
});

fn read(url: &Url) {
    let (host, pathname) = (url.host_str().unwrap_or_default(), url.path());
    // Whatever it is on Windows, it is no panic.
    let _ = file_url::path(host, pathname, true);
    match file_url::path(host, pathname, false) {
        Ok(path) => {
            let expected = url.to_file_path().expect("a path of this system").into_os_string().into_vec();
            // `url` gives what looks like a drive a slash; Node.js does not.
            let is_drive = matches!(path.last(), Some(b':' | b'|')) && expected == [&path[..], b"/"].concat();
            assert!(path == expected || is_drive, "{url}");
        }
        Err(Fault::Host) => assert!(!host.is_empty()),
        Err(Fault::EncodedSeparator) => assert!(pathname.to_ascii_lowercase().contains("%2f")),
    }
}
