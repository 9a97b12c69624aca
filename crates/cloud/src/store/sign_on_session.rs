//! A session of single sign-on: its token, which all buckets of a process share. What renews a token holds once, so that one
//! of them asks for all.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{self, MutexGuard};
use tokio::time::sleep;

use super::sign_on_token::{Token, TokenFile};

/// For how long, and how often, the file is read for what another process has renewed: it got the answer before this one was
/// refused, and has to write it yet.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(50);

/// The session of one file.
pub struct Session {
    file: TokenFile,
    state: sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the file said.
    read: Option<Token>,
    /// What was made of it, and could not be written.
    kept: Option<Token>,
    /// It was waited for another process, which did not renew this token.
    has_waited: bool,
}

/// A session whose token nobody else renews in this process.
pub struct Held<'a> {
    file: &'a TokenFile,
    state: MutexGuard<'a, State>,
}

impl Session {
    /// That of a name, or, in a profile of the old form, of the portal with this address.
    pub fn of(session_or_url: &str) -> Arc<Self> {
        static SESSIONS: LazyLock<Mutex<HashMap<Option<PathBuf>, Arc<Session>>>> =
            LazyLock::new(Mutex::default);
        let file = TokenFile::of(session_or_url);
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Self { file: file.clone(), state: sync::Mutex::default() });
        sessions.entry(file.0.clone()).or_insert_with(new).clone()
    }

    /// Waits until no other bucket renews the token.
    pub async fn hold(&self) -> Held<'_> {
        Held { file: &self.file, state: self.state.lock().await }
    }
}

impl Held<'_> {
    /// The token that is to be used. A file that has changed says more than what was made of its old token: a person has
    /// signed in or out.
    pub async fn token(&mut self) -> Option<Token> {
        let read = self.file.read().await;
        if read != self.state.read {
            *self.state = State { read, ..State::default() };
        }
        self.state.kept.as_ref().or(self.state.read.as_ref()).cloned()
    }

    /// Takes a token that was made of the last one, and tells what is to be used now; `None`: a person has signed out meanwhile.
    pub async fn renew(&mut self, renewed: Token) -> Option<Token> {
        let replaced = match &self.state.read {
            Some(old) => self.file.replace(old, &renewed).await,
            None => Ok(false),
        };
        match replaced {
            Ok(true) => self.state.kept = None,
            Ok(false) => {
                let other = self.token().await?;
                return Some(if other.holds(Duration::ZERO) { other } else { renewed });
            }
            // A home that cannot be written is no reason to fail.
            Err(_) => self.state.kept = Some(renewed.clone()),
        }
        Some(renewed)
    }

    /// After a refusal: what another process has renewed. For one token it is waited once.
    pub async fn of_another(&mut self) -> Option<Token> {
        let looks = if self.state.has_waited { 1 } else { LOOKS };
        self.state.has_waited = true;
        for _ in 0..looks {
            if let Some(token) = self.token().await.filter(|token| token.holds(Duration::ZERO)) {
                return Some(token);
            }
            sleep(LOOK).await;
        }
        None
    }

    /// Gives up a token that is not accepted.
    pub fn refuse(&mut self, token: &Token) {
        self.state.kept.take_if(|kept| kept == token);
    }
}
