//! Rules that span several keys: what each value allows alone may not make sense together.

use std::net::IpAddr;

use crate::choice::{MediatorKind, SwitchBy};
use crate::layers::Values;
use crate::settings::{heartbeat_of, join_host_port};
use crate::{Channel, ConfigError, Problem, Value, format_duration};

/// Every rule; all that fail are reported together.
pub(crate) fn values(values: &Values) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let names = values.node_names();
    initial_primary(values, &names, &mut problems);
    hosts(values, &names, &mut problems);
    addresses(values, &names, &mut problems);
    timing(values, &mut problems);
    watchdog(values, &mut problems);
    switching(values, &names, &mut problems);
    vip(values, &names, &mut problems);
    tls(values, &mut problems);
    protected_mode(values, &names, &mut problems);
    ConfigError::unless_empty(problems)
}

fn line(values: &Values, path: &str) -> Option<usize> {
    values.entry(path).origin.line()
}

fn initial_primary(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    let path = "pair.initial_primary";
    let initial = values.text(path);
    if !initial.is_empty() && !names.iter().any(|name| name == initial) {
        let what = format!("`{path}` = \"{initial}\" is not one of the nodes");
        let todo = format!("the nodes are \"{}\"", names.join("\" and \""));
        problems.push(Problem::new(what, todo).at(line(values, path)));
    }
}

fn hosts(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    for name in names {
        let path = format!("nodes.{name}.host");
        let host = values.text(&path);
        let at = line(values, &path);
        if host.is_empty() || host.contains([' ', '/']) {
            problems.push(
                Problem::new(
                    format!("`{path}` = \"{host}\" is not a host"),
                    "give an address or a host name",
                )
                .at(at),
            );
        } else if host.parse().is_ok_and(|address: IpAddr| address.is_unspecified()) {
            let what =
                format!("`{path}` = \"{host}\" is no place where anyone could reach the node");
            problems.push(
                Problem::new(
                    what,
                    format!("give its own address here and \"{host}\" as `nodes.{name}.bind`"),
                )
                .at(at),
            );
        } else if host.parse::<IpAddr>().is_err() && host.contains(':') {
            problems.push(
                Problem::new(
                    format!("`{path}` = \"{host}\" holds a port"),
                    format!("give the host alone, and the port as `nodes.{name}.client_port`"),
                )
                .at(at),
            );
        }
    }
}

/// Keys of a node's listeners, and the key with the address each listens on.
const LISTENERS: [(&str, &str); 5] = [
    ("client_port", "bind"),
    ("read_port", "bind"),
    ("link_port", "bind"),
    ("sentinel_port", "bind"),
    ("admin_port", "admin_bind"),
];

/// No two listeners of the pair may be at one place, unless they are on different machines.
fn addresses(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    let mut taken: Vec<(String, u16, String)> = Vec::new();
    for name in names {
        for (leaf, _) in LISTENERS {
            let path = format!("nodes.{name}.{leaf}");
            let port: u16 = values.whole(&path);
            if port == 0 {
                continue;
            }
            // All listeners of one node share its machine, whatever address they bind to.
            let host = values.text(&format!("nodes.{name}.host")).to_ascii_lowercase();
            if let Some((.., other)) = taken.iter().find(|(h, p, _)| *h == host && *p == port) {
                let place = join_host_port(&host, port);
                let what = format!("`{path}` and `{other}` are both {place}");
                let todo = if other.starts_with(&format!("nodes.{name}.")) {
                    "give each its own port"
                } else {
                    "the two nodes need different hosts, or different ports on one host"
                };
                problems.push(Problem::new(what, todo).at(line(values, &path)));
                // One message says it all when every port of the two nodes is the same.
                return;
            }
            taken.push((host, port, path));
        }
    }
    let path = "switch.mediator.endpoints";
    if let Value::Texts(list) = &values.entry(path).value {
        for (host, port, other) in &taken {
            let place = join_host_port(host, *port);
            if list.iter().any(|endpoint| endpoint.to_ascii_lowercase() == place) {
                let what = format!("`{path}` and `{other}` are both {place}");
                let todo = "give the mediator's own address and port: it runs on a third machine";
                problems.push(Problem::new(what, todo).at(line(values, path)));
            }
        }
    }
    let dirs: Vec<_> = names
        .iter()
        .map(|name| {
            (
                values.text(&format!("nodes.{name}.host")),
                values.text(&format!("nodes.{name}.data_dir")),
            )
        })
        .collect();
    if let [a, b] = dirs.as_slice()
        && a == b
    {
        let what = format!("both nodes would keep their data in {} on {}", a.1, a.0);
        problems.push(Problem::new(what, "give each node its own `data_dir`"));
    }
    for (name, (_, dir)) in names.iter().zip(&dirs) {
        if dir.is_empty() {
            let what = format!("`nodes.{name}.data_dir` is empty");
            problems.push(Problem::new(what, "give the folder for log and snapshots"));
        }
    }
}

