//! Credentials of AWS that a profile does not have itself: a role's, which its token service gives, and those that a program prints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, HttpRequest};
use object_store::{CredentialProvider, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;
use url::form_urlencoded;

use super::connect::{is_loopback, no_retries};
use super::given::{Given, Keys, printed, refused, text};
use super::program::{LONGEST, Program};
use super::wire::{Connector, ForCredentials, Seen, note, watch_credentials};

/// New ones are asked for when the old ones hold for less than this, and these are used meanwhile.
const MARGIN: Duration = Duration::from_secs(300);

/// With less than this a request waits for new ones: the old ones could expire on its way.
const LEAST: Duration = Duration::from_secs(5);

type Result<T> = object_store::Result<T>;

/// Where credentials come from.
#[derive(Debug)]
pub enum Source {
    /// They are known.
    Keys(Arc<AwsCredential>),
    /// What the environment has, or the machine's own role.
    Environment,
    /// A program prints them.
    Process(Program),
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
pub struct Temporary(Arc<Shared>);

struct Shared {
    source: Source,
    service: TokenService,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Given>,
    asking: Option<Asking>,
}

/// One task asks for all requests: those that are cut off leave it to the next ones, and it has a time limit of its own.
type Asking = watch::Receiver<Option<Answer>>;

/// What came of it; as a failure, its text, and what was seen of the request that has failed.
type Answer = std::result::Result<Given, (String, Seen)>;

impl Temporary {
    /// `region`: that of the bucket.
    pub fn new(source: Source, region: Option<String>) -> Result<Self> {
        let service = TokenService::new(region)?;
        Ok(Self(Arc::new(Shared { source, service, state: Mutex::default() })))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that asks; `state`: its own, locked.
    fn asking(self: &Arc<Self>, state: &mut State) -> Asking {
        // Without a sender there is no task any more: its runtime has ended.
        if let Some(asking) =
            state.asking.as_ref().filter(|asking| asking.borrow().is_none() && asking.has_changed().is_ok())
        {
            return asking.clone();
        }
        let (sender, asking) = watch::channel(None);
        state.asking = Some(asking.clone());
        let shared = self.clone();
        tokio::spawn(async move {
            let (given, seen) = watch_credentials(ask(&shared.service, &shared.source)).await;
            if let Ok(given) = &given {
                shared.state().kept = Some(given.clone());
            }
            sender.send_replace(Some(given.map_err(|error| (text(&error), seen))));
        });
        asking
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
        let mut asking = {
            let mut state = self.0.state();
            if let Some(given) = state.kept.clone().filter(|given| given.holds(LEAST)) {
                if !given.holds(MARGIN) {
                    // For later requests. If it fails, the next one begins anew.
                    self.0.asking(&mut state);
                }
                return Ok(given.credential);
            }
            self.0.asking(&mut state)
        };
        let answer = asking.wait_for(Option::is_some).await.map(|answer| answer.clone());
        match answer.ok().flatten() {
            Some(Ok(given)) => Ok(given.credential),
            Some(Err((text, seen))) => {
                note(seen);
                Err(refused(text))
            }
            None => Err(refused("the request for credentials was interrupted: try again".into())),
        }
    }
}

async fn ask(service: &TokenService, source: &Source) -> Result<Given> {
    let given = match source {
        Source::Keys(credential) => Given { credential: credential.clone(), until: None },
        Source::Environment => {
            // The bucket is of no matter: only its credentials are used, which this asks for as for any bucket.
            let store = AmazonS3Builder::from_env()
                .with_bucket_name("none")
                .with_retry(no_retries())
                .with_http_connector(Connector)
                .build()?;
            let asked = timeout(LONGEST, store.credentials().get_credential()).await;
            let credential = asked
                .map_err(|_| refused("no answer about the machine's own role within a minute".into()))?;
            Given { credential: credential?, until: None }
        }
        Source::Process(program) => {
            let output = program.output().await?;
            printed(&output).map_err(|text| program.problem(text))?.given()?
        }
        Source::Role(role) => {
            let own = Box::pin(ask(service, &role.of)).await?;
            let asked = timeout(LONGEST, service.assume(role, &own.credential)).await;
            let late = |_| refused(format!("the role {} was not given: no answer within a minute", role.arn));
            asked.map_err(late)??
        }
    };
    if given.holds(Duration::ZERO) {
        return Ok(given);
    }
    let text = "have expired already: see whether the clock of this machine is right, and what gives them";
    Err(match source {
        Source::Process(program) => program.problem(&format!("gives credentials that {text}")),
        _ => refused(format!("the credentials that were given {text}")),
    })
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

#[cfg(target_os = "linux")] // a test
#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::store::program::watched::{Watched, watched};

    fn of(program: Program) -> Arc<Temporary> {
        // A client of the token service is made, and not used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Temporary::new(Source::Process(program), None).unwrap())
    }

    /// By a program that says when it starts, and prints when it is told so.
    fn temporary() -> (Arc<Temporary>, Watched) {
        let keys = r#"{\"Version\":1,\"AccessKeyId\":\"new\",\"SecretAccessKey\":\"s\"}"#;
        let (program, watched) = watched(&format!("echo started >&3; read go <$2; echo \"{keys}\""));
        (of(program), watched)
    }

    fn get(temporary: &Arc<Temporary>) -> tokio::task::JoinHandle<Result<Arc<AwsCredential>>> {
        let temporary = temporary.clone();
        tokio::spawn(async move { temporary.get_credential().await })
    }

    #[tokio::test]
    async fn a_request_that_is_cut_off_leaves_its_program_to_the_next_one() {
        let (temporary, watched) = temporary();
        let first = get(&temporary);
        let (_, mut watched) = watched.next().await;
        first.abort();
        let more = [get(&temporary), get(&temporary)];
        tokio::task::yield_now().await;
        watched.tell("go");
        for one in more {
            assert_eq!(one.await.unwrap().unwrap().key_id, "new");
        }
        assert_eq!(watched.rest().await, "", "no other one was started");
    }

    #[tokio::test]
    async fn what_has_expired_is_not_used() {
        let keys = r#"{"Version":1,"AccessKeyId":"k","SecretAccessKey":"SECRET","Expiration":"2020-01-01T00:00:00Z"}"#;
        let temporary = of(Program::parse(&format!("echo '{keys}'")).unwrap());
        let error = temporary.get_credential().await.unwrap_err().to_string();
        assert!(
            error.contains("(echo) gives credentials that have expired") && !error.contains("SECRET"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_still_holds_is_used_while_a_program_takes_its_time() {
        let (temporary, watched) = temporary();
        let old = AwsCredential { key_id: "old".into(), secret_key: String::new(), token: None };
        let until = Some(SystemTime::now() + MARGIN / 2);
        temporary.0.state().kept = Some(Given { credential: Arc::new(old), until });
        for _ in 0..2 {
            assert_eq!(temporary.get_credential().await.unwrap().key_id, "old");
        }
        let (_, mut watched) = watched.next().await;
        watched.tell("go");
        let mut asking = temporary.0.state().asking.clone().unwrap();
        asking.wait_for(Option::is_some).await.map(|_| ()).unwrap();
        assert_eq!(temporary.get_credential().await.unwrap().key_id, "new");
        assert_eq!(watched.rest().await, "", "no other one was started");
    }
}
