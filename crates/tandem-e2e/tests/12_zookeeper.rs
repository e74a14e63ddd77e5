//! A real pair with a real `ZooKeeper` as its mediator.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tandem_e2e::audit;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::zookeeper::ZooKeeper;

const TICK: Duration = Duration::from_millis(250);

fn options(server: &ZooKeeper) -> PairOptions {
    let options = PairOptions::new("primary-standby").switch("min_interval = \"1s\"");
    server.for_pair(options, "1s")
}

#[test]
fn a_primary_that_is_killed_is_replaced_and_comes_back_as_the_standby() {
    let seed = Rng::seed_from_environment();
    let server = ZooKeeper::start(TICK);
    let mut pair = Pair::start(&options(&server));
    pair.a.wait_role("primary");
    let status = pair.b.status();
    assert_eq!(status.text("mediator.kind"), "zookeeper");
    assert_eq!(status.text("mediator.endpoint"), server.address().to_string());
    assert!(status.is("mediator.connected"));

    let options = LoadOptions { clients: 8, seed, registers: 4, ..LoadOptions::default() };
    let load = Load::start(&options, &pair.addresses());
    load.wait_for_more(200, Duration::from_secs(30));
    // With its supervisor: nobody testifies, so the presence has to end.
    let killed = Instant::now();
    pair.a.kill();
    pair.b.wait_role("primary");
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(15), "the take-over took {took:?}");
    load.wait_for_more(200, Duration::from_secs(30));
    pair.a.start();
    pair.a.wait_role("standby");
    pair.wait_in_sync();
    let report = load.stop();
    let audited = audit::assert_nothing_lost(&report, &mut pair.b.client());
    assert!(audited.acknowledged >= 400, "seed {seed}: {audited:?}");

    // And back, by a person, without loss.
    let said = pair.b.verb(&["switch"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.wait_role("primary");
    pair.wait_in_sync();
}

#[test]
fn a_primary_that_freezes_is_missed_and_steps_down_when_it_thaws() {
    let server = ZooKeeper::start(TICK);
    let mut pair = Pair::start(&options(&server));
    pair.a.client().ok(&["SET", "k", "v"]);
    // The node is in a group of its own. Its supervisor first, who would end it.
    let node = i32::try_from(pair.a.pid()).ok().and_then(Pid::from_raw).expect("it runs");
    pair.a.freeze();
    kill_process(node, Signal::STOP).expect("it is ours");
    pair.b.wait_role("primary");
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
    pair.b.client().ok(&["SET", "k", "later"]);
    kill_process(node, Signal::CONT).expect("it is ours");
    pair.a.thaw();
    pair.a.wait_role("standby");
    pair.wait_in_sync();
    assert_eq!(pair.a.status().number("conflicts"), 0);
}

#[test]
fn a_pair_that_is_in_sync_goes_on_without_its_ensemble() {
    let mut server = ZooKeeper::start(TICK);
    let pair = Pair::start(&options(&server));
    server.process().signal(Signal::STOP);
    pair.a.wait_status("the ensemble is not reached", |status| !status.is("mediator.connected"));
    let mut client = pair.a.client();
    for number in 0..100 {
        client.ok(&["SET", &format!("k{number}"), "v"]);
    }
    server.process().signal(Signal::CONT);
    pair.a.wait_status("the ensemble is reached", |status| status.is("mediator.connected"));
    assert_eq!(pair.a.status().role(), "primary");
}
