//! The program as people and scripts use it: words, exit statuses, and what it says.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn tandem(arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .env_remove("TANDEM_ADMIN")
        .env_remove("TANDEM_TOKEN")
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_example_passes_its_own_check_and_is_a_file_of_the_repository() {
    let folder = TempDir::new().unwrap();
    let list = tandem(&["config", "example"]);
    assert_eq!(list.code, Some(0));
    let names: Vec<&str> =
        list.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.len(), 9, "{}", list.out);
    for name in names {
        let example = tandem(&["config", "example", name]);
        let kept =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}.toml"));
        assert_eq!(example.out, std::fs::read_to_string(kept).unwrap(), "{name}");
        let path = file(&folder, name, &example.out);
        let check = tandem(&["config", "check", shown(&path)]);
        assert_eq!(check.code, Some(0), "{name}: {}", check.err);
        let refused = example.out.contains("NOT YET RUNNABLE");
        assert_eq!(check.out.contains("would refuse"), refused, "{name}: {}", check.out);
    }
}

#[test]
fn a_wrong_configuration_is_one_clear_line_per_problem_and_status_1() {
    let folder = TempDir::new().unwrap();
    let path =
        file(&folder, "tandem.toml", "[pair]\nnmae = \"x\"\n[nodes.a]\nhost = \"127.0.0.1\"\n");
    for arguments in
        [vec!["config", "check", shown(&path)], vec!["serve", "--config", shown(&path)]]
    {
        let said = tandem(&arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}");
        let want =
            format!("{}: line 2: unknown key `pair.nmae`; did you mean `pair.name`?", shown(&path));
        assert!(said.err.contains(&want), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn serve_refuses_what_this_version_cannot_do() {
    let folder = TempDir::new().unwrap();
    let text = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n[pair]\ntopology = \"primary-primary\"\n[switch]\nby = \"direct\"\n";
    let path = file(&folder, "tandem.toml", text);
    let said = tandem(&["serve", "--config", shown(&path), "--node", "a"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("line 8: `switch.by` = \"direct\""), "{}", said.err);
}

#[test]
fn show_tells_where_each_value_came_from() {
    let folder = TempDir::new().unwrap();
    let text = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n";
    let path = file(&folder, "tandem.toml", text);
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["config", "show", "--all", shown(&path)])
        .env("TANDEM_PAIR__NAME", "shop")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    for want in [
        ("pair.name = \"shop\"", "# environment, TANDEM_PAIR__NAME"),
        ("nodes.b.host = \"127.0.0.2\"", "# file, line 4"),
        ("nodes.b.bind = \"127.0.0.2\"", "# same as nodes.b.host"),
        ("replication.fsync = \"always\"", "# default"),
    ] {
        let found = out.lines().any(|line| line.starts_with(want.0) && line.ends_with(want.1));
        assert!(found, "{want:?} in\n{out}");
    }
}

#[test]
fn exit_statuses_tell_unreachable_from_wrong_usage_from_refused() {
    // Port 1 is nobody's.
    let nowhere = ["--admin", "http://127.0.0.1:1"];
    let status = tandem(&[&["status"], &nowhere[..]].concat());
    assert_eq!(status.code, Some(3), "{}", status.err);
    assert!(status.err.contains("no answer from http://127.0.0.1:1"), "{}", status.err);
    for verb in ["promote", "solo", "why", "history"] {
        assert_eq!(tandem(&[&[verb], &nowhere[..]].concat()).code, Some(1), "{verb}");
    }
    assert_eq!(tandem(&["promote", "--accept-loss", "many"]).code, Some(2));
    assert_eq!(tandem(&["serve"]).code, Some(2));
    assert_eq!(tandem(&["nonsense"]).code, Some(2));
    assert_eq!(tandem(&["check", "--data-dir", "/no/such/directory"]).code, Some(1));
}

#[test]
fn a_file_that_is_no_backup_is_refused_and_the_directory_stays_empty() {
    let folder = TempDir::new().unwrap();
    let wrong = file(&folder, "wrong", "this is no backup");
    let target = folder.path().join("data");
    let said = tandem(&["restore", shown(&wrong), "--data-dir", shown(&target)]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("does not begin like a Tandem backup"), "{}", said.err);
    assert!(!target.exists());
}

#[test]
fn completions_and_the_manual_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(tandem(&["completions", shell]).out.contains("promote"), "{shell}");
    }
    assert!(tandem(&["man"]).out.contains(".TH tandem"));
}

#[test]
fn config_check_refuses_what_serve_refuses_and_names_files_that_are_not_there() {
    let folder = TempDir::new().unwrap();
    let nodes = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n";
    let check = |text: &str| {
        let path = file(&folder, "tandem.toml", &format!("{nodes}{text}"));
        tandem(&["config", "check", shown(&path)])
    };
    let direct = check("[pair]\ntopology = \"primary-primary\"\n[switch]\nby = \"direct\"\n");
    assert_eq!(direct.code, Some(1), "{}", direct.out);
    assert!(direct.err.contains("`switch.by` = \"direct\""), "{}", direct.err);
    let own =
        check("[switch]\nby = \"mediator\"\n[switch.mediator]\nendpoints = [\"127.0.0.1:7379\"]\n");
    assert_eq!(own.code, Some(1), "{}", own.out);
    assert!(own.err.contains("`nodes.a.link_port` are both 127.0.0.1:7379"), "{}", own.err);
    let missing = check("[auth]\npeer_secret_file = \"/nonexistent/secret\"\n");
    assert_eq!(missing.code, Some(0), "{}", missing.err);
    assert!(
        missing.out.contains("`auth.peer_secret_file` = /nonexistent/secret"),
        "{}",
        missing.out
    );
}

#[test]
fn a_choice_that_cannot_be_is_refused_and_not_ignored() {
    let both = ["demo", "--topology", "primary-primary", "--switch", "mediator"];
    let demo = tandem(&both);
    assert_eq!(demo.code, Some(1), "{}", demo.out);
    assert!(demo.err.contains("leave --switch out"), "{}", demo.err);
    let notify =
        ["keepalived-notify", "--config", "/nonexistent", "INSTANCE", "tandem", "MSTER", "100"];
    let said = tandem(&notify);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("MSTER is no state"), "{}", said.err);
}
