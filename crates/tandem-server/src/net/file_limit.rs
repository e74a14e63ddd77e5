//! How many files this process may have open, and so how many clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files kept for the log, snapshots, the link, listeners and the console: no number of clients can
/// take these.
pub(crate) const RESERVED_FILES: usize = 96;

/// Raises the limit of open files towards what `clients` need; returns how many clients fit.
pub(crate) fn raise_for(clients: usize) -> usize {
    let wanted = u64::try_from(clients.saturating_add(RESERVED_FILES)).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let current = if current < wanted { raise(wanted, limit) } else { current };
    let files = usize::try_from(current).unwrap_or(usize::MAX);
    clients.min(files.saturating_sub(RESERVED_FILES))
}

/// Tries the hard limit first (root may pass it), then what is allowed.
fn raise(wanted: u64, limit: Rlimit) -> u64 {
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let beyond = Rlimit { current: Some(wanted), maximum: Some(wanted.max(hard)) };
    let within = Rlimit { current: Some(wanted.min(hard)), maximum: limit.maximum };
    if hard < wanted && setrlimit(Resource::Nofile, beyond).is_ok() {
        return wanted;
    }
    match setrlimit(Resource::Nofile, within) {
        Ok(()) => wanted.min(hard),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_the_reserved_files() {
        assert_eq!(raise_for(16), 16);
        let huge = raise_for(usize::MAX / 2);
        let files = getrlimit(Resource::Nofile).current.unwrap();
        assert!(u64::try_from(huge + RESERVED_FILES).unwrap() <= files);
    }
}
