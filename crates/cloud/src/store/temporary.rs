//! Credentials of AWS that a profile does not have itself: a role's, which its token service gives, and those that a program prints.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, HttpRequest};
use object_store::{CredentialProvider, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::connect::{is_loopback, no_retries};
use super::wire::{Connector, ForCredentials};

/// New ones are asked for when the old ones hold for less than this.
const MARGIN: Duration = Duration::from_secs(300);

type Result<T> = object_store::Result<T>;

/// Where credentials come from.
#[derive(Debug)]
pub enum Source {
    /// They are known.
    Keys(Arc<AwsCredential>),
    /// What the environment has, or the machine's own role.
    Environment,
    /// A program prints them.
    Process(String),
    /// A role is taken.
    Role(Box<Role>),
}

/// A role.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub arn: String,
    /// How the session is called in the logs of AWS.
    pub session: Option<String>,
    /// A word that its owner asks for.
    pub external_id: Option<String>,
    /// For how many seconds it is taken.
    pub duration: Option<String>,
    /// Whose right it is to take it.
    pub of: Source,
}

impl Role {
    /// The request that takes it, in a session of this name.
    fn form(&self, session: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole").append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &self.arn).append_pair("RoleSessionName", session);
        for (name, value) in [("ExternalId", &self.external_id), ("DurationSeconds", &self.duration)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.finish()
    }
}

/// Credentials that are asked for again before they expire.
pub struct Temporary {
    source: Source,
    service: TokenService,
    kept: Mutex<Option<Given>>,
}

/// What was given, and until when it holds; `None`: always.
#[derive(Clone)]
struct Given {
    credential: Arc<AwsCredential>,
    until: Option<SystemTime>,
}

impl Given {
    fn holds(&self, margin: Duration) -> bool {
        self.until.is_none_or(|until| SystemTime::now() + margin < until)
    }
}

impl Temporary {
    /// `region`: that of the bucket.
    pub fn new(source: Source, region: Option<String>) -> Result<Self> {
        Ok(Self { source, service: TokenService::new(region)?, kept: Mutex::default() })
    }
}

impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Temporary")
    }
}

#[async_trait]
impl CredentialProvider for Temporary {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some(given) = kept.as_ref().filter(|given| given.holds(MARGIN)) {
            return Ok(given.credential.clone());
        }
        match ask(&self.service, &self.source).await {
            Ok(given) => Ok(kept.insert(given).credential.clone()),
            // It is asked again for the next request.
            Err(error) => match kept.as_ref().filter(|given| given.holds(Duration::ZERO)) {
                Some(given) => Ok(given.credential.clone()),
                None => Err(error),
            },
        }
    }
}

async fn ask(service: &TokenService, source: &Source) -> Result<Given> {
    match source {
        Source::Keys(credential) => Ok(Given { credential: credential.clone(), until: None }),
        Source::Environment => {
            // The bucket is of no matter: only its credentials are used, which this asks for as for any bucket.
            let store = AmazonS3Builder::from_env()
                .with_bucket_name("none")
                .with_retry(no_retries())
                .with_http_connector(Connector)
                .build()?;
            let credential = store.credentials().get_credential().await?;
            Ok(Given { credential, until: None })
        }
        Source::Process(command) => {
            let command = command.clone();
            let printed = tokio::task::spawn_blocking(move || run(&command)).await;
            printed.map_err(|error| refused(format!("credential_process: {error}")))?
        }
        Source::Role(role) => {
            let own = Box::pin(ask(service, &role.of)).await?;
            service.assume(role, &own.credential).await
        }
    }
}

/// The token service of AWS.
struct TokenService {
    client: HttpClient,
    endpoint: String,
    region: String,
}

impl TokenService {
    fn new(region: Option<String>) -> Result<Self> {
        let region = region.unwrap_or_else(|| "us-east-1".into());
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let endpoint = std::env::var("AWS_ENDPOINT_URL_STS")
            .unwrap_or_else(|_| format!("https://sts.{region}.amazonaws.com{suffix}"));
        let options = ClientOptions::new().with_allow_http(is_loopback(&endpoint));
        Ok(Self { client: Connector.connect(&options)?, endpoint, region })
    }

