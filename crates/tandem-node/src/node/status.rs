//! What people and dashboards see.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_admin::{
    ChannelView, ForceView, HistoryEntry, HistoryKind, HistoryView, LoadView, MediatorView,
    MetricsView, PeerView, PendingView, ProbeView, RoleName, StatusView, SwitchView, VipView,
    WaitView, WhyView,
};
use tandem_switch::{Gap, PromoteCause, Proposed, ReadRight, Reign};
use tandem_types::{DbIndex, Lsn, NodeId, Now, Role};

use super::Node;
use crate::clients::refusal_text;
use crate::configuration;
use crate::{Acknowledge, Fsync, Topology};

/// Entries of the timeline that are kept.
const ENTRIES_MAX: usize = 1_000;

/// The timeline of this process, and counters of what happened on the link.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<HistoryEntry>,
    next: u64,
    last_switch: Option<SwitchView>,
    snapshot: Option<(Lsn, Now)>,
    switches: u64,
}

impl Journal {
    /// Adds a sentence to the timeline.
    pub(super) fn note(&mut self, entry: HistoryEntry) {
        self.next += 1;
        self.entries.push_back(HistoryEntry { number: self.next, ..entry });
        if self.entries.len() > ENTRIES_MAX {
            self.entries.pop_front();
        }
    }

    pub(super) fn switched(&mut self, view: SwitchView) {
        self.switches += 1;
        self.last_switch = Some(view);
    }

    pub(super) fn snapshot_done(&mut self, now: Now, start: Lsn) {
        self.snapshot = Some((start, now));
    }
}

