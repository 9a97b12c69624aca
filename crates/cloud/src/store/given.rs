//! Credentials of AWS as they were given, or why they were not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use serde::Deserialize;

use super::reply::words;

/// Credentials, and until when they hold.
#[derive(Clone)]
pub struct Given {
    /// They sign requests.
    pub credential: Arc<AwsCredential>,
    /// `None`: they hold always.
    pub until: Option<SystemTime>,
}

impl Given {
    /// Whether they hold for that much longer.
    pub fn holds(&self, margin: Duration) -> bool {
        self.until.is_none_or(|until| SystemTime::now() + margin < until)
    }
}

/// As a `credential_process` prints them and containers get them, and near to how a token service gives them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(alias = "Token")]
    pub session_token: Option<String>,
    pub expiration: Option<String>,
}

impl Keys {
    pub fn given(self) -> object_store::Result<Given> {
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

/// What a `credential_process` has printed. Nothing of it is in an error: it may be secret.
pub fn printed(printed: &[u8]) -> Result<Keys, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Format {
        version: u64,
    }
    let no_json = "has printed no JSON with Version, AccessKeyId and SecretAccessKey: run it by hand to see what it prints";
    match serde_json::from_slice(printed) {
        Ok(Format { version: 1 }) => serde_json::from_slice(printed).map_err(|_| no_json),
        Ok(_) => Err("prints another version than 1, the only one that is known: update this package"),
        Err(_) => Err(no_json),
    }
}

/// Without the words that [`refused`] puts before it again.
pub fn text(error: &object_store::Error) -> String {
    let text = words(error);
    text.strip_prefix("Generic S3 error: ").map_or(text.clone(), str::to_owned)
}

/// There are no credentials, and why.
pub fn refused(text: String) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86400);

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
        assert!(given.holds(Duration::ZERO) && !given.holds(DAY));
        assert!(keys(None).given().unwrap().holds(DAY));
        assert!(keys(Some("tomorrow".into())).given().is_err());
    }

    #[test]
    fn a_program_prints_version_1() {
        let text = |version| {
            format!(
                r#"{{"Version":{version},"AccessKeyId":"k","SecretAccessKey":"SECRET","Expiration":null}}"#
            )
        };
        assert!(printed(text("1").as_bytes()).is_ok());
        for version in ["2", "null"] {
            assert!(printed(text(version).as_bytes()).is_err_and(|text| !text.contains("SECRET")));
        }
    }
}
