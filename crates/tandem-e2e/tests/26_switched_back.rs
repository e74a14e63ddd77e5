//! A second planned change while the old primary still serves clients through the new one: the role is back, or
//! on, before everybody has moved. Whoever took an element from a list gets it.

#![expect(clippy::print_stdout, reason = "the counts must be seen")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tandem_e2e::client::Client;
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a node that has given its role away serves clients through the other one.
const LINGER: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
/// Changes of primary one right after the other.
const CHANGES: usize = 40;
/// Of each kind.
const TAKERS: usize = 3;

/// What clients were told.
#[derive(Debug, Default)]
struct Ledger {
    put: Mutex<BTreeSet<usize>>,
    taken: Mutex<Vec<usize>>,
    next: AtomicUsize,
    stops: AtomicBool,
}

impl Ledger {
    fn goes_on(&self) -> bool {
        !self.stops.load(Ordering::Relaxed)
    }

    fn count(&self) -> usize {
        self.taken.lock().expect("nobody panicked").len()
    }

    #[track_caller]
    fn wait_for_more(&self, more: usize) {
        let wanted = self.count() + more;
        wait::until("more elements are taken", PATIENCE, || {
            let count = self.count();
            if count >= wanted { Ok(()) } else { Err(count) }
        });
    }
}

/// A client that stays where it is until its connection ends or it is told that the primary is elsewhere.
struct Moving {
    addresses: [SocketAddr; 2],
    at: usize,
    client: Option<Client>,
}

impl Moving {
    /// `None`: nobody knows whether it was carried out, or it was not.
    fn ask(&mut self, words: &[&str]) -> Option<Value> {
        if self.client.is_none() {
            self.client = Client::connect(self.addresses[self.at]).ok();
        }
        let reply = self.client.as_mut().and_then(|client| client.command(words).ok());
        match reply {
            Some(reply) if reply.error().is_none() => Some(reply),
            _ => {
                self.client = None;
                self.at = 1 - self.at;
                None
            }
        }
    }
}

fn begin(
    addresses: [SocketAddr; 2],
    work: impl Fn(&mut Moving) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || work(&mut Moving { addresses, at: 0, client: None }))
}

/// One client puts numbers into the list, others wait for them or look for them.
fn begin_all(ledger: &Arc<Ledger>, addresses: [SocketAddr; 2]) -> Vec<JoinHandle<()>> {
    let putter = {
        let ledger = Arc::clone(ledger);
        begin(addresses, move |client| {
            while ledger.goes_on() {
                let number = ledger.next.fetch_add(1, Ordering::Relaxed);
                if client.ask(&["RPUSH", "q", &number.to_string()]).is_some() {
                    ledger.put.lock().expect("nobody panicked").insert(number);
                }
            }
        })
    };
    let taker = |request: &'static [&'static str]| {
        let ledger = Arc::clone(ledger);
        begin(addresses, move |client| {
            while ledger.goes_on() {
                // The element stands alone, or behind the name of the list.
                let reply = client.ask(request);
                let item = reply.and_then(|it| it.text().or_else(|| it.items().pop()?.text()));
                if let Some(item) = item {
                    ledger
                        .taken
                        .lock()
                        .expect("nobody panicked")
                        .push(item.parse().expect("a number was put"));
                }
            }
        })
    };
    let waiting = (0..TAKERS).map(|_| taker(&["BLPOP", "q", "1"]));
    let looking = (0..TAKERS).map(|_| taker(&["LPOP", "q"]));
    std::iter::once(putter).chain(waiting).chain(looking).collect()
}

/// Asked as soon as the standby may have the role, and again if it could not yet.
fn switch(from: &Node, to: &Node) {
    wait::until("the role moves", PATIENCE, || {
        let said = from.verb(&["switch", "--to", to.name()]);
        let moved = said.code == 0 || to.try_status().is_ok_and(|it| it.role() == "primary");
        if moved { Ok(()) } else { Err(said) }
    });
    to.wait_role("primary");
}

/// Clients put and take while `act` changes the primary, which is `a` again in the end.
fn nobody_loses_what_it_took(options: &PairOptions, act: impl FnOnce(&mut Pair, &Ledger)) {
    let mut pair = Pair::start(options);
    let ledger = Arc::new(Ledger::default());
    let clients = begin_all(&ledger, pair.addresses());
    act(&mut pair, &ledger);
    ledger.stops.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client ran");
    }
    let rest = pair.a.client().ok(&["LRANGE", "q", "0", "-1"]);
    let rest = rest.items().into_iter().filter_map(|it| it.text()?.parse().ok());
    let taken = ledger.taken.lock().expect("nobody panicked").clone();
    let once: BTreeSet<usize> = taken.iter().copied().collect();
    assert_eq!(once.len(), taken.len(), "an element was taken twice");
    let there: BTreeSet<usize> = once.into_iter().chain(rest).collect();
    let lost: Vec<usize> =
        ledger.put.lock().expect("nobody panicked").difference(&there).copied().collect();
    println!("{} taken, {} put", taken.len(), ledger.put.lock().expect("nobody panicked").len());
    assert!(lost.is_empty(), "taken, and nobody got them: {lost:?}");
}

#[test]
fn who_took_an_element_gets_it_although_the_role_went_there_and_back() {
    let linger = format!("linger = \"{}s\"", LINGER.as_secs());
    let options = PairOptions::new("primary-standby").switch(&linger);
    nobody_loses_what_it_took(&options, |pair, ledger| {
        for _ in 0..ROUNDS {
            ledger.wait_for_more(20);
            switch(&pair.a, &pair.b);
            ledger.wait_for_more(20);
            switch(&pair.b, &pair.a);
            let back = Instant::now();
            while back.elapsed() < LINGER {
                ledger.wait_for_more(5);
                // What is carried out meanwhile is answered when the other disk has it.
                pair.b.freeze();
                for _ in 0..10 {
                    pair.a.status();
                }
                pair.b.thaw();
            }
        }
    });
}

fn the_role_goes_on_and_on(options: &PairOptions) {
    nobody_loses_what_it_took(options, |pair, ledger| {
        for _ in 0..CHANGES / 2 {
            switch(&pair.a, &pair.b);
            ledger.wait_for_more(2);
            switch(&pair.b, &pair.a);
            ledger.wait_for_more(2);
        }
    });
}

#[test]
fn who_took_an_element_gets_it_although_the_role_goes_on_before_anybody_has_moved() {
    the_role_goes_on_and_on(&PairOptions::new("primary-standby"));
}

#[test]
fn so_too_by_way_of_a_replica_that_passes_writes_on() {
    the_role_goes_on_and_on(
        &PairOptions::new("primary-replica").replication("forward_writes = true"),
    );
}

#[test]
fn so_too_where_the_nodes_decide() {
    the_role_goes_on_and_on(&PairOptions { by: "direct", ..PairOptions::new("primary-standby") });
}
