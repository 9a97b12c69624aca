//! Credentials of AWS that a profile does not have itself: they are given by others, and for a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connect::no_retries;
use super::container;
use super::given::{Given, printed, refused, text};
use super::program::{LONGEST, Program};
use super::role::{Proof, Right, Role};
use super::service::Services;
use super::sign_on::SignOn;
use super::wire::{Connector, Seen, note, watch_credentials};

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
    /// An address of the container gives them.
    Container(String),
    /// A program prints them.
    Process(Program),
    /// A portal gives them to a person.
    SignOn(Box<SignOn>),
    /// A role is taken.
    Role(Box<Role>),
}

/// Credentials that are asked for again before they expire.
pub struct Temporary(Arc<Shared>);

struct Shared {
    source: Source,
    services: Services,
    /// Of the token service.
    region: String,
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
        let (services, region) = (Services::new()?, region.unwrap_or_else(|| "us-east-1".into()));
        Ok(Self(Arc::new(Shared { source, services, region, state: Mutex::default() })))
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
            let (given, seen) = watch_credentials(shared.ask(&shared.source)).await;
            if let Ok(given) = &given {
                shared.state().kept = Some(given.clone());
            }
            sender.send_replace(Some(given.map_err(|error| (text(&error), seen))));
        });
        asking
    }

    /// Each step has a time limit of its own.
    async fn ask(&self, source: &Source) -> Result<Given> {
        let given = match source {
            Source::Keys(credential) => Given { credential: credential.clone(), until: None },
            Source::Environment => self.environment().await?,
            Source::Container(address) => {
                let late = || refused("no answer for the container's credentials within a minute".into());
                in_time(container::credentials(&self.services, address), late).await?
            }
            Source::Process(program) => {
                let output = program.output().await?;
                printed(&output).map_err(|text| program.problem(text))?.given()?
            }
            Source::SignOn(sign_on) => {
                let late = || sign_on.problem("no answer within a minute: try again later");
                in_time(sign_on.credentials(&self.services), late).await?
            }
            Source::Role(role) => self.role(role).await?,
        };
        if given.holds(Duration::ZERO) {
            return Ok(given);
        }
        let text =
            "have expired already: see whether the clock of this machine is right, and what gives them";
        Err(match source {
            Source::Process(program) => program.problem(&format!("gives credentials that {text}")),
            _ => refused(format!("the credentials that were given {text}")),
        })
    }

    async fn environment(&self) -> Result<Given> {
        let late = || refused("no answer about the machine's own role within a minute".into());
        if let Some(address) = container::address() {
            return in_time(container::credentials(&self.services, &address), late).await;
        }
        // The bucket is of no matter: only its credentials are used, which this asks for as for any bucket.
        let store = AmazonS3Builder::from_env()
            .with_bucket_name("none")
            .with_retry(no_retries())
            .with_http_connector(Connector)
            .build()?;
        let credential = in_time(store.credentials().get_credential(), late).await?;
        Ok(Given { credential, until: None })
    }

    async fn role(&self, role: &Role) -> Result<Given> {
        let late = || role.problem("no answer within a minute");
        let take = |proof| role.take(&self.services, &self.region, proof);
        match &role.of {
            Right::Of(source) => {
                let own = Box::pin(self.ask(source)).await?;
                in_time(take(Proof::Signed(&own.credential)), late).await
            }
            Right::Token(file) => {
                let unreadable = |error| {
                    role.problem(&format!("its token cannot be read from {}: {error}", file.display()))
                };
                let token = std::fs::read_to_string(file).map_err(unreadable)?;
                in_time(take(Proof::Token(token.trim())), late).await
            }
        }
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T>>,
    late: impl FnOnce() -> object_store::Error,
) -> Result<T> {
    timeout(LONGEST, asking).await.unwrap_or_else(|_| Err(late()))
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
