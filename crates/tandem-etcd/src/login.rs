//! A name and password for etcd, the token they give, and asking with it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::{self, TokenAnswer};
use crate::http::{Connection, Door, Lines};
use crate::trouble::Trouble;

/// etcd checks passwords slowly, by intention, and may do so for several callers at once.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(3);

/// Who a node is to etcd; never shown.
#[derive(Clone)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// The user of `switch.mediator.user`, and the content of its password file.
    pub const fn new(user: String, password: String) -> Self {
        Self { user, password }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

/// A connection on which a node is known.
#[derive(Debug)]
pub(crate) struct Asker {
    connection: Connection,
    login: Option<Login>,
    token: Option<String>,
}

impl Asker {
    /// Connects within `limit`, and logs in if a login is given and no `token` is known.
    pub(crate) async fn open(
        door: &Door,
        login: Option<&Login>,
        token: Option<String>,
        limit: Duration,
    ) -> Result<Self, Trouble> {
        let connection =
            timeout(limit, Connection::open(door)).await.map_err(|_| Trouble::Late)??;
        let mut asker = Self { connection, login: login.cloned(), token };
        if asker.token.is_none() {
            asker.log_in().await?;
        }
        Ok(asker)
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Asks once, within `limit`. After an error nobody knows whether what was asked for was done.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &Value,
        limit: Duration,
    ) -> Result<T, Trouble> {
        let token = self.token.as_deref();
        let asked = self.connection.ask(path, token, question.to_string().into_bytes());
        let answer = timeout(limit, asked).await.map_err(|_| Trouble::Late)??;
        serde_json::from_slice(&answer).map_err(|error| Trouble::Malformed(error.to_string()))
    }

    /// As [`Self::ask`], for what may be asked twice: with a new token if the present one is over.
    pub(crate) async fn ask_again<T: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &Value,
        limit: Duration,
    ) -> Result<T, Trouble> {
        match self.ask(path, question, limit).await {
            Err(trouble) if trouble.is_stale_login() && self.login.is_some() => {
                self.log_in().await?;
                self.ask(path, question, limit).await
            }
            other => other,
        }
    }

    /// Asks for a stream; this connection is then used up.
    pub(crate) async fn listen(self, path: &str, question: &Value) -> Result<Lines, Trouble> {
        let body = question.to_string().into_bytes();
        self.connection.listen(path, self.token.as_deref(), body).await
    }

    /// A new token, if there is a login.
    pub(crate) async fn log_in(&mut self) -> Result<(), Trouble> {
        let Some(Login { user, password }) = self.login.clone() else { return Ok(()) };
        self.token = None;
        let question = json!({"name": user, "password": password});
        let answer: TokenAnswer = self
            .ask(gateway::AUTHENTICATE, &question, LOGIN_TIME_MAX)
            .await
            .map_err(|source| Trouble::Login { user, source: Box::new(source) })?;
        self.token = Some(answer.token);
        Ok(())
    }
}
