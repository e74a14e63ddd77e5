//! `TANDEM`: what only a pair can answer.

use tandem_admin::{ApplyBody, ConflictRequest, Take};
use tandem_resp::{Args, parse_u64};
use tandem_types::{Epoch, LogPosition, Lsn, NodeId};

use super::wait::timeout;
use super::{Visit, help, is};
use crate::clients::has_reached;
use crate::session::{Waiting, What};
use crate::{ConnId, Operation, Wish};

pub(super) const SUBCOMMANDS: &[&str] = &[
    "tandem|confirm",
    "tandem|conflicts",
    "tandem|help",
    "tandem|pause",
    "tandem|position",
    "tandem|pp",
    "tandem|promote",
    "tandem|reject",
    "tandem|resume",
    "tandem|solo",
    "tandem|status",
    "tandem|switch",
    "tandem|verify",
    "tandem|waitpos",
];

/// Where a transaction ends is not known within it.
pub(super) const UNKNOWN_YET: &str =
    "ERR the position of a transaction's writes is known after EXEC: ask for it then";

pub(super) fn tandem(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"status", 2) => status(visit),
        // The position of what EXEC writes is known only after it: an older one would be believed.
        (b"position", 2) if visit.in_exec => visit.reply().error(UNKNOWN_YET),
        (b"position", 2) => {
            let position = visit.session.last_write;
            visit.reply().bulk_fmt(format_args!("{} {}", position.epoch, position.lsn));
        }
        (b"waitpos", 5) => waitpos(visit, args),
        (b"promote", _) => promote(visit, args),
        (b"solo", 2) => wish(visit, Wish::Solo { force: false }),
        (b"solo", 3) if is(args.get(2), "force") => wish(visit, Wish::Solo { force: true }),
        (b"switch", 2) => wish(visit, Wish::Switch { to: None }),
        (b"switch", 4) => switch_to(visit, args),
        (b"confirm", 2) => wish(visit, Wish::Confirm),
        (b"reject", 2) => wish(visit, Wish::Reject),
        (b"pause", 2) => wish(visit, Wish::Pause),
        (b"resume", 2) => wish(visit, Wish::Resume),
        (b"verify", 2) => verify(visit, false),
        (b"verify", 3) if is(args.get(2), "repair") => verify(visit, true),
        (b"help", 2) => help::write(visit, "TANDEM", HELP),
        // Those of the store were found before (`Runnable::within_tandem`).
        (b"pp", 3..) => super::pp::pp(visit, args),
        (b"conflicts", _) => conflicts(visit, args),
        (b"bc" | b"seq", _) => {
            let text = "ERR unknown command of two writers: see TANDEM HELP and COMMAND DOCS";
            visit.reply().error(text);
        }
        (
            b"status" | b"position" | b"waitpos" | b"solo" | b"switch" | b"confirm" | b"reject"
            | b"pause" | b"resume" | b"pp" | b"verify",
            _,
        ) => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
            visit.wrong_arity(&format!("tandem|{name}"));
        }
        _ => visit.unknown_subcommand(args),
    }
}

fn status(visit: &mut Visit<'_>) {
    let core = &*visit.core;
    let (view, at, settings) = (&core.view, core.positions, &core.settings);
    let number = |lsn: Lsn| lsn.get().to_string();
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let rows = [
        ("node", settings.name().to_owned()),
        ("pair", settings.pair_name.clone()),
        ("role", super::info::role_word(core).to_owned()),
        ("epoch", view.epoch.to_string()),
        ("last_lsn", number(at.appended_end)),
        ("durable_lsn", number(at.durable_end)),
        ("applied_lsn", number(at.applied_end)),
        ("commit_lsn", number(at.commit_end)),
        ("acked_lsn", number(at.peer_durable_end)),
        ("in_sync", yes(view.peer_in_sync)),
        ("peer", settings.peer_name().to_owned()),
        ("peer_connected", yes(view.peer_connected)),
        ("primary", view.primary_address.clone().unwrap_or_default()),
        ("stalled", yes(view.waiting_for.is_some())),
        ("waiting_for", view.waiting_for.clone().unwrap_or_default()),
        ("reads", yes(view.reads.is_none())),
        ("writes", yes(view.writes.is_none() && core.two_writers_are_full().is_none())),
    ];
    let mut reply = visit.reply();
    reply.map(rows.len());
    for (name, value) in rows {
        reply.bulk(name.as_bytes());
        match tandem_resp::parse_i64(value.as_bytes()) {
            Some(number) if name.ends_with("_lsn") || name == "epoch" => reply.int(number),
            _ => reply.bulk(value.as_bytes()),
        }
    }
}

