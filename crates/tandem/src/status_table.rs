//! The status as a table: one line about the pair, one per node, one about what connects them.

use tandem_admin::{ProbeView, RoleName, StatusView};

use crate::human;

const HEAD: [&str; 8] = ["NODE", "ADDRESS", "ROLE", "STATE", "EPOCH", "LSN", "LAG", "UP"];
/// Columns that hold numbers are set to the right.
const RIGHT: [bool; 8] = [false, false, false, false, true, true, true, false];

pub(crate) fn render(status: &StatusView) -> String {
    let mut lines = vec![pair_line(status)];
    let mut rows = vec![HEAD.map(str::to_owned), this_node(status), peer_node(status)];
    // The first in name order stays on top, whichever node is asked.
    if status.peer.node < status.node {
        rows.swap(1, 2);
    }
    lines.extend(table(&rows));
    lines.push(link_line(status));
    lines.extend(rights_line(status));
    let trouble = status.mediator.as_ref().and_then(|mediator| mediator.trouble.as_ref());
    lines.extend(trouble.map(|trouble| format!(" ! the mediator: {trouble}")));
    lines.extend(pending_lines(status));
    if status.paused {
        lines.push(" ! automatic switching is suspended; tandem resume ends that".to_owned());
    }
    lines.extend(status.writes_refused.iter().map(|text| format!(" ! writes are refused: {text}")));
    lines.extend(status.waiting_for.iter().map(|fact| format!(" waiting for: {fact}")));
    lines.extend(status.warnings.iter().map(|warning| format!(" ! {warning}")));
    if !status.config_differs.is_empty() {
        let how = status.config_differs.join(", ");
        lines.push(format!(" ! the two nodes do not run with the same configuration: {how}"));
    }
    lines.extend(integrity_lines(status));
    if status.conflicts > 0 {
        let count = status.conflicts;
        lines.push(format!(" ! {count} saved writes of a returned primary wait for a decision: tandem conflicts list"));
    }
    lines.join("\n")
}

fn pair_line(status: &StatusView) -> String {
    let in_sync = if status.in_sync { "in sync" } else { "NOT in sync" };
    let stalled = if status.stalled { "   STALLED" } else { "" };
    format!(
        " pair {}   {}   {}, {in_sync}   switch: {}{stalled}",
        status.pair, status.topology, status.acknowledge, status.switch_by
    )
}

fn this_node(status: &StatusView) -> [String; 8] {
    let state = match status.role {
        RoleName::Primary if status.stalled => "stalled",
        RoleName::Primary if status.writes_refused.is_some() => "reads only",
        RoleName::Primary => "serving",
        RoleName::Standby | RoleName::Replica if status.in_sync => "in sync",
        RoleName::Standby | RoleName::Replica => "following",
        RoleName::Joining => "catching up",
        RoleName::Isolated => "not serving",
    };
    let lag = match status.role {
        // With two primaries each lags behind the other.
        RoleName::Primary if status.has_two_primaries() => {
            format!("{} rec", status.peer.behind_records)
        }
        RoleName::Primary => "-".to_owned(),
        _ => lag(status),
    };
    [
        status.node.clone(),
        status.address.clone(),
        role(status.role),
        state.to_owned(),
        status.epoch.to_string(),
        status.last_lsn.to_string(),
        lag,
        human::span(status.uptime_seconds),
    ]
}

fn peer_node(status: &StatusView) -> [String; 8] {
    let peer = &status.peer;
    let state = match peer.role {
        None => "never heard".to_owned(),
        Some(_) if !peer.connected => {
            let ago =
                peer.last_heard_ms.map_or("?".to_owned(), |millis| human::span(millis / 1_000));
            format!("silent {ago}")
        }
        Some(RoleName::Primary) => "serving".to_owned(),
        Some(RoleName::Standby | RoleName::Replica) if status.in_sync => "in sync".to_owned(),
        Some(RoleName::Standby | RoleName::Replica) => "following".to_owned(),
        Some(RoleName::Joining) => "catching up".to_owned(),
        Some(RoleName::Isolated) => "not serving".to_owned(),
    };
    let follows = status.role == RoleName::Primary && peer.role.is_some();
    [
        peer.node.clone(),
        peer.address.clone(),
        peer.role.map_or("-".to_owned(), role),
        state,
        peer.epoch.to_string(),
        peer.received_lsn.to_string(),
        if follows { lag(status) } else { "-".to_owned() },
        "-".to_owned(),
    ]
}

