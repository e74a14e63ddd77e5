//! Runs Redis 7.0.15's own Tcl suite, in its external mode, against any server.
//!
//! The source comes from Debian (`apt-get source redis`, through a private apt configuration, so that
//! the machine's own is not touched) and is unpacked below `target/`; it never enters the repository.
//! Each file runs by itself with the flags that Redis documents for foreign servers. Two lines of its
//! harness are relaxed, see [`relax`]; no test is changed.
//!
//! Usage: `tcl-suite [--port P] [--host H] [--work DIR] [--skips FILE] [--json FILE] [unit/type/hash ...]`
//! Without `--port` it starts a node of the program under test (`TANDEM_BIN`) for itself.
//! Exit status: 0 if nothing failed outside the skip list, 1 otherwise.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a table on standard output is what this program is for")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tandem_e2e::single::Single;

/// What the suite must cover, in Redis' own order: `unit/type/list` leaves settings behind
/// (`proto-max-bulk-len`) on which `unit/protocol` would hang.
const FILES: &[&str] = &[
    "unit/protocol",
    "unit/keyspace",
    "unit/scan",
    "unit/info",
    "unit/type/string",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/type/zset",
    "unit/type/hash",
    "unit/type/stream",
    "unit/type/stream-cgroups",
    "unit/geo",
    "unit/expire",
    "unit/multi",
    "unit/pubsub",
];

/// Tags of tests that a foreign server cannot pass by design.
const TAGS: &str = "-needs:debug -needs:repl -slow -cli";

/// One file never takes this long on a healthy server (the longest takes about 30 s).
const FILE_DEADLINE: Duration = Duration::from_mins(4);

const APT_SOURCES: &str = "\
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
";

struct Arguments {
    host: String,
    port: u16,
    work: PathBuf,
    skips: PathBuf,
    json: Option<PathBuf>,
    files: Vec<String>,
}

/// A test that the skip list excuses, with the reason.
struct Skip {
    file: String,
    test: String,
    reason: String,
}

#[derive(Default)]
struct FileResult {
    file: String,
    passed: usize,
    ignored: usize,
    /// Name and text of each failure.
    failed: Vec<(String, String)>,
    seconds: f32,
    /// The run broke off instead of ending.
    aborted: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = parse_arguments()?;
    let started = (arguments.port == 0).then(Single::start);
    if let Some(server) = &started {
        arguments.port = server.address().port();
    }
    let source = fetch(&arguments.work)?;
    relax(&source)?;
    let skips = read_skips(&arguments.skips)?;
    let mut results = Vec::new();
    for file in &arguments.files {
        let result = run_file(&source, &arguments, file)?;
        print_line(&result);
        results.push(result);
    }
    let unexcused = print_summary(&results, &skips);
    if let Some(path) = &arguments.json {
        std::fs::write(path, to_json(&results)).context("write the JSON report")?;
    }
    Ok(if unexcused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse_arguments() -> anyhow::Result<Arguments> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let mut arguments = Arguments {
        host: "127.0.0.1".to_owned(),
        port: 0,
        work: target.join("tcl"),
        skips: workspace.join("crates/tandem-e2e/tcl-skips.txt"),
        json: None,
        files: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--host" => arguments.host = value()?,
            "--port" => arguments.port = value()?.parse().context("--port")?,
            "--work" => arguments.work = value()?.into(),
            "--skips" => arguments.skips = value()?.into(),
            "--json" => arguments.json = Some(value()?.into()),
            _ if word.starts_with('-') => bail!("unknown option {word}"),
            _ => arguments.files.push(word),
        }
    }
    if arguments.files.is_empty() {
        arguments.files = FILES.iter().map(|&file| file.to_owned()).collect();
    }
    Ok(arguments)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Downloads and unpacks the source unless that was done before; returns its folder.
fn fetch(work: &Path) -> anyhow::Result<PathBuf> {
    let source = work.join("redis-7.0.15");
    if source.join("tests/test_helper.tcl").is_file() {
        return Ok(source);
    }
    std::fs::create_dir_all(work.join("state/lists/partial"))?;
    std::fs::create_dir_all(work.join("cache/archives/partial"))?;
    let work = work.canonicalize()?;
    let sources = work.join("sources.list");
    std::fs::write(&sources, APT_SOURCES)?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .current_dir(&work)
            .arg(format!("-oDir::Etc::SourceList={}", sources.display()))
            .arg("-oDir::Etc::SourceParts=/dev/null")
            .arg(format!("-oDir::State={}", work.join("state").display()))
            .arg(format!("-oDir::Cache={}", work.join("cache").display()))
            .arg("-oAPT::Sandbox::User=root")
            .args(arguments);
        run(&mut command)
    };
    apt(&["update"]).context("read Debian's source index")?;
    apt(&["source", "--download-only", "redis"]).context("download the source of redis")?;
    let archive = work.join("redis_7.0.15.orig.tar.gz");
    run(Command::new("tar").current_dir(&work).arg("xzf").arg(archive))?;
    for program in ["redis-server", "redis-cli", "redis-benchmark"] {
        let link = source.join("src").join(program);
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(program), link)?;
    }
    Ok(work.join("redis-7.0.15"))
}

