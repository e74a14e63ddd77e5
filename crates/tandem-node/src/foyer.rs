//! What a client may settle before the data is there: who it is, and in which words it is answered.
//!
//! As Redis while it loads: `AUTH`, `HELLO`, `SELECT`, `CLIENT SETNAME` and `SETINFO`, `QUIT` and `RESET` are carried
//! out and everything else is `-LOADING`, or `-NOAUTH` first. The node takes the outcome over
//! ([`crate::Clients::take_over`]), so a client need not begin anew.

use tandem_resp::{Args, Limits, Proto, Reply, parse_i64};
use tandem_types::DbIndex;

use crate::Secret;
use crate::session::Identity;
use crate::session_commands::hello::{MUST_AUTHENTICATE, Wanted, write_greeting};
use crate::session_commands::{auth, client, is};

/// Clients know the word and come again.
const LOADING: &str = "LOADING Tandem is loading the dataset in memory";

/// What one connection has settled.
#[derive(Debug)]
pub struct Foyer {
    id: u64,
    pub(crate) authenticated: bool,
    pub(crate) db: DbIndex,
    pub(crate) proto: Proto,
    pub(crate) identity: Identity,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stays {
    /// It does.
    Yes,
    /// The client has said goodbye.
    No,
}

impl Foyer {
    /// A new connection; `id` is what `HELLO` calls it.
    pub fn new(id: u64, password: Option<&Secret>) -> Self {
        Self {
            id,
            authenticated: password.is_none(),
            db: DbIndex::ZERO,
            proto: Proto::Resp2,
            identity: Identity::default(),
        }
    }

    /// What it may send now.
    pub const fn limits(&self) -> &'static Limits {
        if self.authenticated { &Limits::NORMAL } else { &Limits::UNAUTHENTICATED }
    }

    /// Answers one command.
    pub fn hear(
        &mut self,
        args: &Args<'_>,
        password: Option<&Secret>,
        output: &mut Vec<u8>,
    ) -> Stays {
        let reply = &mut Reply::new(output, self.proto);
        let (name, words) = (args.name(), args.len());
        if is(name, "QUIT") {
            reply.ok();
            return Stays::No;
        } else if is(name, "AUTH") && (2..=3).contains(&words) {
            self.auth(args, password, reply);
        } else if is(name, "HELLO") {
            self.hello(args, password, output);
        } else if is(name, "RESET") && words == 1 {
            let lib = std::mem::take(&mut self.identity);
            *self = Self::new(self.id, password);
            self.identity = Identity { name: Vec::new(), ..lib };
            Reply::new(output, self.proto).simple("RESET");
        } else if !self.authenticated {
            reply.error("NOAUTH Authentication required.");
        } else if is(name, "SELECT") && words == 2 {
            self.select(args.get(1), reply);
        } else if is(name, "CLIENT") && words == 3 && is(args.get(1), "SETNAME") {
            client::name_it(&mut self.identity, args.get(2), reply);
        } else if is(name, "CLIENT") && words == 4 && is(args.get(1), "SETINFO") {
            client::describe_it(&mut self.identity, args, reply);
        } else {
            reply.error(LOADING);
        }
        Stays::Yes
    }

    fn auth(&mut self, args: &Args<'_>, password: Option<&Secret>, reply: &mut Reply<'_>) {
        let (user, word) = match args.opt(2) {
            None => (&b"default"[..], args.get(1)),
            Some(word) => (args.get(1), word),
        };
        if args.len() == 2 && password.is_none() {
            reply.error(auth::NO_PASSWORD);
        } else if auth::is_right(password, user, word) {
            self.authenticated = true;
            reply.ok();
        } else {
            reply.error(auth::WRONG);
        }
    }

