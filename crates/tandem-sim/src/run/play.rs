//! Clients: each makes one call at a time, and does not know more than a client can.
//!
//! Registers get values that nobody writes twice, counters get increments that tell one another apart,
//! two keys are always written together, one key only ever rises.

use tandem_history::wgl::CounterAction;
use tandem_history::{Operation, Outcome, RegisterAction};
use tandem_node::{ConnId, Topology};
use tandem_resp::{ReplyParser, Value, write_request};

use super::rising::Shown;
use super::two_writers::{Deed, Stand};
use super::{Arrived, Run, What, journal};
use crate::plan::{MS, Plan};

/// Registers, and as many counters as fit beside them.
pub(super) const REGISTERS: usize = 3;
pub(super) const COUNTERS: usize = 2;

/// What a client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Call {
    Set {
        key: usize,
        value: u64,
    },
    Get {
        key: usize,
    },
    Add {
        key: usize,
        by: i64,
    },
    Count {
        key: usize,
    },
    /// Both keys of the couple, in one transaction.
    SetBoth {
        value: u64,
    },
    GetBoth,
    /// The rising number.
    Rise {
        value: u64,
    },
    /// The rising number, of a replica.
    Watch,
    /// A register, of a replica.
    Peek {
        key: usize,
    },
    /// One more member of the journal, where histories may fork.
    Note {
        value: u64,
    },
    /// The whole journal.
    Journal,
    /// Of two writers.
    Deed(Deed),
    /// A question to two writers, in the end.
    Ask,
}

/// How a call ended, as its client learns it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done(Value),
    /// Read at a node that does not serve: how old it is, nobody promised.
    Old,
    Refused(String),
    Unknown,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Player {
    at: Option<(usize, ConnId)>,
    guess: usize,
    read_port: bool,
    rises: bool,
    /// It only reads, often, and goes elsewhere only when it is sent away.
    loyal: bool,
    parser: ReplyParser,
    /// Replies that the call under way still brings.
    replies: usize,
    doing: Option<(u64, Call, u64)>,
    calls: u64,
    /// The last rising number sent.
    risen: u64,
    /// The rising numbers seen on this connection.
    shown: Shown,
    /// Where the record stands that the call under way made.
    stand: Option<Stand>,
}

impl Player {
    pub(super) fn new(plan: &Plan, index: usize) -> Self {
        Self {
            at: None,
            guess: index % 2,
            read_port: index == 1 && plan.topology == Topology::PrimaryReplica,
            rises: index == 0,
            loyal: index >= 2 && index + 1 == plan.clients,
            parser: ReplyParser::new(),
            replies: 0,
            doing: None,
            calls: 0,
            risen: 0,
            shown: Shown::default(),
            stand: None,
        }
    }

    /// The node it is connected to.
    pub(super) fn host(&self) -> Option<usize> {
        self.at.map(|(host, _)| host)
    }

    /// It waits for an answer there.
    pub(super) fn is_waiting_at(&self, at: (usize, ConnId)) -> bool {
        self.at == Some(at) && self.doing.is_some()
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.doing.is_some()
    }

    /// Where the record stands that its call made.
    pub(super) const fn stand(&self) -> Option<Stand> {
        self.stand
    }

    pub(super) const fn stands(&mut self, stand: Option<Stand>) {
        self.stand = stand;
    }

    pub(super) const fn goes_to(&mut self, host: usize) {
        self.guess = host;
    }

    pub(super) const fn look_elsewhere(&mut self) {
        self.guess = 1 - self.guess;
    }
}

