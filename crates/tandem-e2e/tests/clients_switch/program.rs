//! A client program that runs beside the others, and what it wrote down.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_e2e::wait;

/// What one write came to.
#[derive(Clone, Debug)]
pub(crate) enum Wrote {
    /// The counter was acknowledged with this value.
    Counted(i64),
    /// Key `name:number` was acknowledged.
    Set(i64),
    /// The program saw an error.
    Failed(String),
}

/// One write, by the clock of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) wrote: Wrote,
}

impl Line {
    pub(crate) fn is_acknowledged(&self) -> bool {
        !matches!(self.wrote, Wrote::Failed(_))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let mut time = || words.next()?.parse().ok().map(Duration::from_micros);
        let (begun, ended) = (time()?, time()?);
        let what = words.next()?;
        let wrote = match what.split_once(' ') {
            Some(("incr", value)) => Wrote::Counted(value.parse().ok()?),
            Some(("set", number)) => Wrote::Set(number.parse().ok()?),
            Some(("note", _)) => return None,
            _ => Wrote::Failed(what.to_owned()),
        };
        Some(Self { begun, ended, wrote })
    }
}

/// A running client program.
pub(crate) struct Program {
    /// Library and way, as the table shows it; also the name of its counter.
    pub(crate) name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: PathBuf,
    errors: PathBuf,
}

impl Program {
    /// Starts it; it ends with its standard input, and with this process.
    pub(crate) fn start(name: &'static str, command: &[String], folder: &Path) -> Self {
        let file = |kind: &str| folder.join(format!("{name}.{kind}"));
        let (output, errors) = (file("out"), file("err"));
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(File::create(&output).expect("the folder is writable"))
            .stderr(File::create(&errors).expect("the folder is writable"))
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let input = child.stdin.take();
        Self { name, child, input, output, errors }
    }

    /// Everything it wrote so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(Line::parse).collect()
    }

    /// Acknowledged writes that began at `from` or later.
    pub(crate) fn acknowledged_from(&self, from: Duration) -> usize {
        self.lines().iter().filter(|line| line.is_acknowledged() && line.begun >= from).count()
    }

    /// Ends it in good order.
    pub(crate) fn end(&mut self) {
        self.input = None;
        let name = self.name;
        let begun = Instant::now();
        wait::until_true(&format!("{name} ends"), Duration::from_secs(30), || {
            // A library that hangs is seen in the table; here it must only go.
            if begun.elapsed() > Duration::from_secs(10) {
                let _gone = self.child.kill();
            }
            self.child.try_wait().expect("a child can be asked for").is_some()
        });
    }

    /// What it said that is no line of a write.
    pub(crate) fn complaints(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already in the good case.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
