//! The standby as a client of the primary (`by = "probe"`): the real judge, and attempts over the simulated
//! client port.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_node::{ConnId, SwitchBy};
use tandem_probe::{Input as Told, Judge, Output as Wanted, Own};
use tandem_resp::{ReplyParser, Value, parse_u64, write_request};
use tandem_switch::{Input as Seen, Probed};

use super::{Arrived, Run, What, serving};
use crate::plan::{MS, Plan};

/// Places in the table of connections that are not the clients'.
const PLACES_FROM: u32 = 64;

/// Something that happens to a prober.
#[derive(Debug)]
pub(crate) enum Step {
    /// Time for another attempt.
    Round(usize),
    /// What an attempt sends first is at the primary's machine.
    Knock { host: usize, life: u64, number: u64 },
    /// A reply is back.
    Reply { host: usize, life: u64, number: u64, reply: Value },
    /// The connection of an attempt is closed.
    Closed { host: usize, life: u64, number: u64 },
    /// No sign of life in time; or no answer.
    Late { host: usize, life: u64, number: u64, silent: bool },
    /// The own disk took a write, or not.
    Disk { host: usize, life: u64, works: bool },
}

/// One attempt.
#[derive(Debug)]
struct Attempt {
    begun: u64,
    oldest: u64,
    conn: Option<ConnId>,
    parser: ReplyParser,
    alive: bool,
    /// Replies so far, after the sign of life.
    replies: usize,
}

/// The prober of one process.
#[derive(Debug)]
pub(crate) struct Prober {
    judge: Judge,
    open: BTreeMap<u64, Attempt>,
    /// Failures in a row as the switch was told, and when the first was begun.
    pub(super) failures: u32,
    pub(super) failing_since: Option<u64>,
    /// Since when the link is down, as this node says.
    pub(super) unlinked_since: Option<u64>,
    /// The primary has acknowledged a write of this prober since then: without this node.
    pub(super) left_behind: bool,
}

