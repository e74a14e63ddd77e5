//! `HELLO`: the protocol version, and who speaks.

use tandem_resp::{Args, Proto, parse_i64};
use tandem_types::Role;

use super::auth::{Login, login};
use super::client::is_good_name;
use super::{Visit, is};
use crate::Port;

pub(super) fn hello(visit: &mut Visit<'_>, args: &Args<'_>) {
    let proto = match args.opt(1).map(parse_i64) {
        None => visit.session.proto,
        Some(Some(2)) => Proto::Resp2,
        Some(Some(3)) => Proto::Resp3,
        Some(Some(_)) => return visit.reply().error("NOPROTO unsupported protocol version"),
        Some(None) => {
            let text = "ERR Protocol version is not an integer or out of range";
            return visit.reply().error(text);
        }
    };
    let mut credentials = None;
    let mut name = None;
    let mut at = 2;
    while let Some(option) = args.opt(at) {
        let left = args.len() - at - 1;
        if is(option, "AUTH") && left >= 2 {
            credentials = Some((args.get(at + 1), args.get(at + 2)));
            at += 3;
        } else if is(option, "SETNAME") && left >= 1 {
            let wanted = args.get(at + 1);
            if !is_good_name(wanted) {
                return visit.reply().error(BAD_NAME);
            }
            name = Some(wanted);
            at += 2;
        } else {
            let mut text = b"ERR Syntax error in HELLO option '".to_vec();
            text.extend_from_slice(option.get(..128).unwrap_or(option));
            text.push(b'\'');
            return visit.reply().error_bytes(&text);
        }
    }
    if let Some((user, password)) = credentials
        && let Login::Refused(text) = login(visit, user, password)
    {
        return visit.reply().error(text);
    }
    if !visit.session.authenticated {
        return visit.reply().error(MUST_AUTHENTICATE);
    }
    if let Some(name) = name {
        visit.session.identity.name = name.to_vec();
    }
    visit.session.proto = proto;
    write_greeting(visit);
}

pub(super) const BAD_NAME: &str =
    "ERR Client names cannot contain spaces, newlines or special characters.";

const MUST_AUTHENTICATE: &str = "NOAUTH HELLO must be called with the client already authenticated, \
    otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
    select the RESP protocol version at the same time";

fn write_greeting(visit: &mut Visit<'_>) {
    let id = i64::try_from(visit.session.id).unwrap_or(i64::MAX);
    let proto = visit.session.proto.number();
    // "master" and "replica" are Redis' words, which libraries compare.
    let primary = visit.core.view.role == Role::Primary && visit.session.info.port == Port::Client;
    let mut reply = visit.reply();
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(super::info::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(proto);
    reply.bulk(b"id");
    reply.int(id);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(if primary { b"master" } else { b"replica" });
    reply.bulk(b"modules");
    reply.array(0);
}
