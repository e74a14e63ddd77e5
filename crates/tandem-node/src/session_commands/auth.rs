//! `AUTH`: one user, `default`, with the configured password.

use tandem_resp::Args;

use super::Visit;

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
        return visit.reply().error(
            "ERR AUTH <password> called without any password configured for the default user. Are you \
             sure your configuration is correct?",
        );
    }
    match login(visit, user, password) {
        Login::Done => visit.reply().ok(),
        Login::Refused(text) => visit.reply().error(text),
    }
}

/// Checks a password in constant time, and remembers the outcome.
pub(super) fn login(visit: &mut Visit<'_>, user: &[u8], password: &[u8]) -> Login {
    let right = match &visit.core.settings.password {
        Some(secret) => secret.matches(password),
        None => true,
    };
    if right && user == b"default" {
        visit.session.authenticated = true;
        return Login::Done;
    }
    visit.clients.stats.auth_failures += 1;
    Login::Refused("WRONGPASS invalid username-password pair or user is disabled.")
}
