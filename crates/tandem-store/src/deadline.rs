//! Deadlines as clients write them: seconds or milliseconds, from now or from 1970.

use tandem_types::WallMillis;

use crate::failure::Failure;

/// How a time was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TimeForm {
    /// `EX`, `EXPIRE`.
    Seconds,
    /// `PX`, `PEXPIRE`.
    Millis,
    /// `EXAT`, `EXPIREAT`.
    UnixSeconds,
    /// `PXAT`, `PEXPIREAT`.
    UnixMillis,
}

impl TimeForm {
    /// The option word that means this form.
    pub(crate) fn from_option(word: &[u8]) -> Option<Self> {
        let forms = [
            ("ex", Self::Seconds),
            ("px", Self::Millis),
            ("exat", Self::UnixSeconds),
            ("pxat", Self::UnixMillis),
        ];
        let found = forms.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, form)| *form)
    }

    /// Milliseconds since 1970, negative before; `None` if they do not fit 64 bits.
    pub(crate) fn to_unix_millis(self, value: i64, now: WallMillis) -> Option<i64> {
        let millis = match self {
            Self::Seconds | Self::UnixSeconds => value.checked_mul(1000)?,
            Self::Millis | Self::UnixMillis => value,
        };
        match self {
            Self::Seconds | Self::Millis => millis.checked_add(i64::try_from(now.get()).ok()?),
            Self::UnixSeconds | Self::UnixMillis => Some(millis),
        }
    }
}

/// `invalid expire time`, as Redis says it for `command`.
pub(crate) fn invalid(command: &str) -> Failure {
    Failure::Owned(format!("ERR invalid expire time in '{command}' command"))
}

/// A deadline that must lie after 1970 and, if relative, ahead: `SET`, `SETEX`, `GETEX`.
pub(crate) fn positive(
    form: TimeForm,
    text: &[u8],
    now: WallMillis,
    command: &str,
) -> Result<WallMillis, Failure> {
    let value = tandem_resp::parse_i64(text).ok_or(Failure::NotInteger)?;
    if value <= 0 {
        return Err(invalid(command));
    }
    let millis = form.to_unix_millis(value, now).ok_or_else(|| invalid(command))?;
    u64::try_from(millis).map(WallMillis::new).map_err(|_| invalid(command))
}
