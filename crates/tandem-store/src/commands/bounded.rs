//! Bounded counters: a stock that both nodes sell from and never oversell (`BC.*`, and plain `INCRBY` and
//! its kin where a policy says `bounded`).
//!
//! A command changes the counter in the ledger, says the side's absolute totals, and shows the value under
//! the key. docs/policies.md tells people.

use tandem_merge::escrow::{Counter, EscrowError, Generation, Statement};
use tandem_merge::policy::Policy;
use tandem_merge::{Key, LedgerOp};
use tandem_types::NodeId;

use crate::call::{BlockRequest, Ctx, TimeoutReply};
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;

const SELL: Flags = Flags::WRITE.and(Flags::FAST);
const STOCK: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
/// Longest wait for rights.
const WAIT_MS_MAX: u64 = 3_600_000;

const fn row(
    name: &'static str,
    arity: i32,
    flags: Flags,
    summary: &'static str,
    handler: fn(&mut Ctx<'_>) -> Result<(), Failure>,
) -> Command {
    Command {
        name,
        arity,
        flags,
        keys: KeySpec::FIRST,
        since: "7.2.0",
        summary,
        handler: Handler::data(handler),
        ..Command::of(Group::Tandem)
    }
}

pub(crate) const ROWS: &[Command] = &[
    row(
        "bc.create",
        -3,
        STOCK,
        "Creates a bounded counter: BC.CREATE key value [MIN min] [SPLIT per cent for node A].",
        create,
    ),
    row(
        "bc.decrby",
        -3,
        SELL.and(Flags::BLOCKING),
        "Takes from a bounded counter, never below its minimum: BC.DECRBY key count [WAIT ms].",
        decrby,
    ),
    row(
        "bc.incrby",
        3,
        STOCK,
        "Adds to a bounded counter; this node gets the right to take it away again.",
        incrby,
    ),
    row(
        "bc.get",
        2,
        Flags::READONLY.and(Flags::FAST),
        "Returns value and minimum of a bounded counter, the rights of both nodes, and those on their way.",
        get,
    ),
    row(
        "bc.transfer",
        -3,
        SELL,
        "Gives rights of this node to the other: BC.TRANSFER key count [node].",
        transfer,
    ),
    Command {
        keys: KeySpec::ALL,
        complexity: "O(N) where N is the number of counters.",
        ..row(
            "bc.drain",
            -1,
            Flags::WRITE,
            "Gives all rights of this node to the other, of these counters or of all: before maintenance.",
            drain,
        )
    },
    row(
        "bc.reset",
        -3,
        STOCK,
        "Sets a bounded counter anew: BC.RESET key value [MIN min] [SPLIT per cent] [FORCE].",
        reset,
    ),
];

/// `INCR`, `INCRBY`, `DECR`, `DECRBY` of a key whose policy is `bounded`.
pub(crate) fn plain(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = named(ctx, 1);
    let count = match ctx.command.name {
        "incr" => 1,
        "decr" => -1,
        "decrby" => {
            let count = ctx.int(2)?;
            count.checked_neg().ok_or(Failure::Text("ERR decrement would overflow"))?
        }
        _ => ctx.int(2)?,
    };
    if count < 0 { take(ctx, &key, count.unsigned_abs(), None) } else { add(ctx, &key, count) }
}

fn decrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let wait_ms = match ctx.argc() {
        3 => None,
        5 if ctx.is(3, "wait") => {
            let wait = u64::try_from(ctx.int(4)?).map_err(|_| Failure::Text(NEGATIVE_WAIT))?;
            Some(wait.min(WAIT_MS_MAX))
        }
        _ => return Err(Failure::Syntax),
    };
    let (key, count) = (named(ctx, 1), not_negative(ctx, 2)?);
    take(ctx, &key, count, wait_ms.filter(|_| !ctx.deny_blocking))
}

const NEGATIVE_WAIT: &str = "ERR timeout is negative";

fn incrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (key, count) = (named(ctx, 1), ctx.int(2)?);
    if count < 0 {
        return Err(Failure::Text("ERR BC.INCRBY adds: use BC.DECRBY to take away"));
    }
    add(ctx, &key, count)
}

/// Takes rights of this node. Without enough: an error, or a wait until some arrive.
fn take(ctx: &mut Ctx<'_>, key: &Key, count: u64, wait_ms: Option<u64>) -> Result<(), Failure> {
    let now = ctx.keys.now();
    let mut counter = known(ctx, key)?;
    let two = ctx.keys.two_writers()?;
    match counter.take(two.side(), count) {
        Ok(statement) => {
            two.used(now, key, count);
            keep(ctx, key, counter, Some(statement))?;
            reply_value(ctx, &counter);
            Ok(())
        }
        Err(EscrowError::NoRights { have, elsewhere }) => {
            two.short(now, key, count, wait_ms.unwrap_or(0));
            if let Some(timeout_ms) = wait_ms.filter(|ms| *ms > 0) {
                ctx.block = Some(BlockRequest {
                    keys: vec![key.name.clone()],
                    timeout_ms: Some(timeout_ms),
                    on_timeout: TimeoutReply::RunAgain,
                    words: None,
                    needs: Vec::new(),
                });
                return Ok(());
            }
            let link = two.link_word();
            Err(Failure::Owned(format!("NORIGHTS have={have} elsewhere={elsewhere} link={link}")))
        }
        Err(error) => Err(failure(error)),
    }
}