fn words(call: Call) -> (Vec<Vec<Vec<u8>>>, usize) {
    let word = |text: &str| text.as_bytes().to_vec();
    let number = |value: u64| value.to_string().into_bytes();
    let one = |words: Vec<Vec<u8>>| (vec![words], 1);
    let register = |key: usize| format!("register:{key}").into_bytes();
    let counter = |key: usize| format!("counter:{key}").into_bytes();
    let group = |calls: Vec<Vec<Vec<u8>>>| {
        let mut all = vec![vec![word("MULTI")]];
        all.extend(calls);
        all.push(vec![word("EXEC")]);
        let replies = all.len();
        (all, replies)
    };
    match call {
        Call::Set { key, value } => one(vec![word("SET"), register(key), number(value)]),
        Call::Get { key } | Call::Peek { key } => one(vec![word("GET"), register(key)]),
        Call::Add { key, by } => {
            one(vec![word("INCRBY"), counter(key), by.to_string().into_bytes()])
        }
        Call::Count { key } => one(vec![word("GET"), counter(key)]),
        Call::SetBoth { value } => group(
            ["both:a", "both:b"].map(|key| vec![word("SET"), word(key), number(value)]).to_vec(),
        ),
        Call::GetBoth => {
            group(["both:a", "both:b"].map(|key| vec![word("GET"), word(key)]).to_vec())
        }
        Call::Rise { value } => one(vec![word("SET"), word("rising"), number(value)]),
        Call::Watch => one(vec![word("GET"), word("rising")]),
        Call::Note { value } => one(vec![word("SADD"), word("journal"), journal::member(value)]),
        Call::Journal => one(vec![word("SMEMBERS"), word("journal")]),
        Call::Deed(deed) => deed.words(),
        Call::Ask => (Vec::new(), 0),
    }
}

pub(super) const fn writes(call: Call) -> bool {
    if let Call::Deed(deed) = call {
        return deed.writes();
    }
    matches!(
        call,
        Call::Set { .. }
            | Call::Add { .. }
            | Call::SetBoth { .. }
            | Call::Rise { .. }
            | Call::Note { .. }
    )
}

/// A number in a reply; an absent key is `None`.
/// The error that the client got; of a transaction, if none of its commands was carried out.
fn refusal(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Array(parts) if parts.iter().all(|part| part.as_error().is_some()) => {
            parts.first()?.as_error()
        }
        other => other.as_error(),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_str().and_then(|text| text.parse().ok())
}

impl Run {
    /// A client connects, or makes its next call.
    pub(super) fn play(&mut self, index: usize) {
        if self.watch.closing || self.players[index].doing.is_some() {
            return;
        }
        let rest = self.rest(index);
        if self.players[index].at.is_none() {
            self.connect_player(index);
            let wait = if self.players[index].at.is_some() { MS } else { rest };
            return self.after(wait, What::Play(index));
        }
        let call = if self.plan.both_write() {
            if self.random.once_in(30) {
                // Whoever was sent away looks now and then whether its own node is back.
                self.leave(index);
                self.players[index].guess = index % 2;
                return self.after(rest, What::Play(index));
            }
            Call::Deed(self.next_deed(index))
        } else {
            self.next_call(index)
        };
        self.make_call(index, call);
    }

    fn rest(&mut self, index: usize) -> u64 {
        let often = if self.players[index].loyal { 6 } else { 1 };
        MS / 2 + self.random.below(self.plan.think / often)
    }

    pub(super) fn connect_player(&mut self, index: usize) {
        let which = self.players[index].guess;
        if !self.hosts[which].is_up() {
            self.players[index].guess = 1 - which;
            return;
        }
        self.next_conn += 1;
        let conn = ConnId::new(u32::try_from(index).unwrap_or(0), self.next_conn);
        let player = &mut self.players[index];
        player.at = Some((which, conn));
        player.parser = ReplyParser::new();
        player.shown = Shown::default();
        let read_port = player.read_port;
        let life = self.hosts[which].life;
        self.after(0, What::Arrive(which, life, Arrived::Accept { conn, read_port }));
    }