/// Waits until a read here sees everything that `TANDEM POSITION` said on the other node.
fn waitpos(visit: &mut Visit<'_>, args: &Args<'_>) {
    let (Some(epoch), Some(lsn)) = (parse_u64(args.get(2)), parse_u64(args.get(3))) else {
        return visit.not_an_integer();
    };
    let Some(timeout) = timeout(visit, args.get(4)) else { return };
    let position = LogPosition { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn) };
    if has_reached(visit.core, position) {
        return visit.reply().ok();
    }
    if visit.in_exec {
        let text = "TIMEOUT this node has not reached that position yet";
        return visit.reply().error(text);
    }
    let now = visit.core.now.mono;
    let until = (!timeout.is_zero()).then(|| now.plus(timeout));
    visit.clients.blocked.add_position(visit.session.conn);
    visit.clients.blocked.add_deadline(visit.session.conn, until);
    let what = What::Position(position);
    visit.session.waiting = Some(Box::new(Waiting { what, until }));
}

/// `TANDEM PROMOTE [FORCE] [ACCEPT-LOSS n]`.
fn promote(visit: &mut Visit<'_>, args: &Args<'_>) {
    let (mut force, mut accept_loss) = (false, 0);
    let mut at = 2;
    while let Some(word) = args.opt(at) {
        if is(word, "force") {
            force = true;
            at += 1;
        } else if is(word, "accept-loss") {
            let Some(records) = args.opt(at + 1).and_then(parse_u64) else {
                return visit.not_an_integer();
            };
            accept_loss = records;
            at += 2;
        } else {
            return visit.syntax_error();
        }
    }
    wish(visit, Wish::Promote { accept_loss, force });
}

/// `TANDEM SWITCH TO node`.
fn switch_to(visit: &mut Visit<'_>, args: &Args<'_>) {
    if !is(args.get(2), "to") {
        return visit.syntax_error();
    }
    let names = &visit.core.settings.names;
    let named = [NodeId::A, NodeId::B].into_iter().find(|&node| is(args.get(3), &names[node]));
    match named {
        Some(node) => wish(visit, Wish::Switch { to: Some(node) }),
        None => visit.reply().error("ERR there is no node of that name in this pair"),
    }
}

/// `TANDEM VERIFY [REPAIR]`: the client waits for the result.
fn verify(visit: &mut Visit<'_>, repair: bool) {
    ask(visit, |conn| Operation::Verify { conn, repair });
}

/// `TANDEM CONFLICTS LIST | SHOW id | DIFF id | APPLY id ... | DISCARD id`.
fn conflicts(visit: &mut Visit<'_>, args: &Args<'_>) {
    let id = || String::from_utf8_lossy(args.get(3)).into_owned();
    let word = args.opt(2).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
    let request = match (&*word, args.len()) {
        (b"list", 3) => ConflictRequest::List,
        (b"show", 4) => ConflictRequest::Show { id: id() },
        (b"diff", 4) => ConflictRequest::Diff { id: id() },
        (b"apply", 4..) => match how_to_apply(args) {
            Some(how) => ConflictRequest::Apply { id: id(), how },
            None => return visit.syntax_error(),
        },
        (b"discard", 4) => ConflictRequest::Discard { id: id() },
        _ => return visit.syntax_error(),
    };
    ask(visit, |conn| Operation::Conflicts { conn, request });
}