/// A time-out that fewer than three heartbeats fit in calls a healthy peer dead.
fn timing(values: &Values, problems: &mut Vec<Problem>) {
    let beat = heartbeat_of(values.duration("switch.failure_timeout"));
    for path in ["switch.solo_after", "switch.mediator.session"] {
        let limit = values.duration(path);
        if limit < beat.saturating_mul(3) {
            let what = format!(
                "`{path}` = \"{}\" is shorter than three heartbeats, which come every {} (a fifth of `switch.failure_timeout`): one lost packet would count as failure",
                format_duration(limit),
                format_duration(beat)
            );
            let least = format_duration(beat * 3);
            let todo =
                format!("set it to at least \"{least}\", or shorten `switch.failure_timeout`");
            problems.push(Problem::new(what, todo).at(line(values, path)));
        }
    }
}

/// A supervisor must hear several signs of life in that time, also on a busy machine.
const WATCHDOG_MIN: std::time::Duration = std::time::Duration::from_millis(500);

fn watchdog(values: &Values, problems: &mut Vec<Problem>) {
    let path = "switch.watchdog";
    let limit = values.duration(path);
    if !limit.is_zero() && limit < WATCHDOG_MIN {
        let what = format!(
            "`{path}` = \"{}\" would kill a healthy node on a busy machine",
            format_duration(limit)
        );
        let todo = format!(
            "set it to at least \"{}\", or to \"0s\" for off",
            format_duration(WATCHDOG_MIN)
        );
        problems.push(Problem::new(what, todo).at(line(values, path)));
    }
}

fn switching(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    let by = values.choice("switch.by", SwitchBy::from_word);
    let kind = values.choice("switch.mediator.kind", MediatorKind::from_word);
    let endpoints = &values.entry("switch.mediator.endpoints").value;
    let without = *endpoints == Value::Texts(Vec::new());
    if by == SwitchBy::Mediator && kind != MediatorKind::Keepalived && without {
        let port = match kind {
            MediatorKind::Witness | MediatorKind::Keepalived => 7390,
            MediatorKind::Zookeeper => 2181,
            MediatorKind::Etcd => 2379,
        };
        problems.push(Problem::new(
            format!("`switch.by` = \"mediator\" needs to know where the {kind} is"),
            format!("set `switch.mediator.endpoints`, for example [\"10.0.0.3:{port}\"]"),
        ));
    }
    if by == SwitchBy::Mediator
        && kind == MediatorKind::Keepalived
        && values.text("vip.address").is_empty()
    {
        let what =
            "`switch.mediator.kind` = \"keepalived\" moves a virtual address, and there is none";
        let todo = "give `vip.address` and `vip.interface`; `tandem keepalived-conf` makes keepalived's file of them";
        problems.push(Problem::new(what, todo).at(line(values, "switch.mediator.kind")));
    }
    if by == SwitchBy::Mediator {
        mediated(values, problems);
    }
    let channels = &values.entry("switch.direct.channels");
    if let Value::Channels(list) = &channels.value {
        for channel in list {
            let Channel::Endpoints(ends) = channel else { continue };
            if !ends.keys().eq(names.iter()) {
                problems.push(
                    Problem::new(
                        "a channel of `switch.direct.channels` does not name exactly the two nodes",
                        format!("write {{ {} = \"...\", {} = \"...\" }}", names[0], names[1]),
                    )
                    .at(channels.origin.line()),
                );
            }
        }
        if by == SwitchBy::Direct {
            authentic(values, list, problems);
        }
        if by == SwitchBy::Direct && list.is_empty() {
            problems.push(Problem::new(
                "`switch.by` = \"direct\" has no channel to hear the peer on",
                "set `switch.direct.channels`, at least [\"link\"]",
            ));
        }
    }
}

