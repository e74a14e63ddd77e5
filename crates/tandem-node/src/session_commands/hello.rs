//! `HELLO`: the protocol version, and who speaks.

use tandem_resp::{Args, Proto, Reply, parse_i64};
use tandem_types::Role;

use super::auth::{Login, login};
use super::client::is_good_name;
use super::{Visit, is};
use crate::Port;

pub(super) fn hello(visit: &mut Visit<'_>, args: &Args<'_>) {
    let wanted = match Wanted::read(args, visit.session.proto) {
        Ok(wanted) => wanted,
        Err(text) => return visit.reply().error_bytes(&text),
    };
    if let Some((user, password)) = wanted.credentials
        && let Login::Refused(text) = login(visit, user, password)
    {
        return visit.reply().error(text);
    }
    if !visit.session.authenticated {
        return visit.reply().error(MUST_AUTHENTICATE);
    }
    if let Some(name) = wanted.name {
        visit.session.identity.name = name.to_vec();
    }
    visit.session.proto = wanted.proto;
    // "master" and "replica" are Redis' words, which libraries compare.
    let primary = visit.core.view.role == Role::Primary && visit.session.info.port == Port::Client;
    let id = visit.session.id;
    write_greeting(&mut visit.reply(), wanted.proto, id, primary);
}

/// What `HELLO` asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) proto: Proto,
    /// User and password.
    pub(crate) credentials: Option<(&'a [u8], &'a [u8])>,
    pub(crate) name: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    /// Reads it, or says what is wrong with it.
    pub(crate) fn read(args: &Args<'a>, now: Proto) -> Result<Self, Vec<u8>> {
        let proto = match args.opt(1).map(parse_i64) {
            None => now,
            Some(Some(2)) => Proto::Resp2,
            Some(Some(3)) => Proto::Resp3,
            Some(Some(_)) => return Err(b"NOPROTO unsupported protocol version".to_vec()),
            Some(None) => {
                let text = b"ERR Protocol version is not an integer or out of range";
                return Err(text.to_vec());
            }
        };
        let mut wanted = Self { proto, credentials: None, name: None };
        let mut at = 2;
        while let Some(option) = args.opt(at) {
            let left = args.len() - at - 1;
            if is(option, "AUTH") && left >= 2 {
                wanted.credentials = Some((args.get(at + 1), args.get(at + 2)));
                at += 3;
            } else if is(option, "SETNAME") && left >= 1 {
                let name = args.get(at + 1);
                if !is_good_name(name) {
                    return Err(BAD_NAME.as_bytes().to_vec());
                }
                wanted.name = Some(name);
                at += 2;
            } else {
                let mut text = b"ERR Syntax error in HELLO option '".to_vec();
                text.extend_from_slice(option.get(..128).unwrap_or(option));
                text.push(b'\'');
                return Err(text);
            }
        }
        Ok(wanted)
    }
}

pub(crate) const BAD_NAME: &str =
    "ERR Client names cannot contain spaces, newlines or special characters.";

pub(crate) const MUST_AUTHENTICATE: &str = "NOAUTH HELLO must be called with the client already authenticated, \
    otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
    select the RESP protocol version at the same time";

pub(crate) fn write_greeting(reply: &mut Reply<'_>, proto: Proto, id: u64, primary: bool) {
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(super::info::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(proto.number());
    reply.bulk(b"id");
    reply.int(i64::try_from(id).unwrap_or(i64::MAX));
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(if primary { b"master" } else { b"replica" });
    reply.bulk(b"modules");
    reply.array(0);
}
