//! The architectures: one table. A row is what its configuration says beyond the defaults, and what is
//! promised of it.

use anyhow::bail;
use clap::ValueEnum as _;
use serde::Serialize;

use crate::cli::{LabArchitecture, LabFault, LabMediator};

/// One way to run a pair.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// Its name on the command line.
    pub(crate) name: LabArchitecture,
    /// In one line, for the report.
    pub(crate) says: &'static str,
    /// `pair.topology`
    pub(crate) topology: &'static str,
    /// `switch.by`; empty: nobody switches, both nodes are primary.
    pub(crate) by: &'static str,
    /// `switch.on_silence = "take-over"`: nobody promises that only one node acknowledges.
    pub(crate) may_split: bool,
    /// `switch.fence` is a command that ends the other machine.
    pub(crate) fence: bool,
    /// `switch.mediator.kind`; empty: there is none.
    pub(crate) mediator: &'static str,
    /// `switch.mediator.session`
    pub(crate) session: &'static str,
}

/// What most rows are.
const PLAIN: Architecture = Architecture {
    name: LabArchitecture::PrimaryStandby,
    says: "",
    topology: "primary-standby",
    by: "",
    may_split: false,
    fence: false,
    mediator: "",
    session: "1s",
};

/// All of them, in the order of the report.
pub(crate) const ARCHITECTURES: [Architecture; 11] = [
    Architecture {
        name: LabArchitecture::PrimaryStandby,
        says: "one serves, the other follows; a person moves the role",
        by: "manual",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::PrimaryReplica,
        says: "the same, and the follower serves reads",
        topology: "primary-replica",
        by: "manual",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::Direct,
        says: "no third party; moves by proof only (on_silence = \"wait\")",
        by: "direct",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::DirectFence,
        says: "the same, and a command makes certain that the other is off (fence)",
        by: "direct",
        fence: true,
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::DirectTakeOver,
        says: "the same, and silence is enough (on_silence = \"take-over\"): may split",
        by: "direct",
        may_split: true,
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::Probe,
        says: "no third party; the standby tries the primary as a client; moves by proof only",
        by: "probe",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::ProbeTakeOver,
        says: "the same, and silence is enough (on_silence = \"take-over\"): may split",
        by: "probe",
        may_split: true,
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::MediatorWitness,
        says: "a witness on a third machine keeps the record; moves by itself",
        by: "mediator",
        mediator: "witness",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::MediatorZookeeper,
        says: "ZooKeeper keeps the record; moves by itself",
        by: "mediator",
        mediator: "zookeeper",
        session: "4s",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::MediatorEtcd,
        says: "etcd keeps the record; moves by itself",
        by: "mediator",
        mediator: "etcd",
        session: "2s",
        ..PLAIN
    },
    Architecture {
        name: LabArchitecture::PrimaryPrimary,
        says: "both accept writes and merge them; nobody switches",
        topology: "primary-primary",
        ..PLAIN
    },
];

/// What the lab runs only if it is there already, or not at all, because it starts no programs but this one.
const NOT_RUN: [NotRun; 3] = [
    NotRun {
        name: "mediator-zookeeper",
        needs: "a ZooKeeper ensemble",
        measure: "tandem lab --mediator zookeeper=HOST:PORT",
    },
    NotRun {
        name: "mediator-etcd",
        needs: "an etcd cluster",
        measure: "tandem lab --mediator etcd=HOST:PORT",
    },
    NotRun {
        name: "keepalived",
        needs: "keepalived and root, for the virtual address",
        measure: "tandem drill (tandem config example keepalived)",
    },
];

/// An architecture that was not run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NotRun {
    #[serde(rename = "architecture")]
    pub(crate) name: &'static str,
    pub(crate) needs: &'static str,
    /// How it can be measured.
    pub(crate) measure: &'static str,
}

/// What was not run, given the third parties that are there.
pub(crate) fn not_run(mediators: &[LabMediator]) -> Vec<NotRun> {
    let given = |name: &str| mediators.iter().any(|it| format!("mediator-{}", it.kind) == name);
    NOT_RUN.into_iter().filter(|row| !given(row.name)).collect()
}

impl Architecture {
    /// Its name on the command line.
    pub(crate) fn word(&self) -> String {
        word(&self.name)
    }

