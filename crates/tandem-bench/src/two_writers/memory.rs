//! Memory per key and per element: what a node's own count and its resident set grow by.
//!
//! One type after the other is filled into the same pair, and the growth divided by the number of elements.
//! With two writers also: what a write takes that the peer does not have, because it is away.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tandem_resp::ReplyParser;

use super::pair::{Pair, Topology};
use crate::failover::ask::ask;
use crate::server::Server;

/// Elements of one collection.
const ELEMENTS: u32 = 1_000;
/// Requests sent at once.
const BATCH: u32 = 1_000;

/// What one key or element takes.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    topology: Topology,
    what: &'static str,
    node: &'static str,
    /// By `used_memory`.
    counted: f64,
    /// By the resident set.
    resident: f64,
}

type Make = fn(u32) -> String;

const FILLS: [(&str, Make); 5] = [
    ("SET key of 14 bytes, value of 16", |n| format!("SET key:{n:010} value:{n:010}")),
    ("HSET field of 12, value of 12", |n| format!("HSET h:{} f:{n:010} v:{n:010}", n / ELEMENTS)),
    ("SADD member of 12", |n| format!("SADD s:{} m:{n:010}", n / ELEMENTS)),
    ("ZADD member of 12", |n| format!("ZADD z:{} {n} m:{n:010}", n / ELEMENTS)),
    ("RPUSH element of 12", |n| format!("RPUSH l:{} e:{n:010}", n / ELEMENTS)),
];

/// Fills `pair` with everything.
pub(super) fn measure(mut pair: Pair, count: u32) -> anyhow::Result<Vec<Growth>> {
    let mut found = Vec::new();
    for (what, make) in FILLS {
        let before = look_all(&pair)?;
        let address = pair.addresses().first().copied().context("a pair has two nodes")?;
        fill(address, count, make).with_context(|| format!("fill by {what}"))?;
        pair.check()?;
        pair.wait_settled()?;
        for ((node, before), after) in ["a", "b"].into_iter().zip(before).zip(look_all(&pair)?) {
            found.push(growth(pair.topology, what, node, count, before, after));
        }
    }
    if pair.topology == Topology::PrimaryPrimary {
        // The second node goes, the first one serves on.
        pair.nodes.truncate(1);
        let node = pair.nodes.first().context("a pair has two nodes")?;
        node.wait_for("INFO tandem", "tandem_peer_connected:0")?;
        let before = look(node)?;
        fill(node.address(), count, |n| format!("SET alone:{n:010} v:{n:010}"))?;
        let what = "SET key of 16, value of 12, peer away";
        found.push(growth(pair.topology, what, "a", count, before, look(node)?));
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug)]
struct Look {
    counted: i64,
    resident: i64,
}

fn look_all(pair: &Pair) -> anyhow::Result<Vec<Look>> {
    pair.nodes.iter().map(look).collect()
}

fn look(node: &Server) -> anyhow::Result<Look> {
    let told = ask(node.address(), &["INFO", "memory"])?;
    let text = String::from_utf8_lossy(told.as_bytes().unwrap_or_default()).into_owned();
    let counted = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let counted = counted.context("no used_memory")?.trim().parse()?;
    let resident = i64::try_from(node.resident_kib()? * 1024)?;
    Ok(Look { counted, resident })
}

fn growth(
    topology: Topology,
    what: &'static str,
    node: &'static str,
    count: u32,
    before: Look,
    after: Look,
) -> Growth {
    #[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^52 bytes")]
    let each = |grown: i64| grown as f64 / f64::from(count.max(1));
    Growth {
        topology,
        what,
        node,
        counted: each(after.counted - before.counted),
        resident: each(after.resident - before.resident),
    }
}

/// Sends `count` requests in batches, each answered before the next.
fn fill(address: SocketAddr, count: u32, make: Make) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let mut parser = ReplyParser::new();
    let mut next = 0;
    while next < count {
        let end = count.min(next + BATCH);
        let mut requests = Vec::new();
        for number in next..end {
            // Writing into memory cannot fail.
            write!(requests, "{}\r\n", make(number)).ok();
        }
        stream.write_all(&requests)?;
        for _ in next..end {
            let reply = loop {
                if let Some(reply) = parser.next_reply()? {
                    break reply;
                }
                receive(&mut stream, &mut parser)?;
            };
            ensure!(reply.as_error().is_none(), "{reply:?}");
        }
        next = end;
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, parser: &mut ReplyParser) -> anyhow::Result<()> {
    let mut bytes = [0; 16 << 10];
    match stream.read(&mut bytes)? {
        0 => bail!("the server closed the connection"),
        length => parser.feed(bytes.get(..length).unwrap_or_default()),
    }
    Ok(())
}

/// For people.
pub(super) fn table(found: &[Growth]) -> String {
    let mut out = format!(
        "bytes for each:\n{:<40} {:<16} {:>5} {:>10} {:>10}\n",
        "", "pair", "node", "counted", "resident"
    );
    for Growth { topology, what, node, counted, resident } in found {
        let name = topology.name();
        // Writing into a String cannot fail.
        writeln!(out, "{what:<40} {name:<16} {node:>5} {counted:>10.1} {resident:>10.1}").ok();
    }
    out
}

/// For programs.
pub(super) fn to_json(found: &[Growth]) -> serde_json::Value {
    let list = found.iter().map(|growth| {
        json!({
            "topology": growth.topology.name(), "what": growth.what, "node": growth.node,
            "counted_bytes": growth.counted, "resident_bytes": growth.resident,
        })
    });
    serde_json::Value::Array(list.collect())
}