fn add(ctx: &mut Ctx<'_>, key: &Key, count: i64) -> Result<(), Failure> {
    let mut counter = known(ctx, key)?;
    let side = ctx.keys.two_writers()?.side();
    let statement = counter.add(side, count.unsigned_abs()).map_err(failure)?;
    keep(ctx, key, counter, Some(statement))?;
    reply_value(ctx, &counter);
    Ok(())
}

/// How a counter begins.
struct Beginning {
    value: i64,
    min: i64,
    percent_a: u8,
    force: bool,
}

impl Beginning {
    fn parse(ctx: &mut Ctx<'_>) -> Result<Self, Failure> {
        let name = ctx.arg(1);
        let policy = ctx.keys.two_writers()?.ledger.policies().of(name);
        let (min, percent_a) = match policy {
            Policy::Bounded { min, percent_a } => (min, percent_a),
            _ => (0, 50),
        };
        let mut begin = Self { value: ctx.int(2)?, min, percent_a, force: false };
        let mut at = 3;
        while at < ctx.argc() {
            if ctx.is(at, "force") {
                begin.force = true;
                at += 1;
            } else if ctx.is(at, "min") && at + 1 < ctx.argc() {
                begin.min = ctx.int(at + 1)?;
                at += 2;
            } else if ctx.is(at, "split") && at + 1 < ctx.argc() {
                let percent = u8::try_from(ctx.int(at + 1)?).ok().filter(|it| *it <= 100);
                let text =
                    "ERR SPLIT is the per cent of the rights that node A begins with: 0 to 100";
                begin.percent_a = percent.ok_or(Failure::Text(text))?;
                at += 2;
            } else {
                return Err(Failure::Syntax);
            }
        }
        Ok(begin)
    }

    fn counter(&self, generation: Generation) -> Result<Counter, Failure> {
        let counter = Counter::create(generation, self.value, self.min, self.percent_a);
        counter.map_err(|_| Failure::Text("ERR the value is below the minimum: see MIN"))
    }
}

fn create(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (key, begin) = (named(ctx, 1), Beginning::parse(ctx)?);
    let now = ctx.keys.now();
    // A plain value of another type is nobody's stock.
    ctx.keys.string(ctx.key(1))?;
    let two = ctx.keys.two_writers()?;
    if two.ledger.counter(&key).is_some() {
        return Err(Failure::Text(
            "ERR the counter exists: BC.RESET sets it anew, BC.INCRBY adds to it",
        ));
    }
    let counter = begin.counter(two.generation(now))?;
    keep(ctx, &key, counter, None)?;
    ctx.reply.ok();
    Ok(())
}

fn reset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (key, begin) = (named(ctx, 1), Beginning::parse(ctx)?);
    let now = ctx.keys.now();
    let old = known(ctx, &key)?;
    let two = ctx.keys.two_writers()?;
    let elsewhere = old.rights(two.side().peer());
    if elsewhere > 0 && !begin.force {
        return Err(Failure::Owned(format!(
            "PPBOUNDED elsewhere={elsewhere}: the other node may be taking them; run BC.DRAIN there \
             first, or say FORCE and lose what it takes meanwhile"
        )));
    }
    let counter = begin.counter(two.generation(now))?;
    keep(ctx, &key, counter, None)?;
    ctx.reply.ok();
    Ok(())
}

fn get(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = named(ctx, 1);
    ctx.keys.exists(ctx.key(1));
    let two = ctx.keys.two_writers()?;
    let Some(counter) = two.ledger.counter(&key).copied() else {
        ctx.reply.null();
        return Ok(());
    };
    let (side, in_flight, link) = (two.side(), two.in_flight(&key), two.link_word());
    let rows = [
        ("value", shown(&counter)),
        ("min", counter.min()),
        ("rights", signed(counter.rights(side))),
        ("peer_rights", signed(counter.rights(side.peer()))),
        ("in_flight", signed(in_flight)),
    ];
    ctx.reply.map(rows.len() + 1);
    for (name, value) in rows {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.int(value);
    }
    ctx.reply.bulk(b"link");
    ctx.reply.bulk(link.as_bytes());
    Ok(())
}

