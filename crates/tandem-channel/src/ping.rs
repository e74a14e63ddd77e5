//! Whether this node's own network works: can it reach any of the addresses that it is told to try?

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The port that is tried where there is no `ping` program: refused is an answer too (RFC 863 discard).
const PORT: u16 = 9;

/// Tries all of them at once; `true` as soon as one answers within `patience`.
pub async fn reach_any(targets: &[String], patience: Duration) -> bool {
    let mut attempts = JoinSet::new();
    for target in targets {
        let target = target.clone();
        attempts.spawn(async move {
            timeout(patience, reach(&target, patience)).await.unwrap_or(false)
        });
    }
    while let Some(ended) = attempts.join_next().await {
        if ended.unwrap_or(false) {
            return true;
        }
    }
    false
}

async fn reach(target: &str, patience: Duration) -> bool {
    let seconds = patience.as_secs().max(1).to_string();
    let ping = Command::new("ping")
        .args(["-n", "-q", "-c", "1", "-W", &seconds, target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match ping {
        Ok(status) => status.success(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match TcpStream::connect((target, PORT)).await {
                Ok(_) => true,
                Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            }
        }
        Err(_) => false,
    }
}
