//! `tandem witness` as a real process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

fn witness(listen: &str, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .args(["witness", "--listen", listen, "--data-dir"])
        .arg(folder)
        .args(more)
        .stderr(Stdio::piped());
    command
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_witness_beyond_loopback_needs_a_secret_and_says_how() {
    let folder = TempDir::new().unwrap();
    let said = witness("0.0.0.0:0", &folder.path().join("data"), &[]).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(text.contains("auth.peer_secret_file") && text.contains("--config"), "{text}");
}

#[test]
fn a_directory_has_one_witness_and_a_wrong_file_is_named() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut first = Running(witness("127.0.0.1:0", &data, &[]).spawn().unwrap());
    let mut lines = BufReader::new(first.0.stderr.take().unwrap()).lines();
    let started = lines.next().unwrap().unwrap();
    assert!(started.contains("starts as a witness"), "{started}");
    let second = witness("127.0.0.1:0", &data, &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).unwrap().contains("in use by another process"));

    let file = folder.path().join("witness.toml");
    std::fs::write(&file, "[auth]\npeer_secret = \"x\"\n").unwrap();
    let other = folder.path().join("other");
    let wrong =
        witness("127.0.0.1:0", &other, &["--config", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("line 2") && text.contains("peer_secret_file"), "{text}");
}

#[test]
fn keepalived_without_an_address_to_move_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tandem.toml");
    let text = "[nodes.a]\nhost = \"127.0.0.1\"\ndata_dir = \"/nonexistent/a\"\n\
                [nodes.b]\nhost = \"127.0.0.2\"\ndata_dir = \"/nonexistent/b\"\n\
                [switch]\nby = \"mediator\"\n[switch.mediator]\nkind = \"KIND\"\nendpoints = [\"127.0.0.1:1\"]\n";
    std::fs::write(&file, text.replace("KIND", "keepalived")).unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["serve", "--node", "a", "--config", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("keepalived") && said.contains("vip.address"), "{said}");
}
