//! `CLIENT`: names, lists, pauses.

use std::time::Duration;

use tandem_resp::{Args, Reply, parse_i64, parse_u64};

use super::hello::BAD_NAME;
use super::{Visit, client_kill, client_list, help, is};
use crate::clients::Pause;
use crate::session::{Identity, Moving, ReplyMode, Session, What};

pub(super) const SUBCOMMANDS: &[&str] = &[
    "client|caching",
    "client|getname",
    "client|getredir",
    "client|help",
    "client|id",
    "client|info",
    "client|kill",
    "client|list",
    "client|maint_notifications",
    "client|no-evict",
    "client|no-touch",
    "client|pause",
    "client|reply",
    "client|setinfo",
    "client|setname",
    "client|tracking",
    "client|trackinginfo",
    "client|unblock",
    "client|unpause",
];

pub(super) fn client(visit: &mut Visit<'_>, args: &Args<'_>) {
    let words = args.len();
    let subcommand = args.get(1).to_ascii_lowercase();
    match (&*subcommand, words) {
        (b"id", 2) => {
            let id = i64::try_from(visit.session.id).unwrap_or(i64::MAX);
            visit.reply().int(id);
        }
        (b"setname", 3) => set_name(visit, args.get(2)),
        (b"getname", 2) => {
            let name = std::mem::take(&mut visit.session.identity.name);
            if name.is_empty() {
                visit.reply().null();
            } else {
                visit.reply().bulk(&name);
            }
            visit.session.identity.name = name;
        }
        (b"setinfo", 4) => set_info(visit, args),
        (b"info", 2) => {
            let line = client_list::line(visit.core, visit.session);
            visit.reply().verbatim(*b"txt", format!("{line}\n").as_bytes());
        }
        (b"list", _) => client_list::list(visit, args),
        (b"kill", 3..) => client_kill::kill(visit, args),
        (b"pause", 3 | 4) => pause(visit, args),
        (b"unpause", 2) => {
            visit.clients.pause = None;
            visit.reply().ok();
        }
        (b"no-evict", 3) => match on_or_off(args.get(2)) {
            Some(on) => {
                visit.session.no_evict = on;
                visit.reply().ok();
            }
            None => visit.syntax_error(),
        },
        (b"no-touch", 3) => match on_or_off(args.get(2)) {
            Some(on) => {
                visit.session.no_touch = on;
                visit.reply().ok();
            }
            None => visit.syntax_error(),
        },
        (b"reply", 3) => reply_mode(visit, args.get(2)),
        (b"unblock", 3 | 4) => unblock(visit, args),
        (b"getredir", 2) => visit.reply().int(-1),
        (b"trackinginfo", 2) => tracking_info(visit),
        (b"tracking", 3..) => tracking(visit, args.get(2)),
        (b"caching", 3) => visit.reply().error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
             OPTOUT mode enabled",
        ),
        (b"maint_notifications", 3..) => maint_notifications(visit, args),
        (b"help", 2) => help::write(visit, "CLIENT", HELP),
        _ => visit.no_subcommand(args, SUBCOMMANDS),
    }
}

/// Names must not break the lines of `CLIENT LIST`.
pub(super) fn is_good_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn set_name(visit: &mut Visit<'_>, name: &[u8]) {
    let Session { identity, outbox, proto, .. } = visit.session;
    name_it(identity, name, &mut Reply::new(outbox.bytes_mut(), *proto));
}

fn set_info(visit: &mut Visit<'_>, args: &Args<'_>) {
    let Session { identity, outbox, proto, .. } = visit.session;
    describe_it(identity, args, &mut Reply::new(outbox.bytes_mut(), *proto));
}

/// `CLIENT SETNAME`.
pub(crate) fn name_it(identity: &mut Identity, name: &[u8], reply: &mut Reply<'_>) {
    if !is_good_name(name) {
        return reply.error(BAD_NAME);
    }
    identity.name = name.to_vec();
    identity.label = None;
    reply.ok();
}

/// `CLIENT SETINFO`.
pub(crate) fn describe_it(identity: &mut Identity, args: &Args<'_>, reply: &mut Reply<'_>) {
    let (option, value) = (args.get(2), args.get(3));
    let lower = option.to_ascii_lowercase();
    let shown = String::from_utf8_lossy(&lower).into_owned();
    let place = match &*lower {
        b"lib-name" => &mut identity.lib_name,
        b"lib-ver" => &mut identity.lib_version,
        _ => {
            let text = format!("ERR Unrecognized option '{}'", String::from_utf8_lossy(option));
            return reply.error(&text);
        }
    };
    if is_good_name(value) {
        *place = value.to_vec();
        reply.ok();
    } else {
        reply.error_fmt(format_args!(
            "ERR {shown} cannot contain spaces, newlines or special characters."
        ));
    }
}

