//! What merging decided, and what people make of it (`TANDEM PP CONFLICTS`, `TANDEM PP RESOLVE`).

mod resolve;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler};
use crate::failure::Failure;
use crate::two_writers::{ConflictFilter, show_conflicts};

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
    let filter = ConflictFilter::read(&ctx.args)?;
    let names = ctx.keys.two_writers()?.facts.names.clone();
    // Older ones, which only the files hold, are the node's to read.
    let mut found = Vec::new();
    ctx.keys.store.select_conflicts(&filter, &mut found);
    show_conflicts(&found, &names, &mut ctx.reply);
    Ok(())
}
