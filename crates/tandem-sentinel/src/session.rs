//! One connection as a value: commands in, bytes out.

use subtle::ConstantTimeEq as _;
use tandem_resp::{Args, Limits, Proto, Reply};

use crate::changes::Message;
use crate::info::{REDIS_VERSION, info};
use crate::subscriptions::Subscriptions;
use crate::{SentinelView, sentinel_command};

/// Nobody has reason to send more than this to a Sentinel.
const AUTHENTICATED: Limits =
    Limits { args_max: 256, unauthenticated: false, ..Limits::UNAUTHENTICATED };

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

const NOT_IN_SUBSCRIBER: &str = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
    allowed in this context";

/// What follows a command.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Go,
    Close,
    /// Somebody else begins a change of primary of this pair, and that is the answer.
    Failover(String),
}

#[derive(Debug)]
pub(crate) struct Session {
    id: i64,
    proto: Proto,
    authenticated: bool,
    name: Vec<u8>,
    subscriptions: Subscriptions,
}

impl Session {
    pub(crate) fn new(id: i64, authenticated: bool) -> Self {
        let (proto, subscriptions) = (Proto::Resp2, Subscriptions::default());
        Self { id, proto, authenticated, name: Vec::new(), subscriptions }
    }

    pub(crate) const fn limits(&self) -> &'static Limits {
        if self.authenticated { &AUTHENTICATED } else { &Limits::UNAUTHENTICATED }
    }

    pub(crate) const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    pub(crate) fn reply<'a>(&self, out: &'a mut Vec<u8>) -> Reply<'a> {
        Reply::new(out, self.proto)
    }

    pub(crate) fn deliver(&self, message: &Message, out: &mut Vec<u8>) {
        self.subscriptions.deliver(message, self.proto, out);
    }

    pub(crate) fn run(
        &mut self,
        args: &Args<'_>,
        view: &SentinelView,
        password: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Next {
        let name = args.name().to_ascii_lowercase();
        if !self.authenticated
            && !matches!(name.as_slice(), b"auth" | b"hello" | b"quit" | b"reset")
        {
            self.reply(out).error("NOAUTH Authentication required.");
            return Next::Go;
        }
        let listens = self.subscriptions.count() > 0 && self.proto == Proto::Resp2;
        let while_listening: [&[u8]; 7] = [
            b"ping",
            b"subscribe",
            b"psubscribe",
            b"unsubscribe",
            b"punsubscribe",
            b"quit",
            b"reset",
        ];
        if listens && !while_listening.contains(&name.as_slice()) {
            let name = String::from_utf8_lossy(name.get(..64).unwrap_or(&name)).into_owned();
            self.reply(out)
                .error_fmt(format_args!("ERR Can't execute '{name}': {NOT_IN_SUBSCRIBER}"));
            return Next::Go;
        }
        let mut reply = Reply::new(out, self.proto);
        match (name.as_slice(), args.len()) {
            (b"hello", _) => self.hello(args, password, out),
            (b"auth", 2 | 3) => self.auth(args, password, &mut reply),
            (b"ping", 1 | 2) => ping(args, listens, &mut reply),
            (b"quit", _) => {
                reply.ok();
                return Next::Close;
            }
            (b"reset", 1) => {
                *self = Self::new(self.id, password.is_none());
                self.reply(out).simple("RESET");
            }
            (b"role", 1) => role(view, &mut reply),
            (b"info", _) => reply.verbatim(*b"txt", info(view).as_bytes()),
            (b"client", 2..) => self.client(args, &mut reply),
            (b"sentinel", 2..) => return sentinel_command::answer(view, args, &mut reply),
            (b"subscribe", 2..) => self.subscriptions.subscribe(args.tail(1), false, &mut reply),
            (b"psubscribe", 2..) => self.subscriptions.subscribe(args.tail(1), true, &mut reply),
            (b"unsubscribe", _) => self.subscriptions.unsubscribe(args.tail(1), false, &mut reply),
            (b"punsubscribe", _) => self.subscriptions.unsubscribe(args.tail(1), true, &mut reply),
            (
                b"auth" | b"ping" | b"reset" | b"role" | b"client" | b"sentinel" | b"subscribe"
                | b"psubscribe",
                _,
            ) => {
                let name = String::from_utf8_lossy(&name);
                reply.error_fmt(format_args!("ERR wrong number of arguments for '{name}' command"));
            }
            _ => {
                let name = String::from_utf8_lossy(name.get(..64).unwrap_or(&name));
                reply.error_fmt(format_args!("ERR unknown command '{name}' on a Sentinel port"));
            }
        }
        Next::Go
    }

    fn hello(&mut self, args: &Args<'_>, password: Option<&[u8]>, out: &mut Vec<u8>) {
        if let Err(text) = self.greet(args, password) {
            return self.reply(out).error(&text);
        }
        let mut reply = self.reply(out);
        reply.map(6);
        for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"proto");
        reply.int(self.proto.number());
        reply.bulk(b"id");
        reply.int(self.id);
        reply.bulk(b"mode");
        reply.bulk(b"sentinel");
        reply.bulk(b"modules");
        reply.array(0);
    }

    /// Takes over what a HELLO says, or nothing of it.
    fn greet(&mut self, args: &Args<'_>, password: Option<&[u8]>) -> Result<(), String> {
        let proto = match args.opt(1).map(tandem_resp::parse_i64) {
            None => self.proto,
            Some(Some(2)) => Proto::Resp2,
            Some(Some(3)) => Proto::Resp3,
            Some(Some(_)) => return Err("NOPROTO unsupported protocol version".to_owned()),
            Some(None) => {
                return Err("ERR Protocol version is not an integer or out of range".to_owned());
            }
        };
        let (mut authenticated, mut name, mut at) = (self.authenticated, None, 2);
        while let Some(option) = args.opt(at) {
            if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
                if !is_password(args.get(at + 1), args.get(at + 2), password) {
                    return Err(WRONG_PASSWORD.to_owned());
                }
                authenticated = true;
                at += 3;
            } else if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
                name = Some(args.get(at + 1).to_vec());
                at += 2;
            } else {
                let option = String::from_utf8_lossy(option.get(..128).unwrap_or(option));
                return Err(format!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
        if !authenticated {
            return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise \
                the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
                select the RESP protocol version at the same time"
                .to_owned());
        }
        self.authenticated = true;
        self.proto = proto;
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        Ok(())
    }

    fn auth(&mut self, args: &Args<'_>, password: Option<&[u8]>, reply: &mut Reply<'_>) {
        let (user, word): (&[u8], &[u8]) =
            if args.len() == 3 { (args.get(1), args.get(2)) } else { (b"default", args.get(1)) };
        if password.is_none() && args.len() == 2 {
            reply.error(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
        } else if is_password(user, word, password) {
            self.authenticated = true;
            reply.ok();
        } else {
            reply.error(WRONG_PASSWORD);
        }
    }

    fn client(&mut self, args: &Args<'_>, reply: &mut Reply<'_>) {
        match (args.get(1).to_ascii_lowercase().as_slice(), args.len()) {
            (b"id", 2) => reply.int(self.id),
            (b"setname", 3) => {
                self.name = args.get(2).to_vec();
                reply.ok();
            }
            (b"getname", 2) => reply.bulk(&self.name),
            (b"setinfo", 4) => reply.ok(),
            // A yes to MAINT_NOTIFICATIONS would make clients wait here for what never comes.
            _ => reply.error("ERR not supported on a Sentinel port"),
        }
    }
}

fn ping(args: &Args<'_>, listens: bool, reply: &mut Reply<'_>) {
    match (listens, args.opt(1)) {
        (true, word) => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(word.unwrap_or_default());
        }
        (false, Some(word)) => reply.bulk(word),
        (false, None) => reply.simple("PONG"),
    }
}

fn role(view: &SentinelView, reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk(b"sentinel");
    reply.array(view.named().count());
    for (name, _) in view.named() {
        reply.bulk(name.as_bytes());
    }
}

/// Compared in the same time wherever they differ. Without a password everything is right, as in Redis.
fn is_password(user: &[u8], given: &[u8], password: Option<&[u8]>) -> bool {
    user == b"default" && password.is_none_or(|password| bool::from(password.ct_eq(given)))
}

#[cfg(test)]
mod tests;