    async fn assume(&self, role: &Role, own: &AwsCredential) -> Result<Given> {
        let session = role.session.clone().or_else(|| std::env::var("AWS_ROLE_SESSION_NAME").ok());
        let session = session.unwrap_or_else(|| format!("atomic-{:x}", fastrand::u64(..)));
        let mut request = HttpRequest::new(role.form(&session).into());
        let unusable = |_| refused(format!("{} is no address of a token service", self.endpoint));
        *request.uri_mut() = self.endpoint.parse().map_err(unusable)?;
        *request.method_mut() = reqwest::Method::POST;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert("content-type", form);
        request.extensions_mut().insert(ForCredentials);
        AwsAuthorizer::new(own, "sts", &self.region).try_authorize(&mut request, None)?;
        let problem = |text: &str| refused(format!("the role {} was not given: {text}", role.arn));
        let reply = self.client.execute(request).await.map_err(|error| problem(&error.to_string()))?;
        let is_given = reply.status().is_success();
        let page = reply.into_body().bytes().await.map_err(|error| problem(&error.to_string()))?;
        let page = String::from_utf8_lossy(&page);
        let part = |name: &str| {
            let (_, rest) = page.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.trim().to_owned())
        };
        if !is_given {
            return Err(problem(&part("Message").unwrap_or_default()));
        }
        let keys = || {
            Some(Keys {
                access_key_id: part("AccessKeyId")?,
                secret_access_key: part("SecretAccessKey")?,
                session_token: part("SessionToken"),
                expiration: part("Expiration"),
            })
        };
        keys().ok_or_else(|| problem("the reply has no keys"))?.given()
    }
}

/// As a `credential_process` prints them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl Keys {
    fn given(self) -> Result<Given> {
        let until = self.expiration.as_deref().map(DateTime::parse_from_rfc3339).transpose();
        let until =
            until.map_err(|_| refused("the time at which credentials expire is not RFC 3339".into()))?;
        let credential = AwsCredential {
            key_id: self.access_key_id,
            secret_key: self.secret_access_key,
            token: self.session_token,
        };
        Ok(Given {
            credential: Arc::new(credential),
            until: until.map(|until| until.with_timezone(&Utc).into()),
        })
    }
}

/// Nothing of what it prints is in an error: that may be secret.
fn run(command: &str) -> Result<Given> {
    let mut words = words(command).into_iter();
    let problem = |text: String| refused(format!("the credential_process of the profile {text}"));
    let program = words.next().ok_or_else(|| problem("is empty".into()))?;
    let output = Command::new(&program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| problem(format!("cannot be started: {program}: {error}")))?;
    if !output.status.success() {
        return Err(problem(format!("has failed with {}: {program}", output.status)));
    }
    let keys: Keys = serde_json::from_slice(&output.stdout)
        .map_err(|_| problem(format!("has printed no credentials as JSON: {program}")))?;
    keys.given()
}

/// The words of a command, of which quotes may hold together what has spaces.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in command.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// There are no credentials, and why.
pub fn refused(text: String) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_keep_what_is_quoted() {
        assert_eq!(words(r#" /bin/a  "b c" d'e f' "" "#), ["/bin/a", "b c", "de f", ""]);
    }

    #[test]
    fn what_expires_soon_holds_for_less() {
        let keys = |expiration| Keys {
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            expiration,
        };
        let soon = DateTime::<Utc>::from(SystemTime::now() + Duration::from_secs(60)).to_rfc3339();
        let given = keys(Some(soon)).given().unwrap();
        assert!(given.holds(Duration::ZERO) && !given.holds(MARGIN));
        assert!(keys(None).given().unwrap().holds(MARGIN));
        assert!(keys(Some("tomorrow".into())).given().is_err());
    }
}
