//! All that all clients of a load did and were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Acknowledgement, ClientRecord, Told};
use crate::history::{Operation, RegisterAction};

/// All that all clients did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Per client.
    pub clients: Vec<ClientRecord>,
    /// Error replies by their first word.
    pub errors: BTreeMap<String, u64>,
    /// Errors that no client should ever get.
    pub unexpected: Vec<String>,
    /// What the values were padded to.
    pub value_bytes: usize,
    /// Longest time between two acknowledgements (of any client).
    pub longest_silence: Duration,
}

impl Report {
    /// Writes that ended as `told`.
    pub fn count(&self, told: Told) -> usize {
        self.clients.iter().flat_map(|client| &client.writes).filter(|w| w.told == told).count()
    }

    /// Who acknowledged, each for a time of its own: the longest chain of acknowledgements in which every
    /// one was asked for after the one before had come, and comes from another server than that. A pair
    /// whose role to acknowledge moved n times has at most n + 1 of them.
    pub fn acknowledgers(&self) -> Vec<Acknowledgement> {
        let mut all: Vec<Acknowledgement> =
            self.clients.iter().flat_map(|client| client.acknowledgements.clone()).collect();
        all.sort_by_key(|it| it.returned_at);
        // Taking the earliest end each time gives the longest chain that begins with a server.
        let chain_from = |first: SocketAddr| {
            let mut chain: Vec<Acknowledgement> = Vec::new();
            for &it in &all {
                let follows = match chain.last() {
                    None => it.by == first,
                    Some(last) => it.by != last.by && it.called_at > last.returned_at,
                };
                if follows {
                    chain.push(it);
                }
            }
            chain
        };
        let mut servers: Vec<SocketAddr> = all.iter().map(|it| it.by).collect();
        servers.sort_unstable();
        servers.dedup();
        servers.into_iter().map(chain_from).max_by_key(Vec::len).unwrap_or_default()
    }

    /// Calls per register, of all clients together.
    pub fn register_histories(&self) -> BTreeMap<usize, Vec<Operation<RegisterAction>>> {
        let mut histories: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (register, operation) in self.clients.iter().flat_map(|client| &client.registers) {
            histories.entry(*register).or_default().push(operation.clone());
        }
        histories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Port, called, returned.
    type Short = (u16, u64, u64);

    /// Acknowledgements of one client.
    fn report(acknowledgements: &[Short]) -> Report {
        let acknowledgements = acknowledgements
            .iter()
            .map(|&(port, called_at, returned_at)| Acknowledgement {
                by: ([127, 0, 0, 1], port).into(),
                called_at,
                returned_at,
            })
            .collect();
        Report {
            clients: vec![ClientRecord { acknowledgements, ..ClientRecord::default() }],
            errors: BTreeMap::new(),
            unexpected: Vec::new(),
            value_bytes: 0,
            longest_silence: Duration::ZERO,
        }
    }

    #[test]
    fn only_what_certainly_came_after_the_other_counts_as_a_change() {
        let cases: [(&str, &[Short], usize); 6] = [
            ("nobody", &[], 0),
            ("one server", &[(1, 0, 1), (1, 2, 3)], 1),
            ("one change", &[(1, 0, 1), (2, 2, 3), (2, 4, 5)], 2),
            ("perhaps before the change", &[(1, 0, 1), (2, 2, 3), (1, 1, 9)], 2),
            ("back again", &[(1, 0, 1), (2, 2, 3), (1, 4, 5)], 3),
            ("at the same time", &[(1, 0, 5), (2, 1, 2), (1, 3, 4), (2, 6, 7), (1, 8, 9)], 4),
        ];
        for (name, acknowledgements, want) in cases {
            assert_eq!(report(acknowledgements).acknowledgers().len(), want, "{name}");
        }
    }
}
