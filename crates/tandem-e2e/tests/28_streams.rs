//! Streams and their groups while the primary dies, the role moves and nodes are started again: no entry that was
//! acknowledged is gone, and none is owed that was acknowledged by its consumer.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);

/// What producers and consumers know.
#[derive(Debug, Default)]
struct Knowledge {
    stops: AtomicBool,
    /// Ids that `XADD` answered.
    added: Mutex<BTreeSet<String>>,
    /// Ids that a consumer was given.
    given: Mutex<BTreeSet<String>>,
    /// Ids whose `XACK` was answered.
    acknowledged: Mutex<BTreeSet<String>>,
    count: AtomicUsize,
}

impl Knowledge {
    fn note(&self, into: &Mutex<BTreeSet<String>>, id: &str) {
        into.lock().unwrap().insert(id.to_owned());
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    #[track_caller]
    fn wait_for_more(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        wait::until("more is added and acknowledged", PATIENCE, || {
            let count = self.count.load(Ordering::Relaxed);
            if count >= wanted { Ok(()) } else { Err(count) }
        });
    }
}

/// Somebody who asks whoever answers, in a thread.
fn run(
    knowledge: &Arc<Knowledge>,
    addresses: [SocketAddr; 2],
    turn: impl Fn(&Knowledge, &mut Client) -> Option<()> + Send + 'static,
) -> JoinHandle<()> {
    let knowledge = Arc::clone(knowledge);
    std::thread::spawn(move || {
        let (mut at, mut client) = (0, None);
        while !knowledge.stops.load(Ordering::Relaxed) {
            if client.is_none() {
                client = Client::connect(addresses[at]).ok();
            }
            if client.as_mut().and_then(|client| turn(&knowledge, client)).is_none() {
                client = None;
                at = 1 - at;
            }
        }
    })
}

/// A reply that is no error.
fn answer(client: &mut Client, words: &[&str]) -> Option<Value> {
    client.command(words).ok().filter(|reply| reply.error().is_none())
}

fn produce(knowledge: &Knowledge, client: &mut Client) -> Option<()> {
    let reply = answer(client, &["XADD", "jobs", "MAXLEN", "~", "1000000", "*", "work", "x"])?;
    knowledge.note(&knowledge.added, &reply.text()?);
    Some(())
}

/// Ids in the reply of `XREADGROUP` on one stream.
fn ids_of(reply: &Value) -> Vec<String> {
    let streams = reply.items();
    let entries = streams.first().and_then(|stream| stream.items().get(1).cloned());
    let id = |entry: &Value| entry.items().first().and_then(Value::text);
    entries.map(|entries| entries.items().iter().filter_map(id).collect()).unwrap_or_default()
}

fn consume(knowledge: &Knowledge, client: &mut Client) -> Option<()> {
    let words = [
        "XREADGROUP",
        "GROUP",
        "workers",
        "w",
        "COUNT",
        "10",
        "BLOCK",
        "200",
        "STREAMS",
        "jobs",
        ">",
    ];
    for id in ids_of(&answer(client, &words)?) {
        knowledge.note(&knowledge.given, &id);
        let done = answer(client, &["XACK", "jobs", "workers", &id])?;
        if done.int() == Some(1) {
            knowledge.note(&knowledge.acknowledged, &id);
        }
    }
    Some(())
}

/// What the stream has and owes against what its clients know.
#[track_caller]
fn judge(knowledge: &Knowledge, client: &mut Client) {
    // What was given with an answer that got lost is still owed, and given again.
    let last = ["XREADGROUP", "GROUP", "workers", "w", "STREAMS", "jobs", "0"];
    let owed: BTreeSet<String> = ids_of(&client.ok(&last)).into_iter().collect();
    let rest = ids_of(&client.ok(&["XREADGROUP", "GROUP", "workers", "w", "STREAMS", "jobs", ">"]));
    let there: BTreeSet<String> = client
        .ok(&["XRANGE", "jobs", "-", "+"])
        .items()
        .iter()
        .filter_map(|entry| entry.items().first().and_then(Value::text))
        .collect();
    let (added, given) = (knowledge.added.lock().unwrap(), knowledge.given.lock().unwrap());
    let acknowledged = knowledge.acknowledged.lock().unwrap();
    let lost: Vec<_> = added.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged entries are gone: {lost:?}");
    let again: Vec<_> = acknowledged.intersection(&owed).collect();
    assert!(again.is_empty(), "acknowledged, and owed: {again:?}");
    let unseen =
        added.iter().filter(|id| !given.contains(*id) && !owed.contains(*id) && !rest.contains(id));
    assert_eq!(unseen.count(), 0, "entries that no consumer will ever get");
}

fn end(knowledge: &Knowledge, threads: Vec<JoinHandle<()>>) {
    knowledge.stops.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_queue_survives_kills_of_its_primary() {
    let Some(mut pair) = MediatedPair::start("streams and kill", &MediatedOptions::default())
    else {
        return;
    };
    pair.a.client().ok(&["XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM"]);
    let knowledge = Arc::new(Knowledge::default());
    let addresses = pair.addresses();
    let threads = vec![
        run(&knowledge, addresses, produce),
        run(&knowledge, addresses, produce),
        run(&knowledge, addresses, consume),
    ];
    for _ in 0..2 {
        knowledge.wait_for_more(300);
        let a_leads = pair.by_role().0.name() == "a";
        let node = if a_leads { &mut pair.a } else { &mut pair.b };
        node.kill();
        knowledge.wait_for_more(300);
        let node = if a_leads { &mut pair.a } else { &mut pair.b };
        node.start();
        pair.wait_in_sync();
    }
    end(&knowledge, threads);
    let primary = pair.by_role().0;
    judge(&knowledge, &mut primary.client());
    pair.must(primary, &["verify"]);
}

#[test]
fn a_planned_change_leaves_every_entry_and_every_debt_where_it_was() {
    let pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM"]);
    let knowledge = Arc::new(Knowledge::default());
    let addresses = pair.addresses();
    let threads = vec![run(&knowledge, addresses, produce), run(&knowledge, addresses, consume)];
    knowledge.wait_for_more(300);
    let said = pair.a.verb(&["switch", "--to", "b"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
    knowledge.wait_for_more(300);
    end(&knowledge, threads);
    judge(&knowledge, &mut pair.b.client());
}

#[test]
fn who_waits_is_woken_by_the_role_and_by_the_replica_alike() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut primary = pair.a.client();
    primary.ok(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]);
    pair.wait_in_sync();
    let position = pair.a.status().number("commit_lsn");
    pair.b.wait_status("has the group", |status| status.number("applied_lsn") >= position);
    // On a replica a reader waits for what the primary is given.
    let mut reader = pair.b.client();
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]).unwrap();
    wait::until("the reader waits", PATIENCE, || {
        let blocked = pair.b.client().info_field("clients", "blocked_clients");
        if blocked.as_deref() == Some("1") { Ok(()) } else { Err(blocked) }
    });
    let id = primary.ok(&["XADD", "s", "*", "f", "v"]).text().unwrap();
    assert_eq!(ids_of(&reader.reply().unwrap()), std::slice::from_ref(&id));
    let refused = reader.command(&["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"]).unwrap();
    assert!(refused.error().is_some_and(|text| text.starts_with("READONLY")), "{refused:?}");
    // A consumer that waits when the role goes hears that, or its connection ends: it is never left alone.
    let got = primary.ok(&["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"]);
    assert_eq!(ids_of(&got), [id]);
    primary.send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]).unwrap();
    wait::until("the consumer waits", PATIENCE, || {
        let blocked = pair.a.client().info_field("clients", "blocked_clients");
        if blocked.as_deref() == Some("1") { Ok(()) } else { Err(blocked) }
    });
    let said = pair.a.verb(&["switch", "--to", "b"]);
    assert_eq!(said.code, 0, "{said:?}");
    if let Ok(told) = primary.reply() {
        assert!(told.error().is_some_and(|text| text.starts_with("UNBLOCKED")), "{told:?}");
    }
    let owed = pair.b.client().ok(&["XPENDING", "s", "g"]);
    assert_eq!(owed.items().first().and_then(Value::int), Some(1), "{owed:?}");
}

