//! What the demonstration says.

use crate::demo::plan::{Plan, Switching};

/// What can be typed.
pub(crate) const fn keys(switching: Switching) -> &'static str {
    match switching {
        Switching::Mediator => {
            "keys, then Enter:  k kill -9 the primary's process   m its whole machine   c change the primary   \
             w kill the witness   r restart what is down   s status   q quit"
        }
        Switching::Nobody => {
            "keys, then Enter:  k kill -9 a node's process   m a whole machine dies   r restart what is down   s status   q quit"
        }
        Switching::Manual => {
            "keys, then Enter:  m the primary's machine dies   k kill -9 its process   p promote the other   \
             f promote by force   c change the primary   r restart what is down   s status   q quit"
        }
    }
}

/// Every address, and what to try next.
pub(crate) fn introduction(plan: &Plan, primary_pid: Option<u32>) -> String {
    let [a, b] = plan.ports;
    let program = plan.program.display();
    let mut lines = vec![
        String::new(),
        format!(
            "Tandem, {}, every write on two disks before its reply. Data: {}",
            plan.topology,
            plan.folder.display()
        ),
    ];
    for ports in plan.ports {
        lines.push(format!(
            "  {}  clients 127.0.0.1:{}  reads :{}  sentinel :{}  web http://127.0.0.1:{}/  log {}",
            ports.name,
            ports.client,
            ports.read,
            ports.sentinel,
            ports.admin,
            plan.log_file(ports.name).display()
        ));
    }
    if plan.switching == Switching::Mediator {
        lines.push(format!(
            "  witness  127.0.0.1:{}  log {}",
            plan.witness,
            plan.log_file("witness").display()
        ));
    }
    // With two primaries the second node is written to as well.
    let read_port = if plan.switching == Switching::Nobody { b.client } else { b.read };
    lines.extend([
        String::new(),
        "try next, in another terminal:".to_owned(),
        format!("  redis-cli -p {} set greeting hello", a.client),
        format!("  redis-cli -p {read_port} get greeting"),
        format!("  redis-cli -p {} sentinel get-master-addr-by-name mymaster", b.sentinel),
        format!("  redis-benchmark -p {} -t set,get -P 16 -q", a.client),
        format!("  {program} status --watch --admin http://127.0.0.1:{}", a.admin),
    ]);
    match plan.switching {
        Switching::Mediator => {
            lines.extend(primary_pid.map(|pid| {
                format!("  kill -9 {pid}     (the primary's process; watch the next lines)")
            }));
            lines.push(format!("  {program} switch --admin http://127.0.0.1:{}", a.admin));
            lines.push(format!("  {program} drill kill --admin http://127.0.0.1:{}", a.admin));
        }
        Switching::Nobody => {
            lines.push(format!(
                "  redis-cli -p {} incr visits; redis-cli -p {} incr visits",
                a.client, b.client
            ));
            lines.push(format!("  redis-cli -p {} tandem pp verify", b.client));
        }
        Switching::Manual => {
            lines.push(format!("  {program} promote --admin http://127.0.0.1:{}", b.admin));
        }
    }
    lines.push(String::new());
    lines.push(format!("{}\n", keys(plan.switching)));
    lines.join("\n")
}