/// `[DRYRUN] [FORCE | KEY key [DB n] TAKE LOST|CURRENT]`
fn how_to_apply(args: &Args<'_>) -> Option<ApplyBody> {
    let mut how = ApplyBody::default();
    let mut at = 4;
    while at < args.len() {
        let value = args.opt(at + 1);
        let wide = match &*args.get(at).to_ascii_lowercase() {
            b"dryrun" => {
                how.dry_run = true;
                false
            }
            b"force" => {
                how.force = true;
                false
            }
            b"key" => {
                how.key = Some(crate::conflicts::escape(value?));
                true
            }
            b"db" => {
                how.db = std::str::from_utf8(value?).ok()?.parse().ok()?;
                true
            }
            b"take" if is(value?, "lost") => {
                how.take = Some(Take::Lost);
                true
            }
            b"take" if is(value?, "current") => {
                how.take = Some(Take::Current);
                true
            }
            _ => return None,
        };
        at += if wide { 2 } else { 1 };
    }
    Some(how)
}

/// Passes a question to the node; the client waits for the answer.
pub(super) fn ask(visit: &mut Visit<'_>, operation: impl FnOnce(ConnId) -> Operation) {
    if visit.in_exec {
        return visit.reply().error("ERR Command not allowed inside a transaction");
    }
    let conn = visit.session.conn;
    visit.core.operations.push_back(operation(conn));
    visit.session.waiting = Some(Box::new(Waiting { what: What::Answer, until: None }));
}

/// Passes a wish to the node; the client waits for the answer.
pub(super) fn wish(visit: &mut Visit<'_>, wish: Wish) {
    ask(visit, |conn| Operation::Wish { conn, wish });
}

const HELP: &[&str] = &[
    "STATUS",
    "    Return this node's view of the pair.",
    "POSITION",
    "    Return epoch and LSN of this connection's last write.",
    "WAITPOS <epoch> <lsn> <timeout-ms>",
    "    Wait until reads on this node see that position.",
    "PP VECTOR | WAITVECTOR <a> <b> <timeout-ms> | VERIFY",
    "    With two primaries: how much of either is here; wait for it; compare both nodes' data.",
    "PP FORGET <incarnation> [RIGHTS destroy|claim]",
    "    With two primaries: give the other node up for good.",
    "PP SALVAGE LIST|APPLY",
    "    What a node that was given up wrote and nobody has: show it, or write again what can be.",
    "PROMOTE [FORCE] [ACCEPT-LOSS <records>]",
    "    Make this node primary.",
    "SWITCH [TO <node>]",
    "    Planned change of primary, without loss.",
    "CONFIRM | REJECT",
    "    Carry out, or drop, the change that waits for a person.",
    "PAUSE | RESUME",
    "    Suspend or resume automatic changes.",
    "VERIFY [REPAIR]",
    "    Compare the data of the two nodes; with REPAIR the follower takes a full copy if they differ.",
    "PP POLICY SET|GET|LIST|DEL|HELP",
    "    With two writers: how keys are treated, by prefix.",
    "PP CONFLICTS [KEY <pattern>] [KIND <kind>] [SINCE <id>] [COUNT <n>]",
    "    With two writers: what merging decided against.",
    "PP RESOLVE <id> USE LOSER|VALUE <value>",
    "    Decide a conflict otherwise.",
    "BC CREATE|DECRBY|INCRBY|GET|TRANSFER|DRAIN|RESET <key> ...",
    "    Counters that two writers never oversell.",
    "SEQ NEXT <key> [COUNT <n>] | INFO <key>",
    "    Ids that two writers never give twice.",
    "CONFLICTS LIST | SHOW <id> | DIFF <id>",
    "    Return what a returned primary had and the pair lacks.",
    "CONFLICTS APPLY <id> [DRYRUN] [FORCE | KEY <key> [DB <n>] TAKE LOST|CURRENT]",
    "    Write again what can be; by force, or for one key, also what conflicts.",
    "CONFLICTS DISCARD <id>",
    "    Give it up.",
    "SOLO [FORCE]",
    "    Let the primary go on without its peer, on your word that the peer is off.",
];
