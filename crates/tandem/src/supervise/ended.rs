//! How the node's process ended, and what that means.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

/// The end of one run.
#[derive(Debug)]
pub(super) struct Ended {
    /// As the system tells it.
    pub(super) status: ExitStatus,
    /// It said that another start would end the same way.
    pub(super) hopeless: bool,
    /// The watchdog killed it.
    pub(super) frozen: bool,
    /// How long it ran.
    pub(super) ran: Duration,
}

impl Ended {
    /// Whether it must not be started again.
    pub(super) fn is_final(&self) -> bool {
        self.hopeless || self.is_orderly()
    }

    /// Whether it ended because it was asked to, with everything handed over.
    pub(super) fn is_orderly(&self) -> bool {
        self.status.success()
    }

    /// The supervisor's own exit status.
    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            // As a shell says it.
            (None, Some(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
            (None, None) => ExitCode::FAILURE,
        }
    }

    /// For people.
    pub(super) fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            _ if self.frozen => "it was frozen".to_owned(),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => self.status.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_and_a_hopeless_end_are_final() {
        let ended = |raw, hopeless| Ended {
            status: ExitStatus::from_raw(raw),
            hopeless,
            frozen: false,
            ran: Duration::ZERO,
        };
        assert!(ended(0, false).is_final());
        assert!(ended(1 << 8, true).is_final());
        assert!(!ended(1 << 8, false).is_final());
        assert!(!ended(9, false).is_final());
        assert_eq!(ended(9, false).how(), "signal 9");
        assert_eq!(ended(3 << 8, false).how(), "exit status 3");
        assert_eq!(ended(9, false).exit_code(), ExitCode::from(137));
    }
}
