//! What the autopilot does in every combination of proof, fence, policy and person, and what it says.

mod address;
mod probe;

use std::time::Duration;

use tandem_types::{Epoch, ForkId, Incarnation, Lsn, NodeId, Pair, PairId, Role};

use super::*;
use crate::{
    Acknowledge, Automatic, Automation, BootId, DemoteCause, Greeting, InSyncSet, Load, OnSilence,
    PeerMessage, Proposed, Seen, ShrinkCause, SplitBrain, Testimony, Unaided, Vitals,
};

const PAIR: PairId = PairId::new(7);
const MINE: Incarnation = Incarnation::new(1);
const THEIRS: Incarnation = Incarnation::new(2);
const E4: Epoch = Epoch::new(4);
const PEER_BOOT: BootId = BootId { incarnation: THEIRS, boot: 9 };

const QUIET: Unaided = Unaided {
    seen: Seen::Directly,
    channels: 1,
    fence: false,
    on_silence: OnSilence::Wait,
    goes_alone: true,
    pings: false,
    probe_failures: 3,
    split_brain: SplitBrain::Newest,
};

/// Node A with a fast disk; B is the peer.
struct Play {
    brain: Direct,
    now: u64,
    fence: Option<bool>,
    fenced: u32,
    out: Vec<Output>,
}

fn ends(end: u64) -> OwnEnds {
    let end = Lsn::new(end);
    OwnEnds { appended_end: end, durable_end: end, applied_end: end, commit_end: end }
}

fn set(a: bool, b: bool, revision: u64) -> InSyncSet {
    InSyncSet {
        epoch: E4,
        revision,
        members: Pair { a: a.then_some(MINE), b: b.then_some(THEIRS) },
        strength: Acknowledge::Durable,
    }
}

fn automatic(automation: Automation, unaided: Unaided) -> Automatic {
    let solo_after = Duration::from_millis(200);
    Automatic { automation, solo_after, unaided, ..Automatic::default() }
}

impl Play {
    fn new(primary: NodeId, members: InSyncSet, automatic: Automatic) -> Self {
        let state = NodeState {
            pair_id: PAIR,
            boot: 3,
            epoch_seen: E4,
            reign: Some(Reign { epoch: E4, fork: ForkId::new(4), primary }),
            in_sync: Some(members),
            member_boot: 2,
            ..NodeState::new(MINE)
        };
        let settings = Settings {
            node: NodeId::A,
            names: Pair { a: "left".to_owned(), b: "right".to_owned() },
            initial_primary: NodeId::A,
            acknowledge: Acknowledge::Durable,
            failure_timeout: Duration::from_millis(100),
            hold: Duration::from_millis(200),
            automatic,
        };
        let brain = Direct::new(settings, state, BootFacts::default(), 11, Monotonic::ZERO);
        Self { brain, now: 0, fence: None, fenced: 0, out: Vec::new() }
    }

    fn pinged(&mut self, reached: bool) {
        let asked = Monotonic::from_millis(self.now);
        self.give(Input::Pinged { asked, reached });
    }

    /// A standby that follows B and holds everything.
    fn standby(automatic: Automatic) -> Self {
        let mut play = Self::new(NodeId::B, set(true, true, 3), automatic);
        play.give(Input::PeerUp);
        let greeting = Self::greeting(Role::Primary, NodeId::B, set(true, true, 3));
        play.give(Input::PeerSaid(PeerMessage::Greeting(greeting)));
        assert_eq!(play.brain.role(), Role::Standby);
        play.out.clear();
        play
    }

    /// A primary that B followed, both in the set; the link is up.
    fn primary(automatic: Automatic) -> Self {
        let mut play = Self::new(NodeId::A, set(true, true, 3), automatic);
        play.give(Input::PeerUp);
        let greeting = Self::greeting(Role::Joining, NodeId::A, set(true, true, 3));
        play.give(Input::PeerSaid(PeerMessage::Greeting(greeting)));
        let claim = play.out.iter().find_map(|output| match output {
            Output::Send(PeerMessage::Claim { epoch, fork, .. }) => Some((*epoch, *fork)),
            _ => None,
        });
        let (epoch, fork) = claim.unwrap();
        play.give(Input::PeerSaid(PeerMessage::Grant { epoch, fork }));
        assert!(play.brain.is_serving() && play.brain.needs_peer());
        play.out.clear();
        play
    }

