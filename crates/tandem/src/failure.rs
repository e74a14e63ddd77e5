//! Exit statuses beyond 0 and 1.

use std::process::ExitCode;

/// The node did not answer.
#[derive(Debug)]
pub(crate) struct NotReachable(pub(crate) String);

impl std::fmt::Display for NotReachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReachable {}

/// `tandem status` tells an unreachable node from a refusal.
pub(crate) fn not_reachable() -> ExitCode {
    ExitCode::from(3)
}
