//! The clients that people use, as they are: redis-cli, redis-py, ioredis, redis-rs, over RESP2 and RESP3.
//!
//! `cargo xtask e2e` installs the libraries and names them in `TANDEM_E2E_PYTHON` and `NODE_PATH`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Commands as _, ControlFlow, PubSubCommands as _};
use tandem_e2e::client::encode;
use tandem_e2e::machine::{has_program, target_folder};
use tandem_e2e::single::Single;
use tandem_e2e::skip::skipped;

/// Longest run of one of the small programs.
const PROGRAM_DEADLINE: Duration = Duration::from_mins(1);

/// Runs a program to its end; its standard output if it succeeded.
#[track_caller]
fn run(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let began = Instant::now();
    while child.try_wait().expect("a child can be asked for").is_none() {
        if began.elapsed() > PROGRAM_DEADLINE {
            child.kill().expect("a child can be killed");
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("a child has an output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

#[test]
fn redis_py_runs_over_both_protocols() {
    let python = std::env::var_os("TANDEM_E2E_PYTHON")
        .map_or_else(|| target_folder().join("clients/venv/bin/python"), PathBuf::from);
    if !python.is_file() {
        return skipped("redis-py", "no python with redis-py (TANDEM_E2E_PYTHON)");
    }
    let mut server = Single::start();
    for protocol in ["2", "3"] {
        let text = run(Command::new(&python).arg(script("redis_py.py")).args([
            "127.0.0.1",
            &server.address().port().to_string(),
            protocol,
        ]));
        assert!(text.starts_with("ok"), "{text}");
    }
    server.assert_serves();
}

#[test]
fn ioredis_runs_over_both_protocols() {
    let modules = std::env::var_os("NODE_PATH")
        .map_or_else(|| target_folder().join("clients/node_modules"), PathBuf::from);
    if !modules.join("ioredis").is_dir() || !has_program("node") {
        return skipped("ioredis", "no node with ioredis (NODE_PATH)");
    }
    let mut server = Single::start();
    for protocol in ["2", "3"] {
        let text = run(Command::new("node")
            .arg(script("ioredis.cjs"))
            .args(["127.0.0.1", &server.address().port().to_string(), protocol])
            .env("NODE_PATH", &modules));
        assert!(text.starts_with("ok"), "{text}");
    }
    server.assert_serves();
}

#[test]
fn redis_cli_and_redis_benchmark_run() {
    if !has_program("redis-cli") {
        return skipped("redis-cli", "redis-tools is not installed");
    }
    let mut server = Single::start();
    let port = server.address().port().to_string();
    let cli = |words: &[&str]| {
        run(Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(words))
    };
    for version in ["-2", "-3"] {
        assert_eq!(cli(&[version, "FLUSHALL"]), "OK\n");
        assert_eq!(cli(&[version, "SET", "k", "v"]), "OK\n");
        assert_eq!(cli(&[version, "GET", "k"]), "v\n");
        assert_eq!(cli(&[version, "HSET", "h", "f", "1", "g", "2"]), "2\n");
        assert!(cli(&[version, "--json", "HGETALL", "h"]).contains("\"f\""));
        assert_eq!(cli(&[version, "ZADD", "z", "1.5", "m"]), "1\n");
        assert_eq!(cli(&[version, "ZSCORE", "z", "m"]), "1.5\n");
        assert!(cli(&[version, "INFO", "server"]).contains("redis_version"));
        assert!(cli(&[version, "CLIENT", "LIST"]).contains("cmd=client"));
        assert!(cli(&[version, "LPUSH", "k", "x"]).contains("WRONGTYPE"));
    }
    for number in 0..200 {
        cli_pipe(&port, number);
    }
    assert_eq!(cli(&["GET", "pipe199"]), "199\n");
    assert!(cli(&["--bigkeys"]).contains("Biggest"));
    assert!(cli(&["--scan", "--pattern", "pipe1*"]).contains("pipe11"));
    let figures = run(Command::new("redis-benchmark")
        .args(["-p", &port, "-n", "2000", "-q", "-P", "8"])
        .args([
            "-t",
            "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset",
        ]));
    assert!(figures.contains("MSET (10 keys)"), "{figures}");
    server.assert_serves();
}

/// One command through `redis-cli --pipe` would be many connections; the first call loads all at once.
fn cli_pipe(port: &str, number: u32) {
    if number > 0 {
        return;
    }
    let mut child = Command::new("redis-cli")
        .args(["-p", port, "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli starts");
    let mut input = child.stdin.take().expect("it has an input");
    for number in 0..200 {
        let number = number.to_string();
        let key = format!("pipe{number}");
        input.write_all(&encode(&[b"SET", key.as_bytes(), number.as_bytes()])).expect("written");
    }
    drop(input);
    let output = child.wait_with_output().expect("redis-cli ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("errors: 0, replies: 200"), "{text}");
}

fn redis_rs(server: &Single, protocol: &str) -> redis::Client {
    let port = server.address().port();
    let suffix = if protocol == "3" { "?protocol=resp3" } else { "" };
    redis::Client::open(format!("redis://127.0.0.1:{port}/{suffix}")).expect("a fine address")
}

#[test]
fn redis_rs_runs_over_both_protocols() {
    let mut server = Single::start();
    for protocol in ["2", "3"] {
        let client = redis_rs(&server, protocol);
        let mut c = client.get_connection().expect("connected");
        let () = redis::cmd("FLUSHALL").query(&mut c).expect("flushed");
        let () = c.set("s", "v").expect("set");
        assert_eq!(c.get::<_, String>("s").expect("read"), "v");
        assert_eq!(c.get::<_, Option<String>>("none").expect("read"), None);
        assert_eq!(c.incr::<_, _, i64>("n", 5).expect("counted"), 5);
        let () = c.hset_multiple("h", &[("f", "1"), ("g", "2")]).expect("set");
        let map: BTreeMap<String, i64> = c.hgetall("h").expect("read");
        assert_eq!(map, BTreeMap::from([("f".to_owned(), 1), ("g".to_owned(), 2)]));
        let () = c.rpush("l", &["a", "b", "c"]).expect("pushed");
        assert_eq!(c.lrange::<_, Vec<String>>("l", 0, -1).expect("read"), ["a", "b", "c"]);
        let () = c.sadd("set", &["x", "y"]).expect("added");
        let members: BTreeSet<String> = c.smembers("set").expect("read");
        assert_eq!(members.len(), 2);
        let () = c.zadd_multiple("z", &[(1.0, "one"), (2.5, "two")]).expect("added");
        let scores: Vec<(String, f64)> = c.zrange_withscores("z", 0, -1).expect("read");
        assert_eq!(scores, [("one".to_owned(), 1.0), ("two".to_owned(), 2.5)]);
        let (first, second): (i64, i64) = redis::pipe()
            .atomic()
            .cmd("INCR")
            .arg("m")
            .cmd("INCR")
            .arg("m")
            .query(&mut c)
            .expect("executed");
        assert_eq!((first, second), (1, 2));
        let swapped: Option<(String,)> = redis::transaction(&mut c, &["n"], |c, pipe| {
            let value: i64 = c.get("n")?;
            pipe.set("n", value * 10).query(c)
        })
        .expect("executed");
        assert_eq!(swapped.expect("nobody interfered").0, "OK");
        let mut pipe = redis::pipe();
        for number in 0..1_000 {
            pipe.set(format!("p{number}"), number).ignore();
        }
        let () = pipe.query(&mut c).expect("executed");
        let found: BTreeSet<String> = c
            .scan_match::<_, String>("p*")
            .expect("scanned")
            .map(|key| key.expect("a key"))
            .collect();
        assert_eq!(found.len(), 1_000);
        let error = c.lpush::<_, _, i64>("s", "x").expect_err("a wrong type");
        assert_eq!(error.code(), Some("WRONGTYPE"));
        let popped: Option<(String, String)> = c.blpop("nothing", 0.1).expect("waited");
        assert_eq!(popped, None);
        let () = c.rpush("q", "job").expect("pushed");
        let popped: Option<(String, String)> = c.blpop("q", 1.0).expect("popped");
        assert_eq!(popped, Some(("q".to_owned(), "job".to_owned())));
    }
    server.assert_serves();
}

#[test]
fn redis_rs_subscribes() {
    let server = Single::start();
    let client = redis_rs(&server, "2");
    let mut subscriber = client.get_connection().expect("connected");
    let address = server.address();
    let publisher = std::thread::spawn(move || {
        let client = redis::Client::open(format!("redis://{address}/")).expect("a fine address");
        let mut connection = client.get_connection().expect("connected");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let heard: i64 = connection.publish("c", "hello").expect("published");
            if heard == 1 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nobody subscribed");
    });
    let text: String = subscriber
        .subscribe(&["c"], |message| ControlFlow::Break(message.get_payload().expect("a text")))
        .expect("subscribed");
    assert_eq!(text, "hello");
    publisher.join().expect("the publisher ends");
}