/// What moves the role must be proven: a channel that strangers can reach needs the pair's secret.
fn authentic(values: &Values, list: &[Channel], problems: &mut Vec<Problem>) {
    let path = "switch.direct.channels";
    let proven = values.entry("auth.peer_secret_file").value != Value::Text(String::new());
    for channel in list {
        let Channel::Endpoints(ends) = channel else { continue };
        for end in ends.values() {
            let serial = end.starts_with("serial:///");
            if !serial && !is_host_port(end) {
                let what =
                    format!("`{path}` holds \"{end}\", which is neither host:port nor a device");
                let todo =
                    "write for example \"10.1.0.1:7380\" or \"serial:///dev/ttyS0?baud=115200\"";
                problems.push(Problem::new(what, todo).at(line(values, path)));
            }
            let local = end.starts_with("127.")
                || end.starts_with("[::1]")
                || end.starts_with("localhost:");
            if !proven && !local {
                let what =
                    format!("the channel \"{end}\" has nothing that proves who speaks on it");
                let todo = "set `auth.peer_secret_file`, the same 32 random bytes on both machines";
                problems.push(Problem::new(what, todo).at(line(values, path)));
            }
        }
    }
}

/// Rules that matter only when a third party decides.
fn mediated(values: &Values, problems: &mut Vec<Problem>) {
    let endpoints = "switch.mediator.endpoints";
    if let Value::Texts(list) = &values.entry(endpoints).value {
        for endpoint in list.iter().filter(|endpoint| !is_host_port(endpoint)) {
            let what = format!("`{endpoints}` holds \"{endpoint}\", which is not host:port");
            problems.push(
                Problem::new(what, "write for example \"10.0.0.3:7390\"")
                    .at(line(values, endpoints)),
            );
        }
    }
    let silence = values.duration("switch.failure_timeout");
    let solo = values.duration("switch.solo_after");
    if solo < silence {
        let what = format!(
            "`switch.solo_after` = \"{}\" is shorter than `switch.failure_timeout` = \"{}\": the primary would go on alone before the peer counts as silent",
            format_duration(solo),
            format_duration(silence)
        );
        let todo = format!("set it to at least \"{}\"", format_duration(silence));
        problems.push(Problem::new(what, todo).at(line(values, "switch.solo_after")));
    }
    let slow = values.duration("switch.slow_after");
    let least = heartbeat_of(silence).saturating_mul(3);
    if !slow.is_zero() && slow < least {
        let what = format!(
            "`switch.slow_after` = \"{}\" is shorter than three heartbeats: a moment's load would count as failure",
            format_duration(slow)
        );
        let todo =
            format!("set it to at least \"{}\", or to \"0s\" for off", format_duration(least));
        problems.push(Problem::new(what, todo).at(line(values, "switch.slow_after")));
    }
    let given = |leaf: &str| !values.text(&format!("switch.mediator.{leaf}")).is_empty();
    for (one, other) in [("user", "password_file"), ("cert", "key")] {
        if given(one) != given(other) {
            let what = format!(
                "`switch.mediator.{one}` and `switch.mediator.{other}` go together, one is missing"
            );
            problems.push(Problem::new(what, "give both, or neither"));
        }
    }
    if given("cert") && !given("ca") {
        let what = "`switch.mediator.ca` is missing, and without it nothing is encrypted: \
                    `switch.mediator.cert` is never shown";
        problems.push(Problem::new(what, "name the authority that signed its certificates"));
    }
    if values.text("switch.mediator.user").contains(':') {
        let what = "`switch.mediator.user` holds a colon, which ends the name where it is sent";
        problems.push(Problem::new(what, "choose a name without one"));
    }
}

fn is_host_port(endpoint: &str) -> bool {
    endpoint
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains('/'))
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|it| it > 0))
}

