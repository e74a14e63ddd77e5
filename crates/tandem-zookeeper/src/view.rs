//! Reading everything there is of a pair, and being told when it changes.

use tandem_switch::{BootId, MediatorView, Presence, RecordState, Revision};
use tandem_types::{Epoch, Monotonic, NodeId, Pair, PairId, Role};

use crate::connection::{Answer, Connection};
use crate::error::{Broken, Code};
use crate::request::{Multi, Op, Request, Stat, read_stat};
use crate::text::too_long;
use crate::tree::{Tree, presence_of};
use crate::value::{decode_presence, decode_record};

/// A pair has two nodes, and for a moment an earlier boot of each; more are somebody else's.
const PRESENCES_MAX: usize = 32;

/// Answer's header, the data's length, and the znode's state.
const AROUND_DATA_BYTES: usize = 16 + 4 + 68;

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) view: MediatorView,
    /// The znode below the record that names its life, if there is a record that can be read.
    pub(crate) life: Option<u64>,
    /// Every presence by its name, also those whose content says nothing.
    pub(crate) names: Vec<String>,
    /// One of them says nothing that is understood here.
    pub(crate) is_doubtful: bool,
    /// How often a presence was made or changed; `None`: nobody has ever been here.
    pub(crate) registrations: Option<i32>,
}

/// `asked`: it must be at least as new as that moment; `None`: as new as the last watch that fired.
/// From here on the connection's `changed` tells when it is out of date.
pub(crate) async fn look(
    connection: &mut Connection,
    tree: &Tree,
    asked: Option<Monotonic>,
) -> Result<Seen, Broken> {
    // A member that follows may lag, also one that a `sync` went through if its leader is no leader any
    // more. Requests of one session are done in order, and a write is done by a quorum: so a read behind
    // a write, even one that changes nothing, is at least as new as that write.
    let nothing = [Op::Check { path: tree.pair.clone(), version: None }];
    let barrier = match asked {
        Some(_) => Some(connection.send(&Request::Multi(&nothing)).await?),
        None => None,
    };
    let (record, present) = (tree.record.clone(), tree.present.clone());
    let reads = [
        // Its watch also fires when a record that is not there yet is created.
        Op::Exists { path: record.clone(), watch: true },
        Op::Get { path: record, watch: false },
        Op::Get { path: present.clone(), watch: true },
        Op::Children { path: present, watch: true },
    ];
    let mut numbers = [0; 4];
    for (number, read) in numbers.iter_mut().zip(&reads) {
        *number = connection.send(&Request::One(read)).await?;
    }
    if let Some(barrier) = barrier {
        check_barrier(&connection.receive_multi(barrier).await?)?;
    }
    let [exists, get, registered, children] = numbers;
    there("watch the record", &tree.record, &connection.receive(exists).await?)?;
    let record = connection.receive(get).await?;
    let (state, life) = read_record(tree, &record)?;
    let registered = connection.receive(registered).await?;
    let registrations = if there("read the presences", &tree.present, &registered)? {
        let mut body = registered.body();
        body.buffer()?;
        Some(read_stat(&mut body)?.version)
    } else {
        None
    };
    let names = presence_names(tree, &connection.receive(children).await?)?;
    let (present, is_doubtful) = read_presences(connection, tree, &names).await?;
    let view = MediatorView { asked, record: state, present };
    Ok(Seen { view, life, names, is_doubtful, registrations })
}

/// Whether it is there; an error if that cannot be said.
fn there(what: &'static str, path: &str, answer: &Answer) -> Result<bool, Broken> {
    match answer.code {
        Code::OK if answer.cut.is_some() => Err(Broken::TooMuch("a znode of the pair is too long")),
        Code::OK => Ok(true),
        Code::NO_NODE => Ok(false),
        code => Err(Broken::from_code(what, path, code)),
    }
}

/// A write that was refused is as good: it was refused by a quorum.
fn check_barrier(multi: &Multi) -> Result<(), Broken> {
    match multi {
        Ok(_) => Ok(()),
        Err((_, code)) if code.is_refusal() => Ok(()),
        Err((_, code)) => Err(Broken::from_code("ask for the latest", "the pair's znode", *code)),
    }
}

