//! `LATENCY`: spikes of commands, the only event measured here.

use tandem_resp::Args;

use super::{Visit, help, is};
use crate::latency::COMMAND_EVENT;

pub(super) const SUBCOMMANDS: &[&str] = &[
    "latency|doctor",
    "latency|graph",
    "latency|help",
    "latency|histogram",
    "latency|history",
    "latency|latest",
    "latency|reset",
];

pub(super) fn latency(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"latest", 2) => latest(visit),
        (b"history", 3) => history(visit, args.get(2)),
        (b"reset", _) => {
            let wanted = args.len() == 2 || args.iter().skip(2).any(|word| is(word, COMMAND_EVENT));
            let count = usize::from(wanted && visit.clients.latency.reset());
            visit.reply().count(count);
        }
        (b"histogram", _) => visit.reply().map(0),
        (b"doctor", 2) => doctor(visit),
        (b"graph", 3) => visit.reply().error("ERR No samples available for event"),
        (b"help", 2) => help::write(visit, "LATENCY", HELP),
        (b"latest" | b"history" | b"doctor" | b"graph" | b"help", _) => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
            visit.wrong_arity(&format!("latency|{name}"));
        }
        _ => visit.unknown_subcommand(args),
    }
}

fn latest(visit: &mut Visit<'_>) {
    let Some((spike, worst_ms)) = visit.clients.latency.latest() else {
        return visit.reply().array(0);
    };
    let mut reply = visit.reply();
    reply.array(1);
    reply.array(4);
    reply.bulk(COMMAND_EVENT.as_bytes());
    for number in [spike.at, spike.ms, worst_ms] {
        reply.int(i64::try_from(number).unwrap_or(i64::MAX));
    }
}

fn history(visit: &mut Visit<'_>, event: &[u8]) {
    if event != COMMAND_EVENT.as_bytes() {
        return visit.reply().array(0);
    }
    let spikes: Vec<_> = visit.clients.latency.history().copied().collect();
    let mut reply = visit.reply();
    reply.array(spikes.len());
    for spike in spikes {
        reply.array(2);
        reply.int(i64::try_from(spike.at).unwrap_or(i64::MAX));
        reply.int(i64::try_from(spike.ms).unwrap_or(i64::MAX));
    }
}

fn doctor(visit: &mut Visit<'_>) {
    let text = match (visit.clients.latency.threshold_ms, visit.clients.latency.latest()) {
        (0, _) => {
            "Latency monitoring is off. Turn it on with CONFIG SET latency-monitor-threshold \
             <milliseconds>.\n"
                .to_owned()
        }
        (_, None) => "No command took longer than the threshold.\n".to_owned(),
        (_, Some((spike, worst))) => format!(
            "Commands were slow: the last spike took {} ms, the worst {worst} ms. See SLOWLOG GET.\n",
            spike.ms
        ),
    };
    visit.reply().verbatim(*b"txt", text.as_bytes());
}

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
];
