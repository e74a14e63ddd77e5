//! Settings that are understood but that this version cannot act on yet.

use crate::choice::{SwitchBy, Topology};
use crate::error::{ConfigError, Problem};
use crate::{Config, Origin};

impl Config {
    /// Checks that this version can do what the configuration asks for.
    ///
    /// Parsing accepts every documented key, so that a file can be written and checked ahead of an
    /// upgrade; running with a promise silently not kept would be worse than not running.
    ///
    /// # Errors
    /// Each setting that this version cannot act on.
    pub fn supported(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if self.pair.topology == Topology::PrimaryPrimary {
            self.two_writers(&mut problems);
        }
        ConfigError::unless_empty(problems)
    }

    /// With two writers there is nothing to switch, and no one place for an address that follows the primary.
    fn two_writers(&self, problems: &mut Vec<Problem>) {
        let at = |path: &str| self.values.entry(path).origin.line();
        if self.switch.by != SwitchBy::Manual {
            let what = format!(
                "`switch.by` = \"{}\" with `pair.topology` = \"primary-primary\": both nodes are primary, nobody switches",
                self.switch.by
            );
            problems.push(Problem::new(what, "leave `switch.by` out").at(at("switch.by")));
        }
        if self.vip.is_some() {
            let what = "`vip.address` with `pair.topology` = \"primary-primary\": both nodes serve, each at its own address";
            problems.push(Problem::new(what, "leave [vip] out").at(at("vip.address")));
        }
    }

    /// Settings that were given explicitly but have no effect in this version: worth a warning.
    pub fn without_effect(&self) -> Vec<String> {
        self.entries()
            .filter(|entry| self.is_idle(&entry.path))
            .filter(|entry| {
                matches!(entry.origin, Origin::File { .. } | Origin::Environment { .. })
            })
            .map(|entry| entry.path.clone())
            .collect()
    }

    /// Whether a key is read but has no effect with this way of switching, or in this version.
    fn is_idle(&self, path: &str) -> bool {
        // `switch.hold` and `linger` also shape a change that a person asks for.
        const ALWAYS: [&str; 9] = [
            "switch.by",
            "switch.conflicts",
            "switch.conflicts_max",
            "switch.failure_timeout",
            "switch.hold",
            "switch.linger",
            "switch.watchdog",
            "switch.max_restarts",
            "switch.restart_window",
        ];
        // Both nodes serve: none of what is about one primary and its follower.
        const ONE_WRITER: [&str; 9] = [
            "pair.initial_primary",
            "replication.max_staleness",
            "replication.forward_writes",
            "replication.reads",
            "switch.by",
            "switch.hold",
            "switch.linger",
            "switch.max_restarts",
            "switch.restart_window",
        ];
        if self.pair.topology == Topology::PrimaryPrimary && ONE_WRITER.contains(&path) {
            return true;
        }
        if path.starts_with("replication.conflict_log_") {
            return self.pair.topology != Topology::PrimaryPrimary;
        }
        let by = self.switch.by;
        let (unaided, keepalived) = (self.switch.is_unaided(), self.switch.is_keepalived());
        if path.starts_with("switch.probe.") {
            return by != SwitchBy::Probe;
        }
        if path.starts_with("switch.direct.")
            || ["switch.fence", "switch.on_silence"].contains(&path)
        {
            return !unaided;
        }
        if path.starts_with("switch.mediator.") || path == "replication.reads" {
            let kind = path == "switch.mediator.kind";
            return by != SwitchBy::Mediator || (keepalived && !kind);
        }
        path.starts_with("switch.") && !ALWAYS.contains(&path) && by == SwitchBy::Manual
    }
}
