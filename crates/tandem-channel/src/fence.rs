//! The fence command: makes sure that the peer is off; only exit status 0 says so.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// A command that takes longer has not made sure.
const TIME_MAX: Duration = Duration::from_mins(1);

/// Runs the command by the shell, with the peer's name and host in `TANDEM_PEER` and `TANDEM_PEER_HOST`.
///
/// # Errors
/// It could not be run, did not end in time, or ended with another status than 0: nothing is certain.
pub async fn fence(command: &str, peer: &str, host: &str) -> Result<(), String> {
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("TANDEM_PEER", peer)
        .env("TANDEM_PEER_HOST", host)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .status();
    match tokio::time::timeout(TIME_MAX, child).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{command}` ended with {status}")),
        Ok(Err(error)) => Err(format!("`{command}` could not be run: {error}")),
        Err(_) => Err(format!("`{command}` did not end within {} s", TIME_MAX.as_secs())),
    }
}
