//! The project's tasks: what CI runs is what a developer runs.
//!
//! `cargo xtask` without a word lists them. Every task runs cargo with `--locked`, prints the commands it
//! runs, and ends with a non-zero status if one fails.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a task tells on the terminal what it does")]

mod bench;
mod ci;
mod count;
mod deadline;
mod deny;
mod fuzz;
mod generate;
mod layers;
mod lint;
mod merge;
mod metadata;
mod shell;
mod sim;
mod tcl;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

/// Name, usage after it, what it does, and the function.
struct Task {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        usage: "[unit|model|sim|e2e]",
        about: "install what is missing, build, run every test, print counts",
        run: test::run,
    },
    Task {
        name: "e2e",
        usage: "[ARGUMENTS]",
        about: "end-to-end tests; arguments go to the test runner",
        run: test::e2e,
    },
    Task {
        name: "soak",
        usage: "[TIMES]",
        about: "end-to-end tests with TIMES (20) as many random rounds",
        run: test::soak,
    },
    Task {
        name: "sim",
        usage: "[--direct|--probe|--two-writers] [--seeds N] [--from S] [--minutes M] [--seed ONE] [--planted]",
        about: "simulated pairs with automatic switching, or whose nodes both write, from many seeds; or with a rule taken away",
        run: sim::run,
    },
    Task {
        name: "merge",
        usage: "[--schedules N] [--from S] [--seed ONE] [--exhaustive] [--planted]",
        about: "primary-primary: random histories of two writers against the rule; or with a rule taken away",
        run: merge::run,
    },
    Task {
        name: "tcl",
        usage: "[FILES]",
        about: "Redis 7.0.15's Tcl suite against the program; only excused failures may remain",
        run: tcl::run,
    },
    Task {
        name: "lint",
        usage: "",
        about: "formatting, and clippy with warnings as errors",
        run: lint::run,
    },
    Task {
        name: "doc",
        usage: "",
        about: "API documentation, with warnings as errors",
        run: lint::doc,
    },
    Task {
        name: "layers",
        usage: "",
        about: "imports between crates only point down",
        run: layers::run,
    },
    Task {
        name: "tidy",
        usage: "",
        about: "house style that clippy does not know",
        run: tidy::run,
    },
    Task {
        name: "deny",
        usage: "",
        about: "licences, duplicates and sources of dependencies (needs cargo-deny)",
        run: deny::run,
    },
    Task {
        name: "gen",
        usage: "[--check]",
        about: "write docs/reference from the tables in the code",
        run: generate::run,
    },
    Task {
        name: "fuzz",
        usage: "[--for 60s] [TARGET]",
        about: "fuzz every target, or one (needs cargo-fuzz)",
        run: fuzz::run,
    },
    Task {
        name: "bench",
        usage: "[two-writers] [ARGUMENTS]",
        about: "compare with redis-server, or two writers with one; arguments go to tandem-bench",
        run: bench::run,
    },
    Task {
        name: "failover",
        usage: "[--times N] [--mediator KIND|all] [--peer redis-sentinel]",
        about: "measure switching under load; arguments go to tandem-bench",
        run: bench::failover,
    },
    Task { name: "ci", usage: "", about: "all that CI checks", run: ci::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        list();
        println!("\nxtask: there is no task {name:?}");
        return ExitCode::from(2);
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask {name}: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    println!("cargo xtask TASK");
    for Task { name, usage, about, .. } in TASKS {
        println!("  {:<28} {about}", format!("{name} {usage}"));
    }
}
