//! Redis' own Tcl suite against the program: the work is `tcl-suite`'s, in tandem-e2e.

use crate::{shell, tools};

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    tools::ensure();
    shell::run(shell::cargo(&["build", "--locked", "--profile", "e2e", "--package", "tandem"]))?;
    let mut command =
        shell::cargo(&["run", "--locked", "--package", "tandem-e2e", "--bin", "tcl-suite", "--"]);
    command.args(arguments).env("TANDEM_BIN", shell::target().join("e2e/tandem"));
    shell::run(command)
}
