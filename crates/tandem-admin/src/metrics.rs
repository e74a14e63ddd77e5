//! Metrics: one table of names, the samples of one node, and the Prometheus text format.
//!
//! The node pushes samples under names of [`METRICS`]; the reference page is generated from the same
//! table, so that none can be exported without being documented.

use serde::{Deserialize, Serialize};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only rises; the name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl MetricKind {
    /// The word of the `# TYPE` line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct MetricInfo {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What it tells, for people.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($kind:ident $name:literal [$($label:literal),*] $help:literal)*) => {
        /// Every metric that a node may export.
        pub const METRICS: &[MetricInfo] = &[$(MetricInfo {
            name: $name, kind: MetricKind::$kind, help: $help, labels: &[$($label),*],
        }),*];
    };
}

metrics! {
    Gauge "tandem_info" ["version", "pair", "node", "topology"] "Always 1; what runs here"
    Gauge "tandem_uptime_seconds" [] "Seconds since the process began"
    Gauge "tandem_tls_certificate_expires_seconds" [] "Seconds until the first of the configured certificates expires; negative afterwards"
    Gauge "tandem_role" ["role"] "1 for the role this node has, 0 for the others"
    Gauge "tandem_epoch" [] "The reign this node follows or holds"
    Gauge "tandem_in_sync" [] "1 while the in-sync set holds both nodes"
    Gauge "tandem_stalled" [] "1 while a primary may neither acknowledge nor go on alone"
    Gauge "tandem_writes_refused" [] "1 while a primary answers writes with an error, whatever the reason"
    Gauge "tandem_log_last_lsn" [] "Number of the last record in the log"
    Gauge "tandem_log_durable_lsn" [] "Last record fsynced here"
    Gauge "tandem_log_applied_lsn" [] "Last record in memory"
    Gauge "tandem_log_commit_lsn" [] "Last record that may be acknowledged"
    Gauge "tandem_log_bytes" [] "Bytes of log on disk"
    Counter "tandem_log_appended_bytes_total" [] "Bytes of log written since the start"
    Counter "tandem_log_fsyncs_total" [] "Completed fsyncs of the log"
    Histogram "tandem_log_fsync_seconds" [] "Time of one write and fsync of a batch of records"
    Histogram "tandem_commit_seconds" ["stage"] "Time from append to acknowledgement: local_fsync or remote_ack"
    Gauge "tandem_snapshot_lsn" [] "Position of the newest snapshot"
    Gauge "tandem_snapshot_age_seconds" [] "Age of the newest snapshot"
    Counter "tandem_scrubs_total" [] "Times that everything on disk was read and checked"
    Gauge "tandem_scrub_age_seconds" [] "Seconds since that was last done"
    Gauge "tandem_scrub_duration_seconds" [] "How long it took the last time"
    Gauge "tandem_scrub_read_bytes" [] "Bytes of records and keys read by the last scrub"
    Counter "tandem_damage_found_total" ["in"] "Damaged files found since the start: segment or snapshot"
    Gauge "tandem_repair_pending" [] "1 while this node's data is damaged and not yet replaced"
    Gauge "tandem_kept_files" [] "Damaged files and directories that are kept for people"
    Counter "tandem_verifications_total" ["result"] "Comparisons with the peer's data: equal, differs or failed"
    Gauge "tandem_verify_age_seconds" [] "Seconds since the last comparison with the peer's data ended"
    Gauge "tandem_verify_slots_differ" [] "Slots that differed in the last comparison"
    Gauge "tandem_replication_lag_records" [] "Records the follower has not applied"
    Gauge "tandem_replication_lag_bytes" [] "Bytes of log the follower has not applied"
    Gauge "tandem_replication_lag_seconds" [] "Age of the oldest record the follower has not applied"
    Gauge "tandem_link_up" ["link", "kind"] "1 while the channel carries heartbeats"
    Gauge "tandem_link_rtt_seconds" ["link"] "Round trip of the channel"
    Counter "tandem_link_sent_bytes_total" [] "Bytes sent to the peer"
    Counter "tandem_link_received_bytes_total" [] "Bytes received from the peer"
    Counter "tandem_full_copies_total" ["direction"] "Full copies begun: sent or received"
    Counter "tandem_partial_continuations_total" ["direction"] "Reconnections that continued from the log"
    Counter "tandem_switches_total" ["reason"] "Changes of primary this node took part in"
    Gauge "tandem_conflicts_open" [] "Saved writes of a returned primary that wait for a decision"
    Gauge "tandem_config_mismatch" [] "1 while the peer's configuration differs"
    Gauge "tandem_writes_held" [] "Replies held back until their records are safe"
    Counter "tandem_writes_forwarded_total" [] "Writes a replica passed on to the primary"
    Gauge "tandem_clients" [] "Connected clients"
    Gauge "tandem_clients_blocked" [] "Clients that wait in a blocking command"
    Counter "tandem_connections_total" [] "Connections accepted"
    Counter "tandem_connections_rejected_total" [] "Connections refused: maxclients, protected mode"
    Counter "tandem_commands_total" [] "Commands answered"
    Counter "tandem_errors_total" [] "Commands answered with an error"
    Counter "tandem_received_bytes_total" [] "Bytes read from clients"
    Counter "tandem_sent_bytes_total" [] "Bytes written to clients"
    Gauge "tandem_keys" ["db"] "Keys in a database"
    Gauge "tandem_memory_used_bytes" [] "Bytes of the data set in memory"
    Gauge "tandem_memory_max_bytes" [] "maxmemory; 0 is no bound"
    Counter "tandem_keys_expired_total" [] "Keys removed because their time was up"
    Counter "tandem_keyspace_hits_total" [] "Reads that found their key"
    Counter "tandem_keyspace_misses_total" [] "Reads that did not"
}