    fn hello(&mut self, args: &Args<'_>, password: Option<&Secret>, output: &mut Vec<u8>) {
        let mut reply = Reply::new(output, self.proto);
        let wanted = match Wanted::read(args, self.proto) {
            Ok(wanted) => wanted,
            Err(text) => return reply.error_bytes(&text),
        };
        if let Some((user, word)) = wanted.credentials {
            if !auth::is_right(password, user, word) {
                return reply.error(auth::WRONG);
            }
            self.authenticated = true;
        }
        if !self.authenticated {
            return reply.error(MUST_AUTHENTICATE);
        }
        if let Some(name) = wanted.name {
            self.identity.name = name.to_vec();
        }
        self.proto = wanted.proto;
        write_greeting(&mut Reply::new(output, self.proto), self.proto, self.id, false);
    }

    fn select(&mut self, number: &[u8], reply: &mut Reply<'_>) {
        let Some(number) = parse_i64(number) else {
            return reply.error("ERR value is not an integer or out of range");
        };
        match u8::try_from(number).ok().and_then(DbIndex::new) {
            Some(db) => {
                self.db = db;
                reply.ok();
            }
            None => reply.error("ERR DB index is out of range"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_resp::OwnedArgs;

    use super::*;

    fn ask(foyer: &mut Foyer, password: Option<&Secret>, line: &str) -> String {
        let mut args = OwnedArgs::default();
        for word in line.split(' ') {
            args.push(word.as_bytes());
        }
        let mut output = Vec::new();
        foyer.hear(&args.args(), password, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn nobody_is_told_anything_without_the_password() {
        let secret = Secret::new(b"secret".to_vec());
        let mut foyer = Foyer::new(1, Some(&secret));
        assert_eq!(foyer.limits(), &Limits::UNAUTHENTICATED);
        for line in ["PING", "GET k", "SELECT 3", "CLIENT SETNAME me"] {
            let said = ask(&mut foyer, Some(&secret), line);
            assert_eq!(said, "-NOAUTH Authentication required.\r\n", "{line}");
        }
        assert!(ask(&mut foyer, Some(&secret), "HELLO 3").starts_with("-NOAUTH HELLO must"));
        for line in ["AUTH no", "AUTH other secret", "HELLO 3 AUTH default no"] {
            assert!(ask(&mut foyer, Some(&secret), line).starts_with("-WRONGPASS"), "{line}");
        }
        assert_eq!(ask(&mut foyer, Some(&secret), "AUTH secret"), "+OK\r\n");
        assert_eq!(foyer.limits(), &Limits::NORMAL);
        assert!(ask(&mut foyer, Some(&secret), "PING").starts_with("-LOADING "));
        assert_eq!(ask(&mut foyer, Some(&secret), "RESET"), "+RESET\r\n");
        assert!(ask(&mut foyer, Some(&secret), "PING").starts_with("-NOAUTH "));
    }

    #[test]
    fn what_a_client_settles_is_kept() {
        let mut foyer = Foyer::new(7, None);
        assert!(ask(&mut foyer, None, "HELLO 3 SETNAME me").starts_with("%7\r\n"));
        assert_eq!(ask(&mut foyer, None, "SELECT 5"), "+OK\r\n");
        assert_eq!(ask(&mut foyer, None, "CLIENT SETINFO LIB-NAME x"), "+OK\r\n");
        assert!(ask(&mut foyer, None, "SELECT 99").starts_with("-ERR DB index"));
        assert!(ask(&mut foyer, None, "AUTH x").starts_with("-ERR AUTH <password> called"));
        assert_eq!((foyer.db, foyer.proto), (DbIndex::new(5).unwrap(), Proto::Resp3));
        assert_eq!((&*foyer.identity.name, &*foyer.identity.lib_name), (&b"me"[..], &b"x"[..]));
        let quit = {
            let mut args = OwnedArgs::default();
            args.push(b"quit");
            foyer.hear(&args.args(), None, &mut Vec::new())
        };
        assert_eq!(quit, Stays::No);
    }
}
