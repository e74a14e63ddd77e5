//! `AUTH`: one user, `default`, with the configured password.

use tandem_resp::Args;

use super::Visit;
use crate::Secret;

/// What came of a user name and password.
pub(super) enum Login {
    Done,
    /// The error to answer.
    Refused(&'static str),
}

pub(super) fn auth(visit: &mut Visit<'_>, args: &Args<'_>) {
    let (user, password) = match args.len() {
        2 => (&b"default"[..], args.get(1)),
        3 => (args.get(1), args.get(2)),
        _ => return visit.syntax_error(),
    };
    if args.len() == 2 && visit.core.settings.password.is_none() {
        return visit.reply().error(NO_PASSWORD);
    }
    match login(visit, user, password) {
        Login::Done => visit.reply().ok(),
        Login::Refused(text) => visit.reply().error(text),
    }
}

/// Checks a password in constant time, and remembers the outcome.
pub(super) fn login(visit: &mut Visit<'_>, user: &[u8], password: &[u8]) -> Login {
    if is_right(visit.core.settings.password.as_ref(), user, password) {
        visit.session.authenticated = true;
        return Login::Done;
    }
    visit.clients.stats.auth_failures += 1;
    Login::Refused(WRONG)
}

/// Takes the same time whatever is wrong with the password.
pub(crate) fn is_right(secret: Option<&Secret>, user: &[u8], password: &[u8]) -> bool {
    let right = secret.is_none_or(|secret| secret.matches(password));
    right && user == b"default"
}

pub(crate) const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
pub(crate) const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for \
    the default user. Are you sure your configuration is correct?";
