//! Running redis-benchmark and reading its figures.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::measure::{Figures, Load};

/// Keys are drawn from this many.
const KEY_SPACE: u32 = 1_000_000;

/// Instead of a command: a script by its digest, as limiters send it.
pub(crate) const SCRIPT: &str = "evalsha";
/// Counts, and sets a deadline the first time.
const LIMITER: &str = "local n = redis.call('INCR', KEYS[1]) \
    if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n";

/// Runs `load` against `port` of this machine.
pub(crate) fn run(port: u16, load: &Load, requests: u64) -> anyhow::Result<Figures> {
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "--csv"])
        .args(["-c", &load.clients.to_string(), "-P", &load.pipeline.to_string()])
        .args(["-d", "64", "-r", &KEY_SPACE.to_string(), "-n", &requests.to_string()]);
    if load.command == SCRIPT {
        // Its name stands in the figures, where a comma would end it: so not by its text.
        command.args(["EVALSHA", &load_script(port)?, "1", "limit:__rand_int__", "60000"]);
    } else {
        command.args(["-t", load.command]);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("start redis-benchmark (Debian: redis-tools)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "redis-benchmark: {}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&text).with_context(|| format!("read redis-benchmark's figures: {text}"))
}

/// The digest of the script, which the server then knows.
fn load_script(port: u16) -> anyhow::Result<String> {
    let output = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "SCRIPT", "LOAD", LIMITER])
        .stdin(Stdio::null())
        .output()
        .context("start redis-cli (Debian: redis-tools)")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(text.len() == 40, "SCRIPT LOAD was answered with {text:?}");
    Ok(text)
}

/// The last line of `"test","rps","avg_latency_ms","min","p50","p95","p99","max"`.
fn parse(csv: &str) -> anyhow::Result<Figures> {
    let line = csv.lines().rfind(|line| line.starts_with('"')).context("no line of figures")?;
    let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
    let number = |index: usize| -> anyhow::Result<f64> {
        Ok(fields.get(index).context("a figure is missing")?.parse()?)
    };
    Ok(Figures { per_second: number(1)?, p50_ms: number(4)?, p99_ms: number(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_version_7_are_read() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
                   \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
                   \"SET\",\"91743.12\",\"0.285\",\"0.088\",\"0.279\",\"0.367\",\"0.463\",\"0.791\"\n";
        let figures = parse(csv).unwrap();
        assert!((figures.per_second - 91_743.12).abs() < 0.001);
        assert!((figures.p50_ms - 0.279).abs() < 0.001);
        assert!((figures.p99_ms - 0.463).abs() < 0.001);
    }
}