    fn next_call(&mut self, index: usize) -> Call {
        let player = &mut self.players[index];
        if player.read_port {
            let key = self.random.index(REGISTERS + 1);
            return if key < REGISTERS { Call::Peek { key } } else { Call::Watch };
        }
        if player.rises && self.random.once_in(3) {
            player.risen += 1;
            return Call::Rise { value: player.risen };
        }
        self.next_value += 1;
        let value = self.next_value;
        let key = self.random.index(REGISTERS);
        if self.players[index].loyal {
            return Call::Get { key };
        }
        if self.plan.may_split() && self.random.once_in(2) {
            return Call::Note { value };
        }
        let counter = self.random.index(COUNTERS);
        match self.random.below(12) {
            0..=3 => Call::Set { key, value },
            4..=7 => Call::Get { key },
            8 => Call::SetBoth { value },
            9 => Call::GetBoth,
            // Different increments: a sum says which of them are in it.
            10 => {
                let by = i64::try_from(self.random.below(1 << 40)).unwrap_or(0) + 1;
                Call::Add { key: counter, by }
            }
            _ => Call::Count { key: counter },
        }
    }

    pub(super) fn make_call(&mut self, index: usize, call: Call) {
        let (requests, replies) = words(call);
        self.send_call(index, call, &requests, replies);
    }

    pub(super) fn send_call(
        &mut self,
        index: usize,
        call: Call,
        requests: &[Vec<Vec<u8>>],
        replies: usize,
    ) {
        let Some((which, conn)) = self.players[index].at else { return };
        let mut bytes = Vec::new();
        for words in requests {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            write_request(&mut bytes, &words);
        }
        let now = self.now;
        let player = &mut self.players[index];
        player.calls += 1;
        player.replies = replies;
        player.doing = Some((player.calls, call, now));
        player.stand = None;
        let number = player.calls;
        self.tally.calls += 1;
        if let Call::Deed(deed) = call {
            self.watch.account.sends(conn, deed);
        }
        let travel = self.travel();
        let life = self.hosts[which].life;
        self.after(travel, What::Arrive(which, life, Arrived::Bytes { conn, bytes }));
        self.after(self.plan.patience, What::Patience(index, number));
    }

    /// Bytes for a client left a node that serves `epoch`.
    pub(super) fn released(
        &mut self,
        which: usize,
        epoch: Option<u64>,
        conn: ConnId,
        bytes: &[u8],
    ) {
        if self.answers_prober(which, conn, bytes) {
            return;
        }
        let Some(index) = self.players.iter().position(|it| it.at == Some((which, conn))) else {
            return;
        };
        let player = &mut self.players[index];
        player.parser.feed(bytes);
        while let Ok(Some(value)) = player.parser.next_reply() {
            let Some((number, call, _)) = player.doing else { return };
            player.replies = player.replies.saturating_sub(1);
            if player.replies > 0 {
                continue;
            }
            let answer = match refusal(&value) {
                Some(text) if text.starts_with(b"UNKNOWNRESULT") => Answer::Unknown,
                Some(text) => Answer::Refused(String::from_utf8_lossy(text).into_owned()),
                None if epoch.is_none()
                    && matches!(call, Call::Get { .. } | Call::Count { .. }) =>
                {
                    Answer::Old
                }
                None if epoch.is_none() && matches!(call, Call::GetBoth | Call::Journal) => {
                    Answer::Old
                }
                None if epoch.is_none() && call == Call::Watch && self.watch.closing => Answer::Old,
                None => Answer::Done(value),
            };
            if let (Answer::Done(_), true, Some(epoch), false) =
                (&answer, writes(call), epoch, self.plan.both_write())
            {
                self.watch.acknowledged(self.now, which, epoch);
            }
            let travel = self.travel();
            return self.after(travel, What::Answered(index, number, answer));
        }
    }

    pub(super) fn answered(&mut self, index: usize, number: u64, answer: Answer) {
        let Some((doing, call, since)) = self.players[index].doing else { return };
        if doing != number {
            return;
        }
        self.players[index].doing = None;
        self.trace.note(self.now, format_args!("client {index}: {call:?} -> {answer:?}"));
        match answer {
            Answer::Done(value) => self.done(index, call, since, &value),
            Answer::Unknown => self.unknown(index, call, since),
            Answer::Old => self.tally.old_reads += 1,
            Answer::Refused(text) if self.plan.both_write() => {
                self.refused_by_writer(index, call, &text);
            }
            Answer::Refused(text) => {
                self.tally.refused += 1;
                assert!(!text.starts_with("WRONGTYPE"), "{call:?} was refused: {text}");
                // It looks for the primary elsewhere.
                self.leave(index);
                let other = !self.random.once_in(3);
                let player = &mut self.players[index];
                player.guess = if other { 1 - player.guess } else { player.guess };
            }
        }
        let rest = self.rest(index);
        self.after(rest, What::Play(index));
    }

