//! redis-rs through Sentinel: `switch_redis_rs SENTINELS PAIR NAME`.
//!
//! Its connections do not reconnect by themselves: the program asks its client for another one after
//! an error, as the library's documentation says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{Commands as _, Connection, RedisResult};
use tandem_e2e_clients::{REST, addresses, now, say, watch_for_end};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (sentinels, pair, name) = (addresses(&words[1]), words[2].clone(), words[3].clone());
    let urls = sentinels.iter().map(|(host, port)| format!("redis://{host}:{port}/"));
    let mut client =
        SentinelClient::build(urls.collect(), pair, None, SentinelServerType::Master).unwrap();
    let over = watch_for_end();
    let mut open: Option<Connection> = None;
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        for set in [false, true] {
            let begun = now();
            match write(&mut client, &mut open, &name, set.then_some(number)) {
                Ok(line) => say(begun, &line),
                Err(error) => {
                    open = None;
                    say(begun, &format!("err {error}"));
                }
            }
        }
        std::thread::sleep(REST);
    }
}

fn write(
    client: &mut SentinelClient,
    open: &mut Option<Connection>,
    name: &str,
    set: Option<u64>,
) -> RedisResult<String> {
    let connection = match open {
        Some(connection) => connection,
        None => {
            let mut connection = client.get_connection()?;
            connection.set_read_timeout(Some(Duration::from_secs(2)))?;
            connection.set_write_timeout(Some(Duration::from_secs(2)))?;
            let () = redis::cmd("CLIENT").arg("SETNAME").arg(name).query(&mut connection)?;
            open.insert(connection)
        }
    };
    match set {
        Some(number) => {
            let () = connection.set(format!("{name}:{number}"), number)?;
            Ok(format!("set {number}"))
        }
        None => connection.incr(name, 1).map(|value: i64| format!("incr {value}")),
    }
}
