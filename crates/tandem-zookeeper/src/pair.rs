//! What a node does with its pair's znodes: be present, change the record.

use std::io;

use tandem_switch::{Change, Outcome, Presence, Record, RecordState, Revision};
use tandem_types::{Monotonic, NodeId, PairId};

use crate::connection::Connection;
use crate::error::{Broken, Code};
use crate::request::{Acl, Life, Op, Stat};
use crate::tree::{ROOT, Tree, presence_name, presence_of};
use crate::value::{Kept, encode_presence, encode_record};
use crate::view::{Seen, look, presence_names, revision};

/// Others come and go meanwhile, but not for ever.
const TRIES: usize = 5;

/// A node's place in its pair.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) tree: Tree,
    node: NodeId,
    /// Whether the znodes are for those with the same login only.
    is_owned: bool,
    mine: Option<Mine>,
    now: fn() -> Monotonic,
}

/// This node's presence as it was last written.
#[derive(Clone, Debug)]
struct Mine {
    session: i64,
    name: String,
    presence: Presence,
}

/// What a change comes down to, given what is there.
enum Plan {
    /// It cannot take effect.
    Lost,
    /// Not now.
    Later(&'static str),
    /// Try this; the record is of this life then, and nothing else in it is set.
    Try(Vec<Op>, u64),
}

impl Place {
    pub(crate) fn new(pair: &str, node: NodeId, is_owned: bool, now: fn() -> Monotonic) -> Self {
        Self { tree: Tree::of(pair), node, is_owned, mine: None, now }
    }

    fn acl(&self) -> Acl {
        if self.is_owned { Acl::Own } else { Acl::Open }
    }

    /// Whether a presence of this node may be there.
    pub(crate) fn is_present(&self) -> bool {
        self.mine.is_some()
    }

    /// Everything as it is at this moment or later.
    pub(crate) async fn look(&self, connection: &mut Connection) -> Result<Seen, Broken> {
        let asked = (self.now)();
        look(connection, &self.tree, Some(asked)).await
    }

    /// Makes what is missing above record and presences, and keeps others from changing it.
    pub(crate) async fn prepare(&self, connection: &mut Connection) -> Result<(), Broken> {
        let shared = if self.is_owned { Acl::Shared } else { Acl::Open };
        let above =
            [(ROOT, shared), (&self.tree.pair, self.acl()), (&self.tree.present, self.acl())];
        for (path, acl) in above {
            // Asked first: whoever may not create here may still find it.
            let path = path.to_owned();
            let there = connection.ask(&Op::Exists { path: path.clone(), watch: false }).await?;
            if there.code == Code::OK {
                continue;
            }
            let (data, life) = (Vec::new(), Life::Persistent);
            let create = Op::Create { path: path.clone(), data, acl, life };
            match connection.ask(&create).await?.code {
                Code::OK | Code::NODE_EXISTS => {}
                code => return Err(Broken::from_code("create a znode", &path, code)),
            }
        }
        if !self.is_owned {
            return Ok(());
        }
        // They may be older than the login.
        for path in [&self.tree.pair, &self.tree.present, &self.tree.record] {
            let own = Op::SetAcl { path: path.clone(), acl: self.acl() };
            match connection.ask(&own).await?.code {
                Code::OK | Code::NO_NODE => {}
                code => return Err(Broken::from_code("protect a znode", path, code)),
            }
        }
        Ok(())
    }

    /// Registers this boot, or renews it. Once it returns, the presence is of `session`.
    pub(crate) async fn vouch(
        &mut self,
        connection: &mut Connection,
        session: i64,
        presence: Presence,
    ) -> Result<(), Broken> {
        let name = presence_name(self.node, presence.boot);
        if let Some(mine) = self.mine.take_if(|it| it.session == session && it.name == name)
            && self.renew(connection, session, &mine, presence).await?
        {
            self.mine = Some(Mine { presence, ..mine });
            return Ok(());
        }
        // Also if no answer comes: it may be there then.
        self.mine = Some(Mine { session, name: name.clone(), presence });
        self.register(connection, &name, presence).await
    }