    pub(super) fn leave(&mut self, index: usize) {
        if let Some((which, conn)) = self.players[index].at.take() {
            let life = self.hosts[which].life;
            let travel = self.travel();
            self.after(travel, What::Arrive(which, life, Arrived::Hangup { conn }));
        }
    }

    /// It waits no longer, and tries the other node.
    pub(super) fn lose_patience(&mut self, index: usize, number: u64) {
        let Some((doing, call, since)) = self.players[index].doing else { return };
        if doing != number {
            return;
        }
        self.trace.note(self.now, format_args!("client {index}: {call:?} -> no answer"));
        self.players[index].doing = None;
        self.unknown(index, call, since);
        self.leave(index);
        self.players[index].guess = 1 - self.players[index].guess;
        self.after(MS, What::Play(index));
    }

    /// A node closed a connection.
    pub(super) fn drop_player(&mut self, which: usize, conn: ConnId) {
        if let Some(index) = self.players.iter().position(|it| it.at == Some((which, conn))) {
            let travel = self.travel();
            self.after(travel, What::Dropped(index, conn));
        }
    }

    /// The process is gone; `heard`: the system says so.
    pub(super) fn drop_players_of(&mut self, which: usize, heard: bool) {
        for index in 0..self.players.len() {
            if let Some((at, conn)) = self.players[index].at
                && at == which
                && heard
            {
                let travel = self.travel();
                self.after(travel, What::Dropped(index, conn));
            }
        }
    }

    pub(super) fn dropped(&mut self, index: usize, conn: ConnId) {
        if self.players[index].at.is_none_or(|(_, at)| at != conn) {
            return;
        }
        self.players[index].at = None;
        if let Some((_, call, since)) = self.players[index].doing.take() {
            self.unknown(index, call, since);
        }
        if self.random.once_in(2) {
            self.players[index].guess = 1 - self.players[index].guess;
        }
        let rest = self.random.below(self.plan.think);
        self.after(rest, What::Play(index));
    }

    /// Nobody knows whether it was carried out.
    fn unknown(&mut self, index: usize, call: Call, since: u64) {
        if writes(call) {
            self.tally.unknown += 1;
        }
        let outcome = Outcome::Unknown;
        let called_at = since;
        match call {
            Call::Set { key, value } => self.watch.registers[key].push(Operation {
                called_at,
                outcome,
                action: RegisterAction::Write(value),
            }),
            Call::SetBoth { value } => self.watch.both.push(Operation {
                called_at,
                outcome,
                action: RegisterAction::Write(value),
            }),
            Call::Add { key, by } => self.watch.counters[key].push(Operation {
                called_at,
                outcome,
                action: CounterAction::Add { by, result: 0 },
            }),
            Call::Deed(deed) => {
                let stand = self.players[index].stand;
                self.watch.account.enter(deed, stand, false);
            }
            Call::Rise { value } => self.watch.rising.lose_answer(value),
            Call::Note { .. }
            | Call::Journal
            | Call::Ask
            | Call::Watch
            | Call::Peek { .. }
            | Call::Get { .. }
            | Call::Count { .. }
            | Call::GetBoth => {}
        }
    }

