//! Strangers: what they may not write, what they have written, and who may listen.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tandem_switch::{Outcome, RecordState};
use tandem_types::NodeId;
use tandem_zookeeper::{ClientSettings, Login};
use tokio::runtime::Runtime;

use crate::TICK;
use crate::ensemble::Member;
use crate::node::{Node, create, record, replace, settings, state};

fn with_login(node: NodeId, server: &Member, password: &str) -> ClientSettings {
    let login = Login::new("tandem".to_owned(), password.as_bytes().to_vec());
    ClientSettings { login: Some(login), ..settings(node, &[server.endpoint()]) }
}

#[test]
fn with_a_login_nobody_else_may_change_or_read_what_is_the_pairs() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::up(with_login(NodeId::A, &server, "right")).await;
        let mut b = Node::up(with_login(NodeId::B, &server, "right")).await;
        a.vouch().await;
        b.vouch().await;
        let first = a.win(create()).await;
        let second = b.win(replace(first, 2, NodeId::B)).await;
        let want = state(second, record(2, NodeId::B));
        for words in [
            &["set", "/tandem/main/record", "mine"][..],
            &["deleteall", "/tandem/main/record"],
            &["deleteall", "/tandem/main/present"],
            &["create", "/tandem/main/other", "mine"],
            &["get", "/tandem/main/record"],
        ] {
            let said = server.stranger(words);
            assert!(said.contains("permission") || said.contains("NoAuth"), "{words:?}: {said}");
        }
        let said = server.stranger(&["create", "/tandem/other-pair", ""]);
        assert!(said.contains("Created /tandem/other-pair"), "another pair's own: {said}");
        assert_eq!(a.view().await.record, want);

        for stranger in
            [with_login(NodeId::A, &server, "wrong"), settings(NodeId::A, &[server.endpoint()])]
        {
            let mut stranger = Node::start(stranger);
            let reason = stranger.hear_down().await;
            assert!(reason.contains("switch.mediator.user"), "{reason}");
        }
    });
}

#[test]
fn what_was_open_is_closed_by_the_first_login() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::up(settings(NodeId::A, &[server.endpoint()])).await;
        a.vouch().await;
        a.win(create()).await;
        let _b = Node::up(with_login(NodeId::B, &server, "right")).await;
        let said = server.stranger(&["set", "/tandem/main/record", "mine"]);
        assert!(said.contains("permission") || said.contains("NoAuth"), "{said}");
    });
}

#[test]
fn what_is_no_record_is_said_and_never_overwritten() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::up(settings(NodeId::A, &[server.endpoint()])).await;
        a.vouch().await;
        let first = a.win(create()).await;
        let long = "x".repeat(100_000);
        for (content, why) in [
            ("hello", "not a record"),
            ("", "not a record"),
            ("tandem record 2", "version"),
            (&long, "100000 bytes"),
        ] {
            server.stranger(&["set", "/tandem/main/record", content]);
            let RecordState::Unreadable { reason } = a.view().await.record else {
                panic!("{why}: it was read")
            };
            assert!(reason.contains(why) && reason.contains("/tandem/main/record"), "{reason}");
            for change in [create(), replace(first, 2, NodeId::B)] {
                let lost = a.lose(change).await;
                assert!(matches!(lost.record, RecordState::Unreadable { .. }), "{lost:?}");
            }
        }
        // Somebody's nodes among the presences are nobody's presence.
        server.stranger(&["create", "/tandem/main/present/b-000000000000000b-1", "x"]);
        server.stranger(&["create", "/tandem/main/present/hello", "x"]);
        assert!(a.view().await.present.b.is_none());
        // Removed by a person, it is absent, and what comes next is another life.
        server.stranger(&["deleteall", "/tandem/main/record"]);
        server.stranger(&["deleteall", "/tandem/main/present"]);
        assert_eq!(a.view().await.record, RecordState::Absent);
        a.vouch().await;
        match a.change(create()).await {
            Outcome::Won { revision } => assert_ne!(revision.life, first.life),
            other => panic!("{other:?}"),
        }
    });
}

fn trusting(authority: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn an_encrypted_connection_is_only_made_to_the_right_server() {
    let (right, wrong) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &right).unwrap();
    let pem = key.serialize_pem() + &certificate.pem() + &right.pem();
    let server = Member::encrypted(TICK, &pem);
    Runtime::new().unwrap().block_on(async {
        let of = |node, authority: &CertifiedIssuer<'_, KeyPair>| ClientSettings {
            tls: Some(trusting(authority.der())),
            ..settings(node, &[server.secure_endpoint()])
        };
        let mut a = Node::up(of(NodeId::A, &right)).await;
        let mut b = Node::up(of(NodeId::B, &right)).await;
        a.vouch().await;
        let first = a.win(create()).await;
        b.vouch().await;
        b.win(replace(first, 2, NodeId::B)).await;
        a.pushed("b's change", |view| match view.record {
            RecordState::Present { record: found, .. } => found == record(2, NodeId::B),
            _ => false,
        })
        .await;
        let mut stranger = Node::start(of(NodeId::A, &wrong));
        let reason = stranger.hear_down().await;
        assert!(reason.contains("certificate"), "{reason}");
    });
}
