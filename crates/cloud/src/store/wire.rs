//! What goes over the wire, as far as `object_store` does not tell it: the status of a reply, the id of a request, the
//! digest that a store made of what it has received; and the condition of a DELETE, for which it has no call.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService, ReqwestConnector,
};
use object_store::{HeaderMap, HeaderValue};

use super::near;
use crate::protocol::Version;

tokio::task_local! {
    static SEEN: Arc<Mutex<Seen>>;
}

/// What was seen of the last request of a task.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether a request for the object itself may have reached the store.
    pub sent: bool,
    /// The last request was one for credentials.
    pub for_credentials: bool,
    /// The status of its reply.
    pub status: Option<u16>,
    /// The store's name for the request.
    pub request_id: Option<String>,
    /// The store's MD5 of the body that it received.
    pub digests: Vec<[u8; 16]>,
    delete: Option<Version>,
}

/// Runs one request and tells what was seen of it.
pub async fn watch<T>(request: impl Future<Output = T>) -> (T, Seen) {
    watch_delete(None, request).await
}

/// As [`watch`], for a DELETE of this version.
pub async fn watch_delete<T>(version: Option<Version>, request: impl Future<Output = T>) -> (T, Seen) {
    let seen = Arc::new(Mutex::new(Seen { delete: version, ..Seen::default() }));
    let done = SEEN.scope(seen.clone(), request).await;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (done, seen)
}

/// As [`watch`], for a task that asks for credentials alone, with or without a request.
pub async fn watch_credentials<T>(asking: impl Future<Output = T>) -> (T, Seen) {
    let (done, seen) = watch(asking).await;
    (done, Seen { sent: false, for_credentials: true, ..seen })
}

/// Takes what was seen by another task for what this one has seen.
pub fn note(other: Seen) {
    let _ = SEEN.try_with(|seen| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { delete: seen.delete.take(), ..other };
    });
}

/// The MD5 of a body, in which all three stores tell what they have received.
pub fn digest(body: &[u8]) -> [u8; 16] {
    Md5::digest(body).into()
}

/// Makes clients that note what they see.
#[derive(Debug, Default)]
pub struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(watched(ReqwestConnector::default().connect(options)?))
    }
}

/// This client, which notes what it sees.
pub fn watched(client: HttpClient) -> HttpClient {
    HttpClient::new(Watched(client))
}

struct Watched(HttpClient);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let seen = SEEN.try_with(Arc::clone).ok();
        let note = |change: &mut dyn FnMut(&mut Seen)| {
            if let Some(seen) = &seen {
                change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
            }
        };
        let credentials = asks_for_credentials(&request);
        let is_delete = request.method().as_str() == "DELETE";
        note(&mut |seen| {
            if let Some(version) = seen.delete.clone().filter(|_| is_delete) {
                add_condition(request.headers_mut(), &version);
            }
            *seen = Seen {
                sent: !credentials,
                for_credentials: credentials,
                delete: seen.delete.take(),
                ..Seen::default()
            };
        });
        let is_near = credentials && (is_of_instance(&request) || near::is_near(&request.uri().to_string()));
        let near = if is_near { near::client() } else { None };
        let reply = near.unwrap_or(&self.0).execute(request).await;
        note(&mut |seen| match &reply {
            Ok(reply) => {
                seen.status = Some(reply.status().as_u16());
                seen.request_id = request_id(reply.headers());
                seen.digests = digests(reply.headers());
            }
            // Nobody was there to receive it.
            Err(error) => seen.sent &= error.kind() != HttpErrorKind::Connect,
        });
        reply
    }
}

/// Marks a request for credentials.
#[derive(Clone)]
pub struct ForCredentials;

/// Requests to metadata and token services run in the task of the request that needs them.
fn asks_for_credentials(request: &HttpRequest) -> bool {
    if request.extensions().get::<ForCredentials>().is_some() || is_of_instance(request) {
        return true;
    }
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let hosts = [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]",
        "metadata.google.internal",
        "metadata",
        "oauth2.googleapis.com",
    ];
    hosts.contains(&host)
        || host.starts_with("sts.")
        || host.starts_with("login.microsoftonline.")
        || uri.path().ends_with("/oauth2/v2.0/token")
        || request.headers().contains_key("metadata-flavor")
}

/// One for the role of an instance, whatever `AWS_METADATA_ENDPOINT` is.
fn is_of_instance(request: &HttpRequest) -> bool {
    ["x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"]
        .iter()
        .any(|name| request.headers().contains_key(*name))
}

/// S3, GCS and a bearer of a token sign no condition, so it can be added to a request that is signed.
fn add_condition(headers: &mut HeaderMap, version: &Version) {
    let google = headers.contains_key("x-goog-date") || version.etag.is_none();
    let (name, value) = match (&version.etag, &version.generation) {
        (_, Some(generation)) if google => ("x-goog-if-generation-match", generation),
        (Some(etag), _) => ("if-match", etag),
        _ => return,
    };
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-amz-request-id", "x-ms-request-id", "x-guploader-uploadid"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok().map(str::to_owned))
}

/// S3 tells its digest as the `ETag` (not of objects that are encrypted with a key of KMS), Azure as `Content-MD5`,
/// GCS in `x-goog-hash`.
fn digests(headers: &HeaderMap) -> Vec<[u8; 16]> {
    let text = |name| headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let etags = text("etag").filter_map(|etag| from_hex(etag.trim_matches('"')));
    let base64 = |text: &str| STANDARD.decode(text.trim()).ok()?.try_into().ok();
    let google = text("x-goog-hash")
        .flat_map(|list| list.split(','))
        .filter_map(|hash| hash.trim().strip_prefix("md5="));
    etags.chain(text("content-md5").filter_map(base64)).chain(google.filter_map(base64)).collect()
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())??;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_tells_the_digest_in_its_way() {
        for (name, value) in [
            ("etag", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
            ("x-goog-hash", "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg=="),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
            assert_eq!(digests(&headers), [digest(b"hello")], "{name}");
        }
    }

    #[test]
    fn an_etag_of_azure_is_no_digest() {
        let headers = HeaderMap::from_iter([(
            "etag".parse().unwrap(),
            HeaderValue::from_static("\"0x8DD3A1B2C3D4E5F\""),
        )]);
        assert!(digests(&headers).is_empty());
    }
}
