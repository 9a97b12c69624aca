//! Which client belongs to a URL. Credentials are where each cloud's own tools look for them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
use tokio::sync::OnceCell;

use super::sas::AzureUrls;
use super::wire::Connector;
use super::{Bucket, Scheme, Target, profile};
use crate::protocol::{Error, Kind, Reply};

type Key = (Scheme, String, Option<String>);

/// One client for each bucket and endpoint: its connections stay open, and its probe is done once.
static BUCKETS: LazyLock<Mutex<HashMap<Key, Arc<Bucket>>>> = LazyLock::new(Mutex::default);

/// The client for the bucket of this URL. The environment is read when a bucket is first used.
pub fn connect(target: &Target, endpoint: Option<&str>) -> Result<Arc<Bucket>, Error> {
    let key = (target.scheme, target.bucket.clone(), endpoint.map(str::to_owned));
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bucket) = buckets.get(&key) {
        return Ok(bucket.clone());
    }
    if let Some(endpoint) = endpoint {
        check_endpoint(endpoint)?;
    }
    // A library loaded twice into one process has this once each, and a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bucket = match target.scheme {
        Scheme::S3 => s3(&target.bucket, endpoint),
        Scheme::Azure => azure(&target.bucket, endpoint),
        Scheme::Google => google(&target.bucket, endpoint),
    };
    let bucket = Arc::new(bucket.map_err(configuration)?);
    buckets.insert(key, bucket.clone());
    Ok(bucket)
}

fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let url = url::Url::parse(endpoint)
        .map_err(|_| Error::invalid("`endpoint` is to be a URL: https://host:port"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(
            "`endpoint` has a user name or a password: give credentials in the environment",
        ));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::invalid("`endpoint` is to begin with https:// or http://"));
    }
    Ok(())
}

/// Without encryption to this machine only, unless the environment allows more.
pub fn is_loopback(endpoint: &str) -> bool {
    let host = url::Url::parse(endpoint).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// `object_store` does not repeat what it says of a configuration's values, but the messages of its parts may.
fn configuration(error: object_store::Error) -> Error {
    let text = error.to_string();
    let text = text.split_once("://").map_or(text.clone(), |(before, _)| before.to_owned());
    Error { kind: Kind::Denied, reply: Reply { text: text.chars().take(200).collect(), ..Reply::default() } }
}

/// No second try by the client: it does not know whether the first one has landed.
pub fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, backoff: BackoffConfig::default() }
}

/// The protocol has the time limits; this is only far enough away from them.
const NEVER: &str = "1 day";

fn bucket(store: Arc<dyn object_store::ObjectStore>) -> Bucket {
    Bucket {
        store,
        by_generation: false,
        signer: None,
        signs_here: false,
        http: LazyLock::new(reqwest::Client::new),
        probed: OnceCell::new(),
    }
}

fn s3(name: &str, endpoint: Option<&str>) -> object_store::Result<Bucket> {
    use AmazonS3ConfigKey::{Client, Endpoint, S3Endpoint};
    let builder = AmazonS3Builder::from_env().with_bucket_name(name);
    // The environment is before the profile, as in the tools of AWS.
    let (mut builder, given) = profile::apply(builder)?;
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_config(S3Endpoint, endpoint);
    }
    let used = builder.get_config_value(&S3Endpoint).or_else(|| builder.get_config_value(&Endpoint));
    let is_here = used.as_deref().is_some_and(is_loopback);
    if is_here {
        builder = builder.with_config(Client(ClientConfigKey::AllowHttp), "true");
    }
    if let Some(given) = given {
        builder = builder.with_credentials(given);
    } else if is_here && !has_credentials(&builder) && is_no_instance() {
        // A server on this machine that asks for no signature.
        builder = builder.with_skip_signature(true);
    }
    // One by one: a request for several has no conditions, and not all servers have it.
    let builder = builder.with_config(Client(ClientConfigKey::Timeout), NEVER).with_disable_bulk_delete(true);
    Ok(bucket(Arc::new(builder.with_retry(no_retries()).with_http_connector(Connector).build()?)))
}

