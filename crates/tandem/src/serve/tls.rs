//! TLS of the admin port and of the way to a witness: the certificate of `[tls]`; and of the way to other
//! mediators, which have certificates of their own.
//!
//! No client certificate is asked for here, also with `client_ca`: a load balancer's health checks and
//! Prometheus have none, and what changes anything needs the token.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_config::{MediatorConfig, TlsConfig};

pub(crate) fn server_config(files: &TlsConfig) -> anyhow::Result<Arc<ServerConfig>> {
    let cert = || format!("read the certificate {}", files.cert.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("read the key {}", files.key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("use the certificate {}", files.cert.display()))?;
    Ok(Arc::new(config))
}

/// The dialling side, for a witness: it must show a certificate of the pair's authority, or without one
/// the pair's own certificate.
pub(crate) fn client_config(files: &TlsConfig) -> anyhow::Result<Arc<ClientConfig>> {
    let authority = files.client_ca.as_deref().unwrap_or(&files.cert);
    dialling(authority, Some((&files.cert, &files.key)))
}

/// The dialling side, for a `ZooKeeper` or etcd, which has an authority of its own; `None`: no TLS.
pub(crate) fn mediator_config(
    mediator: &MediatorConfig,
) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    let Some(authority) = &mediator.ca else { return Ok(None) };
    let own = mediator.cert.as_deref().zip(mediator.key.as_deref());
    dialling(authority, own).map(Some)
}

/// `own`: certificate and key to show.
fn dialling(authority: &Path, own: Option<(&Path, &Path)>) -> anyhow::Result<Arc<ClientConfig>> {
    let read = |path: &Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .with_context(|| format!("read the certificate {}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in read(authority)? {
        roots.add(certificate).context("use the authority")?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((cert, key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .with_context(|| format!("read the key {}", key_file.display()))?;
            config
                .with_client_auth_cert(read(cert)?, key)
                .with_context(|| format!("use the certificate {}", cert.display()))?
        }
    };
    Ok(Arc::new(config))
}
