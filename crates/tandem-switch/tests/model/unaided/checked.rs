//! What is checked in the worlds of the unaided pair.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Model, Property};
use tandem_switch::Acknowledge;
use tandem_types::NodeId;

use super::world::{Action, Goal, NODES, Plan, World};

/// A plan, and which goals have been reached so far.
#[derive(Clone)]
pub struct Checked {
    pub plan: Plan,
    pub reached: Arc<AtomicU64>,
}

impl Checked {
    pub fn new(plan: Plan) -> Self {
        Self { plan, reached: Arc::default() }
    }

    pub fn has_reached(&self, goal: Goal) -> bool {
        self.reached.load(Ordering::Relaxed) & (1 << (goal as u8)) != 0
    }

    fn reach(&self) -> impl FnMut(Goal) + '_ {
        |goal| {
            self.reached.fetch_or(1 << (goal as u8), Ordering::Relaxed);
        }
    }
}

impl Model for Checked {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.plan, &mut |_| {})]
    }

    fn actions(&self, state: &World, out: &mut Vec<Action>) {
        state.actions(&self.plan, out);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.act(&self.plan, action, &mut self.reach());
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("nobody does what it must not", |_, w| w.broken.is_none()),
            Property::<Self>::always("a connected pair comes to rest whole", |_, world| {
                !world.is_settled() || world.is_whole()
            }),
        ];
        if self.plan.may_split() {
            properties.push(Property::<Self>::always(
                "no acknowledged write is neither here nor saved",
                |_, world| world.keeps_all(),
            ));
            return properties;
        }
        properties.push(Property::<Self>::always("one acknowledges", |model, world| {
            let able = |node: NodeId| world.able(&model.plan, node);
            !(able(NodeId::A) && able(NodeId::B))
        }));
        // Who waits for nobody may lose what its peer takes over without, and says so.
        if self.plan.setup.acknowledge != Acknowledge::Local {
            properties.push(Property::<Self>::always(
                "no acknowledged write is lost",
                |model, world| {
                    NODES
                        .into_iter()
                        .all(|node| !world.able(&model.plan, node) || world.holds_all(node))
                },
            ));
        }
        properties
    }

    fn within_boundary(&self, world: &World) -> bool {
        let epochs = u64::from(self.plan.budget.epochs);
        let within = |node: NodeId| world.nodes[node].disk.epoch_seen.get() <= epochs;
        NODES.into_iter().all(within) && world.wire.a.len() <= 5 && world.wire.b.len() <= 5
    }
}
