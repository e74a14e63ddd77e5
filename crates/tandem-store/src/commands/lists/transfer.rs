//! Moves from one list to another: `LMOVE`, `RPOPLPUSH`, and the forms that wait.

use crate::call::{Ctx, TimeoutReply};
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::blocking;
use crate::commands::lists::End;
use crate::failure::Failure;

const MOVE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const WAIT: Flags = MOVE.and(Flags::NOSCRIPT).and(Flags::BLOCKING);

/// What all rows share.
const TRANSFER: Command =
    Command { keys: KeySpec::FIRST_TWO, since: "6.2.0", ..Command::of(Group::List) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "lmove",
        arity: 5,
        flags: MOVE,
        summary: "Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.",
        handler: Handler::data(lmove),
        ..TRANSFER
    },
    Command {
        name: "rpoplpush",
        arity: 3,
        flags: MOVE,
        since: "1.2.0",
        summary: "Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.",
        handler: Handler::data(rpoplpush),
        ..TRANSFER
    },
    Command {
        name: "blmove",
        arity: 6,
        flags: WAIT,
        summary: "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved.",
        handler: Handler::data(blmove),
        ..TRANSFER
    },
    Command {
        name: "brpoplpush",
        arity: 4,
        flags: WAIT,
        since: "2.2.0",
        summary: "Pops an element from a list, pushes it to another list and returns it. Block until an element is available otherwise. Deletes the list if the last element was popped.",
        handler: Handler::data(brpoplpush),
        ..TRANSFER
    },
];

/// From which end to which.
#[derive(Clone, Copy, Debug)]
struct Ends {
    from: End,
    to: End,
}

const RIGHT_TO_LEFT: Ends = Ends { from: End::Right, to: End::Left };

impl Ends {
    fn parse(ctx: &Ctx<'_>) -> Result<Self, Failure> {
        Ok(Self { from: End::parse(ctx, 3)?, to: End::parse(ctx, 4)? })
    }
}

fn lmove(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let ends = Ends::parse(ctx)?;
    if !transfer(ctx, ends)? {
        ctx.reply.null();
    }
    Ok(())
}

fn rpoplpush(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if !transfer(ctx, RIGHT_TO_LEFT)? {
        ctx.reply.null();
    }
    Ok(())
}

fn blmove(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let ends = Ends::parse(ctx)?;
    transfer_or_wait(ctx, ends, 5)
}

fn brpoplpush(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    transfer_or_wait(ctx, RIGHT_TO_LEFT, 3)
}

fn transfer_or_wait(ctx: &mut Ctx<'_>, ends: Ends, timeout_at: usize) -> Result<(), Failure> {
    let timeout = blocking::timeout(ctx, timeout_at)?;
    if !transfer(ctx, ends)? {
        let source = ctx.arg(1);
        blocking::wait_for(ctx, std::iter::once(source), timeout, TimeoutReply::Null);
    }
    Ok(())
}

/// Moves an element and answers with it; false if there is none.
fn transfer(ctx: &mut Ctx<'_>, ends: Ends) -> Result<bool, Failure> {
    let (from, to) = (ctx.key(1), ctx.key(2));
    let Some(list) = blocking::not_yet(ctx, ctx.keys.list(from))? else { return Ok(false) };
    let Some(element) = ends.from.of(list).map(Box::<[u8]>::from) else { return Ok(false) };
    // A destination of another type is found out before anything is taken.
    ctx.keys.list(to)?;
    if from.bytes == to.bytes {
        let Some(mut list) = ctx.keys.edit_list(from)? else { return Ok(false) };
        // In this order, so that a list of one element is never empty in between.
        if list.len() > 1 {
            ends.from.pop(&mut list);
            ends.to.push(&mut list, &element);
        } else {
            ends.to.push(&mut list, &element);
            ends.from.pop(&mut list);
        }
    } else {
        if let Some(mut list) = ctx.keys.edit_list(from)? {
            ends.from.pop(&mut list);
        }
        ends.to.push(&mut ctx.keys.edit_or_create_list(to)?, &element);
    }
    ctx.reply.bulk(&element);
    Ok(true)
}
