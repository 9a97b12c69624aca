//! Each path comes back from the URL that is made of it. `__test__/write/path.spec.ts` compares with what Node.js makes of URLs.

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
