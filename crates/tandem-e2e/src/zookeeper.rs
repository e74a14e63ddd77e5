//! Debian's `ZooKeeper` as the mediator of a pair.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::pair::PairOptions;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait;

const JAR: &str = "/usr/share/java/zookeeper.jar";
/// Java on a busy machine.
const START_TIME_MAX: Duration = Duration::from_mins(1);

/// One server, alone.
#[derive(Debug)]
pub struct ZooKeeper {
    // Before the folder: the process must be gone when the folder is removed.
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl ZooKeeper {
    /// Starts one that grants sessions of two to twenty `tick`s.
    #[track_caller]
    pub fn start(tick: Duration) -> Self {
        assert!(Path::new(JAR).is_file(), "{JAR} is missing: install Debian's zookeeper");
        let folder = TempDir::with_prefix("tandem-e2e-zookeeper-").expect("a temporary folder");
        let root = folder.path();
        let port = free_port();
        let config = root.join("zoo.cfg");
        let text = format!(
            "tickTime={}\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n",
            tick.as_millis(),
            root.join("data").display()
        );
        std::fs::write(&config, text).expect("the folder is writable");
        let arguments = [
            "-Xmx128m".to_owned(),
            "-cp".to_owned(),
            format!("{}:{JAR}", root.display()),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned(),
            config.display().to_string(),
        ];
        let process = Process::start("zookeeper", Path::new("java"), &arguments, &root.join("log"));
        let mut server = Self { process, port, _folder: folder };
        wait::until("ZooKeeper serves", START_TIME_MAX, || {
            server.process.assert_running();
            // `ruok` would say so before it serves.
            let said = server.says("srvr").unwrap_or_default();
            if said.contains("Mode:") { Ok(()) } else { Err(said) }
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it says to a command of four letters.
    ///
    /// # Errors
    /// It does not answer.
    pub fn says(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(command.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// A pair that asks it, as `options` says besides.
    #[must_use]
    pub fn for_pair(&self, mut options: PairOptions, session: &str) -> PairOptions {
        options.by = "mediator";
        let mediator = format!(
            "[switch.mediator]\nkind = \"zookeeper\"\nendpoints = [\"{}\"]\nsession = \"{session}\"\n",
            self.address()
        );
        options.more.push_str(&mediator);
        options
    }
}