/// Whether there is any source of credentials but the machine's own role. Half of a key counts: `object_store` says what is missing.
fn has_credentials(builder: &AmazonS3Builder) -> bool {
    use AmazonS3ConfigKey as Key;
    [
        Key::AccessKeyId,
        Key::SecretAccessKey,
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
    ]
    .iter()
    .any(|source| builder.get_config_value(source).is_some())
}

/// By the rule of the tools of AWS: other values than `true`, and an empty one, say nothing.
fn is_no_instance() -> bool {
    std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

fn azure(name: &str, endpoint: Option<&str>) -> object_store::Result<Bucket> {
    use AzureConfigKey::{AccessKey, Client, Endpoint, SasKey, UseEmulator};
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(name);
    if let Ok(connection) = std::env::var("AZURE_STORAGE_CONNECTION_STRING") {
        builder = apply_connection_string(builder, &connection);
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    if builder.get_config_value(&Endpoint).as_deref().is_some_and(is_loopback) {
        builder = builder.with_config(Client(ClientConfigKey::AllowHttp), "true");
    }
    let builder = builder.with_config(Client(ClientConfigKey::Timeout), NEVER);
    let is_emulator = builder.get_config_value(&UseEmulator).as_deref() == Some("true");
    let signs_here = is_emulator
        || [AccessKey, SasKey].iter().any(|credential| builder.get_config_value(credential).is_some());
    let container = if is_emulator { None } else { container_url(&builder, name) };
    let store = Arc::new(builder.with_retry(no_retries()).with_http_connector(Connector).build()?);
    let signer = Arc::new(AzureUrls { store: store.clone(), container });
    Ok(Bucket { signer: Some(signer), signs_here, ..bucket(store) })
}

/// Where `object_store` has the container, but for emulators, whose key is known.
fn container_url(builder: &MicrosoftAzureBuilder, name: &str) -> Option<url::Url> {
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint).or_else(|| {
        let account = builder.get_config_value(&AzureConfigKey::AccountName)?;
        Some(format!("https://{account}.blob.core.windows.net"))
    })?;
    let mut url = url::Url::parse(&endpoint).ok()?;
    url.path_segments_mut().ok()?.push(name);
    Some(url)
}

/// `Name=value;…`, as the portal of Azure shows it.
fn apply_connection_string(mut builder: MicrosoftAzureBuilder, text: &str) -> MicrosoftAzureBuilder {
    let parts: HashMap<_, _> = text.split(';').filter_map(|part| part.split_once('=')).collect();
    if parts.get("UseDevelopmentStorage") == Some(&"true") {
        return builder.with_use_emulator(true);
    }
    let suffix = parts.get("EndpointSuffix").unwrap_or(&"core.windows.net");
    let protocol = parts.get("DefaultEndpointsProtocol").unwrap_or(&"https");
    if let Some(account) = parts.get("AccountName") {
        builder =
            builder.with_account(*account).with_endpoint(format!("{protocol}://{account}.blob.{suffix}"));
    }
    if let Some(key) = parts.get("AccountKey") {
        builder = builder.with_access_key(*key);
    }
    if let Some(signature) = parts.get("SharedAccessSignature") {
        builder = builder.with_config(AzureConfigKey::SasKey, *signature);
    }
    if let Some(endpoint) = parts.get("BlobEndpoint") {
        builder = builder.with_endpoint((*endpoint).to_owned());
    }
    builder
}

fn google(name: &str, endpoint: Option<&str>) -> object_store::Result<Bucket> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(name);
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), NEVER);
    let store = Arc::new(builder.with_retry(no_retries()).with_http_connector(Connector).build()?);
    Ok(Bucket { by_generation: true, ..bucket(store) })
}