    fn greeting(role: Role, primary: NodeId, members: InSyncSet) -> Greeting {
        Greeting {
            pair_id: PAIR,
            incarnation: THEIRS,
            boot: PEER_BOOT.boot,
            role,
            epoch_seen: E4,
            reign: Some(Reign { epoch: E4, fork: ForkId::new(4), primary }),
            in_sync: Some(members),
            appended_end: Lsn::new(20),
            commit_end: Lsn::ZERO,
            pauses: 0,
            unwell: false,
        }
    }

    fn give(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            self.brain.step(Monotonic::from_millis(self.now), ends(20), input, &mut out);
            for output in &out {
                match output {
                    Output::Persist { version, .. } => {
                        inputs.push_back(Input::Persisted { version: *version });
                    }
                    Output::BeginReign { reign, .. } => {
                        let end = Lsn::new(20);
                        inputs.push_back(Input::ReignBegun { epoch: reign.epoch, end });
                    }
                    Output::Fence => {
                        self.fenced += 1;
                        let ended = match self.fence {
                            Some(true) => Ok(()),
                            _ => Err("exit status 1".to_owned()),
                        };
                        inputs.push_back(Input::Fenced(ended));
                    }
                    Output::HoldWrites => {
                        let epoch = self.brain.reign().unwrap().epoch;
                        let asked = Monotonic::from_millis(self.now);
                        let lease = Duration::ZERO;
                        inputs.push_back(Input::Confirmed { epoch, asked, lease });
                    }
                    _ => {}
                }
            }
            self.out.extend(out);
        }
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += 10;
            self.give(Input::Tick);
        }
    }

    fn ask(&mut self, request: Request) {
        self.give(Input::Ask { ticket: Ticket(1), request });
    }

    fn promoted(&self) -> Option<PromoteCause> {
        self.out.iter().find_map(|output| match output {
            Output::Event(Event::Promoted { cause, .. }) => Some(*cause),
            _ => None,
        })
    }

    fn shrunk(&self) -> Option<ShrinkCause> {
        self.out.iter().find_map(|output| match output {
            Output::Event(Event::Shrunk { cause, .. }) => Some(*cause),
            _ => None,
        })
    }

    fn heard(&mut self, role: Role, resigned: Option<u64>) {
        self.heard_in(E4, role, resigned);
    }

    fn heard_in(&mut self, epoch_seen: Epoch, role: Role, resigned: Option<u64>) {
        let vitals = Vitals {
            boot: PEER_BOOT,
            role,
            epoch_seen,
            appended_end: Lsn::new(20),
            durable_end: Lsn::new(20),
            resigned,
            unwell: false,
            load: Load::default(),
        };
        let asked = Monotonic::from_millis(self.now);
        let round_trip = Duration::from_millis(1);
        self.give(Input::ChannelHeard { channel: 0, asked, round_trip, vitals });
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Happens {
    DiesAsPartner,
    DiesAlone,
    DiesUnreadable,
    DiesAnotherBoot,
    FallsSilent,
}

/// By hand from the decision's table, not from the code.
fn wanted(happens: Happens, fence: Option<bool>, on_silence: OnSilence) -> Option<PromoteCause> {
    let unproven = match (fence, on_silence) {
        (Some(true), _) => Some(PromoteCause::TookOver),
        (None, OnSilence::TakeOver) => Some(PromoteCause::TookOverUnproven),
        (Some(false), _) | (None, OnSilence::Wait) => None,
    };
    match happens {
        Happens::DiesAsPartner => Some(PromoteCause::TookOver),
        Happens::DiesAlone | Happens::DiesUnreadable => None,
        Happens::FallsSilent | Happens::DiesAnotherBoot => unproven,
    }
}

fn happen(play: &mut Play, happens: Happens) {
    let dies = |boot, in_sync| Input::Testified(Testimony { boot, in_sync });
    let another = BootId { boot: PEER_BOOT.boot - 1, ..PEER_BOOT };
    match happens {
        Happens::DiesAsPartner => play.give(dies(PEER_BOOT, Some(set(true, true, 3)))),
        Happens::DiesAlone => play.give(dies(PEER_BOOT, Some(set(false, true, 4)))),
        Happens::DiesUnreadable => play.give(dies(PEER_BOOT, None)),
        Happens::DiesAnotherBoot => play.give(dies(another, Some(set(true, true, 3)))),
        Happens::FallsSilent => {}
    }
    play.give(Input::PeerDown { silent: Duration::ZERO });
    play.pass(1_000);
}

#[test]
fn a_certificate_says_nothing_of_a_peer_that_went_back_to_an_older_copy_and_lives() {
    let mut play = Play::primary(automatic(Automation::Auto, QUIET));
    let dead = Testimony { boot: PEER_BOOT, in_sync: Some(set(true, true, 3)) };
    play.give(Input::PeerDown { silent: Duration::ZERO });
    play.give(Input::Testified(dead));
    // The directory of an earlier boot is back, and on the link.
    play.give(Input::PeerUp);
    let greeting = Play::greeting(Role::Joining, NodeId::A, set(true, true, 3));
    let boot = PEER_BOOT.boot - 4;
    play.give(Input::PeerSaid(PeerMessage::Greeting(Greeting { boot, ..greeting })));
    assert_eq!(play.brain.testimony(), None);
    // What that boot's predecessor said on a slow channel is late.
    play.heard(Role::Standby, None);
    assert_eq!(play.brain.watch.met(), Some(BootId { boot, ..PEER_BOOT }));
}

#[test]
fn a_standby_in_every_combination_of_proof_fence_policy_and_person() {
    let mut count = 0;
    for happens in [
        Happens::DiesAsPartner,
        Happens::DiesAlone,
        Happens::DiesUnreadable,
        Happens::DiesAnotherBoot,
        Happens::FallsSilent,
    ] {
        for fence in [None, Some(true), Some(false)] {
            for on_silence in [OnSilence::Wait, OnSilence::TakeOver] {
                for automation in [Automation::Auto, Automation::Confirm, Automation::Observe] {
                    for paused in [false, true] {
                        count += 1;
                        let name = format!(
                            "{happens:?} fence {fence:?} {on_silence:?} {automation:?} paused {paused}"
                        );
                        let unaided = Unaided { fence: fence.is_some(), on_silence, ..QUIET };
                        let mut play = Play::standby(automatic(automation, unaided));
                        play.fence = fence;
                        if paused {
                            play.ask(Request::Pause);
                        }
                        happen(&mut play, happens);
                        let want = wanted(happens, fence, on_silence);
                        let acts = automation == Automation::Auto && !paused;
                        let got = play.promoted();
                        assert_eq!(got, want.filter(|_| acts), "{name}");
                        let silent =
                            matches!(happens, Happens::FallsSilent | Happens::DiesAnotherBoot);
                        let may_fence = silent && fence.is_some();
                        assert_eq!(play.fenced > 0, may_fence && acts, "{name}: fence");
                        let proposes = (want.is_some() || may_fence) && !acts && !paused;
                        assert_eq!(play.brain.pending().is_some(), proposes, "{name}: proposal");
                        if proposes && automation == Automation::Confirm {
                            let pending = play.brain.pending().unwrap();
                            assert_eq!(pending.what, Proposed::TakeOver { from: NodeId::B });
                            play.ask(Request::Confirm);
                            play.pass(100);
                            assert_eq!(play.promoted(), want, "{name}: confirmed");
                        }
                        if want.is_none() {
                            let why = play.brain.why(Monotonic::from_millis(play.now));
                            assert!(why.waiting_for.is_some(), "{name}: {why:?}");
                        }
                    }
                }
            }
        }
    }
    assert_eq!(count, 180);
}

#[test]
fn a_primary_goes_alone_by_right_and_only_after_its_disk() {
    let dead = Testimony { boot: PEER_BOOT, in_sync: None };
    let older = Testimony { boot: BootId { boot: 8, ..PEER_BOOT }, in_sync: None };
    for (testimony, fence, goes_alone, want) in [
        (Some(dead), None, true, Some(ShrinkCause::Certified)),
        (Some(dead), Some(false), true, Some(ShrinkCause::Certified)),
        (Some(older), Some(false), true, None),
        (None, None, true, Some(ShrinkCause::Silence)),
        (None, Some(true), true, Some(ShrinkCause::Fenced)),
        (None, Some(false), true, None),
        (Some(dead), None, false, None),
        (None, None, false, None),
    ] {
        let unaided = Unaided { fence: fence.is_some(), goes_alone, ..QUIET };
        let mut play = Play::primary(automatic(Automation::Auto, unaided));
        play.fence = fence;
        if let Some(testimony) = testimony {
            play.give(Input::Testified(testimony));
        }
        play.give(Input::PeerDown { silent: Duration::ZERO });
        play.pass(if testimony.is_some() { 10 } else { 190 });
        let early = want.filter(|_| testimony.is_some());
        assert_eq!(play.shrunk(), early, "{testimony:?} {fence:?}: by {}", play.now);
        play.pass(500);
        assert_eq!(play.shrunk(), want, "{testimony:?} {fence:?} {goes_alone}");
        assert_eq!(play.brain.needs_peer(), want.is_none());
    }
}

#[test]
fn one_channel_that_speaks_is_enough_and_the_standby_lets_the_primary_go() {
    let bold = Unaided { on_silence: OnSilence::TakeOver, ..QUIET };
    let mut standby = Play::standby(automatic(Automation::Auto, bold));
    standby.give(Input::PeerDown { silent: Duration::ZERO });
    for _ in 0..50 {
        standby.pass(20);
        standby.heard(Role::Primary, None);
    }
    assert_eq!(standby.promoted(), None, "it lives");
    let vitals = standby.brain.vitals(Load::default());
    assert_eq!(vitals.resigned, Some(3), "it cannot follow, so it leaves the set");

    let mut primary = Play::primary(automatic(Automation::Auto, QUIET));
    let revision = primary.brain.state().in_sync.unwrap().revision;
    primary.give(Input::PeerDown { silent: Duration::ZERO });
    for _ in 0..50 {
        primary.pass(20);
        primary.heard(Role::Standby, Some(revision - 1));
    }
    assert_eq!(primary.shrunk(), None, "an older word");
    primary.heard(Role::Standby, Some(revision));
    assert_eq!(primary.shrunk(), Some(ShrinkCause::Resigned));
}

#[test]
fn whoever_reaches_no_ping_target_does_not_take_over_and_a_primary_steps_down() {
    let pings = Unaided { pings: true, on_silence: OnSilence::TakeOver, ..QUIET };
    let mut standby = Play::standby(automatic(Automation::Auto, pings));
    standby.pinged(false);
    standby.give(Input::PeerDown { silent: Duration::ZERO });
    standby.pass(500);
    assert_eq!(standby.promoted(), None);
    standby.pinged(true);
    assert_eq!(standby.promoted(), Some(PromoteCause::TookOverUnproven));

    let pings = Unaided { pings: true, ..QUIET };
    let mut primary = Play::primary(automatic(Automation::Auto, pings));
    primary.pinged(false);
    assert!(primary.brain.is_serving(), "the peer is there");
    primary.give(Input::PeerDown { silent: Duration::ZERO });
    primary.pass(300);
    assert!(!primary.brain.is_serving());
    let isolated = |it: &Output| matches!(it, Output::Demote { cause: DemoteCause::Isolated, .. });
    assert!(primary.out.iter().any(isolated));
    primary.pinged(true);
    primary.pass(50);
    assert!(primary.brain.is_serving(), "nobody can have taken over on silence");
}

#[test]
fn a_later_epoch_on_any_channel_ends_a_reign() {
    let mut primary = Play::primary(automatic(Automation::Auto, QUIET));
    primary.give(Input::PeerDown { silent: Duration::ZERO });
    let vitals = Vitals {
        boot: PEER_BOOT,
        role: Role::Primary,
        epoch_seen: Epoch::new(50),
        appended_end: Lsn::new(20),
        durable_end: Lsn::new(20),
        resigned: None,
        unwell: false,
        load: Load::default(),
    };
    let asked = Monotonic::from_millis(primary.now);
    let round_trip = Duration::ZERO;
    primary.give(Input::ChannelHeard { channel: 0, asked, round_trip, vitals });
    assert!(!primary.brain.is_serving());
}

#[test]
fn both_served_and_the_rule_decides_the_same_on_both() {
    use SplitBrain::{Manual, MostWrites, Newest, Prefer};
    // The peer's epoch and the end of its log; ours are 5 and 20, and we are preferred.
    for (rule, epoch, end, keeps) in [
        (Newest, 6, 10, false),
        (Newest, 5, 30, true),
        (MostWrites, 6, 10, true),
        (MostWrites, 6, 30, false),
        (MostWrites, 4, 30, false),
        (Prefer, 6, 30, true),
        (Manual, 6, 10, false),
        (Manual, 4, 10, false),
    ] {
        let unaided = Unaided { split_brain: rule, ..QUIET };
        let mut play =
            Play::new(NodeId::A, set(true, false, 3), automatic(Automation::Auto, unaided));
        play.pass(200);
        assert!(play.brain.is_serving());
        let epoch = Epoch::new(epoch);
        let twin = Greeting {
            epoch_seen: epoch,
            reign: Some(Reign { epoch, fork: ForkId::new(99), primary: NodeId::B }),
            appended_end: Lsn::new(end),
            ..Play::greeting(Role::Primary, NodeId::B, set(false, true, 9))
        };
        play.give(Input::PeerUp);
        play.give(Input::PeerSaid(PeerMessage::Greeting(twin)));
        let name = format!("{rule:?} {epoch} {end}");
        assert_eq!(play.brain.is_serving(), keeps, "{name}");
        if keeps {
            assert!(play.brain.reign().unwrap().epoch >= epoch, "{name}: the latest one");
        }
        let told = |it: &Output| matches!(it, Output::Event(Event::SplitBrain { .. }));
        assert!(play.out.iter().any(told), "{name}");
    }
}

/// A primary that has gone alone, and hears on another channel that its peer has become primary.
#[test]
fn of_two_primaries_without_a_link_the_one_that_hears_of_a_later_reign_waits_for_the_link() {
    let bold = Unaided { on_silence: OnSilence::TakeOver, ..QUIET };
    let mut play = Play::primary(automatic(Automation::Auto, bold));
    let own = play.brain.reign().unwrap();
    play.give(Input::PeerDown { silent: Duration::ZERO });
    play.pass(400);
    assert!(play.brain.is_serving() && !play.brain.needs_peer());
    let later = own.epoch.next();
    for _ in 0..50 {
        play.heard_in(later, Role::Primary, None);
        play.pass(50);
    }
    assert_eq!(play.brain.reign(), Some(own), "it begins no reign against one that is later");
    assert!(!play.brain.is_serving());
    let why = play.brain.why(Monotonic::from_millis(play.now));
    assert_eq!(why.waiting_for.as_deref(), Some("the link to node right"));
    // They meet.
    play.give(Input::PeerUp);
    let reign = Reign { epoch: later, fork: ForkId::new(5), primary: NodeId::B };
    let set = InSyncSet { epoch: later, ..set(false, true, 9) };
    let greeting = Greeting {
        epoch_seen: later,
        reign: Some(reign),
        ..Play::greeting(Role::Primary, NodeId::B, set)
    };
    play.give(Input::PeerSaid(PeerMessage::Greeting(greeting)));
    assert_eq!(play.brain.reign(), Some(reign));
}

/// Its peer may have been given the role while it was down: by its own death certificate, or by the fence.
#[test]
fn a_restarted_primary_that_sees_nobody_waits_also_when_it_acknowledges_alone() {
    let local = |set: InSyncSet| InSyncSet { strength: Acknowledge::Local, ..set };
    let (both, alone) = (set(true, true, 3), set(true, false, 3));
    let fenced = Unaided { fence: true, ..QUIET };
    let cases = [(both, QUIET, false), (alone, QUIET, true), (alone, fenced, false)];
    for (members, unaided, returns) in cases {
        let mut play = Play::new(NodeId::A, local(members), automatic(Automation::Auto, unaided));
        play.brain = {
            let state = *play.brain.state();
            let settings =
                Settings { acknowledge: Acknowledge::Local, ..play.brain.core.settings().clone() };
            Direct::new(settings, state, BootFacts::default(), 11, Monotonic::ZERO)
        };
        play.pass(1_000);
        assert_eq!(play.brain.is_serving(), returns, "{members:?}");
    }
}

/// The next connection may be on its way already: what it brings first is the greeting.
#[test]
fn who_leaves_the_set_without_a_link_sends_nothing_into_it() {
    let mut play = Play::standby(automatic(Automation::Auto, QUIET));
    play.give(Input::PeerDown { silent: Duration::ZERO });
    for _ in 0..40 {
        play.heard(Role::Primary, None);
        play.pass(10);
    }
    assert!(play.brain.state().resigned);
    assert!(!play.out.iter().any(|output| matches!(output, Output::Send(_))));
}
