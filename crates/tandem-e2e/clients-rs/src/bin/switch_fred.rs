//! fred through Sentinel: `switch_fred SENTINELS PAIR NAME`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fred::prelude::*;
use fred::types::config::UnresponsiveConfig;
use tandem_e2e_clients::{REST, addresses, now, say, watch_for_end};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (sentinels, pair, name) = (addresses(&words[1]), words[2].clone(), words[3].clone());
    let config = Config { server: ServerConfig::new_sentinel(sentinels, pair), ..Config::default() };
    let client = Builder::from_config(config)
        .with_performance_config(|config| config.default_command_timeout = Duration::from_secs(5))
        .with_connection_config(|config| {
            config.connection_timeout = Duration::from_millis(500);
            config.internal_command_timeout = Duration::from_millis(500);
            // Without it a server that is frozen, or a machine that is gone, is waited for.
            config.unresponsive = UnresponsiveConfig {
                max_timeout: Some(Duration::from_secs(1)),
                interval: Duration::from_millis(200),
            };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 50))
        .build()
        .unwrap();
    client.init().await.unwrap();
    let over = watch_for_end();
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        for set in [false, true] {
            let begun = now();
            let done = if set {
                let key = format!("{name}:{number}");
                let set = client.set::<(), _, _>(key, number.to_string(), None, None, false).await;
                set.map(|()| format!("set {number}"))
            } else {
                client.incr::<i64, _>(&name).await.map(|value| format!("incr {value}"))
            };
            say(begun, &done.unwrap_or_else(|error| format!("err {error}")));
        }
        tokio::time::sleep(REST).await;
    }
}
