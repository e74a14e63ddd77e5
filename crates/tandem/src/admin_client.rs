//! The command line's side of the admin port.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tandem_admin::{DoneView, RefusedView};
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::cli::AdminOptions;
use crate::failure::NotReachable;

/// A node that does not answer within this is called not reachable.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// Talks to one node.
pub(crate) struct AdminClient {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// What a request that changes something came to.
pub(crate) enum Outcome {
    Done(DoneView),
    Refused(RefusedView),
}

impl AdminClient {
    pub(crate) fn new(options: &AdminOptions) -> anyhow::Result<Self> {
        Self::with_patience(options, ANSWER_TIME_MAX)
    }

    /// As [`Self::new`], for a node that may hang: no answer within `answer_time_max` is none.
    pub(crate) fn with_patience(
        options: &AdminOptions,
        answer_time_max: Duration,
    ) -> anyhow::Result<Self> {
        let mut base = options.admin.trim_end_matches('/').to_owned();
        if !base.contains("://") {
            base.insert_str(0, "http://");
        }
        if base.starts_with("https://") && options.ca.is_none() {
            bail!(
                "{base} is encrypted: name the authority that signed the node's certificate with --ca FILE"
            );
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME_MAX.min(answer_time_max)))
            .timeout_recv_response(Some(answer_time_max))
            .max_redirects(0)
            // A proxy of the environment has no business between a person and a node.
            .proxy(None)
            .tls_config(tls(options)?)
            .build()
            .new_agent();
        Ok(Self { agent, base, token: options.token.clone() })
    }

    /// A GET whose answer is JSON.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut answer = self.get_raw(path)?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .read_to_string()
            .with_context(|| format!("read the answer of {}", self.base))?;
        let value: Value = serde_json::from_str(&text).map_err(|_| self.not_a_node())?;
        if !status.is_success() {
            bail!("{}", error_of(&value));
        }
        Ok(value)
    }

    /// A GET whose answer is long and not JSON, as it comes.
    pub(crate) fn stream(&self, path: &str) -> anyhow::Result<impl Read + use<>> {
        let mut answer = self.get_raw(path)?;
        if !answer.status().is_success() {
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            let value = serde_json::from_str(&text).map_err(|_| self.not_a_node())?;
            bail!("{}", error_of(&value));
        }
        Ok(answer.into_body().into_reader())
    }

    /// A GET whose answer may be anything.
    fn get_raw(&self, path: &str) -> anyhow::Result<Response<Body>> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| self.not_reachable(&error))
    }

    /// A POST that asks for a change.
    pub(crate) fn change(&self, path: &str, body: &Value) -> anyhow::Result<Outcome> {
        Ok(match self.post(path, body)? {
            Ok(done) => Outcome::Done(serde_json::from_value(done)?),
            Err(refused) => Outcome::Refused(refused),
        })
    }

    /// A POST, and what it answers if it is not refused.
    pub(crate) fn post(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Result<Value, RefusedView>> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer =
            request.send(body.to_string()).map_err(|error| self.not_reachable(&error))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .with_context(|| format!("read the answer of {}", self.base))?;
        match answer.status().as_u16() {
            200 => Ok(Ok(serde_json::from_str(&text)?)),
            409 => Ok(Err(serde_json::from_str(&text)?)),
            _ => match serde_json::from_str(&text) {
                Ok(value) => bail!("{}", error_of(&value)),
                Err(_) => Err(self.not_a_node()),
            },
        }
    }

    fn not_reachable(&self, error: &ureq::Error) -> anyhow::Error {
        NotReachable(format!(
            "no answer from {}: {error}; is the node running, and is --admin (or TANDEM_ADMIN) its admin port?",
            self.base
        ))
        .into()
    }

    fn not_a_node(&self) -> anyhow::Error {
        NotReachable(format!("what answers at {} is not a Tandem node; check --admin", self.base))
            .into()
    }
}

fn error_of(value: &Value) -> String {
    value.get("error").and_then(Value::as_str).unwrap_or("the node answered an error").to_owned()
}

/// The node's certificate must be signed by the given authority: a pair has its own.
fn tls(options: &AdminOptions) -> anyhow::Result<TlsConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if let Some(path) = &options.ca {
        let pem = read(path)?;
        let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            bail!("{} holds no certificate; --ca wants the authority's, in PEM", path.display());
        }
        config = config.root_certs(RootCerts::new_with_certs(&certificates));
    }
    if let Some(path) = &options.cert {
        let pem = read(path)?;
        let chain: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        let key = PrivateKey::from_pem(&pem)
            .with_context(|| format!("read the key in {}", path.display()))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    Ok(bytes)
}
