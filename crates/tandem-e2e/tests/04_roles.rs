//! What each role answers: refusals with the primary's address, reads on a replica and their age,
//! read-your-writes, forwarding, WAIT, WAITAOF, ROLE, the read port.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_e2e::client::Client;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::wait;

fn error_of(client: &mut Client, words: &[&str]) -> String {
    let reply = client.command(words).expect("an answer");
    reply.error().unwrap_or_else(|| panic!("{words:?} was answered {reply:?}")).to_owned()
}

fn connect(address: SocketAddr) -> Client {
    wait::until("accepts", Duration::from_secs(5), || Client::connect(address))
}

#[test]
fn a_standby_serves_nobody_and_names_the_primary() {
    let pair = Pair::start(&PairOptions::new("primary-standby"));
    let primary = pair.a.address();
    let want = format!("STANDBY this node does not serve clients; the primary is {primary}");
    for resp3 in [false, true] {
        let mut client = pair.b.client();
        if resp3 {
            client.ok(&["HELLO", "3"]);
        }
        for words in [&["GET", "k"][..], &["SET", "k", "v"], &["DBSIZE"], &["SUBSCRIBE", "c"]] {
            assert_eq!(error_of(&mut client, words), want, "{words:?}");
        }
        client.ok(&["PING"]);
        client.ok(&["INFO"]);
        let role = client.ok(&["ROLE"]).items();
        assert_eq!(role[0].text().as_deref(), Some("slave"), "{role:?}");
        assert_eq!(role[1].text().as_deref(), Some("127.0.0.1"));
        assert_eq!(role[2].int(), Some(i64::from(primary.port())));
        assert_eq!(role[3].text().as_deref(), Some("connected"));
    }
    let role = pair.a.client().ok(&["ROLE"]).items();
    assert_eq!(role[0].text().as_deref(), Some("master"), "{role:?}");
    let follower = role[2].items()[0].items();
    assert_eq!(follower[1].text(), Some(pair.b.address().port().to_string()), "{role:?}");
}

#[test]
fn a_replica_reads_and_refuses_writes_as_redis_does() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut writer = pair.a.client();
    writer.ok(&["SET", "k", "v"]);
    assert_eq!(writer.ok(&["WAIT", "1", "2000"]).int(), Some(1));
    let mut reader = pair.b.client();
    let position = writer.ok(&["TANDEM", "POSITION"]).text().expect("a text");
    let words: Vec<&str> = position.split(' ').collect();
    assert!(reader.ok(&["TANDEM", "WAITPOS", words[0], words[1], "2000"]).is_ok());
    assert_eq!(reader.ok(&["GET", "k"]).text().as_deref(), Some("v"));
    let want = "READONLY You can't write against a read only replica.";
    for words in [&["SET", "k", "w"][..], &["DEL", "k"], &["FLUSHALL"], &["LPUSH", "l", "x"]] {
        assert_eq!(error_of(&mut reader, words), want, "{words:?}");
    }
    reader.ok(&["MULTI"]);
    assert_eq!(error_of(&mut reader, &["SET", "k", "w"]), want);
    assert!(error_of(&mut reader, &["EXEC"]).starts_with("EXECABORT"));
    let info = reader.info("replication");
    for line in ["role:slave", "master_link_status:up", "master_host:127.0.0.1"] {
        assert!(info.contains(line), "{line} in {info}");
    }
    assert!(writer.info("replication").contains("connected_slaves:1"));
}

#[test]
fn a_connection_reads_its_own_writes_on_the_other_node_by_position() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut writer = pair.a.client();
    let mut reader = pair.b.client();
    for number in 0..300 {
        let value = number.to_string();
        writer.ok(&["SET", "k", &value]);
        let position = writer.ok(&["TANDEM", "POSITION"]).text().expect("a text");
        let words: Vec<&str> = position.split(' ').collect();
        assert!(reader.ok(&["TANDEM", "WAITPOS", words[0], words[1], "5000"]).is_ok());
        assert_eq!(reader.ok(&["GET", "k"]).text(), Some(value));
    }
    let position = writer.ok(&["TANDEM", "POSITION"]).text().expect("a text");
    let (epoch, lsn) = position.split_once(' ').expect("epoch and lsn");
    let far = (lsn.parse::<u64>().expect("a number") + 1_000_000).to_string();
    let asked = Instant::now();
    let reply = reader.command(&["TANDEM", "WAITPOS", epoch, &far, "200"]).expect("an answer");
    assert!(reply.error().is_some(), "{reply:?}");
    assert!(asked.elapsed() >= Duration::from_millis(190), "{:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn reads_never_go_back_on_one_connection() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut writer = pair.a.client();
    let mut reader = pair.b.client();
    let mut last = 0;
    for number in 1..2_000 {
        writer.ok(&["SET", "k", &number.to_string()]);
        let seen =
            reader.ok(&["GET", "k"]).text().map_or(0, |text| text.parse().expect("a number"));
        assert!(seen >= last, "{seen} after {last}");
        last = seen;
    }
    assert!(last > 1_000, "the replica follows: {last}");
}

#[test]
fn reads_go_on_when_the_primary_is_gone() {
    let mut pair = Pair::start(&PairOptions::new("primary-replica"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "2000"]);
    let mut reader = pair.b.client();
    pair.a.kill();
    pair.b.wait_status("knows it", |status| !status.is("peer.connected"));
    assert_eq!(reader.ok(&["GET", "k"]).text().as_deref(), Some("v"));
    assert_eq!(connect(pair.b.read_address()).ok(&["GET", "k"]).text().as_deref(), Some("v"));
    let error = error_of(&mut reader, &["SET", "k", "w"]);
    assert!(error.starts_with("READONLY"), "{error}");
    let info = reader.info("replication");
    assert!(info.contains("master_link_status:down"), "{info}");
}

