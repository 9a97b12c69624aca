//! Roles of AWS, which its token service gives: by the credentials of another one, or by a token in a file.

use std::path::PathBuf;

use object_store::HeaderValue;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use url::form_urlencoded;

use super::given::{Given, Keys, refused};
use super::service::{Services, address, request, said};
use super::temporary::Source;

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
    pub of: Right,
}

/// What a role is taken with.
#[derive(Debug)]
pub enum Right {
    /// Other credentials.
    Of(Source),
    /// A web identity, which another service renews in this file.
    Token(PathBuf),
}

/// With which right a request for a role is made.
pub enum Proof<'a> {
    /// It is signed.
    Signed(&'a AwsCredential),
    /// It has a token.
    Token(&'a str),
}

impl Role {
    /// Takes it.
    ///
    /// # Errors
    /// It is not given; with what the token service says.
    pub async fn take(
        &self,
        services: &Services,
        region: &str,
        proof: Proof<'_>,
    ) -> object_store::Result<Given> {
        let problem = |text: &str| self.problem(text);
        let address = address("AWS_ENDPOINT_URL_STS", "sts", region);
        let mut request = request(&address, self.form(&proof)).map_err(|text| problem(&text))?;
        *request.method_mut() = reqwest::Method::POST;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert("content-type", form);
        if let Proof::Signed(own) = &proof {
            AwsAuthorizer::new(own, "sts", region).try_authorize(&mut request, None)?;
        }
        let answer = services.send(request).await.map_err(|text| problem(&text))?;
        let page = String::from_utf8_lossy(&answer.page);
        let part = |name: &str| {
            let (_, rest) = page.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.trim().to_owned())
        };
        if !answer.is_given() {
            let token = match &proof {
                Proof::Signed(own) => own.token.as_deref().unwrap_or_default(),
                Proof::Token(token) => token,
            };
            let words = said(
                &part("Message").unwrap_or_default(),
                &[token, self.external_id.as_deref().unwrap_or_default()],
            );
            return Err(problem(&format!("status {}{words}", answer.status)));
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

    /// An error that names the role.
    pub fn problem(&self, text: &str) -> object_store::Error {
        refused(format!("the role {} was not given: {text}", self.arn))
    }

    fn form(&self, proof: &Proof) -> String {
        let session = self.session.clone().or_else(|| std::env::var("AWS_ROLE_SESSION_NAME").ok());
        let session = session.unwrap_or_else(|| format!("atomic-{:x}", fastrand::u64(..)));
        let (action, token) = match proof {
            Proof::Signed(_) => ("AssumeRole", None),
            Proof::Token(token) => ("AssumeRoleWithWebIdentity", Some(*token)),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &self.arn).append_pair("RoleSessionName", &session);
        let more = [
            ("ExternalId", self.external_id.as_deref()),
            ("DurationSeconds", self.duration.as_deref()),
            ("WebIdentityToken", token),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.finish()
    }
}