impl Prober {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            judge: Judge::new(plan.outside.probe_every, plan.failure_timeout),
            open: BTreeMap::new(),
            failures: 0,
            failing_since: None,
            unlinked_since: None,
            left_behind: false,
        }
    }

    /// The node says that the link is up, or down.
    pub(super) fn linked(&mut self, now: u64, up: bool) {
        self.unlinked_since = if up { None } else { self.unlinked_since.or(Some(now)) };
        self.left_behind &= !up;
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Run {
    fn slow_after(&self) -> Option<Duration> {
        Some(self.plan.automatic.slow_after).filter(|it| !it.is_zero())
    }

    /// Whether the client port of the other machine can be reached from this one.
    fn door_is_open(&self, host: usize) -> bool {
        self.hosts[host].door_cut == 0
    }

    pub(super) fn happen_probing(&mut self, step: Step) {
        let life_of = |run: &Self, host: usize| run.hosts[host].life;
        match step {
            Step::Round(host) => self.round(host),
            Step::Knock { host, life, number } if life == life_of(self, host) => {
                self.knock(host, number);
            }
            Step::Reply { host, life, number, reply } if life == life_of(self, host) => {
                self.replied(host, number, &reply);
            }
            Step::Closed { host, life, number } if life == life_of(self, host) => {
                self.end_attempt(host, number, Probed::Refused);
            }
            Step::Late { host, life, number, silent } if life == life_of(self, host) => {
                self.late(host, number, silent);
            }
            Step::Disk { host, life, works } if life == life_of(self, host) => {
                self.after(0, What::Arrive(host, life, Arrived::Judge(Told::DiskTried { works })));
            }
            _ => {}
        }
    }

    fn round(&mut self, which: usize) {
        if self.plan.switch_by != SwitchBy::Probe {
            return;
        }
        let every = self.hosts[which].clock.true_span(nanos(self.plan.outside.probe_every));
        self.after(every, What::Probing(Step::Round(which)));
        let host = &self.hosts[which];
        let Some(node) = &host.machine.node else { return };
        let own = if serving(node).is_some() { Own::Serves } else { Own::Watches };
        if host.paused == 0 {
            self.arrive(which, Arrived::Judge(Told::Round(own)));
        }
    }

    /// The judge is told something, and wants something.
    pub(super) fn tell_judge(&mut self, which: usize, told: Told) {
        let now = self.hosts[which].clock.now(self.now).mono;
        let mut wanted = Vec::new();
        self.hosts[which].prober.judge.step(now, told, &mut wanted);
        let life = self.hosts[which].life;
        for wanted in wanted {
            match wanted {
                Wanted::Try { number, oldest } => self.begin_attempt(which, number, oldest),
                Wanted::TryDisk => {
                    let patience =
                        nanos(self.slow_after().map_or(self.plan.failure_timeout, |slow| {
                            slow.min(self.plan.failure_timeout)
                        }));
                    let host = &self.hosts[which];
                    let patience = host.clock.true_span(patience);
                    let takes = host.slow.unwrap_or(self.plan.sync);
                    let works = takes <= patience && !host.full;
                    let step = Step::Disk { host: which, life, works };
                    self.after(takes.min(patience), What::Probing(step));
                }
                Wanted::Tell { asked, probed } => {
                    let begun = self.hosts[which].clock.when(asked);
                    self.note_probe(which, begun, probed);
                    self.arrive(which, Arrived::Seen(Seen::Probed { asked, probed }));
                    if self.hosts[which].life != life {
                        return;
                    }
                }
            }
        }
    }

    fn note_probe(&mut self, which: usize, begun: u64, probed: Probed) {
        let prober = &mut self.hosts[which].prober;
        if let Probed::Answered { wrote: true, .. } = probed {
            prober.left_behind |= prober.unlinked_since.is_some_and(|since| since < begun);
        }
        if matches!(probed, Probed::Answered { .. } | Probed::Unsure(_)) {
            prober.failures = 0;
            prober.failing_since = None;
        } else {
            prober.failures += 1;
            prober.failing_since.get_or_insert(begun);
            self.tally.probes_failed += 1;
        }
    }

    fn begin_attempt(&mut self, which: usize, number: u64, oldest: u64) {
        let now = self.now;
        let attempt = Attempt {
            begun: now,
            oldest,
            conn: None,
            parser: ReplyParser::new(),
            alive: false,
            replies: 0,
        };
        self.hosts[which].prober.open.insert(number, attempt);
        let life = self.hosts[which].life;
        let clock = &self.hosts[which].clock;
        let silence = clock.true_span(nanos(self.plan.failure_timeout));
        let slow = self.slow_after().unwrap_or(self.plan.failure_timeout * 3);
        let slow = clock.true_span(nanos(slow)).max(silence + MS);
        for (wait, silent) in [(silence, true), (slow, false)] {
            self.after(wait, What::Probing(Step::Late { host: which, life, number, silent }));
        }
        let wait = self.travel();
        self.after(wait, What::Probing(Step::Knock { host: which, life, number }));
    }

    /// The connection is made: the system accepts it while the process lives, whatever that does.
    fn knock(&mut self, which: usize, number: u64) {
        let there = 1 - which;
        let machine = &self.hosts[there];
        if !self.door_is_open(which) || machine.powerless {
            return;
        }
        let life = self.hosts[which].life;
        if !machine.is_up() {
            let wait = self.travel();
            return self.after(wait, What::Probing(Step::Closed { host: which, life, number }));
        }
        let Some(attempt) = self.hosts[which].prober.open.get_mut(&number) else { return };
        self.next_conn += 1;
        let place = PLACES_FROM + u32::try_from(number % 64).unwrap_or(0);
        let conn = ConnId::new(place, self.next_conn);
        attempt.conn = Some(conn);
        let theirs = self.hosts[there].life;
        self.after(0, What::Arrive(there, theirs, Arrived::Accept { conn, read_port: false }));
        self.probe_sends(which, conn, &[&[b"CLIENT", b"ID"]]);
    }

    fn probe_sends(&mut self, which: usize, conn: ConnId, requests: &[&[&[u8]]]) {
        if !self.door_is_open(which) {
            return;
        }
        let mut bytes = Vec::new();
        for words in requests {
            write_request(&mut bytes, words);
        }
        let there = 1 - which;
        let life = self.hosts[there].life;
        let wait = self.travel();
        self.after(wait, What::Arrive(there, life, Arrived::Bytes { conn, bytes }));
    }

    /// Bytes for a prober left the node that it tries; `false`: they are not for one.
    pub(super) fn answers_prober(&mut self, from: usize, conn: ConnId, bytes: &[u8]) -> bool {
        let which = 1 - from;
        let open = &mut self.hosts[which].prober.open;
        let attempt = open.iter_mut().find(|(_, attempt)| attempt.conn == Some(conn));
        let Some((&number, attempt)) = attempt else { return false };
        attempt.parser.feed(bytes);
        let mut replies = Vec::new();
        while let Ok(Some(reply)) = attempt.parser.next_reply() {
            replies.push(reply);
        }
        if !self.door_is_open(which) {
            return true;
        }
        let life = self.hosts[which].life;
        let wait = self.travel();
        for reply in replies {
            let step = Step::Reply { host: which, life, number, reply };
            self.after(wait, What::Probing(step));
        }
        true
    }

    /// The node that is tried closed a connection.
    pub(super) fn closes_to_prober(&mut self, from: usize, conn: ConnId) {
        let which = 1 - from;
        let open = &self.hosts[which].prober.open;
        let number = open.iter().find(|(_, attempt)| attempt.conn == Some(conn)).map(|it| *it.0);
        if let Some(number) = number.filter(|_| self.door_is_open(which)) {
            let life = self.hosts[which].life;
            let wait = self.travel() + self.delay;
            self.after(wait, What::Probing(Step::Closed { host: which, life, number }));
        }
    }

    /// The process that is tried has ended; the system closes its connections.
    pub(super) fn close_all_to_prober(&mut self, from: usize) {
        let which = 1 - from;
        let open = &self.hosts[which].prober.open;
        let conns: Vec<ConnId> = open.values().filter_map(|attempt| attempt.conn).collect();
        for conn in conns {
            self.closes_to_prober(from, conn);
        }
    }

    fn replied(&mut self, which: usize, number: u64, reply: &Value) {
        // What came while it stood still is looked at when it goes on; the judge knows that it did.
        if self.hosts[which].paused > 0 {
            return;
        }
        let writes = self.plan.outside.probe_writes;
        let nonce = self.hosts[which].life;
        let begun = self.now;
        let Some(attempt) = self.hosts[which].prober.open.get_mut(&number) else { return };
        let (Some(conn), oldest) = (attempt.conn, attempt.oldest) else { return };
        if let Value::Error(_) = reply {
            return self.end_attempt(which, number, Probed::Error);
        }
        if !attempt.alive {
            attempt.alive = true;
            let value = format!("{nonce:016x}-{number}");
            let set: &[&[u8]] = &[b"TANDEM.PROBESET", value.as_bytes()];
            let get: &[&[u8]] = &[b"TANDEM.PROBEGET"];
            let requests: &[&[&[u8]]] = if writes { &[set, get] } else { &[get] };
            return self.probe_sends(which, conn, requests);
        }
        attempt.replies += 1;
        if writes && attempt.replies == 1 {
            if !reply.is_ok() {
                self.end_attempt(which, number, Probed::Wrong);
            }
            return;
        }
        let round_trip = Duration::from_nanos(begun - attempt.begun);
        let ours = |bytes: &[u8]| {
            let prefix = format!("{nonce:016x}-");
            let number = bytes.strip_prefix(prefix.as_bytes()).and_then(parse_u64);
            number.is_some_and(|number| number >= oldest)
        };
        let right = match reply {
            Value::Bulk(bytes) => !writes || ours(bytes),
            _ => false,
        };
        let answered = Probed::Answered { round_trip, wrote: writes };
        self.end_attempt(which, number, if right { answered } else { Probed::Wrong });
    }

    fn late(&mut self, which: usize, number: u64, silent: bool) {
        let Some(attempt) = self.hosts[which].prober.open.get(&number) else { return };
        if silent && attempt.alive {
            return;
        }
        let round_trip = Duration::from_nanos(self.now - attempt.begun);
        let probed = match (silent, self.slow_after()) {
            (true, _) => Probed::Silent,
            (false, Some(_)) => Probed::Slow,
            (false, None) => Probed::Answered { round_trip, wrote: false },
        };
        self.end_attempt(which, number, probed);
    }

    fn end_attempt(&mut self, which: usize, number: u64, probed: Probed) {
        let Some(attempt) = self.hosts[which].prober.open.remove(&number) else { return };
        if let Some(conn) = attempt.conn {
            let there = 1 - which;
            let life = self.hosts[there].life;
            let wait = self.travel();
            self.after(wait, What::Arrive(there, life, Arrived::Hangup { conn }));
        }
        let life = self.hosts[which].life;
        let ended = Arrived::Judge(Told::Ended { number, probed });
        self.after(0, What::Arrive(which, life, ended));
    }
}
