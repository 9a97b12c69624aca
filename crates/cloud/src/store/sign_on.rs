//! Credentials of a profile with single sign-on. A person signs in with the tools of AWS, which leave a token; the portal gives
//! the profile's role for it, and a new token as long as the session of the person lasts.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use object_store::HeaderValue;
use object_store::aws::AwsCredential;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::given::{Given, refused};
use super::service::{Answer, Services, address, request, said};
use super::sign_on_session::Session;
use super::sign_on_token::Token;

/// A token that holds for less is renewed.
const MARGIN: Duration = Duration::from_secs(300);

type Result<T> = object_store::Result<T>;

/// What a profile says of it.
pub struct SignOn {
    /// The name of the profile.
    pub profile: String,
    /// That has the token.
    pub session: Arc<Session>,
    /// A session, which may renew its token.
    pub renews: bool,
    /// Where the portal is.
    pub region: String,
    /// Whose role it is.
    pub account: String,
    /// The name of the role.
    pub role: String,
}

impl SignOn {
    /// The credentials of the role.
    ///
    /// # Errors
    /// There are none: with what a person has to do.
    pub async fn credentials(&self, services: &Services) -> Result<Given> {
        let token = self.token(services).await?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("role_name", &self.role)
            .append_pair("account_id", &self.account)
            .finish();
        let address = address("AWS_ENDPOINT_URL_SSO", "portal.sso", &self.region);
        let failed = |text: String| self.problem(&text);
        let mut request =
            request(&format!("{address}/federation/credentials?{query}"), String::new()).map_err(failed)?;
        let mut bearer =
            HeaderValue::from_str(&token.access_token).map_err(|_| self.sign_in("cannot be used"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert("x-amz-sso_bearer_token", bearer);
        let answer = services.send(request).await.map_err(failed)?;
        match answer.status {
            200..=299 => {}
            401 => {
                self.session.hold().await.refuse(&token);
                return Err(self.sign_in("is not accepted any more"));
            }
            403 | 404 => {
                let text = format!(
                    "the role {} of the account {} is not given to the person who has signed in{}: ask for it, or name \
                     another one as sso_role_name",
                    self.role,
                    self.account,
                    words(&answer, &[&token.access_token])
                );
                return Err(self.problem(&text));
            }
            status => {
                return Err(self.problem(&format!(
                    "the portal answers with {status}{}: try again later",
                    words(&answer, &[&token.access_token])
                )));
            }
        }
        given(&answer.json()["roleCredentials"])
            .ok_or_else(|| self.problem("the reply of the portal has no keys: try again later"))
    }

    async fn token(&self, services: &Services) -> Result<Token> {
        let mut session = self.session.hold().await;
        let is_missing = || self.sign_in("is not there");
        let token = session.token().await.ok_or_else(is_missing)?;
        if token.holds(MARGIN) {
            return Ok(token);
        }
        let failed = match self.renewed(services, &token).await {
            Ok(Some(renewed)) => return session.renew(renewed).await.ok_or_else(is_missing),
            _ if token.holds(Duration::ZERO) => return Ok(token),
            Ok(None) => return Err(self.sign_in("has expired")),
            Err(text) => text,
        };
        let failed = || self.sign_in(&format!("has expired, and could not be renewed ({failed})"));
        session.of_another().await.ok_or_else(failed)
    }

    /// `None`: this token cannot be renewed.
    async fn renewed(&self, services: &Services, old: &Token) -> std::result::Result<Option<Token>, String> {
        let Some(ticket) = old.ticket().filter(|_| self.renews) else { return Ok(None) };
        let body = json!({
            "grantType": "refresh_token",
            "clientId": ticket.client_id,
            "clientSecret": ticket.client_secret,
            "refreshToken": ticket.refresh_token,
        });
        let address = address("AWS_ENDPOINT_URL_SSO_OIDC", "oidc", &self.region);
        let mut request = request(&format!("{address}/token"), body.to_string())?;
        *request.method_mut() = reqwest::Method::POST;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        let answer = services.send(request).await?;
        if !answer.is_given() {
            let secrets =
                [&ticket.client_id, &ticket.client_secret, &ticket.refresh_token, &old.access_token];
            return Err(format!("status {}{}", answer.status, words(&answer, &secrets.map(String::as_str))));
        }
        let renewed = answer.json();
        let seconds = renewed["expiresIn"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let lifetime = seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let (Some(access), Some(lifetime)) = (text(&renewed["accessToken"]), lifetime) else {
            return Err("the reply has no token".into());
        };
        Ok(Some(old.renewed(access, lifetime, text(&renewed["refreshToken"]))))
    }

    /// An error that names the profile.
    pub fn problem(&self, text: &str) -> object_store::Error {
        refused(format!("the single sign-on of the profile '{}' gives no credentials: {text}", self.profile))
    }

    /// What only a person can do.
    fn sign_in(&self, text: &str) -> object_store::Error {
        let profile = &self.profile;
        self.problem(&format!("its token {text}. Run aws sso login --profile {profile}"))
    }
}

impl std::fmt::Debug for SignOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SignOn").field(&self.profile).finish()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What the portal gives; the time is in milliseconds since 1970.
fn given(keys: &Value) -> Option<Given> {
    let credential = AwsCredential {
        key_id: text(&keys["accessKeyId"])?,
        secret_key: text(&keys["secretAccessKey"])?,
        token: Some(text(&keys["sessionToken"])?),
    };
    let until = UNIX_EPOCH + Duration::from_millis(keys["expiration"].as_u64()?);
    Some(Given { credential: credential.into(), until: Some(until) })
}

/// The words of a refusal, which have one of two names.
fn words(answer: &Answer, secrets: &[&str]) -> String {
    let page = answer.json();
    said(page["message"].as_str().or(page["error_description"].as_str()).unwrap_or_default(), secrets)
}
