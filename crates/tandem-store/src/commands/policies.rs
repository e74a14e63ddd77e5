//! Which keys are treated how (`TANDEM PP POLICY`).

use tandem_merge::LedgerOp;
use tandem_merge::policy::Policy;

use super::table::{help, unknown_subcommand};
use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler};
use crate::failure::Failure;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT);

pub(crate) const ROWS: &[Command] = &[Command {
    name: "pp.policy",
    arity: -2,
    // Some of it writes; whoever may set policies may read them too.
    flags: ADMIN.and(Flags::WRITE),
    since: "7.2.0",
    complexity: "O(N) where N is the number of policies.",
    summary: "Says how keys are treated by two writers, by prefix: TANDEM PP POLICY.",
    subcommands: SUBCOMMANDS,
    handler: Handler::data(policy),
    ..Command::of(Group::Tandem)
}];

const fn sub(name: &'static str, arity: i32, summary: &'static str) -> Command {
    Command { name, arity, summary, flags: ADMIN, since: "7.2.0", ..Command::of(Group::Tandem) }
}

const SUBCOMMANDS: &[Command] = &[
    sub("pp.policy|del", 3, "Removes the policy of a prefix."),
    sub("pp.policy|get", 3, "Returns how a key is treated: as its longest prefix says."),
    sub("pp.policy|help", 2, "Returns helpful text about the different subcommands."),
    sub("pp.policy|list", 2, "Returns all prefixes and their policies."),
    sub(
        "pp.policy|set",
        4,
        "Sets the policy of a prefix: merge, lww, owner=NODE, bounded[:MIN,PERCENT], seq[:MODE,LEASE], refuse.",
    ),
];

const HELP: &[&str] = &[
    "TANDEM PP POLICY <subcommand> [<arg> ...]. Subcommands are:",
    "SET <prefix> <policy>",
    "    merge: both nodes write, writes are merged (default).",
    "    lww: as merge; SETNX and the like are allowed, and reported when both won.",
    "    owner=<node>: only that node writes.",
    "    bounded[:<min>,<per cent for node A>]: counters that are never oversold.",
    "    seq[:strict|available|interleaved,<lease>]: unique ids.",
    "    refuse: nobody writes.",
    "GET <key>",
    "    Return the policy that counts for a key.",
    "LIST",
    "    Return all prefixes and policies.",
    "DEL <prefix>",
    "    Remove the policy of a prefix.",
    "HELP",
    "    Prints this help.",
];

fn policy(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Some(row) = ctx.command.subcommand(&ctx.args) else {
        return Err(unknown_subcommand(ctx, "TANDEM PP POLICY"));
    };
    row.check_arity(ctx.argc())?;
    match row.name {
        "pp.policy|set" => set(ctx),
        "pp.policy|del" => del(ctx),
        "pp.policy|get" => get(ctx),
        "pp.policy|list" => list(ctx),
        _ => {
            help(&mut ctx.reply, HELP);
            Ok(())
        }
    }
}

fn set(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(ctx.arg(3)).into_owned();
    let two = ctx.keys.two_writers()?;
    let policy = Policy::parse(&text, |name| two.node(name));
    let policy = policy.map_err(|error| Failure::Owned(format!("ERR {error}")))?;
    say(ctx, Some(policy))?;
    ctx.reply.ok();
    Ok(())
}

fn del(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let prefix = ctx.arg(2);
    let known = ctx.keys.two_writers()?.ledger.policies().get(prefix).is_some();
    if known {
        say(ctx, None)?;
    }
    ctx.reply.int(known.into());
    Ok(())
}

/// Both nodes have to treat a key alike: so a policy is not changed while one of them cannot hear of it.
fn say(ctx: &mut Ctx<'_>, policy: Option<Policy>) -> Result<(), Failure> {
    let now = ctx.keys.now();
    let prefix = ctx.arg(2);
    let two = ctx.keys.two_writers()?;
    if !two.link_up() {
        return Err(Failure::Text(
            "PPLINK the link to the other node is down: a policy is changed on both nodes or on none",
        ));
    }
    let said = two.generation(now);
    let op = LedgerOp::Policy { prefix: prefix.into(), policy, said };
    two.ledger.enter(said.by, &op);
    two.policy_said(prefix, policy);
    ctx.keys.say(op);
    Ok(())
}

fn get(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.arg(2);
    let two = ctx.keys.two_writers()?;
    let names = two.facts.names.clone();
    let policy = two.ledger.policies().of(key);
    ctx.reply.bulk(policy.to_text(|node| names[node].clone()).as_bytes());
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let two = ctx.keys.two_writers()?;
    let names = two.facts.names.clone();
    let all: Vec<(Box<[u8]>, Policy)> =
        two.ledger.policies().iter().map(|(prefix, policy)| (prefix.into(), policy)).collect();
    ctx.reply.map(all.len());
    for (prefix, policy) in all {
        ctx.reply.bulk(&prefix);
        ctx.reply.bulk(policy.to_text(|node| names[node].clone()).as_bytes());
    }
    Ok(())
}
