//! `TANDEM PP`: what only a pair with two writers can answer.

use tandem_merge::escrow::Forget;
use tandem_resp::{Args, parse_u64};
use tandem_types::{Lsn, Pair};

use super::tandem::ask;
use super::wait::timeout;
use super::{Visit, is};
use crate::Operation;
use crate::session::{Waiting, What};

pub(super) fn pp(visit: &mut Visit<'_>, args: &Args<'_>) {
    if visit.core.writer().is_none() {
        let text =
            "ERR this pair has one primary; TANDEM PP needs pair.topology = \"primary-primary\"";
        return visit.reply().error(text);
    }
    match (&*args.get(2).to_ascii_lowercase(), args.len()) {
        (b"vector", 3) if visit.in_exec => visit.reply().error(super::tandem::UNKNOWN_YET),
        (b"vector", 3) => vector(visit),
        (b"waitvector", 6) => waitvector(visit, args),
        (b"verify", 3) => verify(visit),
        (b"forget", 4 | 6) => forget(visit, args),
        (b"salvage", 4) if is(args.get(3), "list") => salvage(visit, false),
        (b"salvage", 4) if is(args.get(3), "apply") => salvage(visit, true),
        (b"vector" | b"waitvector" | b"verify" | b"forget" | b"salvage", _) => {
            let name = String::from_utf8_lossy(args.get(2)).to_ascii_lowercase();
            visit.wrong_arity(&format!("tandem|pp|{name}"));
        }
        _ => {
            let name = String::from_utf8_lossy(args.get(2)).to_ascii_uppercase();
            visit
                .reply()
                .error_fmt(format_args!("ERR TANDEM PP {name} is not offered by this version"));
        }
    }
}

/// How many records of a and of b are in the data here.
fn vector(visit: &mut Visit<'_>) {
    let ends = visit.core.vector();
    let mut reply = visit.reply();
    reply.array(2);
    for end in [ends.a, ends.b] {
        reply.int(i64::try_from(end.get()).unwrap_or(i64::MAX));
    }
}

/// Waits until a read here sees everything that `TANDEM PP VECTOR` said on the other node.
fn waitvector(visit: &mut Visit<'_>, args: &Args<'_>) {
    let (Some(a), Some(b)) = (parse_u64(args.get(3)), parse_u64(args.get(4))) else {
        return visit.not_an_integer();
    };
    let Some(timeout) = timeout(visit, args.get(5)) else { return };
    let wanted = Pair { a: Lsn::new(a), b: Lsn::new(b) };
    if visit.core.has_seen(wanted) {
        return visit.reply().ok();
    }
    if visit.in_exec {
        return visit.reply().error("TIMEOUT this node has not seen all of that yet");
    }
    let now = visit.core.now.mono;
    let until = (!timeout.is_zero()).then(|| now.plus(timeout));
    visit.clients.blocked.add_position(visit.session.conn);
    visit.clients.blocked.add_deadline(visit.session.conn, until);
    visit.session.waiting = Some(Box::new(Waiting { what: What::Vector(wanted), until }));
}

/// `FORGET <incarnation> [RIGHTS destroy|claim]`: the client waits for the answer.
fn forget(visit: &mut Visit<'_>, args: &Args<'_>) {
    let rights = match args.opt(5) {
        None => None,
        Some(_) if !is(args.get(4), "rights") => return visit.syntax_error(),
        Some(word) if is(word, "destroy") => Some(Forget::Destroy),
        Some(word) if is(word, "claim") => Some(Forget::Claim),
        Some(_) => return visit.syntax_error(),
    };
    let incarnation = String::from_utf8_lossy(args.get(3)).into_owned();
    ask(visit, |conn| Operation::Forget { conn, incarnation, rights });
}

/// `SALVAGE LIST|APPLY`.
fn salvage(visit: &mut Visit<'_>, apply: bool) {
    ask(visit, |conn| Operation::Salvage { conn, apply });
}

/// Compares the data of both nodes, slot by slot; the client waits for the answer.
fn verify(visit: &mut Visit<'_>) {
    ask(visit, |conn| Operation::VerifyWriters { conn });
}