fn read_record(tree: &Tree, answer: &Answer) -> Result<(RecordState, Option<u64>), Broken> {
    let unreadable = |reason: String| {
        let reason = format!("{}: {reason}", tree.record);
        Ok((RecordState::Unreadable { reason }, None))
    };
    if let (Code::OK, Some(length)) = (answer.code, answer.cut) {
        return unreadable(too_long(length.saturating_sub(AROUND_DATA_BYTES)));
    }
    if !there("read the record", &tree.record, answer)? {
        return Ok((RecordState::Absent, None));
    }
    let mut body = answer.body();
    let data = body.buffer()?;
    let stat = read_stat(&mut body)?;
    let kept = match decode_record(data) {
        Ok(kept) => kept,
        Err(reason) => return unreadable(reason),
    };
    if stat.children != 1 {
        return unreadable("the znode below it that names its life is missing".to_owned());
    }
    let Some(revision) = revision(kept.life, stat) else {
        return unreadable("it was changed too often to be counted".to_owned());
    };
    Ok((RecordState::Present { revision, record: kept.record }, Some(kept.life)))
}

/// A znode that was made anew with the same content, from a backup perhaps, is another life too.
pub(crate) fn revision(life: u64, stat: Stat) -> Option<Revision> {
    let version = u64::try_from(stat.version).ok()?;
    Some(Revision { life: life ^ stat.made.cast_unsigned(), version })
}

/// The names that are ours, oldest boot first.
pub(crate) fn presence_names(tree: &Tree, answer: &Answer) -> Result<Vec<String>, Broken> {
    if !there("list the presences", &tree.present, answer)? {
        return Ok(Vec::new());
    }
    let texts = answer.body().texts()?;
    let ours = texts.into_iter().filter(|name| presence_of(name).is_some());
    let mut names: Vec<String> = ours.map(str::to_owned).collect();
    names.sort_unstable();
    if names.len() > PRESENCES_MAX {
        return Err(Broken::TooMuch("more presences than a pair can have"));
    }
    Ok(names)
}

async fn read_presences(
    connection: &mut Connection,
    tree: &Tree,
    names: &[String],
) -> Result<(Pair<Option<Presence>>, bool), Broken> {
    let mut numbers = Vec::new();
    for name in names {
        let read = Op::Get { path: tree.presence(name), watch: false };
        numbers.push(connection.send(&Request::One(&read)).await?);
    }
    let mut newest: Pair<Option<(i64, Presence)>> = Pair { a: None, b: None };
    let mut is_doubtful = false;
    for (name, number) in names.iter().zip(numbers) {
        let answer = connection.receive(number).await?;
        let Some((node, boot)) = presence_of(name) else { continue };
        let (made, presence) = match answer.code {
            Code::NO_NODE => continue, // gone meanwhile
            Code::OK if answer.cut.is_none() => {
                let mut body = answer.body();
                let presence = decode_presence(body.buffer()?).filter(|it| it.boot == boot);
                let stat = read_stat(&mut body)?;
                if stat.owner == 0 {
                    tracing::debug!("{name} would never end: it is no presence");
                    is_doubtful = true;
                    continue;
                }
                (stat.made, presence)
            }
            Code::OK => (0, None),
            code => return Err(Broken::from_code("read a presence", &tree.presence(name), code)),
        };
        is_doubtful |= presence.is_none();
        let presence = presence.unwrap_or_else(|| unknown(boot));
        if newest[node].is_none_or(|(before, _)| before < made) {
            newest[node] = Some((made, presence));
        }
    }
    let of = |node: NodeId| newest[node].map(|(_, presence)| presence);
    Ok((Pair { a: of(NodeId::A), b: of(NodeId::B) }, is_doubtful))
}

/// Alive, by its name; what it says is of another version.
fn unknown(boot: BootId) -> Presence {
    Presence { boot, pair_id: PairId::NONE, epoch_seen: Epoch::ZERO, role: Role::Joining }
}
