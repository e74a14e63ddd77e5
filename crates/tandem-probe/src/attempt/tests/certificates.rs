//! A certificate that one of the two does not accept is no dead primary, with real handshakes.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_types::Monotonic;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::TlsSource;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of 127.0.0.1, and its key.
struct Shown {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn shown(by: &Authority, expired: bool) -> Shown {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2026, 1, 2);
    }
    let pair = KeyPair::generate().unwrap();
    let chain = vec![params.signed_by(&pair, by).unwrap().der().clone()];
    Shown { chain, key: PrivateKeyDer::try_from(pair.serialize_der()).unwrap() }
}

fn roots(of: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(of.der().clone()).unwrap();
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Serves one attempt with OK and the probe's own value, to whom `trusted` has signed.
async fn primary(own: Shown, trusted: &Authority) -> u16 {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(trusted), provider());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(own.chain, own.key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else {
            return;
        };
        let mut bytes = [0; 4096];
        while let Ok(1..) = stream.read(&mut bytes).await {
            // `CLIENT ID`, and what only reads.
            let answer: &[u8] =
                if bytes.windows(2).any(|it| it == b"ID") { b":1\r\n" } else { b"$1\r\nv\r\n" };
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    port
}

async fn probe(port: u16, own: &Shown, trusted: &Authority) -> Probed {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(trusted))
        .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
        .unwrap();
    let config = Arc::new(config);
    let settings = ProberSettings {
        host: "127.0.0.1".to_owned(),
        port,
        password: None,
        tls: Some(TlsSource::new(move || Ok(Arc::clone(&config)))),
        every: Duration::from_millis(200),
        write: false,
        silence: Duration::from_secs(20),
        slow_after: None,
        folder: std::path::PathBuf::new(),
        nonce: 1,
        now: || Monotonic::ZERO,
    };
    Attempts::new(settings).run(1, 1).await
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_says_nothing_of_the_primary() {
    let (ours, strange) = (authority(), authority());
    let login = Probed::Unsure(OwnTrouble::Login);

    let port = primary(shown(&ours, false), &ours).await;
    let good = probe(port, &shown(&ours, false), &ours).await;
    assert!(matches!(good, Probed::Answered { .. }), "{good:?}");
    for (name, own) in [("expired", shown(&ours, true)), ("strange", shown(&strange, false))] {
        // What the primary shows is not accepted here, or what is shown here is not accepted there.
        let port = primary(own, &ours).await;
        assert_eq!(
            probe(port, &shown(&ours, false), &ours).await,
            login,
            "the primary's is {name}"
        );
    }
    for (name, own) in [("expired", shown(&ours, true)), ("strange", shown(&strange, false))] {
        let port = primary(shown(&ours, false), &ours).await;
        assert_eq!(probe(port, &own, &ours).await, login, "this node's is {name}");
    }
}
