//! Files and environments as people write them: what is understood, and what the errors say.

use std::collections::BTreeSet;
use std::time::Duration;

use tandem_config::{
    Acknowledge, Channel, Config, EXAMPLES, FindSelfError, Locals, Origin, SwitchBy, Topology,
    example, load,
};
use tandem_types::{NodeId, Pair};

const TWO_NODES: &str = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n";

fn config(text: &str) -> Config {
    load(text, []).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn error(text: &str) -> String {
    load(text, []).expect_err(text).to_string()
}

#[test]
fn two_hosts_are_enough() {
    let config = config(TWO_NODES);
    assert_eq!(config.pair.name, "main");
    assert_eq!(config.pair.topology, Topology::PrimaryStandby);
    assert_eq!(config.pair.initial_primary, NodeId::A);
    assert_eq!(config.nodes.b.client_port, 6379);
    assert_eq!(config.nodes.b.bind, "127.0.0.2");
    assert_eq!(config.replication.acknowledge, Acknowledge::Durable);
    assert_eq!(config.replication.max_staleness, None);
    assert_eq!(config.switch.by, SwitchBy::Manual);
    assert_eq!(config.switch.solo_after, Duration::from_secs(2));
    assert_eq!(config.replication.log_retention, 1 << 30);
    config.supported().unwrap();
}

#[test]
fn the_contract_s_whole_file_is_understood() {
    let config = config(include_str!("contract.toml"));
    assert_eq!(config.switch.direct.channels.len(), 3);
    assert_eq!(config.switch.direct.channels.first(), Some(&Channel::Link));
    assert_eq!(config.vip.as_ref().unwrap().interface, "eth0");
    assert!(config.tls.is_some());
    assert!(config.auth.password_file.is_some());
    config.supported().unwrap();
}

#[test]
fn every_example_is_a_valid_file_and_says_so_if_it_cannot_run_yet() {
    for example in EXAMPLES {
        let config = config(example.text);
        assert_eq!(
            config.supported().is_err(),
            example.text.contains("NOT YET RUNNABLE"),
            "{}",
            example.name
        );
    }
    for name in "primary-standby primary-replica direct mediator-witness mediator-zookeeper \
                 mediator-etcd keepalived probe primary-primary"
        .split_whitespace()
    {
        assert!(example(name).is_some(), "{name}");
    }
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
    for (text, want) in [
        ("[pair]\nnmae = \"x\"", "line 2: unknown key `pair.nmae`; did you mean `pair.name`?"),
        (
            "[replication]\n\nacknowlege = \"local\"",
            "line 3: unknown key `replication.acknowlege`; did you mean `replication.acknowledge`?",
        ),
        ("[pair]\nfsync = \"always\"", "did you mean `replication.fsync`?"),
        ("[nodes.left]\nclientport = 1", "did you mean `nodes.left.client_port`?"),
        (
            "[switch.mediators]\nkind = \"etcd\"",
            "unknown section `switch.mediators`; did you mean [switch.mediator]?",
        ),
        ("name = \"x\"", "did you mean `pair.name`?"),
        ("pair = 3", "`pair` is a section"),
    ] {
        let error = error(text);
        assert!(error.contains(want), "{text}\n{error}");
    }
}

#[test]
fn wrong_values_say_what_is_wrong_where_and_what_would_be_right() {
    let cases = [
        (
            "[replication]\nfsync_interval = \"0s\"",
            "line 2: `replication.fsync_interval` = \"0s\" is not between \"10ms\" and \"1h\"",
        ),
        ("[replication]\nfsync_interval = \"-1s\"", "negative"),
        ("[replication]\nfsync_interval = 5", "has no unit; write for example \"5s\""),
        ("[replication]\nfsync_interval = \"999999999999999999999s\"", "too large"),
        ("[replication]\nacknowledge = \"durabel\"", "did you mean \"durable\"?"),
        ("[replication]\nforward_writes = \"yes\"", "must be true or false, not a text"),
        ("[replication]\nlog_retention = \"1 gig\"", "unknown unit \"gig\""),
        ("[replication]\nlog_retention = 9223372036854775807", "is not between"),
        ("[replication]\nlog_retention = 92233720368547758079999", "not a number out of range"),
        ("[nodes.a]\nclient_port = 65536", "is not between 1 and 65535"),
        ("[nodes.a]\nclient_port = 0", "is not between 1 and 65535"),
        ("[nodes.a]\nhost = \"a\\nb\"", "control character"),
        ("[nodes.\"a b\"]\nhost = \"x\"", "cannot be the name of a node"),
        ("[pair]\nname = \"a/b\"", "is not a name"),
        ("[pair]\nname = \"a\"\nname = \"b\"", "line 3: duplicate key"),
        ("[pair\nname = 1", "line 1"),
        ("", "a pair has two nodes, the configuration has 0"),
    ];
    for (text, want) in cases {
        let error = error(text);
        assert!(error.contains(want), "{text}\n{error}");
    }
}

#[test]
fn rules_over_several_keys_are_checked() {
    let nodes = TWO_NODES;
    let cases = [
        ("[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.1\"".to_owned(), "need different hosts"),
        ("[nodes.a]\nhost = \"127.0.0.1\"\nlink_port = 6379\n[nodes.b]\nhost = \"127.0.0.2\"".to_owned(), "give each its own port"),
        (format!("{nodes}[pair]\ninitial_primary = \"c\""), "is not one of the nodes; the nodes are \"a\" and \"b\""),
        (format!("{nodes}[switch]\nsolo_after = \"500ms\""), "shorter than three heartbeats, which come every 200ms"),
        (format!("{nodes}[switch]\nby = \"mediator\""), "set `switch.mediator.endpoints`"),
        (format!("{nodes}[vip]\naddress = \"127.0.0.9\"\ninterface = \"lo\""), "not an address with a prefix"),
        (format!("{nodes}[vip]\naddress = \"10.0.0.9/24\"\ninterface = \"lo\""), "is not in the network of node a"),
        (format!("{nodes}[vip]\naddress = \"127.0.0.2/8\"\ninterface = \"lo\""), "node b's own address"),
        (format!("{nodes}[tls]\ncert = \"x\""), "`[tls]` is incomplete"),
        (format!("{nodes}[switch.direct]\nchannels = [{{ a = \"x\", c = \"y\" }}]"), "does not name exactly the two nodes"),
        ("[nodes.a]\nhost = \"10.0.0.1\"\n[nodes.b]\nhost = \"10.0.0.2\"".to_owned(), "without `auth.password_file`"),
        ("[nodes.a]\nhost = \"0.0.0.0\"\n[nodes.b]\nhost = \"10.0.0.2\"\n[auth]\ninsecure = true".to_owned(), "is no place where anyone could reach"),
        ("[nodes.a]\nhost = \"h:1\"\n[nodes.b]\nhost = \"10.0.0.2\"\n[auth]\ninsecure = true".to_owned(), "holds a port"),
    ];
    for (text, want) in cases {
        let error = error(&text);
        assert!(error.contains(want), "{text}\n{error}");
    }
}

#[test]
fn listening_beyond_loopback_needs_secrets_or_an_explicit_word() {
    let nodes = "[nodes.a]\nhost = \"10.0.0.1\"\n[nodes.b]\nhost = \"10.0.0.2\"\n";
    assert!(error(nodes).contains("`auth.peer_secret_file`"));
    let open = format!("{nodes}[auth]\ninsecure = true\n");
    let said = error(&open);
    assert!(said.contains("never comes up") && said.contains("`auth.peer_secret_file`"), "{said}");
    config(&format!("{open}peer_secret_file = \"s\""));
    config(&format!("{open}[tls]\ncert = \"c\"\nkey = \"k\"\nclient_ca = \"a\""));
    config(&open.replace("10.0.0.1", "localhost").replace("10.0.0.2", "127.0.0.1"));
    config(&format!("{nodes}[auth]\npassword_file = \"p\"\npeer_secret_file = \"s\""));
    let open_admin = nodes.replace("[nodes.b]", "admin_bind = \"::\"\n[nodes.b]");
    let secrets = "[auth]\npassword_file = \"p\"\npeer_secret_file = \"s\"";
    assert!(error(&format!("{open_admin}{secrets}")).contains("`auth.admin_token_file`"));
}

#[test]
fn all_problems_are_told_at_once_in_file_order() {
    let error =
        error("[pair]\nnmae = \"x\"\n[replication]\nfsync = \"nver\"\n[nodes.a]\nhost = 1\n");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    assert!(lines[0].starts_with("line 2:") && lines[1].starts_with("line 4:"), "{error}");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{TWO_NODES}").replace('\n', "\r\n");
    assert_eq!(config(&text).nodes.a.host, "127.0.0.1");
    assert!(error(&format!("{text}[pair]\r\nnmae = \"x\"\r\n")).contains("line 6: unknown key"));
}

#[test]
fn the_environment_goes_over_the_file_and_the_origin_is_kept() {
    let environment = [
        ("TANDEM_PAIR__NAME", "shop"),
        ("TANDEM_NODES__A__CLIENT_PORT", "7000"),
        ("TANDEM_SWITCH__MEDIATOR__ENDPOINTS", "x:1, y:2"),
        ("TANDEM_ADMIN", "http://elsewhere"),
        ("HOME", "/root"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let text = format!("{TWO_NODES}[pair]\nname = \"main\"\n");
    let config = load(&text, environment).unwrap();
    assert_eq!(config.pair.name, "shop");
    assert_eq!(config.nodes.a.client_port, 7000);
    assert_eq!(config.switch.mediator.endpoints, ["x:1", "y:2"]);
    let origin = |path: &str| {
        config.entries().find(|entry| entry.path == path).map(|entry| entry.origin.clone()).unwrap()
    };
    assert_eq!(origin("pair.name"), Origin::Environment { name: "TANDEM_PAIR__NAME".to_owned() });
    assert_eq!(origin("nodes.a.host"), Origin::File { line: 2 });
    assert_eq!(origin("nodes.a.bind"), Origin::From { key: "nodes.a.host".to_owned() });
    assert_eq!(origin("replication.fsync"), Origin::Default);
    for (name, value, want) in [
        (
            "TANDEM_PAIR__NMAE",
            "x",
            "TANDEM_PAIR__NMAE: unknown key `pair.nmae`; did you mean `pair.name`?",
        ),
        (
            "TANDEM_NODES__A__CLIENT_PORT",
            "many",
            "TANDEM_NODES__A__CLIENT_PORT: `nodes.a.client_port` must be a whole number",
        ),
    ] {
        let error = load(TWO_NODES, [(name.to_owned(), value.to_owned())]).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn a_pair_can_be_configured_by_the_environment_alone() {
    let environment =
        [("TANDEM_NODES__A__HOST", "127.0.0.1"), ("TANDEM_NODES__B__HOST", "127.0.0.2")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(load("", environment).unwrap().nodes.b.host, "127.0.0.2");
}

#[test]
fn a_node_finds_itself_by_name_or_address() {
    let config = config(include_str!("contract.toml"));
    let address = |text: &str| text.parse().unwrap();
    let hosts = Pair { a: vec![address("10.0.0.1")], b: vec![address("10.0.0.2")] };
    let on = |addresses: &[&str]| Locals {
        addresses: addresses.iter().map(|text| address(text)).collect(),
        hosts: hosts.clone(),
    };
    assert_eq!(config.find_self(None, &on(&["127.0.0.1", "10.0.0.2"])), Ok(NodeId::B));
    assert_eq!(config.find_self(Some("a"), &on(&[])), Ok(NodeId::A));
    assert!(matches!(config.find_self(Some("c"), &on(&[])), Err(FindSelfError::NoSuchNode { .. })));
    assert!(matches!(
        config.find_self(None, &on(&["10.0.0.9"])),
        Err(FindSelfError::Nobody { .. })
    ));
    assert!(matches!(
        config.find_self(None, &on(&["10.0.0.1", "10.0.0.2"])),
        Err(FindSelfError::Both { .. })
    ));
}

#[test]
fn the_digest_sees_what_matters_and_nothing_else() {
    let plain = config(TWO_NODES);
    let written_out =
        config(&format!("# a comment\n{TWO_NODES}[replication]\nfsync = \"always\"\n"));
    let local = config(&TWO_NODES.replace("[nodes.b]", "data_dir = \"/x\"\n[nodes.b]"));
    let secret = config(&format!("{TWO_NODES}[auth]\npassword_file = \"/p\"\n"));
    for same in [&written_out, &local, &secret] {
        assert_eq!(plain.digest(), same.digest());
    }
    let other = config(&format!("{TWO_NODES}[replication]\nfsync = \"never\"\n"));
    assert_ne!(plain.digest(), other.digest());
    let lines = |config: &Config| -> BTreeSet<String> {
        config.canonical().lines().map(str::to_owned).collect()
    };
    let differ: Vec<String> = lines(&plain).symmetric_difference(&lines(&other)).cloned().collect();
    assert_eq!(differ, ["replication.fsync = \"always\"", "replication.fsync = \"never\""]);
    assert_eq!(plain.canonical(), local.canonical());
}

#[test]
fn cut_and_flipped_files_never_panic() {
    let text = include_str!("contract.toml");
    for end in 0..text.len() {
        if text.is_char_boundary(end) {
            let _cut = load(&text[..end], []);
        }
    }
    // Every third byte: all of them take ten seconds without optimisation.
    for place in (0..text.len()).step_by(3) {
        for with in [b'"', b'[', b'\n', b'=', b'9', 0] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] = with;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let _flipped = load(text, []);
            }
        }
    }
}

#[test]
fn what_is_shown_can_be_read_back_and_means_the_same() {
    for text in EXAMPLES.iter().map(|example| example.text).chain([include_str!("contract.toml")]) {
        let config = config(text);
        let shown: Vec<String> =
            config.entries().map(|entry| format!("{} = {}", entry.path, entry.value)).collect();
        let again = load(&shown.join("\n"), []).unwrap();
        assert_eq!(config.canonical(), again.canonical());
    }
}

const MEDIATED: &str = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n\
                        [switch]\nby = \"mediator\"\n";

#[test]
fn a_mediator_is_supported_and_switching_without_a_third_party_is_not() {
    let text = format!("{MEDIATED}[switch.mediator]\nendpoints = [\"10.0.0.3:7390\"]\n");
    config(&text).supported().unwrap();
    for kind in ["etcd", "zookeeper"] {
        let kind = format!("kind = \"{kind}\"\nendpoints");
        config(&text.replace("endpoints", &kind)).supported().unwrap();
    }
    let keepalived = text.replace("endpoints = [\"10.0.0.3:7390\"]", "kind = \"keepalived\"");
    let said = error(&keepalived);
    assert!(said.contains("there is none") && said.contains("vip.interface"), "{said}");
    let vip = "[vip]\naddress = \"127.0.0.100/8\"\ninterface = \"eth0\"\n";
    config(&format!("{keepalived}{vip}[auth]\ninsecure = true\n")).supported().unwrap();
    let text = text.replace("by = \"mediator\"", "by = \"probe\"");
    config(&text).supported().unwrap();
}

#[test]
fn a_session_is_as_long_as_the_silence_and_longer_than_a_read_lease() {
    for (failure_timeout, session, lease) in [
        ("1s", None, 500),
        ("2s", None, 1_000),
        ("1s", Some("600ms"), 450),
        ("1s", Some("9s"), 500),
    ] {
        let session = session.map_or(String::new(), |session| format!("session = \"{session}\"\n"));
        let config = config(&format!(
            "{MEDIATED}failure_timeout = \"{failure_timeout}\"\n\
             [switch.mediator]\n{session}endpoints = [\"10.0.0.3:7390\"]\n"
        ));
        let got = config.switch.read_lease();
        assert_eq!(got.as_millis(), lease);
        assert!(got < config.switch.mediator.session, "{failure_timeout} {session}");
        if session.is_empty() {
            assert_eq!(config.switch.mediator.session, config.switch.failure_timeout);
        }
    }
}

#[test]
fn mediated_settings_that_make_no_sense_together_are_refused() {
    let cases = [
        ("", "", "needs to know where the witness is"),
        ("", "endpoints = [\"10.0.0.3\"]", "not host:port"),
        ("solo_after = \"700ms\"", "endpoints = [\"h:1\"]", "before the peer counts as silent"),
        ("slow_after = \"100ms\"", "endpoints = [\"h:1\"]", "a moment's load"),
        ("watchdog = \"100ms\"", "endpoints = [\"h:1\"]", "would kill a healthy node"),
        ("", "endpoints = [\"h:1\"]\nsession = \"500ms\"", "three heartbeats"),
        ("", "endpoints = [\"h:1\"]\nuser = \"u\"", "go together"),
        ("", "endpoints = [\"h:1\"]\ncert = \"c\"", "go together"),
        ("", "endpoints = [\"h:1\"]\ncert = \"c\"\nkey = \"k\"", "`switch.mediator.ca` is missing"),
        ("", "endpoints = [\"https://h:1\"]", "not host:port"),
        ("", "endpoints = [\"h:1\"]\nuser = \"u:v\"\npassword_file = \"p\"", "holds a colon"),
    ];
    for (switch, mediator, want) in cases {
        let text = format!("{MEDIATED}{switch}\n[switch.mediator]\n{mediator}\n");
        let error = load(&text, []).unwrap_err().to_string();
        assert!(error.contains(want), "{want}: {error}");
    }
    let off = format!(
        "{MEDIATED}watchdog = \"0s\"\nslow_after = \"0s\"\n[switch.mediator]\nendpoints = [\"h:1\"]\n"
    );
    assert_eq!((config(&off).switch.watchdog, config(&off).switch.slow_after), (None, None));
}

#[test]
fn only_keys_that_do_nothing_are_warned_about() {
    let text = format!(
        "{MEDIATED}min_interval = \"5s\"\nwatchdog = \"3s\"\nfence = \"x\"\n\
         [switch.mediator]\nendpoints = [\"h:1\"]\n[switch.probe]\nfailures = 2\n"
    );
    assert_eq!(config(&text).without_effect(), ["switch.fence", "switch.probe.failures"]);
    let manual = text.replace("by = \"mediator\"", "by = \"manual\"");
    let idle = config(&manual).without_effect();
    assert!(idle.contains(&"switch.min_interval".to_owned()), "{idle:?}");
    assert!(!idle.contains(&"switch.watchdog".to_owned()), "{idle:?}");
}
