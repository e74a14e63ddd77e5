//! Debian's redis-server as the thing to compare with, and to try the tools on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait;

/// A running redis-server with a folder of its own.
#[derive(Debug)]
pub struct RedisServer {
    // Before the folder: the process must be gone when the folder is removed.
    process: Process,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one with `extra` options, such as `["--appendonly", "yes"]`.
    pub fn start(extra: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let text = |text: &str| text.to_owned();
        let mut arguments = vec![
            text("--port"),
            port.to_string(),
            text("--bind"),
            text("127.0.0.1"),
            text("--dir"),
            folder.path().display().to_string(),
            text("--save"),
            text(""),
        ];
        arguments.extend(extra.iter().map(|option| text(option)));
        let process = Self::launch(&arguments, folder.path());
        let server = Self { process, port, folder, arguments };
        server.wait_ready();
        server
    }

    fn launch(arguments: &[String], folder: &Path) -> Process {
        Process::start("redis", Path::new("redis-server"), arguments, &folder.join("log"))
    }

    fn wait_ready(&self) {
        wait::until("redis-server answers", Duration::from_secs(10), || {
            Client::connect(self.address())?.command(&["PING"])
        });
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(self.address()).expect("redis-server accepts")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// `kill -9`, then the same command again.
    pub fn crash_and_restart(&mut self) {
        self.process.kill();
        self.process = Self::launch(&self.arguments, self.folder.path());
        self.wait_ready();
    }
}
