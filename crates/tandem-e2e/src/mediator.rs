//! The third party of a pair, as a process that can be hurt.

use std::fmt::Debug;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::net::Host;
use crate::node::tandem_program;
use crate::process::Process;
use crate::wait;

/// Kinds that the tests can put on the third machine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MediatorKind {
    /// The built-in one.
    #[default]
    Witness,
}

impl MediatorKind {
    /// `TANDEM_E2E_MEDIATOR`; the witness if unset. So every row can be played with every kind.
    pub fn from_environment() -> Self {
        match std::env::var("TANDEM_E2E_MEDIATOR").as_deref() {
            Err(_) | Ok("witness") => Self::Witness,
            Ok(other) => panic!("TANDEM_E2E_MEDIATOR: there is no mediator called {other}"),
        }
    }

    /// One on `host`, not started yet, with everything in `folder`; nodes prove `secret` to it.
    pub fn prepare(self, host: &Host, folder: &Path, secret: &Path) -> Box<dyn Mediator> {
        match self {
            Self::Witness => Box::new(Witness::new(host, folder, secret)),
        }
    }
}

/// What a fault does to a mediator, whatever kind it is.
pub trait Mediator: Debug + Send {
    /// Lines of `[switch.mediator]`.
    fn config(&self) -> String;
    /// Starts it, and waits until it can be reached.
    fn start(&mut self);
    /// `kill -9`.
    fn kill(&mut self);
    /// It stands still, and goes on with [`Self::thaw`].
    fn freeze(&mut self);
    /// It goes on.
    fn thaw(&mut self);
    /// All that it has on disk is gone. Only while it does not run.
    fn wipe(&mut self);
}

/// The built-in one.
#[derive(Debug)]
pub struct Witness {
    host: Host,
    data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

const WITNESS_PORT: u16 = 7390;

impl Witness {
    /// See [`MediatorKind::prepare`].
    pub fn new(host: &Host, folder: &Path, secret: &Path) -> Self {
        let config = folder.join("witness.toml");
        let text = format!("[auth]\npeer_secret_file = \"{}\"\n", secret.display());
        std::fs::write(&config, text).expect("the folder is writable");
        let (data, log) = (folder.join("witness"), folder.join("witness.log"));
        Self { host: host.clone(), data, config, log, process: None }
    }

    #[track_caller]
    fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("the witness runs")
    }
}

impl Mediator for Witness {
    fn config(&self) -> String {
        format!("kind = \"witness\"\nendpoints = [\"{}\"]\n", self.host.at(WITNESS_PORT))
    }

    #[track_caller]
    fn start(&mut self) {
        assert!(self.process.is_none(), "the witness runs already");
        let mut words = self.host.wrapper();
        words.push(tandem_program().display().to_string());
        words.extend(["witness", "--listen"].map(str::to_owned));
        words.push(self.host.at(WITNESS_PORT).to_string());
        words.extend(["--data-dir".to_owned(), self.data.display().to_string()]);
        words.extend(["--config".to_owned(), self.config.display().to_string()]);
        let program = PathBuf::from(words.remove(0));
        self.process = Some(Process::start("witness", &program, &words, &self.log));
        wait::until("the witness listens", Duration::from_secs(10), || {
            let address = self.host.at(WITNESS_PORT);
            self.host.enter(|| TcpStream::connect(address))
        });
    }

    fn kill(&mut self) {
        self.running().kill();
        self.process = None;
    }

    fn freeze(&mut self) {
        self.running().freeze();
    }

    fn thaw(&mut self) {
        self.running().thaw();
    }

    fn wipe(&mut self) {
        assert!(self.process.is_none(), "wiped under a running witness");
        std::fs::remove_dir_all(&self.data).expect("the witness has a data folder");
    }
}
