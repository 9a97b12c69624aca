//! Each path comes back from the URL that is made of it. For fuzzers also: the path of a `file:` URL is the one that the crate `url`
//! finds, which reads URLs by the same standard as Node.js. `__test__/write/path.spec.ts` compares with Node.js itself.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::path;

/// All but what separates names.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// The bytes are what follows `file:`, and a path.
///
/// # Panics
/// If that does not hold.
pub fn file_url(bytes: &[u8]) {
    let encoded = format!("/{}", percent_encode(bytes, ENCODED));
    assert_eq!(path("", &encoded, false), Ok([b"/", bytes].concat()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (host, pathname) = text.split_at(text.find('/').unwrap_or_default());
        // Whatever it is on Windows, it is no panic.
        let _ = path(host, pathname, true);
        #[cfg(fuzzing)]
        standard::file_url(text);
    }
    #[cfg(fuzzing)]
    standard::file_url(&format!("//{encoded}"));
}

#[cfg(fuzzing)]
mod standard {
    use std::path::MAIN_SEPARATOR;

    use url::Url;

    use super::super::{Fault, path};

    pub fn file_url(text: &str) {
        let Ok(url) = Url::parse(&format!("file:{text}")) else { return };
        let (host, pathname) = (url.host_str().unwrap_or_default(), url.path());
        let _ = path(host, pathname, true);
        // The crate finds paths of this system only.
        if MAIN_SEPARATOR != '/' {
            return;
        }
        match path(host, pathname, false) {
            Ok(path) => {
                let expected =
                    url.to_file_path().expect("a path of this system").into_os_string().into_encoded_bytes();
                // `url` gives what looks like a drive a slash; Node.js does not.
                let is_drive =
                    matches!(path.last(), Some(b':' | b'|')) && expected == [&path[..], b"/"].concat();
                assert!(path == expected || is_drive, "{url}");
            }
            Err(Fault::Host) => assert!(!host.is_empty()),
            Err(Fault::EncodedSeparator) => assert!(pathname.to_ascii_lowercase().contains("%2f")),
        }
    }
}

#[cfg(test)]
#[path = "../../../crates/engine/src/fuzz/random.rs"]
mod random;

#[cfg(test)]
mod tests {
    #[test]
    fn file_url() {
        let seeds = [
            "",
            "///a/b",
            "//host/a",
            "///C:/a|b",
            "///%41%2F",
            "///a%2fb/../c",
            "/a b?c#d",
            "///%c3%a4",
            "///%ff",
        ];
        let words = ["/", "%2f", "%5C", "%", "%00", "..", "//", "localhost", "C:", "|", "?", "#", "\\", "ä"];
        let seeds = seeds.map(|text| text.as_bytes().to_vec()).to_vec();
        super::random::explore("file-url", seeds, &words.map(str::as_bytes), super::file_url);
    }
}