    /// `false`: it is not there any more, or not of this session.
    async fn renew(
        &mut self,
        connection: &mut Connection,
        session: i64,
        mine: &Mine,
        presence: Presence,
    ) -> Result<bool, Broken> {
        // It is there, whatever becomes of this: should the connection break, it must be known.
        self.mine = Some(mine.clone());
        let path = self.tree.presence(&mine.name);
        let data = encode_presence(&presence);
        let mut ops = vec![Op::Set { path: path.clone(), data, version: None }];
        if mine.presence != presence {
            ops.push(self.registration());
        }
        match connection.multi(&ops).await? {
            Ok(done) => Ok(done.first().copied().flatten().is_some_and(|it| it.owner == session)),
            Err((_, code)) if code.is_refusal() => Ok(false),
            Err((_, code)) => Err(Broken::from_code("renew the presence", &path, code)),
        }
    }

    /// Replaces whatever this node left there in earlier boots and sessions.
    async fn register(
        &mut self,
        connection: &mut Connection,
        name: &str,
        presence: Presence,
    ) -> Result<(), Broken> {
        let path = self.tree.presence(name);
        let create = Op::Create {
            path: path.clone(),
            data: encode_presence(&presence),
            acl: self.acl(),
            life: Life::Ephemeral,
        };
        for _ in 0..TRIES {
            let list = Op::Children { path: self.tree.present.clone(), watch: false };
            let list = connection.ask(&list).await?;
            if list.code == Code::NO_NODE {
                self.prepare(connection).await?;
                continue;
            }
            let leftovers = presence_names(&self.tree, &list)?;
            let own = |name: &String| presence_of(name).is_some_and(|(node, _)| node == self.node);
            let delete = |name: String| Op::Delete { path: self.tree.presence(&name) };
            let mut ops: Vec<Op> = leftovers.into_iter().filter(own).map(delete).collect();
            ops.extend([create.clone(), self.registration()]);
            match connection.multi(&ops).await? {
                Ok(_) => return Ok(()),
                Err((_, code)) if code.is_refusal() => {}
                Err((_, code)) => return Err(Broken::from_code("be present", &path, code)),
            }
        }
        Err(Broken::TooMuch("another process is present as this node, and does not stop"))
    }

    /// Moves the counter that a new record is created against.
    fn registration(&self) -> Op {
        Op::Set { path: self.tree.present.clone(), data: Vec::new(), version: None }
    }

    /// Ends this node's presence.
    pub(crate) async fn leave(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        let Some(mine) = &self.mine else { return Ok(()) };
        let path = self.tree.presence(&mine.name);
        match connection.ask(&Op::Delete { path: path.clone() }).await?.code {
            Code::OK | Code::NO_NODE => {
                self.mine = None;
                Ok(())
            }
            code => Err(Broken::from_code("end the presence", &path, code)),
        }
    }

    /// The session is over, or nobody will go on with it.
    pub(crate) fn forget(&mut self) {
        self.mine = None;
    }

    /// A compare-and-set. An error says nothing about whether it takes effect.
    pub(crate) async fn change(
        &self,
        connection: &mut Connection,
        change: &Change,
    ) -> Result<Outcome, Broken> {
        for _ in 0..TRIES {
            let seen = self.look(connection).await?;
            let (ops, life) = match self.plan(&seen, change)? {
                Plan::Lost => return Ok(Outcome::Lost(seen.view)),
                Plan::Later(why) => return Ok(refused(why)),
                Plan::Try(ops, life) => (ops, life),
            };
            let code = match connection.multi(&ops).await? {
                Ok(done) => return self.won(connection, change, life, &done).await,
                Err((_, code)) => code,
            };
            if !code.is_refusal() {
                return Ok(unknown(&format!("ZooKeeper's error {}", code.0)));
            }
            if seen.registrations.is_none() {
                self.prepare(connection).await?;
            }
            // Nothing was done. What is there now tells why, or that it is worth another try.
        }
        Ok(refused("nodes come and go all the time"))
    }