/// All of a stream but in how many blocks its entries lie.
fn full(client: &mut Client, key: &str) -> Vec<Value> {
    let told = client.ok(&["XINFO", "STREAM", key, "FULL", "COUNT", "0"]).items();
    assert_eq!(told[2].text().as_deref(), Some("radix-tree-keys"));
    told.into_iter().enumerate().filter(|(at, _)| !(2..6).contains(at)).map(|(_, it)| it).collect()
}

#[test]
fn a_stream_is_the_same_after_a_snapshot_and_a_restart() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    let mut client = pair.a.client();
    for number in 1..=500 {
        client.ok(&["XADD", "s", &format!("{number}-1"), "field", &"v".repeat(number % 60)]);
    }
    client.ok(&["XDEL", "s", "7-1", "450-1"]);
    client.ok(&["XTRIM", "s", "MAXLEN", "300"]);
    client.ok(&["XGROUP", "CREATE", "s", "g", "300"]);
    client.ok(&["XREADGROUP", "GROUP", "g", "one", "COUNT", "20", "STREAMS", "s", ">"]);
    client.ok(&["XCLAIM", "s", "g", "two", "0", "301-1", "302-1"]);
    client.ok(&["XGROUP", "CREATE", "empty", "g", "5", "MKSTREAM", "ENTRIESREAD", "3"]);
    let empty = full(&mut client, "empty");
    let given = full(&mut client, "s");
    client.ok(&["SAVE"]);
    client.ok(&["XACK", "s", "g", "303-1"]);
    let acked = full(&mut client, "s");
    assert_ne!(acked, given);
    pair.a.kill();
    pair.a.start();
    pair.wait_in_sync();
    let mut client = pair.a.client();
    assert!(full(&mut client, "s") == acked, "the stream is another one");
    assert_eq!(full(&mut client, "empty"), empty);
    let said = pair.a.verb(&["verify"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_replica_that_passes_writes_on_passes_groups_on() {
    let options = PairOptions::new("primary-replica").replication("forward_writes = true");
    let pair = Pair::start(&options);
    let mut client = pair.b.client();
    client.ok(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]);
    let id = client.ok(&["XADD", "s", "*", "f", "v"]).text().unwrap();
    client.ok(&["XGROUP", "SETID", "s", "g", "0"]);
    let wrong = client.command(&["XGROUP", "CREATE", "s"]).unwrap();
    assert!(wrong.error().is_some_and(|text| text.contains("'xgroup|create'")), "{wrong:?}");
    let given = pair.a.client().ok(&["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"]);
    assert_eq!(ids_of(&given), [id]);
}

#[test]
fn entries_go_to_those_who_wait_in_the_order_they_came() {
    const WAITERS: usize = 40;
    let pair = Pair::start_alone(&PairOptions::new("primary-standby"));
    let mut client = pair.a.client();
    client.ok(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]);
    let mut waiters: Vec<Client> = Vec::new();
    for number in 0..WAITERS {
        let mut waiter = pair.a.client();
        let name = format!("c{number}");
        let words =
            ["XREADGROUP", "GROUP", "g", &name, "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">"];
        waiter.send(&words).unwrap();
        waiters.push(waiter);
        wait::until("it waits", PATIENCE, || {
            let blocked = client.info_field("clients", "blocked_clients");
            if blocked == Some((number + 1).to_string()) { Ok(()) } else { Err(blocked) }
        });
    }
    // Who is far ahead is not woken by any of them.
    let mut ahead = pair.a.client();
    ahead.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "18446744073709551615-0"]).unwrap();
    let ids: Vec<String> =
        (0..WAITERS).map(|_| client.ok(&["XADD", "s", "*", "f", "v"]).text().unwrap()).collect();
    for (waiter, id) in waiters.iter_mut().zip(&ids) {
        assert_eq!(ids_of(&waiter.reply().unwrap()), std::slice::from_ref(id));
    }
    let last = client.ok(&["XADD", "s", "18446744073709551615-1", "f", "v"]).text().unwrap();
    assert_eq!(ids_of(&ahead.reply().unwrap()), [last]);
}

#[test]
fn two_primaries_refuse_streams_and_say_why() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-primary"));
    pair.a.start();
    pair.b.start();
    tandem_e2e::two_writers::in_sync(&pair.a, &pair.b);
    let mut client = pair.a.client();
    for words in [
        &["XADD", "s", "*", "f", "v"][..],
        &["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"],
        &["EVAL", "return redis.call('XADD', KEYS[1], '*', 'f', 'v')", "1", "s"],
    ] {
        let told = client.command(words).unwrap();
        assert!(told.error().is_some_and(|text| text.contains("PPUNSUPPORTED")), "{told:?}");
    }
    let words = ["EVAL", "return redis.call('XREAD', 'BLOCK', 1, 'STREAMS', KEYS[1], 0)", "1", "s"];
    let told = client.command(&words).unwrap();
    assert!(
        told.error().is_some_and(|text| text.contains("BLOCK option from scripts")),
        "{told:?}"
    );
    assert_eq!(client.ok(&["EXISTS", "s"]).int(), Some(0));
}
