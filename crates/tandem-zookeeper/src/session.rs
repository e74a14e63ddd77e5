//! A session as the ensemble knows it: it outlives the connection.

use std::time::Duration;

use crate::error::{Broken, Malformed};
use crate::jute::{Reader, Writer};

const PASSWORD_BYTES: usize = 16;

/// What it takes to go on with a session on another connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// 0: none yet.
    pub(crate) id: i64,
    password: Vec<u8>,
    /// What the ensemble grants after the last sign of life.
    pub(crate) granted: Duration,
    /// The latest transaction seen: a member that lags behind it must not serve this session.
    pub(crate) seen: i64,
}

impl Session {
    /// The first message of a connection: a new session, or this one again.
    pub(crate) fn greeting(&self, asked: Duration) -> Vec<u8> {
        let mut out = Writer::default();
        out.i32(0);
        out.i64(self.seen);
        out.i32(i32::try_from(asked.as_millis()).unwrap_or(i32::MAX));
        out.i64(self.id);
        out.buffer(if self.id == 0 { &[0; PASSWORD_BYTES] } else { &self.password });
        // No member without a quorum: it could neither write nor tell the latest.
        out.bool(false);
        out.0
    }

    /// What it is answered with.
    pub(crate) fn greeted(&mut self, answer: &[u8], asked: Duration) -> Result<(), Broken> {
        let mut input = Reader(answer);
        input.i32()?;
        let granted = input.i32()?;
        let id = input.i64()?;
        let password = input.buffer()?.to_vec();
        // Older members do not say whether they are read-only.
        let read_only = !input.is_empty() && input.bool()?;
        let granted = u64::try_from(granted).map_err(|_| Malformed)?;
        if granted == 0 || id == 0 {
            return Err(Broken::Expired);
        }
        let granted = Duration::from_millis(granted);
        if read_only || password.len() != PASSWORD_BYTES {
            return Err(Malformed.into());
        }
        if granted.as_millis() < asked.as_millis() {
            return Err(Broken::Short { asked, granted });
        }
        *self = Self { id, password, granted, seen: self.seen };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(granted: i32, id: i64) -> Vec<u8> {
        let mut out = Writer::default();
        out.i32(0);
        out.i32(granted);
        out.i64(id);
        out.buffer(&[7; PASSWORD_BYTES]);
        out.bool(false);
        out.0
    }

    #[test]
    fn a_session_that_would_end_too_soon_is_not_used() {
        let asked = Duration::from_secs(2);
        let mut session = Session::default();
        assert!(matches!(session.greeted(&answer(1999, 5), asked), Err(Broken::Short { .. })));
        assert!(matches!(session.greeted(&answer(0, 0), asked), Err(Broken::Expired)));
        assert!(session.greeted(&answer(-1, 5), asked).is_err());
        assert_eq!(session.id, 0);
        session.greeted(&answer(4000, 5), asked).unwrap();
        assert_eq!((session.id, session.granted), (5, Duration::from_secs(4)));
        let bytes = answer(4000, 5);
        for end in 0..bytes.len() - 1 {
            assert!(session.greeted(&bytes[..end], asked).is_err(), "{end}");
        }
    }
}
