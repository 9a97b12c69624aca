//! Which failure of the protocol an error of `object_store` is.

use object_store::Error;
use url::Url;

use super::wire::Seen;
use crate::protocol::{Failure, Reply};

/// By the status, not by the kind of error: 429 and 400 are the same kind, and differ in whether to try again.
pub fn failure(error: &Error, seen: &Seen) -> Failure {
    let text = words(error);
    let has_expired = EXPIRED.iter().any(|code| says(&text, code));
    let no_bucket = ["NoSuchBucket", "ContainerNotFound", "specified bucket does not exist"]
        .iter()
        .any(|code| text.contains(code));
    let advice = advice(&text, seen.status).filter(|_| !no_bucket);
    let reply =
        Reply { status: seen.status, request_id: seen.request_id.clone(), text: brief(&text), advice };
    if seen.status.is_none() && text.contains("URL scheme is not allowed") {
        let text = "requests to an endpoint with http: can be read on their way: use https:, or set AWS_ALLOW_HTTP, \
                    AZURE_ALLOW_HTTP or GOOGLE_ALLOW_HTTP to true";
        return Failure::Final(Reply { text: text.into(), ..Reply::default() });
    }
    if !seen.sent {
        return match error {
            Error::InvalidPath { .. } | Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                Failure::Final(reply)
            }
            _ if !seen.for_credentials && is_connection(&text) => Failure::Refused(reply),
            _ => Failure::NoCredentials(reply),
        };
    }
    match seen.status {
        Some(404) if no_bucket => Failure::NoBucket(reply),
        Some(304 | 409 | 412) => Failure::Conflict(reply),
        Some(429) => Failure::Refused(reply),
        // 408: the store may have got the rest after all. 2xx: the reply could not be read.
        Some(408 | 200..=299 | 500..) | None => Failure::Unsure(reply),
        Some(400) if has_expired => Failure::NoCredentials(reply),
        Some(_) => Failure::Final(reply),
    }
}

/// What to do about a refusal that says what is wrong.
fn advice(text: &str, status: Option<u16>) -> Option<&'static str> {
    let says = |codes: &[&str]| codes.iter().any(|code| says(text, code));
    if says(&["RequestTimeTooSkewed", "RequestExpired"]) {
        return Some(
            "Set the clock of this machine: the store refuses requests that seem old, or of the future",
        );
    }
    if says(&EXPIRED) {
        return Some("The credentials have expired: get new ones, and start the process again with them");
    }
    if says(&["InvalidAccessKeyId"]) {
        return Some("The store does not know this key: check that it is one of this store, and not removed");
    }
    if says(&["SignatureDoesNotMatch", "AuthenticationFailed"]) {
        return Some(
            "The secret does not belong to the key, or the clock of this machine is wrong: check both",
        );
    }
    if says(&["PermanentRedirect", "AuthorizationHeaderMalformed"])
        || text.contains("Received redirect without")
    {
        return Some(
            "The bucket is in another region: set AWS_REGION, or the endpoint, to that of the bucket",
        );
    }
    (status == Some(404)).then_some("Check the endpoint: it may be that of another server than the store's")
}

/// Whether this is the code of the refusal, and not a part of the key.
fn says(text: &str, code: &str) -> bool {
    text.contains(&format!("<Code>{code}</Code>"))
}

/// What S3 calls credentials that held once; the status is that of a request with a mistake in it.
const EXPIRED: [&str; 3] = ["ExpiredToken", "TokenRefreshRequired", "InvalidToken"];

/// The error with its causes.
pub fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Whether the store could not be reached at all.
fn is_connection(text: &str) -> bool {
    ["error sending request", "Connect", "connect", "dns"].iter().any(|word| text.contains(word))
}

/// One line without control characters, also those that turn the direction of text: a terminal obeys them.
pub fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !obeyed(*c)).collect()
}

/// What a URL may tell: its path and its query can be secret, and so can the name of a user.
pub fn origin(url: &Url) -> String {
    url.host_str().map_or("a URL".into(), |host| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", url.scheme())
    })
}

/// What a person can use of it: of URLs, which may be signed, the origin; nor a whole page of XML.
fn brief(text: &str) -> String {
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let message = text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    if let (Some((code, _)), Some((message, _))) = (code, message) {
        return printable(&format!("{code}: {}", message.lines().next().unwrap_or_default()));
    }
    let shown = |word: &str| {
        if !word.contains("://") {
            return word.to_owned();
        }
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && !"[]/".contains(c));
        Url::parse(bare).map_or("a URL".into(), |url| origin(&url))
    };
    let words = text.split_whitespace().map(shown).filter(|word| !word.contains("Signature"));
    let line = words.collect::<Vec<_>>().join(" ");
    printable(&line).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_url_is_not_repeated() {
        let text = brief(
            "Error performing PUT https://x.example/c/k?sig=SECRET&X-Amz-Signature=SECRET in 3ms - HTTP error",
        );
        assert_eq!(text, "Error performing PUT https://x.example in 3ms - HTTP error");
        let text = brief("for url (http://u:SECRET@h:1/SECRET#SECRET) and b:SECRET://: \u{1b}[2J");
        assert_eq!(text, "for url http://h:1 and a URL [2J");
    }

    #[test]
    fn a_refusal_that_says_what_is_wrong_comes_with_what_to_do() {
        for (text, status, words) in [
            ("<Code>RequestTimeTooSkewed</Code>", 403, "the clock"),
            ("<Code>ExpiredToken</Code>", 400, "get new ones"),
            ("<Code>AuthorizationHeaderMalformed</Code>", 400, "AWS_REGION"),
            ("<html>Not found</html>", 404, "endpoint"),
        ] {
            assert!(advice(text, Some(status)).is_some_and(|advice| advice.contains(words)), "{text}");
        }
        assert!(advice("<Code>AccessDenied</Code> /ExpiredToken.json", Some(403)).is_none());
    }

    #[test]
    fn the_words_of_a_store_are_taken_out_of_its_page() {
        let page = "x <Error><Code>NoSuchKey</Code><Message>Not here.\nRequestId:1</Message></Error>";
        assert_eq!(brief(page), "NoSuchKey: Not here.");
    }
}
