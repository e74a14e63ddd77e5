//! Certificates: read from files, checked, replaced without a restart.
//!
//! One certificate serves every port of a node and both ends of the link. With `client_ca` set, clients
//! and the peer must show a certificate signed by it; the peer's is always checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tandem_node::CertificateEnd;

/// Where the certificate, its key and the authority are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The node's certificate and what is between it and the authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority that signs clients and the peer, PEM; `None`: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not fit, or the authority is unusable.
    #[error("use certificate {path}: {reason}")]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificate in use, and where to look for the next.
pub(crate) struct Tls {
    files: TlsFiles,
    end: Option<CertificateEnd>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// Change times of the files when they were last looked at.
    seen: Vec<Option<SystemTime>>,
}

impl Tls {
    /// Reads and checks the files.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = change_times(&files);
        let (server, client) = read(&files)?;
        let end = certificate_end(&files)?;
        Ok(Self { files, end, server, client, seen })
    }

    /// Reads the files again if one changed (or `forced`). What cannot be used leaves the old in place.
    ///
    /// `None`: nothing changed. Connections that exist go on with what they began with.
    pub(crate) fn reload(&mut self, forced: bool) -> Option<Result<(), TlsError>> {
        let seen = change_times(&self.files);
        if !forced && seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(read(&self.files).and_then(|(server, client)| {
            self.end = certificate_end(&self.files)?;
            self.server = server;
            self.client = client;
            Ok(())
        }))
    }

    /// When the certificate in use ends.
    pub(crate) const fn end(&self) -> Option<&CertificateEnd> {
        self.end.as_ref()
    }

    /// The accepting end of a new connection.
    pub(crate) fn accept(&self) -> Result<rustls::Connection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.server)).map(Into::into)
    }

    /// The dialling end of a new connection to `host`.
    pub(crate) fn connect(&self, host: &str) -> Result<rustls::Connection, rustls::Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| rustls::Error::General(format!("{host} is no server name")))?;
        ClientConnection::new(Arc::clone(&self.client), name).map(Into::into)
    }
}

/// The first of the configured certificates to end; `None`: none of them says so in a way that is understood.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub fn certificate_end(files: &TlsFiles) -> Result<Option<CertificateEnd>, TlsError> {
    let mut first: Option<CertificateEnd> = None;
    for path in [Some(&files.cert), files.client_ca.as_ref()].into_iter().flatten() {
        for certificate in certificates(path)? {
            // Whether it can be used is the business of those who use it.
            let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&certificate) else {
                continue;
            };
            let at = parsed.validity().not_after.timestamp();
            if first.as_ref().is_none_or(|first| at < first.at) {
                first = Some(CertificateEnd { file: path.display().to_string(), at });
            }
        }
    }
    Ok(first)
}

fn change_times(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let paths = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    paths
        .into_iter()
        .flatten()
        .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
        .collect()
}

fn read(files: &TlsFiles) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), TlsError> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| TlsError::Read { path: files.key.clone(), source })?;
    // Without an authority the peer is known by what stands in our own file: the same self-signed
    // certificate on both nodes, or an authority at the end of the chain.
    let trusted = match &files.client_ca {
        Some(path) => certificates(path)?,
        None => chain.clone(),
    };
    let unusable = |reason: String| TlsError::Unusable { path: files.cert.clone(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    let roots = Arc::new(roots);
    let server = server_config(files, Arc::clone(&roots), chain.clone(), key.clone_key());
    let server = server.map_err(unusable)?;
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(error.to_string()))?;
    Ok((Arc::new(server), Arc::new(client)))
}

fn server_config(
    files: &TlsFiles,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if files.client_ca.is_some() {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| error.to_string())?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).map_err(|error| error.to_string())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |source| TlsError::Read { path: path.to_owned(), source };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(bad)?.collect::<Result<_, _>>().map_err(bad)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}