/// The primary stands out.
fn role(role: RoleName) -> String {
    match role {
        RoleName::Primary => "PRIMARY".to_owned(),
        other => other.to_string(),
    }
}

fn lag(status: &StatusView) -> String {
    let peer = &status.peer;
    format!("{} rec, {}, {} ms", peer.lag_records, human::bytes(peer.lag_bytes), peer.lag_ms)
}

/// What this node's right to serve hangs on: mediator, virtual address, read lease.
fn rights_line(status: &StatusView) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(mediator) = &status.mediator {
        let place = mediator.endpoint.as_ref().map_or(String::new(), |at| format!(" {at}"));
        let state = match (mediator.connected, &mediator.trouble) {
            (false, _) => "NOT REACHED",
            (true, Some(_)) => "ANSWERS, BUT NOT OK",
            (true, None) => "ok",
        };
        let record =
            mediator.record.as_ref().map_or(String::new(), |record| format!(" ({record})"));
        parts.push(format!("{}{place} {state}{record}", mediator.kind));
    }
    if let Some(probe) = &status.probe {
        parts.push(probe_words(probe));
    }
    if let Some(vip) = &status.vip {
        let place = if vip.held { "here" } else { "not here" };
        parts.push(format!("vip {} {place}", vip.address));
    }
    if let Some(millis) = status.read_lease_ms {
        parts.push(format!("read lease {millis} ms"));
    }
    (!parts.is_empty()).then(|| format!(" {}", parts.join("   ")))
}

