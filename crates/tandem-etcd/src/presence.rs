//! This node's presence: a key of this boot, bound to a lease.
//!
//! Renewed only when the switch asks. A renewal counts once a second, linearizable answer shows that the
//! member's Raft term has not changed since before the renewal: then the leader that renewed still had its
//! quorum afterwards, and any later leader gives every lease its whole time anew. Without that a leader that
//! is being replaced could confirm a renewal that its successor never heard of.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_switch::Presence;
use tandem_types::{Monotonic, NodeId};

use crate::gateway::{self, GrantAnswer, KeepAlive, RangeAnswer, Streamed, TxnAnswer};
use crate::keys::Keys;
use crate::login::Asker;
use crate::trouble::Trouble;
use crate::value;

/// A lease that ended, then a leader that changed: a third try would be odd.
const TRIES: usize = 3;

/// What this node has at etcd; it outlives connections.
#[derive(Debug)]
pub(crate) struct Presences {
    keys: Keys,
    node: NodeId,
    session: Duration,
    now: fn() -> Monotonic,
    lease: Option<u64>,
    /// Key and value that are bound to the lease.
    put: Option<(String, Vec<u8>)>,
}

/// The linearizable answer after a renewal.
struct Shown {
    cluster_id: u64,
    raft_term: u64,
    /// The key is there, with the value and the lease.
    there: bool,
}

impl Presences {
    pub(crate) const fn new(
        keys: Keys,
        node: NodeId,
        session: Duration,
        now: fn() -> Monotonic,
    ) -> Self {
        Self { keys, node, session, now, lease: None, put: None }
    }

    /// A sign of life; when it was sent, if it is certain to last from then on for a session.
    pub(crate) async fn vouch(
        &mut self,
        asker: &mut Asker,
        presence: &Presence,
        limit: Duration,
    ) -> Result<Option<Monotonic>, Trouble> {
        let key = self.keys.presence(self.node, presence.boot);
        let wanted = (key, value::encode_presence(presence));
        for _ in 0..TRIES {
            let sent = (self.now)();
            let Some(lease) = self.lease else {
                self.grant(asker, limit).await?;
                // Granted through Raft, so every later leader knows of it.
                if self.bind(asker, &wanted, presence, limit).await?.is_some() {
                    return Ok(Some(sent));
                }
                continue;
            };
            let renewed: Streamed<KeepAlive> =
                asker.ask_again(gateway::LEASE_KEEPALIVE, &gateway::lease(lease), limit).await?;
            let renewed = renewed.into_result()?;
            if renewed.ttl == 0 {
                self.forget();
                continue;
            }
            self.check_time(renewed.ttl)?;
            let shown = if self.put.as_ref() == Some(&wanted) {
                Some(self.look(asker, &wanted, lease, limit).await?)
            } else {
                self.bind(asker, &wanted, presence, limit).await?
            };
            match shown {
                Some(shown) if !shown.there => self.put = None,
                Some(shown) => {
                    let before = (renewed.header.cluster_id, renewed.header.raft_term);
                    if before == (shown.cluster_id, shown.raft_term) {
                        return Ok(Some(sent));
                    }
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// Ends the presence now.
    pub(crate) async fn leave(
        &mut self,
        asker: &mut Asker,
        limit: Duration,
    ) -> Result<(), Trouble> {
        let Some(lease) = self.lease else { return Ok(()) };
        match asker.ask_again::<Value>(gateway::LEASE_REVOKE, &gateway::lease(lease), limit).await {
            Err(trouble) if !trouble.is_lease_gone() => Err(trouble),
            _ => {
                self.forget();
                Ok(())
            }
        }
    }

    fn forget(&mut self) {
        self.lease = None;
        self.put = None;
    }

    /// etcd counts leases in whole seconds, and raises short ones to one and a half election timeouts.
    async fn grant(&mut self, asker: &mut Asker, limit: Duration) -> Result<(), Trouble> {
        let whole = self.session.as_secs() + u64::from(self.session.subsec_nanos() > 0);
        let question = gateway::grant(whole.max(1));
        let granted: GrantAnswer = asker.ask_again(gateway::LEASE_GRANT, &question, limit).await?;
        self.check_time(granted.ttl)?;
        self.lease = Some(granted.id);
        self.put = None;
        Ok(())
    }

    fn check_time(&self, granted: u64) -> Result<(), Trouble> {
        if Duration::from_secs(granted) < self.session {
            return Err(Trouble::ShortLease { granted });
        }
        Ok(())
    }

    /// Writes the key, and removes those of earlier boots; `None`: the lease has ended meanwhile.
    async fn bind(
        &mut self,
        asker: &mut Asker,
        (key, value): &(String, Vec<u8>),
        presence: &Presence,
        limit: Duration,
    ) -> Result<Option<Shown>, Trouble> {
        let mut operations = vec![gateway::put(key, value, self.lease)];
        let earlier = self.keys.earlier_boots(self.node, presence.boot);
        operations.extend(earlier.as_ref().map(gateway::delete));
        let question = json!({ "success": operations });
        match asker.ask_again::<TxnAnswer>(gateway::TXN, &question, limit).await {
            Ok(answer) => {
                self.put = Some((key.clone(), value.clone()));
                let (cluster_id, raft_term) = (answer.header.cluster_id, answer.header.raft_term);
                Ok(Some(Shown { cluster_id, raft_term, there: true }))
            }
            Err(trouble) if trouble.is_lease_gone() => {
                self.forget();
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Looks whether the key is still as it was written: somebody may have deleted it.
    async fn look(
        &self,
        asker: &mut Asker,
        (key, value): &(String, Vec<u8>),
        lease: u64,
        limit: Duration,
    ) -> Result<Shown, Trouble> {
        let answer: RangeAnswer =
            asker.ask_again(gateway::RANGE, &gateway::key_range(key), limit).await?;
        let (cluster_id, raft_term) = (answer.header.cluster_id, answer.header.raft_term);
        let there = answer.kvs.first().is_some_and(|it| it.lease == lease && it.value == *value);
        Ok(Shown { cluster_id, raft_term, there })
    }
}
