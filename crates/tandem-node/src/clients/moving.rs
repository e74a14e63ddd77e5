//! Tells clients that asked (`CLIENT MAINT_NOTIFICATIONS`) where the primary is now.
//!
//! ```text
//! >4  MOVING  <number>  <seconds to move>  "host:port"
//! ```
//! A library that gets it connects there and finishes here what is under way.

use tandem_resp::{Proto, Reply};

use super::Clients;
use crate::session::{Moving, Session};
use crate::{Core, Port};

impl Clients {
    /// The new primary serves: everybody who asked is told.
    pub(super) fn tell_moving(&mut self, core: &mut Core) {
        for conn in self.sessions.conns() {
            let Some(mut session) = self.sessions.take(conn) else { continue };
            let mut message = Vec::new();
            self.moving(core, &session, &mut message);
            session.outbox.bytes_mut().extend_from_slice(&message);
            self.settle(core, session);
        }
    }

    /// Writes the message if this client asked for it and the primary is elsewhere.
    pub(crate) fn moving(&mut self, core: &Core, session: &Session, out: &mut Vec<u8>) {
        let (Some(address), Some(_)) = (&core.view.primary_address, core.view.writes) else {
            return;
        };
        let elsewhere = core.view.role != tandem_types::Role::Primary;
        let asked = session.moving != Moving::Unasked && session.proto == Proto::Resp3;
        if !asked || !elsewhere || session.closing || session.info.port != Port::Client {
            return;
        }
        self.moving_number += 1;
        let seconds = core.settings.linger.as_millis().div_ceil(1000).max(1);
        let mut reply = Reply::new(out, session.proto);
        reply.push(4);
        reply.bulk(b"MOVING");
        reply.int(self.moving_number);
        reply.int(i64::try_from(seconds).unwrap_or(i64::MAX));
        if session.moving == Moving::WithoutAddress {
            reply.null();
        } else {
            reply.bulk(address.as_bytes());
        }
    }
}