/// Lets the harness go on where a foreign server has no such command or setting.
///
/// Before each file it sends `FUNCTION FLUSH`, and `CONFIG SET` of encodings limits that have no meaning
/// outside Redis (`list-max-listpack-size`); an error there would end the whole file.
fn relax(source: &Path) -> anyhow::Result<()> {
    let path = source.join("tests/support/server.tcl");
    let text = std::fs::read_to_string(&path).context("read the harness")?;
    let relaxed = text
        .replace("\n    r function flush\n", "\n    catch {r function flush}\n")
        .replace(
            "\n        r config set $param $val\n\n        # If we enable",
            "\n        catch {r config set $param $val}\n\n        # If we enable",
        )
        .replace(
            "\n    dict for {param val} $saved_config {\n        r config set $param $val\n",
            "\n    dict for {param val} $saved_config {\n        catch {r config set $param $val}\n",
        );
    ensure!(relaxed.matches("catch {r ").count() == 3, "the harness is not that of Redis 7.0.15");
    if relaxed != text {
        std::fs::write(&path, relaxed)?;
    }
    Ok(())
}

fn read_skips(path: &Path) -> anyhow::Result<Vec<Skip>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            let [file, test, reason] = parts[..] else {
                bail!("a skip is `file TAB test name TAB reason`: {line}")
            };
            ensure!(!reason.trim().is_empty(), "a skip needs a reason: {line}");
            Ok(Skip { file: file.into(), test: test.into(), reason: reason.into() })
        })
        .collect()
}

fn run_file(source: &Path, arguments: &Arguments, file: &str) -> anyhow::Result<FileResult> {
    let start = Instant::now();
    let log = arguments.work.join(format!("{}.log", file.replace('/', "-")));
    let out = std::fs::File::create(&log)?;
    // The controller listens on baseport - 32; derived from the port under test, so that two runs
    // beside one another do not meet.
    let base = 24_000 + (arguments.port % 6_000);
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "tclsh", "tests/test_helper.tcl"])
        .args(["--host", &arguments.host, "--port", &arguments.port.to_string()])
        .args(["--baseport", &base.to_string(), "--singledb", "--ignore-encoding"])
        .args(["--ignore-digest", "--tags", TAGS, "--clients", "1", "--durable"])
        .args(["--timeout", "120", "--single", file])
        .current_dir(source)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .context("start tclsh (Debian: tcl)")?;
    let mut late = false;
    while child.try_wait()?.is_none() {
        if start.elapsed() > FILE_DEADLINE {
            late = true;
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = strip_colours(&String::from_utf8_lossy(&std::fs::read(&log)?));
    let mut result = parse_log(&text);
    file.clone_into(&mut result.file);
    result.seconds = start.elapsed().as_secs_f32();
    if late {
        result.aborted = Some(format!("no end within {FILE_DEADLINE:?}"));
    }
    Ok(result)
}

fn strip_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(|&c| c == 'm');
        } else {
            out.push(character);
        }
    }
    out
}

