//! What merging decided, and what people make of it (`TANDEM PP CONFLICTS`, `TANDEM PP RESOLVE`).

mod resolve;

use tandem_merge::conflict::{Item, Kind, Party};
use tandem_types::Pair;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler};
use crate::failure::Failure;
use crate::two_writers::{ConflictEntry, ConflictId, Filter};

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "pp.conflicts",
        arity: -1,
        flags: ADMIN.and(Flags::READONLY),
        since: "7.2.0",
        complexity: "O(N) where N is the number of conflicts kept.",
        summary: "Lists what merging decided against: TANDEM PP CONFLICTS [KEY pattern] [KIND kind] [SINCE id] [COUNT n].",
        handler: Handler::data(conflicts),
        ..Command::of(Group::Tandem)
    },
    Command {
        name: "pp.resolve",
        arity: -3,
        flags: ADMIN.and(Flags::WRITE).and(Flags::DENYOOM),
        since: "7.2.0",
        summary: "Decides a conflict by an ordinary write: TANDEM PP RESOLVE id USE LOSER|VALUE value.",
        handler: Handler::data(resolve::resolve),
        ..Command::of(Group::Tandem)
    },
];

fn conflicts(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (mut filter, mut count) = (Filter::default(), usize::MAX);
    let mut at = 1;
    while at < ctx.argc() {
        let word = ctx.args.opt(at + 1).ok_or(Failure::Syntax)?;
        if ctx.is(at, "key") {
            filter.key = Some(word);
        } else if ctx.is(at, "kind") {
            filter.kind = Some(Kind::of_name(word).ok_or(Failure::Text(KINDS))?);
        } else if ctx.is(at, "since") {
            filter.since = Some(ConflictId::parse(word).ok_or(Failure::Text(NO_ID))?);
        } else if ctx.is(at, "count") {
            count = usize::try_from(ctx.int(at + 1)?).map_err(|_| Failure::NotInteger)?;
        } else {
            return Err(Failure::Syntax);
        }
        at += 2;
    }
    let two = ctx.keys.two_writers()?;
    let names = two.facts.names.clone();
    let found: Vec<ConflictEntry> = two.conflicts.select(&filter).take(count).cloned().collect();
    ctx.reply.array(found.len());
    for entry in &found {
        show(ctx, entry, &names);
    }
    Ok(())
}

const KINDS: &str = "ERR no such kind of conflict: say lww, delete-update, type, double-pop, \
                     dup-counter, nx, expire-refresh, oversold or salvage";
const NO_ID: &str = "ERR no such id of a conflict: take one from TANDEM PP CONFLICTS";

fn show(ctx: &mut Ctx<'_>, entry: &ConflictEntry, names: &Pair<String>) {
    let conflict = &entry.conflict;
    let time = conflict.winner.stamp.max(conflict.loser.stamp).wall().get();
    let (item, part): (&str, Option<&[u8]>) = match &conflict.item {
        Item::Key => ("key", None),
        Item::String => ("string", None),
        Item::Field(field) => ("field", Some(field)),
        Item::Member(member) => ("member", Some(member)),
        Item::Score(member) => ("score", Some(member)),
        Item::List => ("list", None),
        Item::Deadline => ("deadline", None),
    };
    ctx.reply.map(11);
    ctx.reply.bulk(b"id");
    ctx.reply.bulk_fmt(format_args!("{}", entry.id));
    ctx.reply.bulk(b"time_ms");
    ctx.reply.int(i64::try_from(time).unwrap_or(i64::MAX));
    ctx.reply.bulk(b"kind");
    ctx.reply.bulk(conflict.kind.name().as_bytes());
    ctx.reply.bulk(b"db");
    ctx.reply.int(conflict.key.db.get().into());
    ctx.reply.bulk(b"key");
    ctx.reply.bulk(&conflict.key.name);
    ctx.reply.bulk(b"item");
    ctx.reply.bulk(item.as_bytes());
    ctx.reply.bulk(b"part");
    match part {
        Some(part) => ctx.reply.bulk(part),
        None => ctx.reply.null(),
    }
    for (name, party) in [("winner", &conflict.winner), ("loser", &conflict.loser)] {
        ctx.reply.bulk(name.as_bytes());
        show_party(ctx, party, names);
    }
    ctx.reply.bulk(b"rule");
    ctx.reply.bulk(conflict.kind.rule().as_bytes());
    ctx.reply.bulk(b"resolved");
    ctx.reply.bulk(if entry.resolved { b"yes" } else { b"no" });
}

fn show_party(ctx: &mut Ctx<'_>, party: &Party, names: &Pair<String>) {
    ctx.reply.map(4);
    ctx.reply.bulk(b"node");
    ctx.reply.bulk(names[party.side].as_bytes());
    ctx.reply.bulk(b"lsn");
    ctx.reply.int(i64::try_from(party.lsn.get()).unwrap_or(i64::MAX));
    ctx.reply.bulk(b"time_ms");
    ctx.reply.int(i64::try_from(party.stamp.wall().get()).unwrap_or(i64::MAX));
    ctx.reply.bulk(b"value");
    match &party.value {
        Some(value) => ctx.reply.bulk(value),
        None => ctx.reply.null(),
    }
}
