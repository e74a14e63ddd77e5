//! `CLIENT KILL`, old form and filters, and `CLIENT UNBLOCK`.

use tandem_resp::{Args, parse_i64, parse_u64};

use super::client_list::{Class, unknown_type};
use super::{Visit, is};
use crate::session::Session;
use crate::{Clients, ConnId, Core};

/// Which clients to end; all conditions must hold.
#[derive(Debug)]
struct Filter {
    id: Option<u64>,
    address: Option<Vec<u8>>,
    local_address: Option<Vec<u8>>,
    class: Option<Class>,
    max_age_seconds: Option<u64>,
    skip_me: bool,
}

impl Filter {
    fn matches(&self, core: &Core, session: &Session) -> bool {
        let is_address = |wanted: &Option<Vec<u8>>, address: std::net::SocketAddr| {
            wanted.as_ref().is_none_or(|wanted| address.to_string().as_bytes() == &**wanted)
        };
        let age = core.now.mono.since(session.connected_at).as_secs();
        !session.closing
            && self.id.is_none_or(|id| id == session.id)
            && is_address(&self.address, session.info.peer)
            && is_address(&self.local_address, session.info.local)
            && self.class.is_none_or(|class| class == Class::of(session))
            && self.max_age_seconds.is_none_or(|seconds| age >= seconds)
    }
}

pub(super) fn kill(visit: &mut Visit<'_>, args: &Args<'_>) {
    let mut filter = Filter {
        id: None,
        address: None,
        local_address: None,
        class: None,
        max_age_seconds: None,
        skip_me: true,
    };
    if args.len() == 3 {
        filter.address = Some(args.get(2).to_vec());
        filter.skip_me = false;
        if end_matching(visit, &filter) == 0 {
            return visit.reply().error("ERR No such client");
        }
        return visit.reply().ok();
    }
    if !args.len().is_multiple_of(2) {
        return visit.syntax_error();
    }
    for at in (2..args.len()).step_by(2) {
        if !read_filter(visit, args.get(at), args.get(at + 1), &mut filter) {
            return;
        }
    }
    let count = end_matching(visit, &filter);
    visit.reply().count(count);
}

/// Reads one condition; `false`: it is wrong, and the error is written.
fn read_filter(visit: &mut Visit<'_>, option: &[u8], value: &[u8], filter: &mut Filter) -> bool {
    let shown = || String::from_utf8_lossy(value).into_owned();
    let problem = match &*option.to_ascii_lowercase() {
        b"id" => {
            filter.id = parse_u64(value).filter(|&id| id > 0);
            filter.id.is_none().then(|| "ERR client-id should be greater than 0".to_owned())
        }
        b"addr" => {
            filter.address = Some(value.to_vec());
            None
        }
        b"laddr" => {
            filter.local_address = Some(value.to_vec());
            None
        }
        b"type" => {
            filter.class = Class::by_name(value);
            filter.class.is_none().then(|| unknown_type(value))
        }
        b"user" => (value != b"default").then(|| format!("ERR No such user '{}'", shown())),
        b"skipme" if is(value, "yes") || is(value, "no") => {
            filter.skip_me = is(value, "yes");
            None
        }
        b"maxage" => {
            let seconds = parse_i64(value).and_then(|seconds| u64::try_from(seconds).ok());
            filter.max_age_seconds = seconds;
            seconds.is_none().then(|| "ERR value is not an integer or out of range".to_owned())
        }
        _ => Some("ERR syntax error".to_owned()),
    };
    if let Some(text) = &problem {
        visit.reply().error(text);
    }
    problem.is_none()
}

/// Ends the clients that match; how many there were.
fn end_matching(visit: &mut Visit<'_>, filter: &Filter) -> usize {
    let Visit { core, clients, session, .. } = visit;
    let others: Vec<ConnId> = clients
        .sessions
        .iter()
        .filter(|other| filter.matches(core, other))
        .map(|other| other.conn)
        .collect();
    for &conn in &others {
        clients.end(core, conn);
    }
    let mut count = others.len();
    if !filter.skip_me && filter.matches(core, session) {
        // The reply still leaves.
        clients.close(core, session);
        count += 1;
    }
    count
}

impl Clients {
    /// Ends a connection; what is held for it is dropped.
    pub(crate) fn end(&mut self, core: &mut Core, conn: ConnId) {
        if let Some(mut session) = self.sessions.take(conn) {
            session.outbox.drop_held();
            self.close(core, &mut session);
            self.settle(core, session);
        }
    }
}
