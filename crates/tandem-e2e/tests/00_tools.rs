//! The tools themselves, tried on a server that is known: Debian's redis-server.

use std::time::Duration;

use tandem_e2e::audit;
use tandem_e2e::client::Client;
use tandem_e2e::load::{Load, LoadOptions, Told};
use tandem_e2e::redis_server::RedisServer;
use tandem_e2e::rng::Rng;

fn options(seed: u64) -> LoadOptions {
    LoadOptions { clients: 20, seed, registers: 4, ..LoadOptions::default() }
}

#[test]
fn a_server_that_syncs_every_write_passes_the_audit_after_kill_9() {
    let seed = Rng::seed_from_environment();
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let load = Load::start(&options(seed), &[redis.address()]);
    load.wait_for_more(500, Duration::from_secs(20));
    redis.crash_and_restart();
    load.wait_for_more(500, Duration::from_secs(20));
    let report = load.stop();
    let audited = audit::assert_nothing_lost(&report, &mut redis.client());
    assert!(audited.acknowledged >= 500, "seed {seed}: {audited:?}");
}

#[test]
fn a_server_without_persistence_fails_the_audit_after_kill_9() {
    let mut redis = RedisServer::start(&[]);
    let load = Load::start(&options(7), &[redis.address()]);
    load.wait_for_more(500, Duration::from_secs(20));
    redis.crash_and_restart();
    let report = load.stop();
    let found = audit::violations(&report, &mut redis.client());
    assert!(found.iter().any(|line| line.contains("was acknowledged")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("counter:")), "{found:?}");
    assert!(report.count(Told::Acknowledged) >= 200);
}

#[test]
fn a_value_changed_behind_the_clients_back_is_noticed() {
    let redis = RedisServer::start(&[]);
    let load = Load::start(&options(9), &[redis.address()]);
    load.wait_for_more(2_000, Duration::from_secs(20));
    let report = load.stop();
    let mut client = redis.client();
    assert_eq!(audit::violations(&report, &mut client), Vec::<String>::new());
    client.ok(&["RPUSH", "list:3", "3-999999999"]);
    client.ok(&["SET", "pair:4:b", "4-1"]);
    client.ok(&["INCRBY", "counter:1", "1"]);
    let found = audit::violations(&report, &mut client);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn both_protocols_are_read() {
    let redis = RedisServer::start(&[]);
    let mut two = redis.client();
    let mut three = Client::connect_resp3(redis.address()).unwrap();
    two.ok(&["HSET", "h", "f", "1"]);
    assert_eq!(format!("{:?}", two.ok(&["HGETALL", "h"])), r#"["f", "1"]"#);
    assert_eq!(format!("{:?}", three.ok(&["HGETALL", "h"])), r#"%{"f": "1"}"#);
    assert_eq!(two.info_field("replication", "role").as_deref(), Some("master"));
}
