//! Which of the two nodes is this machine?

use std::net::IpAddr;

use tandem_types::{NodeId, Pair};

use crate::Config;

/// What the machine knows about itself and about the hosts of the file.
#[derive(Clone, Debug, Default)]
pub struct Locals {
    /// The machine's own addresses.
    pub addresses: Vec<IpAddr>,
    /// What each node's host resolves to.
    pub hosts: Pair<Vec<IpAddr>>,
}

/// Why it cannot be told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FindSelfError {
    /// `--node` names nobody.
    #[error("there is no node \"{given}\" in the configuration; the nodes are \"{a}\" and \"{b}\"")]
    NoSuchNode {
        /// What was asked for.
        given: String,
        /// The first node.
        a: String,
        /// The second.
        b: String,
    },
    /// Neither host is this machine's.
    #[error(
        "neither \"{a}\" nor \"{b}\" is an address of this machine; say which node this is with --node NAME"
    )]
    Nobody {
        /// Host of the first node.
        a: String,
        /// Host of the second.
        b: String,
    },
    /// Both are.
    #[error("both nodes are on this machine; say which one this is with --node {a} or --node {b}")]
    Both {
        /// The first node.
        a: String,
        /// The second.
        b: String,
    },
}

impl Config {
    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        [NodeId::A, NodeId::B].into_iter().find(|&node| self.nodes[node].name == name)
    }

    /// Finds this machine among the nodes: by `name` if given, else by its addresses.
    ///
    /// # Errors
    /// The name is unknown, or the addresses fit no node or both.
    pub fn find_self(&self, name: Option<&str>, locals: &Locals) -> Result<NodeId, FindSelfError> {
        let names = || (self.nodes.a.name.clone(), self.nodes.b.name.clone());
        if let Some(given) = name {
            let (a, b) = names();
            let error = FindSelfError::NoSuchNode { given: given.to_owned(), a, b };
            return self.node_named(given).ok_or(error);
        }
        let here = |node| {
            locals.hosts[node]
                .iter()
                .any(|host| host.is_loopback() || locals.addresses.contains(host))
        };
        match (here(NodeId::A), here(NodeId::B)) {
            (true, false) => Ok(NodeId::A),
            (false, true) => Ok(NodeId::B),
            (true, true) => {
                let (a, b) = names();
                Err(FindSelfError::Both { a, b })
            }
            (false, false) => Err(FindSelfError::Nobody {
                a: self.nodes.a.host.clone(),
                b: self.nodes.b.host.clone(),
            }),
        }
    }
}