/// The role in the words of the contract.
pub(super) const fn role_name(role: Role, topology: Topology) -> RoleName {
    match (role, topology) {
        (Role::Primary, _) => RoleName::Primary,
        (Role::Standby, Topology::PrimaryReplica) => RoleName::Replica,
        // With two writers there is none.
        (Role::Standby, Topology::PrimaryStandby | Topology::PrimaryPrimary) => RoleName::Standby,
        (Role::Joining, _) => RoleName::Joining,
        (Role::Isolated, _) => RoleName::Isolated,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Node {
    pub(super) fn history_view(&self) -> HistoryView {
        HistoryView {
            node: self.core.settings.name().to_owned(),
            entries: self.journal.entries.iter().cloned().collect(),
        }
    }

    pub(super) fn journal_entry(&self, cause: &str) -> HistoryEntry {
        HistoryEntry {
            number: 0,
            at_ms: self.core.now.wall.get(),
            kind: HistoryKind::Role,
            from: None,
            to: None,
            epoch: self.core.view.epoch.get(),
            lsn: self.core.positions.appended_end.get(),
            cause: cause.to_owned(),
            duration_ms: None,
        }
    }

    pub(super) fn switch_view(&self, reign: &Reign, cause: PromoteCause) -> SwitchView {
        let names = &self.core.settings.names;
        let from = self.history.starts().len() > 1;
        SwitchView {
            at_ms: self.core.now.wall.get(),
            from: from.then(|| match cause {
                PromoteCause::Returned => names[reign.primary].clone(),
                _ => names[reign.primary.peer()].clone(),
            }),
            to: names[reign.primary].clone(),
            epoch: reign.epoch.get(),
            cause: format!("{cause:?}").to_lowercase(),
            duration_ms: None,
            records_lost: None,
        }
    }

    pub(super) fn last_heard_ms(&self) -> Option<u64> {
        let silent = self.core.now.mono.since(self.heart.last_heard()?);
        Some(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn status_view(&self) -> StatusView {
        let settings = &self.core.settings;
        let at = &self.core.positions;
        let reign = self.history.last();
        let keys = DbIndex::all().map(|db| self.core.store.dbsize(db)).sum();
        StatusView {
            node: settings.name().to_owned(),
            pair: settings.pair_name.clone(),
            topology: settings.topology.word().to_owned(),
            role: role_name(self.core.view.role, settings.topology),
            epoch: self.core.view.epoch.get(),
            fork_id: reign.map(|reign| reign.fork.to_string()).unwrap_or_default(),
            pid: self.clients.facts.pid,
            supervisor_pid: self.clients.facts.supervisor_pid,
            uptime_seconds: self.core.now.mono.since(self.started.mono).as_secs(),
            last_lsn: at.appended_end.get(),
            durable_lsn: at.durable_end.get(),
            applied_lsn: at.applied_end.get(),
            commit_lsn: at.commit_end.get(),
            in_sync: self.core.view.peer_in_sync,
            in_sync_set: self.in_sync_names(),
            stalled: self.is_stalled(),
            writes_refused: self.writes_refused(),
            // The view is of the end of the last turn.
            waiting_for: self.core.view.waiting_for.clone().or_else(|| self.why_stalled()),
            peer: self.peer_view(),
            channels: self.channel_views(),
            probe: self.probe_view(),
            last_switch: self.journal.last_switch.clone(),
            conflicts: self.conflicts.open(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: settings.client_addresses[settings.node].clone(),
            acknowledge: self.switch.acknowledge().word().to_owned(),
            fsync: settings.fsync.word().to_owned(),
            switch_by: settings.switch_by.word().to_owned(),
            read_lease_ms: self.read_lease_ms(),
            vip: self.vip_view(),
            mediator: self.mediator_view(),
            pending: self.pending_view(),
            paused: self.switch.paused(),
            clients: count(self.clients.connected()),
            keys: count(keys),
            used_memory: count(self.core.store.used_memory()),
            log_bytes: self.log_disk_bytes,
            commands_total: self.clients.stats().commands,
            snapshot_lsn: self.journal.snapshot.map(|(lsn, _)| lsn.get()),
            config_digest: format!("{:016x}", settings.config_digest),
            config_differs: self.config_differs(),
            verify: self.comparing.view(self.core.now),
            scrub: self.integrity.scrub_view(),
            repair: self.repair_view(),
            kept_files: self.integrity.kept(),
            warnings: self.warnings(),
        }
    }

    /// A primary that acknowledges nothing now.
    fn is_stalled(&self) -> bool {
        self.switch.is_stalled() || self.why_stalled().is_some()
    }

    fn why_stalled(&self) -> Option<String> {
        self.writes_wait().filter(|_| self.is_primary()).map(|wait| wait.fact)
    }

    /// What a client's write to this primary gets now instead of being done.
    fn writes_refused(&self) -> Option<String> {
        if !self.is_primary() {
            return None;
        }
        let by_role = self.core.view.writes.map(|refusal| refusal_text(&self.core, refusal));
        by_role.or_else(|| self.core.two_writers_are_full().map(str::to_owned))
    }

    /// How long a primary that needs the peer's word may still answer reads.
    fn read_lease_ms(&self) -> Option<u64> {
        let now = self.core.now.mono;
        match self.switch.read_right(now) {
            ReadRight::Until(until) => Some(millis(until.since(now))),
            ReadRight::None if self.core.view.role == Role::Primary => Some(0),
            ReadRight::Free | ReadRight::ExecutedBy(_) | ReadRight::None => None,
        }
    }

    fn vip_view(&self) -> Option<VipView> {
        let address = &self.clients.facts.virtual_address;
        let said = self.switch.address(self.core.now.mono);
        let here = said.is_some_and(|(hint, _)| hint == Some(tandem_switch::AddressHint::Here));
        (!address.is_empty()).then(|| VipView {
            address: address.clone(),
            held: self.address_held || here,
            may_hold: said.map(|(_, may)| may),
        })
    }

    fn mediator_view(&self) -> Option<MediatorView> {
        if let Some((hint, _)) = self.switch.address(self.core.now.mono) {
            return Some(MediatorView {
                kind: self.clients.facts.mediator_kind.clone(),
                connected: hint.is_some(),
                endpoint: None,
                record: Some(hint.map_or("it has not said anything yet", |it| it.words()).into()),
                trouble: None,
            });
        }
        let status = self.switch.mediator_status()?;
        let names = &self.core.settings.names;
        let record = self.switch.record().map(|record| {
            let members: Vec<&str> = [NodeId::A, NodeId::B]
                .into_iter()
                .filter(|&node| record.members[node].is_some())
                .map(|node| names[node].as_str())
                .collect();
            let unsettled = if status.unsettled { ", a change is not settled" } else { "" };
            format!(
                "epoch {}, primary {}, in sync {}{unsettled}",
                record.epoch.get(),
                names[record.primary],
                members.join(" and ")
            )
        });
        Some(MediatorView {
            kind: self.clients.facts.mediator_kind.clone(),
            connected: status.connected,
            endpoint: status.endpoint,
            record,
            trouble: status.trouble,
        })
    }

    fn pending_view(&self) -> Option<PendingView> {
        let proposal = self.switch.pending()?;
        let now = self.core.now.mono;
        let names = &self.core.settings.names;
        let (to, what) = match proposal.what {
            Proposed::TakeOver { from } => {
                let to = names[from.peer()].clone();
                (to, format!("take over from {}", names[from]))
            }
            Proposed::HandOver { to } => (names[to].clone(), format!("hand over to {}", names[to])),
        };
        Some(PendingView {
            proposal: format!("{what}, because {}", proposal.cause),
            to,
            records_lost: match proposal.lost {
                Gap::Zero => Some(0),
                Gap::AtLeast { records, .. } => Some(records),
                Gap::Unknown => None,
            },
            expires_ms: proposal.expires.map_or(0, |at| millis(at.since(now))),
        })
    }

    /// The keys whose values differ.
    fn config_differs(&self) -> Vec<String> {
        let settings = &self.core.settings;
        let Some(hello) = &self.link.hello else { return Vec::new() };
        if hello.config_digest == settings.config_digest {
            return Vec::new();
        }
        let found = configuration::differences(&settings.configuration, &hello.configuration);
        if found.is_empty() {
            return vec![configuration::UNNAMED.to_owned()];
        }
        found.into_iter().map(|it| it.key.to_owned()).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = Vec::new();
        warnings.extend(self.address_trouble.iter().map(|it| format!("the virtual address: {it}")));
        let settings = &self.core.settings;
        match settings.fsync {
            Fsync::Always => {}
            Fsync::Interval(every) => warnings.push(format!(
                "fsync = \"interval\": a power cut of both machines loses up to {} ms of acknowledged writes",
                every.as_millis()
            )),
            Fsync::Never => warnings.push(
                "fsync = \"never\": a power cut, or a kill of the process, loses acknowledged writes".into(),
            ),
        }
        if settings.acknowledge == Acknowledge::Local || self.waits_for_nobody() {
            warnings.push(if self.is_one_of_two() {
                "acknowledge = \"local\": a lost disk loses what the peer has not received".into()
            } else {
                "acknowledge = \"local\": a promotion loses what this node's peer has not received"
                    .into()
            });
        }
        warnings.extend(self.exchange_trouble().map(str::to_owned));
        let certificate = self.clients.facts.certificate.as_ref();
        warnings.extend(certificate.and_then(|it| it.words(self.core.now.wall)));
        if let Some(full) = &self.disk_full {
            warnings.push(format!("the disk is full ({full}): writes are refused"));
        }
        if let Some(trouble) = self.no_link_because() {
            warnings.push(format!("no link to {}: {trouble}", settings.peer_name()));
        }
        warnings
    }

    fn in_sync_names(&self) -> Vec<String> {
        let names = &self.core.settings.names;
        if self.is_one_of_two() {
            let both = self.core.view.peer_in_sync;
            let own = self.core.settings.node;
            let nodes = [NodeId::A, NodeId::B].into_iter();
            return nodes.filter(|it| both || *it == own).map(|it| names[it].clone()).collect();
        }
        let Some(set) = self.switch_state.in_sync else { return Vec::new() };
        [NodeId::A, NodeId::B]
            .into_iter()
            .filter(|node| set.members[*node].is_some())
            .map(|node| self.core.settings.names[node].clone())
            .collect()
    }

    fn channel_views(&self) -> Vec<ChannelView> {
        let now = self.core.now.mono;
        let fresh = self.core.settings.failure_timeout;
        let states = self.switch.channels();
        let others = self.core.settings.channels.iter().enumerate().map(|(index, (kind, end))| {
            let state = states.get(index);
            let silent = state.and_then(|it| it.heard).map(|at| now.since(at));
            let rtt = state.and_then(|it| it.round_trip);
            ChannelView {
                kind: kind.clone(),
                endpoint: end.clone(),
                up: silent.is_some_and(|silent| silent < fresh),
                rtt_us: rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
                last_heard_ms: silent.map(millis),
            }
        });
        std::iter::once(self.channel_view()).chain(others).collect()
    }

    fn channel_view(&self) -> ChannelView {
        let rtt =
            self.heart.round_trip().map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
        ChannelView {
            kind: "link".into(),
            endpoint: self.link.address.map(|address| address.to_string()).unwrap_or_default(),
            up: self.link.is_up(),
            rtt_us: rtt,
            last_heard_ms: self.last_heard_ms(),
        }
    }

    /// A primary tries nobody.
    fn probe_view(&self) -> Option<ProbeView> {
        let state = self.switch.probe().filter(|_| !self.is_primary())?;
        let settings = &self.core.settings;
        let rtt = state.round_trip;
        let answered = |(_, probed)| matches!(probed, tandem_switch::Probed::Answered { .. });
        Some(ProbeView {
            endpoint: settings.client_addresses[settings.node.peer()].clone(),
            last: state.last.map(|(_, probed)| probed.words().to_owned()),
            up: state.last.is_some_and(answered),
            rtt_us: rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
            failures: state.failures.into(),
            failures_max: settings.automatic.unaided.probe_failures.into(),
            last_ms: state.last.map(|(asked, _)| millis(self.core.now.mono.since(asked))),
        })
    }

    fn peer_view(&self) -> PeerView {
        let settings = &self.core.settings;
        let peer = settings.node.peer();
        let at = &self.core.positions;
        let mut heard = self.link.status.unwrap_or_default();
        if self.is_one_of_two() {
            // Its log counts otherwise than ours.
            (heard.appended_end, heard.durable_end, heard.applied_end) = Default::default();
        }
        let lag = self.lag();
        let said = self.link.status.map(|status| role_name(status.role, settings.topology));
        // Whom this node follows serves, although the last sign of life may be from before that.
        let leads = self.link.is_up() && self.switch.primary() == Some(peer);
        let epoch = if leads { heard.epoch.max(self.core.view.epoch) } else { heard.epoch };
        PeerView {
            node: settings.names[peer].clone(),
            role: if leads { Some(RoleName::Primary) } else { said },
            epoch: epoch.get(),
            connected: self.link.is_up(),
            received_lsn: at.peer_received_end.max(heard.appended_end).get(),
            durable_lsn: at.peer_durable_end.max(heard.durable_end).get(),
            applied_lsn: at.peer_applied_end.max(heard.applied_end).get(),
            lag_records: lag.records,
            lag_bytes: lag.bytes,
            behind_records: self.exchange_lag().behind,
            lag_ms: lag.ms,
            last_heard_ms: self.last_heard_ms(),
            no_link_because: self.no_link_because().map(str::to_owned),
            address: settings.client_addresses[peer].clone(),
            full_copy_bytes: None,
            load: self.switch.peer_vitals().map(|it| LoadView {
                cpu_percent: it.load.cpu_percent.into(),
                io_wait_percent: it.load.io_wait_percent.into(),
                request_ms: it.load.request_ms.into(),
                requests_per_second: it.load.requests.into(),
            }),
        }
    }

    /// The follower's distance: measured by the leader, estimated from heartbeats by the follower.
    fn lag(&self) -> Lag {
        if self.is_one_of_two() {
            let lag = self.exchange_lag();
            let ms = lag.since.map_or(0, |at| self.core.now.wall.get().saturating_sub(at.get()));
            return Lag { records: lag.ahead, bytes: lag.bytes, ms };
        }
        if let Some(leader) = &self.leader {
            let lag = leader.lag(self.core.now.mono).unwrap_or_default();
            let ms = u64::try_from(lag.time.as_millis()).unwrap_or(u64::MAX);
            return Lag { records: lag.records, bytes: lag.bytes, ms };
        }
        let at = &self.core.positions;
        let heard = self.link.status.unwrap_or_default();
        let records = heard.commit_end.records_since(at.applied_end).unwrap_or(0);
        let newest = heard.applied_stamp.wall().get();
        let ours = self.queue.tip().stamp.wall().get();
        Lag {
            records,
            bytes: count(self.queue.bytes()),
            ms: if records == 0 { 0 } else { newest.saturating_sub(ours) },
        }
    }

    pub(super) fn why_view(&self) -> WhyView {
        let why = self.switch.why(self.core.now.mono);
        let left_ms = why
            .timers
            .first()
            .map(|timer| u64::try_from(timer.left.as_millis()).unwrap_or(u64::MAX));
        let kept_out = self.conflict_wait().map(|(fact, supplied_by)| WaitView {
            fact,
            supplied_by,
            left_ms: None,
        });
        let waiting = why.waiting_for.map(|fact| WaitView {
            fact,
            supplied_by: why.who.unwrap_or_default(),
            left_ms,
        });
        let writes = self.writes_wait().filter(|_| waiting.is_none()).map(|waits| WaitView {
            fact: waits.fact,
            supplied_by: waits.supplied_by,
            left_ms: None,
        });
        let refused = self.writes_refused().filter(|_| self.disk_full.is_none());
        let refused = refused.map(|text| WaitView {
            fact: format!("writes are refused: {text}"),
            supplied_by: format!("{}, once it is in sync", self.core.settings.peer_name()),
            left_ms: None,
        });
        let peer = self.core.settings.peer_name();
        let no_link = self.no_link_because().map(|trouble| WaitView {
            fact: format!("there is no link to {peer}: {trouble}"),
            supplied_by: format!("{peer}, or a person if what the two are given differs"),
            left_ms: None,
        });
        let waiting =
            kept_out.into_iter().chain(writes).chain(waiting).chain(refused).chain(no_link);
        // The brain's sentence names the command, if there is one: here it is only taken out of it.
        let forcing = why.forcing.map(|cost| ForceView {
            command: named_command(&cost).unwrap_or_default().to_owned(),
            cost,
            records_lost: None,
            last_contact_ms: self.last_heard_ms(),
            may_fork: !self.is_primary(),
        });
        let mut view = WhyView {
            node: self.core.settings.name().to_owned(),
            role: role_name(self.core.view.role, self.core.settings.topology),
            summary: why.now,
            waiting: waiting.collect(),
            forcing,
        };
        self.explain_repair(&mut view);
        view
    }

    pub(super) fn metrics_view(&self) -> MetricsView {
        let mut view = MetricsView::default();
        self.role_metrics(&mut view);
        self.log_metrics(&mut view);
        self.integrity_metrics(&mut view);
        self.client_metrics(&mut view);
        view
    }

    fn role_metrics(&self, view: &mut MetricsView) {
        let settings = &self.core.settings;
        let labels = [
            env!("CARGO_PKG_VERSION"),
            &settings.pair_name,
            settings.name(),
            settings.topology.word(),
        ];
        view.number("tandem_info", &labels, 1.0);
        view.count("tandem_uptime_seconds", self.core.now.mono.since(self.started.mono).as_secs());
        let role = role_name(self.core.view.role, settings.topology);
        for name in RoleName::ALL {
            view.flag("tandem_role", &[name.as_str()], role == name);
        }
        view.count("tandem_epoch", self.core.view.epoch.get());
        view.flag("tandem_in_sync", &[], self.core.view.peer_in_sync);
        view.flag("tandem_stalled", &[], self.is_stalled());
        view.flag("tandem_writes_refused", &[], self.writes_refused().is_some());
        view.flag("tandem_config_mismatch", &[], !self.config_differs().is_empty());
        view.count("tandem_conflicts_open", self.conflicts.open());
        view.number("tandem_switches_total", &["manual"], as_f64(self.journal.switches));
        view.flag("tandem_link_up", &["link", "tcp"], self.link.is_up());
        if let Some(rtt) = self.heart.round_trip() {
            view.number("tandem_link_rtt_seconds", &["link"], rtt.as_secs_f64());
        }
        view.count("tandem_link_sent_bytes_total", self.link.sent_bytes);
        view.count("tandem_link_received_bytes_total", self.link.received_bytes);
        view.number("tandem_full_copies_total", &["sent"], as_f64(self.core.streams.copies_sent));
        view.number(
            "tandem_full_copies_total",
            &["received"],
            as_f64(self.core.streams.copies_received),
        );
        view.number(
            "tandem_partial_continuations_total",
            &["sent"],
            as_f64(self.core.streams.partial_sent),
        );
        view.number(
            "tandem_partial_continuations_total",
            &["received"],
            as_f64(self.core.streams.partial_received),
        );
    }

    fn log_metrics(&self, view: &mut MetricsView) {
        if let Some(certificate) = &self.clients.facts.certificate {
            let left = certificate.left(self.core.now.wall);
            #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
            view.number("tandem_tls_certificate_expires_seconds", &[], left as f64);
        }
        let at = &self.core.positions;
        view.count("tandem_log_last_lsn", at.appended_end.get());
        view.count("tandem_log_durable_lsn", at.durable_end.get());
        view.count("tandem_log_applied_lsn", at.applied_end.get());
        view.count("tandem_log_commit_lsn", at.commit_end.get());
        view.count("tandem_log_bytes", self.log_disk_bytes);
        view.count("tandem_log_appended_bytes_total", self.appended_bytes);
        let lag = self.lag();
        view.count("tandem_replication_lag_records", lag.records);
        view.count("tandem_replication_lag_bytes", lag.bytes);
        view.number("tandem_replication_lag_seconds", &[], as_f64(lag.ms) / 1_000.0);
        if let Some((lsn, when)) = self.journal.snapshot {
            view.count("tandem_snapshot_lsn", lsn.get());
            view.count(
                "tandem_snapshot_age_seconds",
                self.core.now.mono.since(when.mono).as_secs(),
            );
        }
    }

    fn client_metrics(&self, view: &mut MetricsView) {
        let stats = self.clients.stats();
        view.count("tandem_clients", count(self.clients.connected()));
        view.count("tandem_clients_blocked", count(self.clients.blocked_count()));
        view.count("tandem_writes_held", count(self.clients.held_count()));
        view.count("tandem_writes_forwarded_total", self.forwards.total);
        view.count("tandem_connections_total", stats.connections);
        view.count("tandem_connections_rejected_total", stats.rejected_connections);
        view.count("tandem_commands_total", stats.commands);
        view.count("tandem_errors_total", stats.error_replies);
        view.count("tandem_received_bytes_total", stats.input_bytes);
        view.count("tandem_sent_bytes_total", stats.output_bytes);
        for db in DbIndex::all() {
            let keys = self.core.store.dbsize(db);
            if keys > 0 {
                view.number("tandem_keys", &[&db.get().to_string()], as_f64(count(keys)));
            }
        }
        view.count("tandem_memory_used_bytes", count(self.core.store.used_memory()));
        view.count("tandem_memory_max_bytes", self.core.settings.limits.maxmemory);
        let store = self.core.store.stats();
        view.count("tandem_keys_expired_total", store.expired_keys);
        view.count("tandem_keyspace_hits_total", store.hits);
        view.count("tandem_keyspace_misses_total", store.misses);
    }
}

struct Lag {
    records: u64,
    bytes: u64,
    ms: u64,
}

#[expect(clippy::cast_precision_loss, reason = "a dashboard does not need the last of 53 bits")]
pub(super) const fn as_f64(number: u64) -> f64 {
    number as f64
}

/// The command that a sentence for people names between backquotes.
fn named_command(sentence: &str) -> Option<&str> {
    sentence.split('`').skip(1).step_by(2).find(|word| word.starts_with("tandem "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_one_that_the_sentence_names() {
        for (sentence, want) in [
            ("`tandem promote --force` makes this node primary", Some("tandem promote --force")),
            ("set `switch.by` and run `tandem solo`: then", Some("tandem solo")),
            ("promoting a node that has data loses the rest", None),
        ] {
            assert_eq!(named_command(sentence), want);
        }
    }
}
