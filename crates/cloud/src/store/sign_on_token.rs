//! The token of a session of single sign-on, in the file where all tools of AWS keep it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::sys;

/// Some tools write into the file itself. For as long as that takes it has no token.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(20);

/// More is no token.
const MOST: u64 = 1 << 20;

/// Where a token is kept.
#[derive(Clone)]
pub struct TokenFile(pub Option<PathBuf>);

impl TokenFile {
    /// Of this session, or, in a profile of the old form, of the portal with this address.
    pub fn of(session_or_url: &str) -> Self {
        // The name is all that the tools of AWS make of the digest.
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, session_or_url.as_bytes());
        let name: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let file = |home: PathBuf| home.join(".aws/sso/cache").join(name + ".json");
        Self(std::env::home_dir().map(file))
    }

    /// `None`: there is none, or it is no token.
    pub async fn read(&self) -> Option<Token> {
        for _ in 0..LOOKS {
            let file = self.0.clone()?;
            let open = move || sys::open_regular(&file).ok().map(|mut file| Token::read(&mut file));
            // The inner `None`: it is no token, or not yet.
            let token = spawn_blocking(open).await.ok().flatten()?;
            if token.is_some() {
                return token;
            }
            sleep(LOOK).await;
        }
        None
    }

    /// Puts a token into the place of the one that it was made of, and of no other: a person may have signed in or out meanwhile,
    /// and then it is `false`.
    ///
    /// # Errors
    /// It cannot be written, or not as its owner's.
    pub async fn replace(&self, old: &Token, new: &Token) -> io::Result<bool> {
        let Some(file) = self.0.clone() else { return Ok(false) };
        let (old, text) = (old.clone(), serde_json::to_vec(&new.all)?);
        spawn_blocking(move || replace(&file, &old, &text)).await?
    }
}

/// Other tools see the old file or the new one, also after a crash: the steps of the engine that matter here, which would make this
/// addon half a megabyte larger. These tools take no lock: what one of them writes between the last look and the rename is lost.
fn replace(file: &Path, old: &Token, text: &[u8]) -> io::Result<bool> {
    // A link stays one.
    let file = match fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // As the engine names what it stages, so that a sweep finds it after a kill.
    let unique: String = std::iter::repeat_with(fastrand::alphanumeric).take(12).collect();
    let staged = file.with_file_name(format!(".{name}.{unique}.atomic-tmp"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    sys::for_owner_only(&mut options);
    let replaced = options.open(&staged).and_then(|to| fill(to, &file, text)).and_then(|()| {
        let is_old =
            sys::open_regular(&file).is_ok_and(|mut file| Token::read(&mut file).as_ref() == Some(old));
        if is_old { fs::rename(&staged, &file).map(|()| true) } else { Ok(false) }
    });
    if !matches!(replaced, Ok(true)) {
        let _ = fs::remove_file(&staged);
    }
    replaced
}

/// The text becomes that of whoever has the file: root renews tokens of others, who are to read them.
fn fill(mut staged: File, file: &Path, text: &[u8]) -> io::Result<()> {
    staged.write_all(text)?;
    sys::give_to_owner(&staged, &fs::metadata(file)?)?;
    staged.sync_all()
}

/// A token.
#[derive(Clone, PartialEq)]
pub struct Token {
    /// It opens the portal.
    pub access_token: String,
    until: SystemTime,
    /// All that the file says, some of it for other tools.
    all: Map<String, Value>,
}

/// What a new token is asked for with.
pub struct Ticket {
    pub client_id: String,
    pub client_secret: String,
    pub refresh_token: String,
}

impl Token {
    fn read(file: &mut impl Read) -> Option<Self> {
        let mut text = Vec::new();
        file.take(MOST).read_to_end(&mut text).ok()?;
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // Editors of Windows put a byte order mark before it.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let all: Map<String, Value> = serde_json::from_slice(text).ok()?;
        let get = |name| all.get(name).and_then(Value::as_str);
        Some(Self { access_token: get("accessToken")?.to_owned(), until: time(get("expiresAt")?)?, all })
    }

    /// Whether it holds for that much longer.
    pub fn holds(&self, margin: Duration) -> bool {
        SystemTime::now() + margin < self.until
    }

    /// `None`: the file has none, or the registration of the tool that made it has ended.
    pub fn ticket(&self) -> Option<Ticket> {
        let get = |name| self.all.get(name).and_then(Value::as_str);
        let holds = |ends: &str| time(ends).is_some_and(|ends| SystemTime::now() < ends);
        Some(Ticket {
            client_id: get("clientId")?.to_owned(),
            client_secret: get("clientSecret")?.to_owned(),
            refresh_token: get("refreshToken")?.to_owned(),
        })
        .filter(|_| get("registrationExpiresAt").is_none_or(holds))
    }

    /// What it becomes by a new one that holds for `lifetime`.
    pub fn renewed(&self, access_token: String, lifetime: Duration, refresh_token: Option<String>) -> Self {
        let until = SystemTime::now() + lifetime;
        let mut all = self.all.clone();
        all.insert("accessToken".into(), access_token.clone().into());
        let text = DateTime::<Utc>::from(until).to_rfc3339_opts(SecondsFormat::Secs, true);
        all.insert("expiresAt".into(), text.into());
        if let Some(token) = refresh_token {
            all.insert("refreshToken".into(), token.into());
        }
        Self { access_token, until, all }
    }
}

/// Old versions of the tools write `UTC` for `Z`.
fn time(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix("UTC").map_or(text.to_owned(), |text| format!("{text}Z"));
    DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"accessToken":"a","expiresAt":"2020-06-17T10:02:08UTC","clientId":"i","clientSecret":"s","other":1}"#;

    #[test]
    fn a_token_that_is_renewed_keeps_what_it_does_not_know() {
        let old = Token::parse(TEXT.as_bytes()).unwrap();
        let new = old.renewed("b".into(), Duration::from_secs(60), Some("r".into()));
        assert!(!old.holds(Duration::ZERO) && new.holds(Duration::ZERO));
        let text = serde_json::to_vec(&new.all).unwrap();
        let read = Token::parse(&text).unwrap();
        assert_eq!((read.access_token.as_str(), read.all.get("other")), ("b", Some(&Value::from(1))));
        assert!(read.holds(Duration::from_secs(50)));
    }

    #[test]
    fn a_token_is_renewed_with_a_ticket_that_holds() {
        let token = |more: &str| Token::parse(TEXT.replace(r#""other":1"#, more).as_bytes()).unwrap();
        assert!(token(r#""other":1"#).ticket().is_none());
        assert!(token(r#""refreshToken":"r""#).ticket().is_some());
        for (ends, is_given) in
            [("2020-01-01T00:00:00Z", false), ("2999-01-01T00:00:00Z", true), ("soon", false)]
        {
            let more = format!(r#""refreshToken":"r","registrationExpiresAt":"{ends}""#);
            assert_eq!(token(&more).ticket().is_some(), is_given, "{ends}");
        }
    }

    #[test]
    fn a_file_is_named_by_the_digest() {
        let TokenFile(Some(file)) = TokenFile::of("abc") else { panic!("no home") };
        assert!(file.ends_with(".aws/sso/cache/a9993e364706816aba3e25717850c26c9cd0d89d.json"));
    }
}