    /// Both nodes accept writes.
    pub(crate) fn two_writers(&self) -> bool {
        self.by.is_empty()
    }

    /// A person moves the role; the lab is that person.
    pub(crate) fn by_hand(&self) -> bool {
        self.by == "manual"
    }

    /// A third party is started too.
    pub(crate) fn has_witness(&self) -> bool {
        self.mediator == "witness"
    }

    /// The third party must run already.
    fn needs_mediator(&self) -> bool {
        !self.mediator.is_empty() && !self.has_witness()
    }

    /// The second node answers clients' reads.
    pub(crate) fn serves_on_both(&self) -> bool {
        self.topology != "primary-standby"
    }

    /// Whether a fault makes sense here.
    pub(crate) fn can_meet(&self, fault: LabFault) -> bool {
        match fault {
            LabFault::Switch => !self.two_writers(),
            LabFault::Mediator => self.has_witness(),
            LabFault::Kill
            | LabFault::Machine
            | LabFault::Freeze
            | LabFault::Link
            | LabFault::Sites
            | LabFault::Stop => true,
        }
    }

    /// Why acknowledged writes may be missing in the end; `None`: they must not.
    pub(crate) fn may_lose(&self, fault: LabFault) -> Option<&'static str> {
        let silent = matches!(
            fault,
            LabFault::Machine | LabFault::Freeze | LabFault::Link | LabFault::Sites
        );
        (self.may_split && silent).then_some(
            "on_silence = \"take-over\" accepts that both nodes serve until they hear each other again",
        )
    }
}

/// A value of the command line as it is written there.
pub(crate) fn word<T: clap::ValueEnum>(value: &T) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The rows that were asked for, in the order of the table; without any, all whose third party is there.
pub(crate) fn chosen(
    only: &[LabArchitecture],
    mediators: &[LabMediator],
) -> anyhow::Result<Vec<&'static Architecture>> {
    let there = |row: &Architecture| {
        !row.needs_mediator() || mediators.iter().any(|it| it.kind == row.mediator)
    };
    let named = |row: &Architecture| only.contains(&row.name);
    if let Some(row) = ARCHITECTURES.iter().find(|row| named(row) && !there(row)) {
        bail!(
            "{} needs a third party that runs already; say where with --mediator {}=HOST:PORT",
            row.word(),
            row.mediator
        );
    }
    Ok(ARCHITECTURES.iter().filter(|row| there(row) && (only.is_empty() || named(row))).collect())
}

/// The faults that were asked for, in the order of the report; without any, all.
pub(crate) fn chosen_faults(faults: &[LabFault]) -> Vec<LabFault> {
    LabFault::value_variants()
        .iter()
        .filter(|fault| faults.is_empty() || faults.contains(fault))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_command_line_has_one_row() {
        let rows: Vec<LabArchitecture> = ARCHITECTURES.iter().map(|row| row.name).collect();
        assert_eq!(rows, LabArchitecture::value_variants());
    }

    #[test]
    fn a_third_party_that_runs_elsewhere_is_measured_only_if_it_is_named() {
        let count = |mediators: &[LabMediator]| chosen(&[], mediators).unwrap().len();
        let etcd: LabMediator = "etcd=127.0.0.1:2379".parse().unwrap();
        assert_eq!([count(&[]), count(std::slice::from_ref(&etcd))], [9, 10]);
        assert_eq!([not_run(&[]).len(), not_run(&[etcd]).len()], [3, 2]);
        let refused = chosen(&[LabArchitecture::MediatorEtcd], &[]).unwrap_err();
        assert!(refused.to_string().contains("--mediator etcd=HOST:PORT"), "{refused}");
        for wrong in ["etcd", "etcd=host", "consul=host:1"] {
            wrong.parse::<LabMediator>().unwrap_err();
        }
    }

    #[test]
    fn only_where_two_may_serve_may_something_be_lost() {
        for row in &ARCHITECTURES {
            for fault in chosen_faults(&[]) {
                let heard = matches!(
                    fault,
                    LabFault::Kill | LabFault::Switch | LabFault::Stop | LabFault::Mediator
                );
                assert_eq!(row.may_lose(fault).is_some(), row.may_split && !heard, "{row:?}");
            }
        }
    }
}