/// What the standby sees as a client of the primary.
fn probe_words(probe: &ProbeView) -> String {
    let last = probe.last.as_deref().unwrap_or("not tried yet");
    let rtt = probe.rtt_us.filter(|_| probe.up).map_or(String::new(), |micros| {
        format!(" in {}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
    });
    let row = match probe.failures {
        0 => String::new(),
        failures => format!(", {failures} of {} failures", probe.failures_max),
    };
    format!("probe: {} {last}{rtt}{row}", probe.endpoint)
}

fn pending_lines(status: &StatusView) -> Option<String> {
    let pending = status.pending.as_ref()?;
    let lost = match pending.records_lost {
        Some(lost) => format!("{lost} records would be lost"),
        None => "it is not known what would be lost".to_owned(),
    };
    let proposal = &pending.proposal;
    // What is only observed waits for nobody.
    if pending.expires_ms == 0 {
        return Some(format!(" ? {proposal}; {lost}; nothing is done by itself"));
    }
    let left = human::span(pending.expires_ms / 1_000);
    Some(format!(" ? {proposal}; {lost}; tandem confirm or tandem reject within {left}"))
}

/// Damage and differences, while they last.
fn integrity_lines(status: &StatusView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(repair) = &status.repair {
        lines.push(format!(" ! damaged: {}; waiting for {}", repair.reason, repair.waiting_for));
    }
    if let Some(verify) = status.verify.as_ref().filter(|verify| verify.result == "differs") {
        let (slots, why) = (verify.slots_differ, verify.why.as_deref().unwrap_or_default());
        lines.push(format!(" ! the data of the two nodes differs in {slots} slots; {why}"));
    }
    if !status.kept_files.is_empty() {
        let files = status.kept_files.join(", ");
        lines.push(format!(
            " damaged files are kept: {files} (remove them when they are not needed)"
        ));
    }
    lines
}

fn link_line(status: &StatusView) -> String {
    let state = if status.peer.connected { "ok" } else { "DOWN" };
    let arrow = if status.peer.connected { "<==>" } else { "<-X->" };
    let rtt =
        status.channels.iter().find_map(|channel| channel.rtt_us).map_or(String::new(), |micros| {
            format!(" {}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
        });
    let last = status.last_switch.as_ref().map_or(String::new(), |switch| {
        let lost =
            switch.records_lost.map_or(String::new(), |lost| format!(", {lost} records lost"));
        let to = &switch.to;
        let way = match switch.from.as_deref() {
            Some(from) if from == to => format!("{to} again"),
            from => format!("{}->{to}", from.unwrap_or("-")),
        };
        format!("   last switch {} {way}: {}{lost}", human::time(switch.at_ms), switch.cause)
    });
    let (first, second) = if status.peer.node < status.node {
        (&status.peer.node, &status.node)
    } else {
        (&status.node, &status.peer.node)
    };
    format!(" {first} {arrow} {second}   link {state}{rtt}{last}")
}

fn table(rows: &[[String; 8]]) -> Vec<String> {
    let widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = (0..8)
                .map(|column| {
                    let (cell, width) = (&row[column], widths[column]);
                    if RIGHT[column] {
                        format!("{cell:>width$}")
                    } else {
                        format!("{cell:<width$}")
                    }
                })
                .collect();
            format!(" {}", cells.join("  ")).trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tandem_admin::{MediatorView, PeerView, PendingView, VipView};

    use super::*;

    #[test]
    fn a_healthy_pair_fits_five_lines() {
        let status = StatusView {
            node: "b".into(),
            pair: "shop".into(),
            topology: "primary-standby".into(),
            acknowledge: "durable".into(),
            switch_by: "manual".into(),
            address: "10.0.0.2:6379".into(),
            role: RoleName::Standby,
            in_sync: true,
            epoch: 7,
            last_lsn: 1042,
            uptime_seconds: 100_000,
            peer: PeerView {
                node: "a".into(),
                address: "10.0.0.1:6379".into(),
                role: Some(RoleName::Primary),
                epoch: 7,
                connected: true,
                received_lsn: 1042,
                last_heard_ms: Some(3),
                ..PeerView::default()
            },
            ..StatusView::default()
        };
        assert_eq!(
            render(&status),
            " pair shop   primary-standby   durable, in sync   switch: manual\n \
             NODE  ADDRESS        ROLE     STATE    EPOCH   LSN               LAG  UP\n \
             a     10.0.0.1:6379  PRIMARY  serving      7  1042                 -  -\n \
             b     10.0.0.2:6379  standby  in sync      7  1042  0 rec, 0 B, 0 ms  1d 3h\n \
             a <==> b   link ok"
        );
    }

    #[test]
    fn what_the_right_to_serve_hangs_on_and_what_waits_for_a_person_is_shown() {
        let status = StatusView {
            mediator: Some(MediatorView {
                kind: "witness".into(),
                connected: true,
                endpoint: Some("10.0.0.3:7390".into()),
                record: Some("epoch 7, a, both".into()),
                trouble: None,
            }),
            vip: Some(VipView { address: "10.0.0.100/24".into(), held: true, may_hold: None }),
            read_lease_ms: Some(480),
            pending: Some(PendingView {
                proposal: "b takes over: a is silent".into(),
                to: "b".into(),
                records_lost: Some(0),
                expires_ms: 300_000,
            }),
            paused: true,
            ..StatusView::default()
        };
        let shown = render(&status);
        for part in [
            " witness 10.0.0.3:7390 ok (epoch 7, a, both)   vip 10.0.0.100/24 here   read lease 480 ms",
            "? b takes over: a is silent; 0 records would be lost; tandem confirm or tandem reject within 5m",
            "automatic switching is suspended",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!render(&StatusView::default()).contains("vip"));
        let refuses = StatusView {
            role: RoleName::Primary,
            writes_refused: Some("NOREPLICAS not enough".into()),
            ..StatusView::default()
        };
        let shown_refuses = render(&refuses);
        for part in ["reads only", " ! writes are refused: NOREPLICAS not enough"] {
            assert!(shown_refuses.contains(part), "{part}\n{shown_refuses}");
        }
        let mut damaged = status;
        damaged.mediator.as_mut().unwrap().trouble = Some("the file is damaged".into());
        let shown = render(&damaged);
        assert!(shown.contains("7390 ANSWERS, BUT NOT OK ("), "{shown}");
        assert!(shown.contains(" ! the mediator: the file is damaged"), "{shown}");
    }
}
