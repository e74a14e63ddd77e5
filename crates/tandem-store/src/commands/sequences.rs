//! Unique ids on both nodes (`SEQ.*`, and plain `INCR` and `INCRBY` where a policy says `seq`).

use tandem_merge::policy::Policy;
use tandem_merge::sequence::{Ids, Mode, Sequence, SequenceError, WhenDry};
use tandem_merge::{Key, LedgerOp};

use crate::call::{BlockRequest, Ctx, TimeoutReply};
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;
use crate::two_writers::first_after;

/// How long a strict sequence waits for the peer to know of a block, before it says that it is dry.
const BURN_WAIT_MS: u64 = 1_000;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "seq.next",
        arity: -2,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST).and(Flags::BLOCKING),
        keys: KeySpec::FIRST,
        since: "7.2.0",
        summary: "Returns the next unique id, or first, last and step of COUNT ids: SEQ.NEXT key [COUNT n].",
        handler: Handler::data(seq_next),
        ..Command::of(Group::Tandem)
    },
    Command {
        name: "seq.info",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "7.2.0",
        summary: "Returns mode, lease and progress of a sequence of unique ids.",
        handler: Handler::data(info),
        ..Command::of(Group::Tandem)
    },
];

/// `INCR` and `INCRBY` of a key whose policy is `seq`: the last of the ids given.
pub(crate) fn plain(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let count = if ctx.argc() > 2 { ctx.int(2)? } else { 1 };
    if let Some(ids) = next(ctx, positive(count)?)? {
        if ids.step > 1 && ids.count > 1 {
            // Not reached: `next` refuses it, because a client takes ids in between for its own.
            return Err(Failure::Text(INTERLEAVED));
        }
        ctx.reply.int(signed(ids.last()));
    }
    Ok(())
}

const INTERLEAVED: &str = "PPSEQ an interleaved sequence gives every other number: take several with SEQ.NEXT key COUNT n";

fn seq_next(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let count = match ctx.argc() {
        2 => None,
        4 if ctx.is(2, "count") => Some(positive(ctx.int(3)?)?),
        _ => return Err(Failure::Syntax),
    };
    let Some(ids) = next(ctx, count.unwrap_or(1))? else { return Ok(()) };
    if count.is_some() {
        ctx.reply.array(3);
        for number in [ids.first, ids.last(), ids.step] {
            ctx.reply.int(signed(number));
        }
    } else {
        ctx.reply.int(signed(ids.first));
    }
    Ok(())
}

/// Gives ids and writes down that they are given; `None`: the client waits for the peer to know of a block.
fn next(ctx: &mut Ctx<'_>, count: u64) -> Result<Option<Ids>, Failure> {
    let key = Key { db: ctx.keys.db, name: ctx.arg(1).into() };
    let mut sequence = known(ctx, &key)?;
    let is_plain = !ctx.command.name.starts_with("seq.");
    if is_plain && count > 1 && sequence.mode() == Mode::Interleaved {
        return Err(Failure::Text(INTERLEAVED));
    }
    let burnt_before = sequence.progress().burnt_end;
    while sequence.burn() {}
    let taken = sequence.take(count);
    while sequence.burn() {}
    let has_burnt = sequence.progress().burnt_end > burnt_before;
    // Also if none is given: the block that is burnt now is for the next.
    if taken.is_ok() || has_burnt {
        keep(ctx, &key, sequence, has_burnt)?;
    }
    match taken {
        Ok(ids) => Ok(Some(ids)),
        Err(SequenceError::Dry) => {
            let link_up = ctx.keys.two_writers()?.link_up();
            if link_up && !ctx.deny_blocking {
                ctx.block = Some(BlockRequest {
                    keys: vec![key.name],
                    timeout_ms: Some(BURN_WAIT_MS),
                    on_timeout: TimeoutReply::RunAgain,
                    words: None,
                    needs: Vec::new(),
                });
                return Ok(None);
            }
            Err(Failure::Owned(format!("SEQDRY {}", SequenceError::Dry)))
        }
        Err(error) => Err(Failure::Owned(format!("ERR {error}"))),
    }
}

/// The sequence of a key; a new one goes on after the plain number that stands there.
fn known(ctx: &mut Ctx<'_>, key: &Key) -> Result<Sequence, Failure> {
    // The reply depends on what was written last.
    let found = ctx.keys.key(&key.name);
    let text = ctx.keys.string(found)?.map(Box::<[u8]>::from);
    let two = ctx.keys.two_writers()?;
    if let Some(sequence) = two.ledger.sequence(key) {
        return Ok(sequence.clone());
    }
    let mode = match two.ledger.policies().of(&key.name) {
        Policy::Seq(mode) => mode,
        _ => Policy::SEQ_DEFAULT,
    };
    let last = text.map_or(Some(0), |text| tandem_resp::parse_i64(&text));
    let first = first_after(last.ok_or(Failure::NotInteger)?);
    Ok(Sequence::new(two.side(), mode, first))
}

fn keep(ctx: &mut Ctx<'_>, key: &Key, sequence: Sequence, has_burnt: bool) -> Result<(), Failure> {
    let (mode, first, progress) = (sequence.mode(), sequence.first(), sequence.progress());
    let lsn_end = ctx.keys.lsn_end();
    let two = ctx.keys.two_writers()?;
    two.ledger.put_sequence(key.clone(), sequence);
    if has_burnt {
        two.burnt(lsn_end, key, progress);
    }
    ctx.keys.say(LedgerOp::Sequence { key: key.clone(), mode, first, progress });
    ctx.keys.show(key);
    Ok(())
}

fn info(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = Key { db: ctx.keys.db, name: ctx.arg(1).into() };
    ctx.keys.exists(ctx.key(1));
    let two = ctx.keys.two_writers()?;
    let link = two.link_word();
    let Some(sequence) = two.ledger.sequence(&key).cloned() else {
        ctx.reply.null();
        return Ok(());
    };
    let (mode, lease) = match sequence.mode() {
        Mode::Interleaved => ("interleaved", 0),
        Mode::Leased { lease, when_dry: WhenDry::Strict } => ("strict", lease),
        Mode::Leased { lease, when_dry: WhenDry::Available } => ("available", lease),
    };
    let progress = sequence.progress();
    let rows = [
        ("lease", lease),
        ("first", sequence.first()),
        ("last", sequence.shown()),
        ("next", progress.next_id),
        ("left", sequence.left()),
        ("burnt_end", progress.burnt_end),
        ("usable_end", progress.usable_end),
    ];
    ctx.reply.map(rows.len() + 2);
    for (name, text) in [("mode", mode), ("link", link)] {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.bulk(text.as_bytes());
    }
    for (name, value) in rows {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.int(signed(value));
    }
    Ok(())
}

fn positive(count: i64) -> Result<u64, Failure> {
    let text = "PPSEQ ids are given, not taken back: the count has to be positive";
    u64::try_from(count).ok().filter(|count| *count > 0).ok_or(Failure::Text(text))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
