//! Which libraries take part, and how their programs are started.
//!
//! `TANDEM_E2E_LIBRARIES=redis-py,fred` lets only these take part.

use std::path::PathBuf;

use tandem_e2e::hosts::{PAIR, Rig};
use tandem_e2e::machine::{has_program, target_folder};
use tandem_e2e::skip::skipped;

use crate::program::Program;

/// Ways through Sentinel: name in the table, program with what stands before its targets.
type Way = (&'static str, Option<Vec<String>>);

/// Every library that finds the primary through Sentinel. All know the ports of the two nodes only; one
/// knows that of the witness only.
pub(crate) fn through_sentinel(rig: &Rig) -> Vec<Program> {
    let ways: [Way; 10] = [
        ("redis-py", python("sentinel")),
        ("redis-py-asyncio", python("sentinel-async")),
        ("ioredis", node("ioredis", "ioredis")),
        ("ioredis-failoverDetector", node("ioredis", "ioredis-detector")),
        ("node-redis", node("redis", "node-redis")),
        ("redis-rs", rust("switch_redis_rs")),
        ("fred", rust("switch_fred")),
        ("redis-rb", interpreted("ruby", "redis", "switch_redis_rb.rb")),
        ("phpredis", interpreted("php", "redis", "switch_phpredis.php")),
        ("redis-py-by-witness", python("sentinel")),
    ];
    let target = |name: &str| match name {
        "redis-py-by-witness" => rig.witness_sentinel().to_string(),
        _ => rig.sentinels(),
    };
    start(rig, &ways, target)
}

/// RESP3 libraries that know one address, follow `MOVING` messages, and have no Sentinel at all.
pub(crate) fn plain(rig: &Rig) -> Vec<Program> {
    let ways: [Way; 3] = [
        ("redis-py-plain", python("plain")),
        ("redis-py-asyncio-plain", python("plain-async")),
        ("node-redis-plain", node("redis", "node-redis-plain")),
    ];
    start(rig, &ways, |_| rig.nodes[0].address().to_string())
}

fn start(rig: &Rig, ways: &[Way], target: impl Fn(&str) -> String) -> Vec<Program> {
    let mut programs = Vec::new();
    let only = std::env::var("TANDEM_E2E_LIBRARIES").unwrap_or_default();
    for (name, command) in ways {
        if !only.is_empty() && !only.split(',').any(|one| one == *name) {
            continue;
        }
        let Some(command) = command else {
            skipped(name, "the library is not installed");
            continue;
        };
        let mut command = command.clone();
        command.extend([target(name), PAIR.to_owned(), (*name).to_owned()]);
        programs.push(Program::start(name, &command, rig.folder()));
    }
    programs
}

fn script(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients");
    folder.join(name).display().to_string()
}

/// redis-py in the environment that `cargo xtask e2e` makes.
fn python(mode: &str) -> Option<Vec<String>> {
    let python = std::env::var_os("TANDEM_E2E_PYTHON")
        .map_or_else(|| target_folder().join("clients/venv/bin/python"), PathBuf::from);
    let words = vec![python.display().to_string(), script("switch_redis_py.py"), mode.to_owned()];
    python.is_file().then_some(words)
}

fn node(library: &str, mode: &str) -> Option<Vec<String>> {
    let modules = std::env::var_os("NODE_PATH")
        .map_or_else(|| target_folder().join("clients/node_modules"), PathBuf::from);
    let words = vec![
        "env".to_owned(),
        format!("NODE_PATH={}", modules.display()),
        "node".to_owned(),
        script("switch_node.cjs"),
        mode.to_owned(),
    ];
    (modules.join(library).is_dir() && has_program("node")).then_some(words)
}

/// The programs of `clients-rs`, which `cargo xtask e2e` builds.
fn rust(program: &str) -> Option<Vec<String>> {
    let folder = std::env::var_os("TANDEM_E2E_RUST_CLIENTS")
        .map_or_else(|| target_folder().join("clients/rs/debug"), PathBuf::from);
    let program = folder.join(program);
    program.is_file().then(|| vec![program.display().to_string()])
}

/// Debian's own packages: the interpreter is asked whether it has the library.
fn interpreted(interpreter: &str, library: &str, program: &str) -> Option<Vec<String>> {
    let test = match interpreter {
        "ruby" => format!("require '{library}'"),
        _ => format!("exit(extension_loaded('{library}') ? 0 : 1);"),
    };
    let flag = if interpreter == "ruby" { "-e" } else { "-r" };
    let asked = std::process::Command::new(interpreter).args([flag, &test]).output();
    let there = asked.is_ok_and(|output| output.status.success());
    there.then(|| vec![interpreter.to_owned(), script(program)])
}