/// The value of one sample.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SampleValue {
    /// A counter or gauge.
    Number(f64),
    /// A histogram.
    Histogram(Histogram),
}

/// Counts by upper bound, not cumulative.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Histogram {
    /// Upper bound of each bucket in seconds, rising, and how many observations fell into it.
    pub buckets: Vec<(f64, u64)>,
    /// Observations above the last bound.
    pub above: u64,
    /// Sum of all observations in seconds.
    pub sum: f64,
}

/// One sample.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sample {
    /// A name of [`METRICS`].
    pub name: String,
    /// Label values, in the order of [`MetricInfo::labels`].
    pub labels: Vec<String>,
    /// The value.
    pub value: SampleValue,
}

/// All samples of one node at one moment.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct MetricsView {
    /// In any order.
    pub samples: Vec<Sample>,
}

impl MetricsView {
    /// Adds a counter or gauge without labels.
    #[expect(
        clippy::cast_precision_loss,
        reason = "Prometheus has no integers; above 2^53 the low bits do not matter"
    )]
    pub fn count(&mut self, name: &str, value: u64) {
        self.number(name, &[], value as f64);
    }

    /// Adds a counter or gauge; `labels` are the values in the table's order.
    pub fn number(&mut self, name: &str, labels: &[&str], value: f64) {
        self.push(name, labels, SampleValue::Number(value));
    }

    /// Adds a gauge that is 1 or 0.
    pub fn flag(&mut self, name: &str, labels: &[&str], value: bool) {
        self.number(name, labels, if value { 1.0 } else { 0.0 });
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, name: &str, labels: &[&str], value: Histogram) {
        self.push(name, labels, SampleValue::Histogram(value));
    }

    fn push(&mut self, name: &str, labels: &[&str], value: SampleValue) {
        debug_assert!(
            METRICS.iter().any(|info| info.name == name && info.labels.len() == labels.len()),
            "{name} with {} labels is not in METRICS",
            labels.len()
        );
        self.samples.push(Sample {
            name: name.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            value,
        });
    }

    /// The Prometheus text format, version 0.0.4, in the order of the table.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        for info in METRICS {
            let mut samples =
                self.samples.iter().filter(|sample| sample.name == info.name).peekable();
            if samples.peek().is_none() {
                continue;
            }
            write_line(&mut text, format_args!("# HELP {} {}", info.name, info.help));
            write_line(&mut text, format_args!("# TYPE {} {}", info.name, info.kind.as_str()));
            for sample in samples {
                write_sample(&mut text, info, sample);
            }
        }
        text
    }
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.push_str(&line.to_string());
    text.push('\n');
}

