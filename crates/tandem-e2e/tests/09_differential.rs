//! The same random commands to Debian's redis-server and to Tandem: the same replies.
//!
//! `TANDEM_E2E_DUEL=redis` lets redis-server be its own opponent, which shows that the rules of
//! comparison are fair.
#![expect(clippy::print_stderr, reason = "the seed must be seen when a run fails")]

use tandem_e2e::client::Client;
use tandem_e2e::differential::Duel;
use tandem_e2e::differential::compare::Rule;
use tandem_e2e::differential::generate::Command;
use tandem_e2e::differential::grammar::Group;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::redis_server::RedisServer;
use tandem_e2e::rng::Rng;
use tandem_e2e::skip::budget;

/// Where the commands begin unless a seed is given, or a budget to search with.
const USUAL_SEED: u64 = 20_261_130;
/// Per group and protocol; times the budget.
const COMMANDS: u64 = 4_000;

/// Keeps whoever is compared alive.
enum Opponent {
    Redis(RedisServer),
    Tandem(Box<Pair>),
}

impl Opponent {
    fn start() -> Self {
        if std::env::var("TANDEM_E2E_DUEL").as_deref() == Ok("redis") {
            return Self::Redis(RedisServer::start(&[]));
        }
        let options = PairOptions::default()
            .replication("acknowledge = \"local\"")
            .replication("fsync = \"never\"");
        Self::Tandem(Box::new(Pair::start_alone(&options)))
    }

    fn connect(&self, resp3: bool) -> Client {
        let address = match self {
            Self::Redis(server) => server.address(),
            Self::Tandem(pair) => pair.a.address(),
        };
        connect(address, resp3)
    }
}

fn connect(address: std::net::SocketAddr, resp3: bool) -> Client {
    let connected = if resp3 { Client::connect_resp3(address) } else { Client::connect(address) };
    connected.expect("both servers accept")
}

fn duel(group: Group) {
    let seed = Rng::seed_of_test(USUAL_SEED);
    eprintln!("{group:?}: TANDEM_E2E_SEED={seed}");
    let reference = RedisServer::start(&[]);
    let opponent = Opponent::start();
    for resp3 in [false, true] {
        let mut duel = Duel::new(connect(reference.address(), resp3), opponent.connect(resp3));
        let commands = COMMANDS * u64::from(budget());
        let differences = duel.run(group, seed ^ u64::from(resp3), commands);
        let differences = differences.expect("both servers answer").to_vec();
        let mut shown: Vec<&str> = Vec::new();
        let mut text = String::new();
        for difference in &differences {
            if shown.iter().filter(|name| **name == difference.command).count() < 2 {
                shown.push(&difference.command);
                text += &difference.report;
                text.push('\n');
            }
        }
        assert!(
            differences.is_empty(),
            "{group:?}, RESP{}, TANDEM_E2E_SEED={seed}: {} differences in {} commands, the first of \
             each kind:\n{text}",
            if resp3 { 3 } else { 2 },
            differences.len(),
            duel.compared()
        );
    }
}

#[test]
fn strings_answer_the_same() {
    duel(Group::Strings);
}

#[test]
fn keys_answer_the_same() {
    duel(Group::Keys);
}

#[test]
fn lists_answer_the_same() {
    duel(Group::Lists);
}

#[test]
fn hashes_answer_the_same() {
    duel(Group::Hashes);
}

#[test]
fn sets_answer_the_same() {
    duel(Group::Sets);
}

#[test]
fn sorted_sets_answer_the_same() {
    duel(Group::SortedSets);
}

#[test]
fn sorted_sets_by_member_answer_the_same() {
    duel(Group::LexicalSets);
}

#[test]
fn streams_answer_the_same() {
    duel(Group::Streams);
}

#[test]
fn places_answer_the_same() {
    duel(Group::Places);
}

#[test]
fn transactions_answer_the_same() {
    duel(Group::Transactions);
}

#[test]
fn mistakes_are_answered_the_same() {
    duel(Group::Mistakes);
}

#[test]
fn a_difference_is_found_and_told() {
    let (one, two) = (RedisServer::start(&[]), RedisServer::start(&[]));
    two.client().ok(&["SET", "key:1", "other"]);
    let mut duel = Duel::new(one.client(), two.client());
    let arguments = vec![b"GET".to_vec(), b"key:1".to_vec()];
    duel.compare(Command { arguments, rule: Rule::Exact }).unwrap();
    assert_eq!(duel.differences().len(), 1);
    assert!(duel.differences()[0].report.contains("other"));
}
