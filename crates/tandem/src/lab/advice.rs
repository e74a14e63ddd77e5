//! How to read the figures: what each architecture did by itself in this very run, and what it is for.

use std::fmt::Write as _;

use crate::cli::LabArchitecture;
use crate::lab::Ran;
use crate::lab::architecture::Architecture;
use crate::lab::cell::{Measured, Return};
use crate::lab::report::rows;

/// The last part of the report.
pub(crate) fn text(ran: &Ran) -> String {
    let mut text = "\nHow to read it\n".to_owned();
    for row in rows(ran) {
        let runs: Vec<&Measured> =
            ran.runs.iter().filter(|run| run.architecture == row.word()).collect();
        let _written = writeln!(text, "  {}: {}", row.word(), good_for(row));
        for line in seen(&runs) {
            let _written = writeln!(text, "      {line}");
        }
    }
    text.push_str(
        "  Times are of one run on this machine, with both nodes and all clients on it. `tandem drill` measures your own\n\
         \x20 pair, on its machines, lines and disks.\n",
    );
    text
}

/// What the runs of one architecture come to, line by line.
fn seen(runs: &[&Measured]) -> Vec<String> {
    let mut lines: Vec<String> = [
        (Return::Itself, "goes on by itself"),
        (Return::Person, "waits for a person"),
        (Return::EndOfFault, "waits for the end of the fault"),
    ]
    .into_iter()
    .filter_map(|(by, words)| line(runs, by, words))
    .collect();
    let lost: u64 = runs.iter().map(|run| run.writes_lost).sum();
    if lost > 0 {
        let saved: u64 = runs.iter().map(|run| run.writes_lost_saved).sum();
        let faults: Vec<&str> =
            runs.iter().filter(|run| run.writes_lost > 0).map(|run| run.fault.as_str()).collect();
        lines.push(format!(
            "lost {lost} acknowledged writes ({}), {saved} of them saved for a person to decide on (tandem conflicts)",
            faults.join(", ")
        ));
    }
    lines
}

fn line(runs: &[&Measured], by: Return, words: &str) -> Option<String> {
    let runs: Vec<&Measured> =
        runs.iter().copied().filter(|run| run.writes_back_by == by).collect();
    let worst =
        runs.iter().max_by(|a, b| a.seconds_without_writes.total_cmp(&b.seconds_without_writes))?;
    let faults: Vec<&str> = runs.iter().map(|run| run.fault.as_str()).collect();
    Some(format!(
        "{words}: {} (the longest: {:.2} s, {})",
        faults.join(", "),
        worst.seconds_without_writes,
        worst.fault
    ))
}

/// When to take it.
const fn good_for(row: &Architecture) -> &'static str {
    match row.name {
        LabArchitecture::PrimaryStandby => {
            "where a person is at hand, and nothing shall move without one"
        }
        LabArchitecture::PrimaryReplica => {
            "where, besides, reads must go on while writes wait, or outgrow one machine"
        }
        LabArchitecture::Direct => {
            "for two machines and no way to switch one off: a dead process is replaced, a dead machine waits for you"
        }
        LabArchitecture::DirectFence => {
            "for two machines of which one can switch the other off for certain (IPMI, hypervisor): the fence must be real"
        }
        LabArchitecture::DirectTakeOver => {
            "only where writing matters more than what was written: both may serve, and people sort it out afterwards"
        }
        LabArchitecture::Probe => {
            "as direct, where what clients see of the primary shall decide (it lives, but answers nobody)"
        }
        LabArchitecture::ProbeTakeOver => {
            "as direct-take-over, where what clients see shall decide"
        }
        LabArchitecture::MediatorWitness => {
            "where a small third machine can be had: all by itself, and safe"
        }
        LabArchitecture::MediatorZookeeper | LabArchitecture::MediatorEtcd => {
            "as mediator-witness, where such an ensemble runs already: a third party that is redundant itself"
        }
        LabArchitecture::PrimaryPrimary => {
            "where both sites must write also while the line is cut, and what is written can be merged (docs/policies.md)"
        }
    }
}
