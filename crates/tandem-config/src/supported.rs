//! Settings that are understood but that this version cannot act on yet.

use crate::choice::{SwitchBy, Topology};
use crate::error::{ConfigError, Problem};
use crate::{Config, Origin, Value};

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
        if self.switch.by != SwitchBy::Manual {
            problems.push(
                Problem::new(
                    format!(
                        "`switch.by` = \"{}\": this version moves the primary only by hand",
                        self.switch.by
                    ),
                    "set `switch.by = \"manual\"` and use `tandem promote`",
                )
                .at(self.values.entry("switch.by").origin.line()),
            );
        }
        if self.pair.topology == Topology::PrimaryPrimary {
            problems.push(
                Problem::new(
                    "`pair.topology` = \"primary-primary\": this version has one primary only",
                    "use \"primary-standby\" or \"primary-replica\"",
                )
                .at(self.values.entry("pair.topology").origin.line()),
            );
        }
        if self.vip.is_some() {
            problems.push(
                Problem::new(
                    "`vip.address`: this version does not move a virtual address",
                    "remove the section `[vip]`",
                )
                .at(self.values.entry("vip.address").origin.line()),
            );
        }
        ConfigError::unless_empty(problems)
    }

    /// Settings that were given explicitly but have no effect in this version: worth a warning.
    pub fn without_effect(&self) -> Vec<String> {
        self.entries()
            .filter(|entry| is_idle(&entry.path) && entry.value != Value::Whole(0))
            .filter(|entry| {
                matches!(entry.origin, Origin::File { .. } | Origin::Environment { .. })
            })
            .map(|entry| entry.path.clone())
            .collect()
    }
}

/// Whether a key is read but acted on only by later versions.
fn is_idle(path: &str) -> bool {
    const ACTED_ON: [&str; 3] = ["switch.by", "switch.failure_timeout", "switch.hold"];
    let switching = path.starts_with("switch.") && !ACTED_ON.contains(&path);
    // Sentinel answers come with automatic switching; a primary that a person moves needs no lease.
    let sentinel = path.starts_with("nodes.") && path.ends_with(".sentinel_port");
    switching || sentinel || path == "replication.reads"
}