fn transfer(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() > 4 {
        return Err(ctx.arity_failure());
    }
    let (key, count) = (named(ctx, 1), not_negative(ctx, 2)?);
    let counter = known(ctx, &key)?;
    let two = ctx.keys.two_writers()?;
    let to = if ctx.args.len() == 4 {
        let name = String::from_utf8_lossy(ctx.args.get(3)).into_owned();
        two.node(&name).ok_or(Failure::Text("ERR there is no node of that name in this pair"))?
    } else {
        two.side().peer()
    };
    let counter = give(ctx, &key, counter, to, count)?;
    let side = ctx.keys.two_writers()?.side();
    ctx.reply.int(signed(counter.rights(side)));
    Ok(())
}

fn drain(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (named_keys, two) =
        ((1..ctx.argc()).map(|at| named(ctx, at)).collect::<Vec<Key>>(), ctx.keys.two_writers()?);
    let side = two.side();
    let counters: Vec<(Key, Counter)> = if named_keys.is_empty() {
        two.ledger.counters().map(|(key, counter)| (key.clone(), *counter)).collect()
    } else {
        let known = |key: Key| two.ledger.counter(&key).copied().map(|counter| (key, counter));
        named_keys.into_iter().filter_map(known).collect()
    };
    let mut drained = 0;
    for (key, counter) in counters {
        let rights = counter.rights(side);
        if rights > 0 {
            give(ctx, &key, counter, side.peer(), rights)?;
            drained += 1;
        }
    }
    ctx.reply.int(drained);
    Ok(())
}

fn give(
    ctx: &mut Ctx<'_>,
    key: &Key,
    mut counter: Counter,
    to: NodeId,
    count: u64,
) -> Result<Counter, Failure> {
    let lsn_end = ctx.keys.lsn_end();
    let two = ctx.keys.two_writers()?;
    let side = two.side();
    if to != side && !two.link_up() {
        return Err(Failure::Text(
            "PPLINK the link to the other node is down: rights given now could be used by nobody",
        ));
    }
    let statement = counter.give(side, to, count).map_err(|error| match error {
        EscrowError::NoRights { have, elsewhere } => {
            Failure::Owned(format!("NORIGHTS have={have} elsewhere={elsewhere} link=up"))
        }
        error => failure(error),
    })?;
    two.rights_left(lsn_end, key, count);
    keep(ctx, key, counter, Some(statement))?;
    Ok(counter)
}

/// The counter of a key. One that nobody created begins at the bound of its policy.
fn known(ctx: &mut Ctx<'_>, key: &Key) -> Result<Counter, Failure> {
    let is_there = ctx.keys.exists(ctx.keys.key(&key.name));
    let two = ctx.keys.two_writers()?;
    if let Some(counter) = two.ledger.counter(key) {
        return Ok(*counter);
    }
    match two.ledger.policies().of(&key.name) {
        Policy::Bounded { .. } if is_there => Err(Failure::Text(
            "PPBOUNDED the key holds a plain value from before: make it a counter with BC.CREATE",
        )),
        Policy::Bounded { min, percent_a } => {
            Counter::create(Generation::ADDED_TO, min, min, percent_a).map_err(failure)
        }
        _ => Err(Failure::Text("ERR no such counter: BC.CREATE makes one")),
    }
}

/// Keeps a changed counter: in the ledger, in the record, under its key.
fn keep(
    ctx: &mut Ctx<'_>,
    key: &Key,
    counter: Counter,
    statement: Option<Statement>,
) -> Result<(), Failure> {
    let two = ctx.keys.two_writers()?;
    let before = two.ledger.counter(key).map(Counter::generation);
    two.ledger.put_counter(key.clone(), counter);
    match statement {
        Some(statement) if before == Some(counter.generation()) => {
            ctx.keys.say(LedgerOp::Escrow(key.clone(), statement));
        }
        // New: all of it is said.
        _ => ctx.keys.say(LedgerOp::Counter(key.clone(), counter)),
    }
    ctx.keys.show(key);
    Ok(())
}

fn named(ctx: &Ctx<'_>, index: usize) -> Key {
    Key { db: ctx.keys.db, name: ctx.arg(index).into() }
}

fn not_negative(ctx: &Ctx<'_>, index: usize) -> Result<u64, Failure> {
    let text = "ERR the count is negative: BC.INCRBY adds, BC.DECRBY takes away";
    u64::try_from(ctx.int(index)?).map_err(|_| Failure::Text(text))
}

fn reply_value(ctx: &mut Ctx<'_>, counter: &Counter) {
    ctx.reply.int(shown(counter));
}

/// Within 64 bits, unless both sides added at once beyond them.
fn shown(counter: &Counter) -> i64 {
    i64::try_from(counter.value()).unwrap_or(i64::MAX)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn failure(error: EscrowError) -> Failure {
    Failure::Owned(format!("ERR {error}"))
}
