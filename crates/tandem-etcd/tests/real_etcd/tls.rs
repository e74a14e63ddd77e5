//! An etcd whose clients must encrypt and show a certificate.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::sync::Arc;
use tandem_types::NodeId;
use tempfile::TempDir;

use crate::Etcd;
use crate::server::{Options, Server};
use crate::side::{Side, first, presence};

const A: NodeId = NodeId::A;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// Certificate and key, as PEM and as bytes.
fn signed(by: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    (params.signed_by(&key, by).expect("a certificate"), key)
}

fn client(trusted: &Authority, shown: Option<&(rcgen::Certificate, KeyPair)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            builder.with_client_auth_cert(chain, key).expect("they fit")
        }
    }
}

#[test]
fn an_encrypted_etcd_is_reached_by_who_trusts_it_and_is_trusted() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ours, other) = (authority(), authority());
    let server = signed(&ours);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("ca.pem"), ours.pem()).expect("writable");
    fs::write(path("cert.pem"), server.0.pem()).expect("writable");
    fs::write(path("key.pem"), server.1.serialize_pem()).expect("writable");
    let mut more = vec!["--client-cert-auth".to_owned()];
    for (option, name) in
        [("--cert-file", "cert.pem"), ("--key-file", "key.pem"), ("--trusted-ca-file", "ca.pem")]
    {
        more.extend([option.to_owned(), path(name).display().to_string()]);
    }
    let options = Options { more, encrypted: true, ..Options::default() };
    let node = signed(&ours);
    let etcd = Etcd::of(Server::start(options)).with_tls(client(&ours, Some(&node)));
    let mut a = Side::connect(&etcd, A);
    a.wait_up();
    a.vouch(presence(A, 1));
    a.wins(first());
    drop(a);
    let etcd = etcd.with_tls(client(&other, Some(&node)));
    let reason = Side::connect(&etcd, A).wait_down();
    assert!(reason.contains("certificate"), "{reason}");
    let etcd = etcd.with_tls(client(&ours, None));
    let reason = Side::connect(&etcd, A).wait_down();
    assert!(reason.contains("certificate") || reason.contains("connection"), "{reason}");
}