#[test]
fn a_replica_that_is_too_old_says_so_until_it_has_caught_up() {
    let options = PairOptions::new("primary-replica").replication("max_staleness = \"700ms\"");
    let mut pair = Pair::start(&options);
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "2000"]);
    let mut reader = pair.b.client();
    wait::until("reads at first", Duration::from_secs(5), || {
        let reply = reader.command(&["GET", "k"])?;
        if reply.error().is_none() { Ok(()) } else { Err(io::Error::other(format!("{reply:?}"))) }
    });
    pair.a.freeze();
    let frozen = Instant::now();
    wait::until("is stale", Duration::from_secs(5), || {
        let reply = reader.command(&["GET", "k"])?;
        match reply.error() {
            Some(error) if error.starts_with("STALE ") => Ok(()),
            _ => Err(io::Error::other(format!("{reply:?}"))),
        }
    });
    assert!(frozen.elapsed() >= Duration::from_millis(300), "{:?}", frozen.elapsed());
    assert!(frozen.elapsed() < Duration::from_secs(2), "{:?}", frozen.elapsed());
    pair.a.thaw();
    wait::until("reads again", Duration::from_secs(10), || {
        let reply = reader.command(&["GET", "k"])?;
        if reply.error().is_none() { Ok(()) } else { Err(io::Error::other(format!("{reply:?}"))) }
    });
}

#[test]
fn a_replica_may_pass_writes_on() {
    let options = PairOptions::new("primary-replica").replication("forward_writes = true");
    let pair = Pair::start(&options);
    let mut replica = pair.b.client();
    assert!(replica.ok(&["SET", "k", "1"]).is_ok());
    assert_eq!(replica.ok(&["INCR", "k"]).int(), Some(2));
    // Read your own writes on the node that passed them on.
    for number in 3..200 {
        assert_eq!(replica.ok(&["INCR", "k"]).int(), Some(number));
        assert_eq!(replica.ok(&["GET", "k"]).text(), Some(number.to_string()));
    }
    assert_eq!(error_of(&mut replica, &["LPUSH", "k", "x"]).split(' ').next(), Some("WRONGTYPE"));
    assert_eq!(pair.a.client().ok(&["GET", "k"]).text().as_deref(), Some("199"));
}

#[test]
fn wait_and_waitaof_count_the_disks() {
    let mut pair =
        Pair::start(&PairOptions::new("primary-replica").replication("acknowledge = \"local\""));
    let mut client = pair.a.client();
    client.ok(&["SET", "k", "v"]);
    assert_eq!(client.ok(&["WAIT", "1", "3000"]).int(), Some(1));
    let both = client.ok(&["WAITAOF", "1", "1", "3000"]).items();
    assert_eq!(
        both.iter().map(tandem_e2e::value::Value::int).collect::<Vec<_>>(),
        [Some(1), Some(1)]
    );
    pair.b.kill();
    client.ok(&["SET", "k", "w"]);
    let asked = Instant::now();
    assert_eq!(client.ok(&["WAIT", "1", "300"]).int(), Some(0));
    assert!(asked.elapsed() >= Duration::from_millis(290), "{:?}", asked.elapsed());
    let own = client.ok(&["WAITAOF", "1", "0", "3000"]).items();
    assert_eq!(own[0].int(), Some(1));
    assert_eq!(own[1].int(), Some(0));
    assert!(error_of(&mut pair.a.client(), &["WAIT", "x", "0"]).contains("not an integer"));
}

#[test]
fn the_read_port_always_says_slave_and_reads() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "2000"]);
    for node in [&pair.a, &pair.b] {
        let mut client = connect(node.read_address());
        let role = client.ok(&["ROLE"]).items();
        assert_eq!(role[0].text().as_deref(), Some("slave"), "{}", node.name());
        assert!(client.info("replication").contains("role:slave"));
        assert_eq!(client.ok(&["GET", "k"]).text().as_deref(), Some("v"));
        let error = error_of(&mut client, &["SET", "k", "w"]);
        assert!(error.starts_with("READONLY"), "{}: {error}", node.name());
    }
}

#[test]
fn pubsub_reaches_subscribers_on_both_nodes() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut on_primary = pair.a.client();
    let mut on_replica = pair.b.client();
    on_primary.ok(&["SUBSCRIBE", "c"]);
    on_replica.ok(&["SUBSCRIBE", "c"]);
    pair.a.client().ok(&["PUBLISH", "c", "hello"]);
    for client in [&mut on_primary, &mut on_replica] {
        let message = client.reply().expect("a message").items();
        assert_eq!(message[2].text().as_deref(), Some("hello"));
    }
}

#[test]
fn load_balancers_are_told_the_role() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let status = |node: &tandem_e2e::node::Node, path: &str| {
        node.http("GET", path, "").expect("an answer").status
    };
    assert_eq!(status(&pair.a, "/health/primary"), 200);
    assert_eq!(status(&pair.a, "/health/replica"), 503);
    assert_eq!(status(&pair.b, "/health/primary"), 503);
    assert_eq!(status(&pair.b, "/health/replica"), 200);
    let said = pair.a.verb(&["status"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("primary") && said.out.contains("replica"), "{}", said.out);
    let json = pair.a.verb(&["status", "--json"]).out;
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
}