fn write_sample(text: &mut String, info: &MetricInfo, sample: &Sample) {
    let labels = |extra: Option<&str>| {
        let mut parts: Vec<String> = info
            .labels
            .iter()
            .zip(&sample.labels)
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        parts.extend(extra.map(|bound| format!("le=\"{bound}\"")));
        if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
    };
    match &sample.value {
        SampleValue::Number(value) => {
            write_line(text, format_args!("{}{} {value}", info.name, labels(None)));
        }
        SampleValue::Histogram(histogram) => {
            let mut seen = 0u64;
            for &(bound, count) in &histogram.buckets {
                seen = seen.saturating_add(count);
                let labels = labels(Some(&bound.to_string()));
                write_line(text, format_args!("{}_bucket{labels} {seen}", info.name));
            }
            seen = seen.saturating_add(histogram.above);
            write_line(text, format_args!("{}_bucket{} {seen}", info.name, labels(Some("+Inf"))));
            write_line(text, format_args!("{}_sum{} {}", info.name, labels(None), histogram.sum));
            write_line(text, format_args!("{}_count{} {seen}", info.name, labels(None)));
        }
    }
}

/// A label value may hold anything; the format reserves three characters.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut view = MetricsView::default();
        view.flag("tandem_role", &["primary"], true);
        view.flag("tandem_role", &["standby"], false);
        view.count("tandem_epoch", 7);
        view.histogram(
            "tandem_commit_seconds",
            &["local_fsync"],
            Histogram { buckets: vec![(0.001, 2), (0.01, 3)], above: 1, sum: 0.5 },
        );
        assert_eq!(
            view.to_prometheus(),
            "# HELP tandem_role 1 for the role this node has, 0 for the others\n\
             # TYPE tandem_role gauge\n\
             tandem_role{role=\"primary\"} 1\n\
             tandem_role{role=\"standby\"} 0\n\
             # HELP tandem_epoch The reign this node follows or holds\n\
             # TYPE tandem_epoch gauge\n\
             tandem_epoch 7\n\
             # HELP tandem_commit_seconds Time from append to acknowledgement: local_fsync or remote_ack\n\
             # TYPE tandem_commit_seconds histogram\n\
             tandem_commit_seconds_bucket{stage=\"local_fsync\",le=\"0.001\"} 2\n\
             tandem_commit_seconds_bucket{stage=\"local_fsync\",le=\"0.01\"} 5\n\
             tandem_commit_seconds_bucket{stage=\"local_fsync\",le=\"+Inf\"} 6\n\
             tandem_commit_seconds_sum{stage=\"local_fsync\"} 0.5\n\
             tandem_commit_seconds_count{stage=\"local_fsync\"} 6\n"
        );
    }

    #[test]
    fn hostile_label_values_cannot_forge_lines() {
        assert_eq!(escape("a\"} 1\nx\\"), "a\\\"} 1\\nx\\\\");
    }

    #[test]
    fn names_are_unique_and_counters_end_in_total() {
        for (place, info) in METRICS.iter().enumerate() {
            assert!(METRICS.iter().skip(place + 1).all(|other| other.name != info.name));
            assert_eq!(
                info.kind == MetricKind::Counter,
                info.name.ends_with("_total"),
                "{}",
                info.name
            );
        }
    }
}