fn vip(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    let path = "vip.address";
    let text = values.text(path);
    if text.is_empty() {
        return;
    }
    let at = line(values, path);
    if values.text("vip.interface").is_empty() {
        problems.push(
            Problem::new(
                "`vip.interface` is missing",
                "name the interface that gets the address, for example \"eth0\"",
            )
            .at(at),
        );
    }
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        prefix.parse().ok().filter(|prefix: &u32| *prefix <= bits).map(|prefix| (address, prefix))
    });
    let Some((address, prefix)) = parsed else {
        let what = format!("`{path}` = \"{text}\" is not an address with a prefix length");
        problems.push(Problem::new(what, "write for example \"10.0.0.100/24\"").at(at));
        return;
    };
    for name in names {
        let Ok(host) = values.text(&format!("nodes.{name}.host")).parse::<IpAddr>() else {
            continue;
        };
        if host == address {
            let what = format!("`{path}` is node {name}'s own address");
            problems.push(Problem::new(what, "the virtual address must be a third one").at(at));
        } else if !same_network(host, address, prefix) {
            let what =
                format!("`{path}` = \"{text}\" is not in the network of node {name} ({host})");
            problems.push(
                Problem::new(
                    what,
                    "clients would not find it there; use an address of that network",
                )
                .at(at),
            );
        }
    }
}

fn same_network(a: IpAddr, b: IpAddr, prefix: u32) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(32 - prefix).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(128 - prefix).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn tls(values: &Values, problems: &mut Vec<Problem>) {
    let [cert, key, ca] =
        ["tls.cert", "tls.key", "tls.client_ca"].map(|path| !values.text(path).is_empty());
    if cert != key || (ca && !cert) {
        problems.push(Problem::new(
            "`[tls]` is incomplete: `cert` and `key` go together, `client_ca` needs both",
            "give both files, or remove the section",
        ));
    }
}

/// As Redis' protected mode: nothing listens beyond loopback without a secret.
fn protected_mode(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    if values.flag("auth.insecure") {
        return link_without_proof(values, names, problems);
    }
    for name in names {
        let key = |leaf: &str| format!("nodes.{name}.{leaf}");
        // Clients are served at the virtual address too.
        let elsewhere = !values.text("vip.address").is_empty();
        let open =
            |leaf: &str| !is_loopback(values.text(&key(leaf))) || (leaf == "bind" && elsewhere);
        let missing = |path: &str| values.text(path).is_empty();
        let admin_port: u16 = values.whole(&key("admin_port"));
        let cases = [
            ("bind", "auth.password_file", "clients", true),
            ("bind", "auth.peer_secret_file", "the peer", true),
            ("admin_bind", "auth.admin_token_file", "HTTP", admin_port != 0),
        ];
        for (leaf, secret, whom, listens) in cases {
            if listens && open(leaf) && missing(secret) {
                let address = values.text(&key(leaf));
                let what = format!(
                    "node {name} would listen on {address} for {whom} without `{secret}`: anyone who reaches it could read and change the data"
                );
                let todo = format!(
                    "set `{secret}` to a file with a secret, or `auth.insecure = true` if the network is closed"
                );
                problems.push(Problem::new(what, todo).at(line(values, &key(leaf))));
            }
        }
    }
}

/// An open network is a choice for clients; the link never takes a peer on trust (`tandem-link`), so the
/// nodes of such a file would wait for one another for ever.
fn link_without_proof(values: &Values, names: &[String], problems: &mut Vec<Problem>) {
    let missing = |path: &str| values.text(path).is_empty();
    if !missing("auth.peer_secret_file") || !missing("tls.client_ca") {
        return;
    }
    let host = |name: &String| format!("nodes.{name}.host");
    if let Some(name) = names.iter().find(|name| !is_loopback(values.text(&host(name)))) {
        let what = format!(
            "node {name} is on another machine and nothing proves to its peer who it is: the link between them never \
             comes up, with `auth.insecure` neither"
        );
        let todo = "set `auth.peer_secret_file` to a file with the same 32 random bytes on both machines, or `tls.client_ca`";
        problems.push(Problem::new(what, todo).at(line(values, &host(name))));
    }
}

/// A name may resolve to anything, so only `localhost` counts.
fn is_loopback(host: &str) -> bool {
    host.parse()
        .map_or(host.eq_ignore_ascii_case("localhost"), |address: IpAddr| address.is_loopback())
}
