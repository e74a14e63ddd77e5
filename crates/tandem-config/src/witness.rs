//! What the witness takes from a configuration file: secrets and certificates.
//!
//! The file may be the pair's own, or one with the sections `[auth]` and `[tls]` only: the witness knows
//! nothing of nodes, so none need be named, but what is there must be right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::ConfigError;
use crate::layers::{self, Given};
use crate::settings::TlsConfig;
use crate::{Problem, Value};

/// The witness' configuration.
#[derive(Clone, Debug, Default)]
pub struct WitnessConfig {
    /// What the nodes must know.
    pub peer_secret_file: Option<PathBuf>,
    /// What Sentinel-aware clients must know.
    pub password_file: Option<PathBuf>,
    /// Encrypts the port.
    pub tls: Option<TlsConfig>,
    /// Listen beyond loopback without a secret.
    pub insecure: bool,
}

/// Reads it: `text` of the file, and the environment variables of the process.
///
/// # Errors
/// Everything that is wrong with it, also with keys that the witness does not use.
pub fn load_witness(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<WitnessConfig, ConfigError> {
    let mut problems = Vec::new();
    let mut given: Given = layers::read_file(text, &mut problems)?;
    crate::environment::overlay(environment, &mut given, &mut problems);
    let values = layers::read_only_given(&given, &mut problems);
    let config = take(&values, &mut problems);
    ConfigError::unless_empty(problems)?;
    Ok(config)
}

fn take(values: &BTreeMap<String, Value>, problems: &mut Vec<Problem>) -> WitnessConfig {
    let path = |key: &str| match values.get(key) {
        Some(Value::Text(text)) if !text.is_empty() => Some(PathBuf::from(text)),
        _ => None,
    };
    let (cert, key, client_ca) = (path("tls.cert"), path("tls.key"), path("tls.client_ca"));
    if cert.is_some() != key.is_some() || (client_ca.is_some() && cert.is_none()) {
        problems.push(Problem::new(
            "`[tls]` is incomplete: `cert` and `key` go together, `client_ca` needs both",
            "give both files, or remove the section",
        ));
    }
    WitnessConfig {
        peer_secret_file: path("auth.peer_secret_file"),
        password_file: path("auth.password_file"),
        tls: cert.zip(key).map(|(cert, key)| TlsConfig { cert, key, client_ca }),
        insecure: values.get("auth.insecure") == Some(&Value::Flag(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_secrets_alone_and_the_pairs_own_file_both_do() {
        let short = "[auth]\npeer_secret_file = \"/s\"\n[tls]\ncert = \"/c\"\nkey = \"/k\"\n";
        let config = load_witness(short, []).unwrap();
        assert_eq!(config.peer_secret_file, Some("/s".into()));
        assert_eq!(config.tls.unwrap().cert, PathBuf::from("/c"));
        let example = crate::example("mediator-witness").unwrap();
        let config = load_witness(example.text, []).unwrap();
        assert_eq!(config.peer_secret_file, Some("/etc/tandem/peer-secret".into()));
        assert!(!config.insecure && config.tls.is_none());
    }

    #[test]
    fn mistakes_are_named_and_the_environment_goes_first() {
        let error = load_witness("[auth]\npeer_secret = \"/s\"\n", []).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("peer_secret_file"), "{error}");
        assert!(load_witness("[tls]\ncert = \"/c\"\n", []).is_err());
        assert!(load_witness("[auth]\ninsecure = 7\n", []).is_err());
        let variable = ("TANDEM_AUTH__INSECURE".to_owned(), "true".to_owned());
        assert!(load_witness("", [variable]).unwrap().insecure);
    }
}