    fn done(&mut self, index: usize, call: Call, since: u64, value: &Value) {
        let outcome = Outcome::Returned(self.now);
        let called_at = since;
        self.tally.done += 1;
        if writes(call) {
            self.tally.acknowledged += 1;
            self.watch.last_write = self.now;
        }
        // With clocks that break the leases' assumption reads promise nothing, until the end.
        let blind = self.clocks_are_bad() && !self.watch.closing;
        let register = |action| Operation { called_at, outcome, action };
        match call {
            Call::Set { key, value } => {
                self.watch.registers[key].push(register(RegisterAction::Write(value)));
            }
            Call::Get { key } if !blind => {
                self.watch.registers[key].push(register(RegisterAction::Read(number(value))));
            }
            Call::SetBoth { value: written } => {
                self.watch.both.push(register(RegisterAction::Write(written)));
            }
            Call::GetBoth => {
                let Value::Array(items) = value else {
                    return self.watch.broken(format!("EXEC was answered with {value:?}"));
                };
                let read: Vec<Option<u64>> = items.iter().map(number).collect();
                if read.len() != 2 || read[0] != read[1] {
                    self.watch.broken(format!("a transaction was seen in part: {read:?}"));
                }
                if !blind {
                    let seen = read.first().copied().flatten();
                    self.watch.both.push(register(RegisterAction::Read(seen)));
                }
            }
            Call::Add { key, by } => {
                let Value::Int(result) = *value else {
                    return self.watch.broken(format!("INCRBY was answered with {value:?}"));
                };
                let action = CounterAction::Add { by, result };
                self.watch.counters[key].push(Operation { called_at, outcome, action });
            }
            Call::Count { key } if !blind => {
                let read = i64::try_from(number(value).unwrap_or(0)).unwrap_or(i64::MAX);
                let action = CounterAction::Read(read);
                self.watch.counters[key].push(Operation { called_at, outcome, action });
            }
            Call::Note { value } => self.watch.noted.push(value),
            Call::Journal => self.watch.journal = journal::numbers(value),
            Call::Rise { value } => self.watch.rising.acknowledge(value),
            Call::Watch => {
                let seen = number(value).unwrap_or(0);
                self.watch.last_risen = seen;
                let shown = &mut self.players[index].shown;
                if let Err(before) = self.watch.rising.show(shown, seen) {
                    self.watch.broken(format!(
                        "a replica went back on one connection: {before}, then {seen}"
                    ));
                }
            }
            Call::Peek { key } => {
                if let Some(value) = number(value) {
                    self.watch.peeked.push((key, value, self.now));
                }
            }
            Call::Deed(deed) => self.done_by_writer(index, deed, value),
            Call::Ask => self.watch.account.hear(value),
            Call::Get { .. } | Call::Count { .. } => {}
        }
    }

    /// Every client that waits has its answer or none, and nobody asks for more.
    pub(super) fn stop_players(&mut self) {
        self.watch.closing = true;
        for index in 0..self.players.len() {
            if let Some((_, call, since)) = self.players[index].doing.take() {
                self.unknown(index, call, since);
            }
            self.leave(index);
        }
        self.run_until(self.now + 50 * MS);
    }

    /// Every key is read once more.
    pub(super) fn last_calls(&mut self, primary: usize) {
        self.stop_players();
        let index = self.players.len();
        self.players.push(Player::new(&self.plan, 2));
        self.players[index].guess = primary;
        let mut calls: Vec<Call> = (0..REGISTERS).map(|key| Call::Get { key }).collect();
        calls.extend((0..COUNTERS).map(|key| Call::Count { key }));
        calls.extend([Call::GetBoth, Call::Watch]);
        if self.plan.may_split() {
            calls.push(Call::Journal);
        }
        for call in calls {
            if !self.insist(index, call) {
                return self.watch.broken(format!("{call:?} was not answered at the end"));
            }
        }
    }

    /// Makes a call until the primary has answered it: a planned change may still come between.
    fn insist(&mut self, index: usize, call: Call) -> bool {
        let end = self.now + 10_000 * MS;
        while self.now < end {
            if self.players[index].at.is_none() {
                self.connect_player(index);
            }
            let done = self.tally.done;
            self.make_call(index, call);
            let patience = self.now + self.plan.patience;
            while self.players[index].doing.is_some() && self.now <= patience {
                self.run_until(self.now + 5 * MS);
            }
            if self.tally.done > done {
                return true;
            }
            self.leave(index);
            self.run_until(self.now + 50 * MS);
            if let Some(primary) = self.whole() {
                self.players[index].guess = primary;
            }
        }
        false
    }
}