fn on_or_off(word: &[u8]) -> Option<bool> {
    if is(word, "on") {
        Some(true)
    } else if is(word, "off") {
        Some(false)
    } else {
        None
    }
}

fn pause(visit: &mut Visit<'_>, args: &Args<'_>) {
    let all = match args.opt(3) {
        None => true,
        Some(word) if is(word, "all") => true,
        Some(word) if is(word, "write") => false,
        Some(_) => {
            return visit.reply().error("ERR CLIENT PAUSE mode must be WRITE or ALL");
        }
    };
    let timeout = parse_i64(args.get(2)).ok_or("ERR timeout is not an integer or out of range");
    let ms = match timeout.map(u64::try_from) {
        Ok(Ok(ms)) => ms,
        Ok(Err(_)) => return visit.reply().error("ERR timeout is negative"),
        Err(text) => return visit.reply().error(text),
    };
    let until = visit.core.now.mono.plus(Duration::from_millis(ms));
    // A second pause never ends or weakens the first.
    visit.clients.pause = Some(match visit.clients.pause {
        Some(old) => Pause { until: until.max(old.until), all: all || old.all },
        None => Pause { until, all },
    });
    visit.reply().ok();
}

fn reply_mode(visit: &mut Visit<'_>, word: &[u8]) {
    if is(word, "on") {
        visit.session.reply_mode = ReplyMode::On;
        visit.reply().ok();
    } else if is(word, "off") {
        visit.session.reply_mode = ReplyMode::Off;
    } else if is(word, "skip") {
        if visit.session.reply_mode != ReplyMode::Off {
            visit.session.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        visit.syntax_error();
    }
}

fn unblock(visit: &mut Visit<'_>, args: &Args<'_>) {
    let with_error = match args.opt(3) {
        None => false,
        Some(word) if is(word, "timeout") => false,
        Some(word) if is(word, "error") => true,
        Some(_) => {
            let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return visit.reply().error(text);
        }
    };
    let Some(id) = parse_u64(args.get(2)) else { return visit.not_an_integer() };
    let found = visit.clients.sessions.iter().find(|session| session.id == id);
    let conn = found.filter(|session| {
        session.waiting.as_deref().is_some_and(|waiting| {
            matches!(
                waiting.what,
                What::Keys { .. } | What::Copies { .. } | What::Position(_) | What::Vector(_)
            )
        })
    });
    let Some(conn) = conn.map(|session| session.conn) else { return visit.reply().int(0) };
    visit.clients.unblock(visit.core, conn, with_error);
    visit.reply().int(1);
}

/// Options that are not known here are refused, so that libraries go on without instead of waiting for
/// what never comes.
fn maint_notifications(visit: &mut Visit<'_>, args: &Args<'_>) {
    let Some(on) = on_or_off(args.get(2)) else { return visit.syntax_error() };
    let moving = match (on, args.opt(3), args.opt(4), args.len()) {
        (false, None, None, _) => Moving::Unasked,
        (true, None, None, _) => Moving::WithAddress,
        (true, Some(option), Some(kind), 5) if is(option, "moving-endpoint-type") => {
            let kinds = ["internal-ip", "internal-fqdn", "external-ip", "external-fqdn"];
            if is(kind, "none") {
                Moving::WithoutAddress
            } else if kinds.iter().any(|known| is(kind, known)) {
                Moving::WithAddress
            } else {
                return visit.reply().error("ERR unknown moving-endpoint-type");
            }
        }
        _ => return visit.reply().error("ERR unknown option of CLIENT MAINT_NOTIFICATIONS"),
    };
    if on && visit.session.proto != tandem_resp::Proto::Resp3 {
        return visit.reply().error("ERR maintenance notifications need RESP3: say HELLO 3 first");
    }
    visit.session.moving = moving;
    visit.reply().ok();
    // Who comes to the wrong node is told at once, after the answer.
    let mut message = Vec::new();
    visit.clients.moving(visit.core, visit.session, &mut message);
    visit.session.deferred.extend_from_slice(&message);
}

fn tracking_info(visit: &mut Visit<'_>) {
    let mut reply = visit.reply();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.int(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
}

fn tracking(visit: &mut Visit<'_>, word: &[u8]) {
    match on_or_off(word) {
        Some(false) => visit.reply().ok(),
        Some(true) => visit.reply().error("ERR client-side caching is not offered by this node"),
        None => visit.syntax_error(),
    }
}

const HELP: &[&str] = &[
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port> | <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options: ID, ADDR, LADDR, TYPE, USER, SKIPME, MAXAGE.",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID id [id ...]]",
    "    Return information about client connections.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options: LIB-NAME, LIB-VER.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
];
