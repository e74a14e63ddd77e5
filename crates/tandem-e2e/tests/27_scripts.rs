//! Scripts while the primary dies and while the role moves: each took effect as a whole or not at all, and none that
//! was answered is gone.

#![expect(clippy::print_stdout, reason = "the counts must be seen")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::two_writers::in_sync;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);
const CLIENTS: usize = 4;

/// Counts twice, and writes down who: three writes that belong together.
const TWICE: &str = "local n = redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2]) \
    redis.call('HSET', KEYS[3], ARGV[1], n) return n";

#[derive(Debug, Default)]
struct Counts {
    stops: AtomicBool,
    answered: AtomicUsize,
    unknown: AtomicUsize,
    refused: AtomicUsize,
}

impl Counts {
    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    #[track_caller]
    fn wait_for_more(&self, more: usize) {
        let wanted = self.answered() + more;
        wait::until("more scripts are answered", PATIENCE, || {
            let count = self.answered();
            if count >= wanted { Ok(()) } else { Err(count) }
        });
    }
}

/// Clients that run the script at whichever node takes it.
fn begin(counts: &Arc<Counts>, addresses: [SocketAddr; 2]) -> Vec<JoinHandle<()>> {
    let client = |number: usize| {
        let counts = Arc::clone(counts);
        std::thread::spawn(move || {
            let (mut at, mut client, mut run) = (0, None, 0);
            while !counts.stops.load(Ordering::Relaxed) {
                if client.is_none() {
                    client = Client::connect(addresses[at]).ok();
                }
                run += 1;
                let field = format!("{number}:{run}");
                let words = ["EVAL", TWICE, "3", "one", "other", "who", &field];
                let reply = client.as_mut().map(|client| client.command(&words));
                let counted = match reply {
                    Some(Ok(reply)) if reply.error().is_none() => &counts.answered,
                    // The connection ended with the answer on its way.
                    Some(Err(_)) => &counts.unknown,
                    Some(Ok(_)) | None => &counts.refused,
                };
                counted.fetch_add(1, Ordering::Relaxed);
                if !std::ptr::eq(counted, &raw const counts.answered) {
                    client = None;
                    at = 1 - at;
                }
            }
        })
    };
    (0..CLIENTS).map(client).collect()
}

/// Whoever is primary has all or nothing of each.
#[track_caller]
fn judge(counts: &Counts, primary: &mut Client) {
    let mut number = |words: &[&str]| {
        let reply = primary.ok(words);
        let text = reply.text().or_else(|| reply.int().map(|it| it.to_string()));
        text.and_then(|text| text.parse::<usize>().ok()).expect("a number")
    };
    let counted = [number(&["GET", "one"]), number(&["GET", "other"]), number(&["HLEN", "who"])];
    let (answered, unknown) = (counts.answered(), counts.unknown.load(Ordering::Relaxed));
    let refused = counts.refused.load(Ordering::Relaxed);
    println!("{counted:?}: {answered} answered, {unknown} unknown, {refused} refused");
    assert!(counted.iter().all(|it| *it == counted[0]), "half a script: {counted:?}");
    assert!(counted[0] >= answered, "{} of {answered} are there", counted[0]);
    assert!(counted[0] <= answered + unknown, "{} of {answered} and {unknown}", counted[0]);
}

fn end(counts: &Counts, clients: Vec<JoinHandle<()>>) {
    counts.stops.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client ran");
    }
}

#[test]
fn a_planned_change_costs_no_script_and_nobody_sees_an_error() {
    let pair = Pair::start(&PairOptions::new("primary-standby"));
    let counts = Arc::new(Counts::default());
    let clients = begin(&counts, pair.addresses());
    counts.wait_for_more(500);
    let sha =
        pair.a.client().ok(&["SCRIPT", "LOAD", "return 'by its digest'"]).text().expect("a digest");
    let said = pair.a.verb(&["switch", "--to", "b"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
    let told = pair.b.client().ok(&["EVALSHA", &sha, "0"]).text();
    assert_eq!(told.as_deref(), Some("by its digest"), "the peer knows it too");
    counts.wait_for_more(500);
    end(&counts, clients);
    judge(&counts, &mut pair.b.client());
    assert_eq!(counts.refused.load(Ordering::Relaxed), 0, "it was passed on");
}

#[test]
fn a_primary_that_dies_takes_no_script_with_it_and_leaves_no_half_of_one() {
    let Some(mut pair) = MediatedPair::start("scripts_and_kill", &MediatedOptions::default())
    else {
        return;
    };
    let counts = Arc::new(Counts::default());
    let clients = begin(&counts, pair.addresses());
    for _ in 0..3 {
        counts.wait_for_more(500);
        let name = pair.by_role().0.name();
        if name == "a" {
            pair.a.kill();
        } else {
            pair.b.kill();
        }
        counts.wait_for_more(500);
        if name == "a" {
            pair.a.start();
        } else {
            pair.b.start();
        }
        pair.wait_in_sync();
    }
    end(&counts, clients);
    let mut client = pair.by_role().0.client();
    judge(&counts, &mut client);
}

#[test]
fn a_script_without_end_is_stopped_and_the_role_stays() {
    let pair = Pair::start(&PairOptions::new("primary-standby"));
    let mut client = pair.a.client();
    let endless =
        "redis.call('SET', 'kept', 1) while true do pcall(function() while true do end end) end";
    let reply = client.command(&["EVAL", endless, "0"]).expect("it is answered");
    let error = reply.error().expect("an error").to_owned();
    assert!(error.contains("ran for longer than 200 ms"), "{error}");
    assert_eq!(client.ok(&["GET", "kept"]).text().as_deref(), Some("1"));
    assert_eq!(pair.a.status().role(), "primary");
    pair.wait_in_sync();
}

#[test]
fn many_scripts_without_end_move_no_role() {
    const SCRIPTS: usize = 8;
    let Some(pair) = MediatedPair::start("scripts without end", &MediatedOptions::default()) else {
        return;
    };
    let epoch = pair.a.status().number("epoch");
    let mut clients = [pair.a.client(), pair.a.client()];
    for client in &mut clients {
        for _ in 0..SCRIPTS / 2 {
            client.send(&["EVAL", "while true do end", "0"]).expect("it is sent");
        }
    }
    for client in &mut clients {
        for _ in 0..SCRIPTS / 2 {
            let reply = client.reply().expect("it is answered");
            assert!(reply.error().is_some_and(|text| text.contains("ran for longer")), "{reply:?}");
        }
    }
    let status = pair.a.status();
    assert_eq!((status.role(), status.number("epoch")), ("primary", epoch), "{}", pair.b.log());
}

#[test]
fn two_writers_merge_what_scripts_write() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-primary"));
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    let counts = Arc::new(Counts::default());
    let (a, b) = (pair.a.address(), pair.b.address());
    let mut clients = begin(&counts, [a, a]);
    clients.extend(begin(&counts, [b, b]));
    counts.wait_for_more(1_000);
    end(&counts, clients);
    let answered = counts.answered();
    for node in [&pair.a, &pair.b] {
        wait::until("both have all", PATIENCE, || {
            let mut client = node.client();
            let both = ["one", "other"].map(|key| client.ok(&["GET", key]).text());
            let want = Some(answered.to_string());
            if both.iter().all(|it| *it == want) { Ok(()) } else { Err((both, answered)) }
        });
    }
}