    /// Which revision a change that took effect has made.
    async fn won(
        &self,
        connection: &mut Connection,
        change: &Change,
        life: u64,
        done: &[Option<Stat>],
    ) -> Result<Outcome, Broken> {
        let revision = if change.expect.is_some() {
            done.iter().flatten().find_map(|&stat| revision(life, stat))
        } else {
            // What was created does not tell its state: it has to be read, and has this life.
            let seen = look(connection, &self.tree, None).await?;
            match seen.view.record {
                RecordState::Present { revision, .. } if seen.life == Some(life) => {
                    Some(Revision { version: 0, ..revision })
                }
                _ => None,
            }
        };
        Ok(match revision {
            Some(revision) => Outcome::Won { revision },
            None => unknown("it took effect, and the record is gone again"),
        })
    }

    fn plan(&self, seen: &Seen, change: &Change) -> Result<Plan, Broken> {
        let mut ops = Vec::new();
        if let Some((node, boot)) = change.unless_present {
            let name = presence_name(node, boot);
            if seen.names.contains(&name) {
                return Ok(Plan::Lost);
            }
            ops.extend(self.absent(&name));
        }
        let record = &change.record;
        match (&seen.view.record, seen.life, change.expect) {
            (RecordState::Present { revision, .. }, Some(life), Some(expected))
                if *revision == expected =>
            {
                ops.push(Op::Check { path: self.tree.life(life), version: None });
                ops.push(self.set(life, record, expected));
                Ok(Plan::Try(ops, life))
            }
            (RecordState::Absent, _, None) => {
                let Some(registrations) = seen.registrations.filter(|_| may_create(seen, record))
                else {
                    return Ok(Plan::Later(
                        "the ensemble has no record of this pair, and a node has data: a record that \
                         names both is written anew only while both are here",
                    ));
                };
                let life = random()?;
                // Whoever comes meanwhile, or turns out to have data, moves this version.
                let path = self.tree.present.clone();
                ops.push(Op::Check { path, version: Some(registrations) });
                // Whoever was seen here is here still.
                let here = seen.names.iter().map(|name| self.tree.presence(name));
                ops.extend(here.map(|path| Op::Check { path, version: None }));
                ops.extend(self.create(life, record));
                Ok(Plan::Try(ops, life))
            }
            _ => Ok(Plan::Lost),
        }
    }

    /// A multi has no check for absence: what is made and deleted within it was not there.
    fn absent(&self, name: &str) -> [Op; 2] {
        let path = self.tree.presence(name);
        let (data, acl, life) = (Vec::new(), self.acl(), Life::Persistent);
        [Op::Create { path: path.clone(), data, acl, life }, Op::Delete { path }]
    }

    fn set(&self, life: u64, record: &Record, expected: Revision) -> Op {
        let data = encode_record(&Kept { life, record: *record });
        // It was read from a number of this size.
        let version = Some(i32::try_from(expected.version).unwrap_or(i32::MAX));
        Op::Set { path: self.tree.record.clone(), data, version }
    }

    fn create(&self, life: u64, record: &Record) -> [Op; 2] {
        let create = |path, data| {
            let (acl, life) = (self.acl(), Life::Persistent);
            Op::Create { path, data, acl, life }
        };
        let data = encode_record(&Kept { life, record: *record });
        [create(self.tree.record.clone(), data), create(self.tree.life(life), Vec::new())]
    }
}

/// A record that is missing although a node has data was lost: one node alone may not say that the other one
/// has everything. It may name itself: its disk, or a person, says so to it.
fn may_create(seen: &Seen, record: &Record) -> bool {
    let present = seen.view.present;
    let both = present.a.is_some() && present.b.is_some();
    let has_data =
        [present.a, present.b].into_iter().flatten().any(|it| it.pair_id != PairId::NONE);
    both || !record.is_both() || !(has_data || seen.is_doubtful)
}

/// Nothing was sent, or all of it was refused.
fn refused(reason: &str) -> Outcome {
    Outcome::Refused { reason: reason.to_owned() }
}

fn unknown(reason: &str) -> Outcome {
    Outcome::Unknown { reason: reason.to_owned() }
}

fn random() -> Result<u64, Broken> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(io::Error::from)?;
    Ok(u64::from_le_bytes(bytes))
}