/// Reads `[ok]: name (1 ms)`, `[ignore]: ...`, `[err]: name in file` with the lines of text after it.
fn parse_log(text: &str) -> FileResult {
    let mut result = FileResult::default();
    let mut in_failure = false;
    let mut ended = false;
    for line in text.lines() {
        if line.starts_with("[ok]: ") {
            result.passed += 1;
            in_failure = false;
        } else if line.starts_with("[ignore]: ") || line.starts_with("[skip]: ") {
            result.ignored += 1;
            in_failure = false;
        } else if let Some(name) = line.strip_prefix("[err]: ") {
            let name = name.rsplit_once(" in tests/").map_or(name, |(name, _)| name);
            result.failed.push((name.to_owned(), String::new()));
            in_failure = true;
        } else if line.starts_with('[') || line.trim() == "The End" {
            ended |= line.trim() == "The End";
            in_failure = false;
        } else if in_failure && let Some((_, text)) = result.failed.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    if !ended {
        let tail: Vec<&str> = text.lines().rev().take(12).collect();
        result.aborted = Some(tail.into_iter().rev().collect::<Vec<_>>().join(" | "));
    }
    result
}

fn print_line(result: &FileResult) {
    println!(
        "{:<20} {:>4} ok {:>4} err {:>4} ignored {:>6.1} s{}",
        result.file,
        result.passed,
        result.failed.len(),
        result.ignored,
        result.seconds,
        if result.aborted.is_some() { "  BROKE OFF" } else { "" }
    );
}

/// Prints totals and each failure; returns how many nobody excuses.
fn print_summary(results: &[FileResult], skips: &[Skip]) -> usize {
    let sum = |count: fn(&FileResult) -> usize| results.iter().map(count).sum::<usize>();
    println!(
        "{:<20} {:>4} ok {:>4} err {:>4} ignored",
        "total",
        sum(|result| result.passed),
        sum(|result| result.failed.len()),
        sum(|result| result.ignored)
    );
    let mut unexcused = 0;
    for result in results {
        for (test, text) in &result.failed {
            let skip = skips.iter().find(|skip| skip.file == result.file && skip.test == *test);
            let first = text.lines().next().unwrap_or_default();
            if let Some(skip) = skip {
                println!("excused  {} : {test}: {}", result.file, skip.reason);
            } else {
                unexcused += 1;
                println!("FAILED   {} : {test}: {first}", result.file);
            }
        }
        if let Some(aborted) = &result.aborted {
            unexcused += 1;
            println!("BROKE OFF {}: {aborted}", result.file);
        }
    }
    for skip in skips {
        let ran = results.iter().find(|result| result.file == skip.file);
        let failed = |result: &FileResult| result.failed.iter().any(|(test, _)| *test == skip.test);
        if ran.is_some_and(|result| !failed(result) && result.aborted.is_none()) {
            println!("PASSES NOW, take it off the skip list: {} : {}", skip.file, skip.test);
            unexcused += 1;
        }
    }
    unexcused
}

fn to_json(results: &[FileResult]) -> String {
    let list: Vec<serde_json::Value> = results
        .iter()
        .map(|result| {
            let failed: Vec<serde_json::Value> = result
                .failed
                .iter()
                .map(|(test, text)| serde_json::json!({"test": test, "text": text}))
                .collect();
            serde_json::json!({
                "file": result.file, "ok": result.passed, "ignored": result.ignored,
                "failed": failed, "seconds": result.seconds, "broke_off": result.aborted,
            })
        })
        .collect();
    serde_json::Value::Array(list).to_string()
}
