//! The witness' Sentinel port: it tells the same as those of the nodes, and tells of changes.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::hosts::{PAIR, Rig, since_1970};
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(10);

fn ask(at: SocketAddr, words: &[&str]) -> tandem_e2e::value::Value {
    Client::connect(at).expect("the Sentinel port is open").ok(words)
}

fn texts(value: &tandem_e2e::value::Value) -> Vec<String> {
    value.items().iter().filter_map(tandem_e2e::value::Value::text).collect()
}

/// Host and port of the primary, as `at` tells it.
fn primary(at: SocketAddr, pair: &str) -> Vec<String> {
    texts(&ask(at, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", pair]))
}

fn flags(at: SocketAddr) -> String {
    let fields = texts(&ask(at, &["SENTINEL", "MASTER", PAIR]));
    let at = fields.iter().position(|field| field == "flags").expect("it has flags");
    fields[at + 1].clone()
}

fn place(address: SocketAddr) -> Vec<String> {
    vec![address.ip().to_string(), address.port().to_string()]
}

#[test]
fn the_witness_tells_who_is_primary_and_when_that_changes() {
    let mut rig = Rig::start();
    let three = [rig.witness_sentinel(), rig.sentinel_of(0), rig.sentinel_of(1)];
    let [a, b] = [0, 1].map(|node| place(rig.nodes[node].address()));
    for at in three {
        for name in [PAIR, "mymaster"] {
            wait::until(&format!("{at} knows the primary of {name}"), PATIENCE, || {
                let told = primary(at, name);
                if told == a { Ok(()) } else { Err(told) }
            });
        }
        wait::until(&format!("{at} knows the other two"), PATIENCE, || {
            let others = ask(at, &["SENTINEL", "SENTINELS", PAIR]).items().len();
            if others == 2 { Ok(()) } else { Err(others) }
        });
        assert_eq!(flags(at), "master");
        assert!(primary(at, "nobody").is_empty());
    }
    let refused = Client::connect(rig.witness_sentinel())
        .and_then(|mut client| client.command(&["SENTINEL", "FAILOVER", PAIR]))
        .expect("an answer");
    assert!(refused.error().is_some_and(|text| text.starts_with("NOGOODSLAVE")), "{refused:?}");

    // A planned change is told after the new primary serves, by all three.
    let mut listeners = three.map(|at| {
        let mut client = Client::connect(at).expect("the Sentinel port is open");
        client.ok(&["SUBSCRIBE", "+switch-master"]);
        client
    });
    rig.wait_in_sync();
    let opening = rig.opening_of(1);
    assert_eq!(rig.nodes[0].verb(&["switch"]).code, 0);
    let wanted = format!("{PAIR} {} {}", a.join(" "), b.join(" "));
    for (listener, at) in listeners.iter_mut().zip(three) {
        let told = texts(&listener.reply().expect("a message"));
        assert_eq!(told[2], wanted, "{at}");
        assert_eq!(primary(at, PAIR), b, "{at}");
    }
    let opened = opening.join().expect("b became primary");
    let after = since_1970().saturating_sub(opened);
    assert!(after < Duration::from_secs(1), "all were told only {after:?} after the opening");

    // Nobody is primary: the last address stays, flagged, until there is another one.
    rig.wait_in_sync();
    rig.nodes[0].kill_machine();
    rig.nodes[1].kill_machine();
    let at = rig.witness_sentinel();
    wait::until("the witness says that b is down", PATIENCE, || match flags(at) {
        told if told == "master,s_down,o_down" => Ok(()),
        told => Err(told),
    });
    assert_eq!(primary(at, PAIR), b);
    rig.start_again(0);
    rig.start_again(1);
    rig.wait_in_sync();
    wait::until("the witness says that the primary is up", PATIENCE, || match flags(at) {
        told if told == "master" => Ok(()),
        told => Err(told),
    });
}
