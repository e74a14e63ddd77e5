//! Random walks through the same worlds: deeper than every interleaving can be followed.

use stateright::Model;

use crate::plans::Named;
use crate::world::{Action, Checked, World};

/// What a walk came upon.
pub struct Found {
    pub property: &'static str,
    pub steps: Vec<Action>,
    pub walks: u64,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// How likely an action is: faults are rare, or nothing ever gets done.
const fn weight(action: Action) -> usize {
    match action {
        Action::Deliver(_) | Action::Apply(_) | Action::Answer(_) | Action::Show(_) => 12,
        Action::Connect | Action::Session(_) | Action::Notice(_) | Action::Tick(_) => 6,
        Action::Boot(_) | Action::Write(_) | Action::Beat(_) | Action::Lapse(_) => 4,
        _ => 1,
    }
}

fn choose(random: &mut Random, actions: &[Action]) -> Action {
    let total = actions.iter().map(|&action| weight(action)).sum();
    let mut left = random.below(total);
    for &action in actions {
        if left < weight(action) {
            return action;
        }
        left -= weight(action);
    }
    actions[0]
}

/// Walks until something is found, at most `walks` times.
pub fn walk(named: &Named, walks: u64, goals: &mut dyn FnMut(&World)) -> Option<Found> {
    let model = Checked { plan: named.plan, goals: false };
    let properties = model.properties();
    let start = model.init_states().remove(0);
    for seed in 0..walks {
        let mut random = Random(seed * 7919 + 13);
        let mut world = start.clone();
        let mut steps = Vec::new();
        for _ in 0..150 {
            let mut actions = Vec::new();
            model.actions(&world, &mut actions);
            if actions.is_empty() {
                break;
            }
            let action = choose(&mut random, &actions);
            steps.push(action);
            world.act(&named.plan, action);
            if !model.within_boundary(&world) {
                break;
            }
            for property in &properties {
                if !(property.condition)(&model, &world) {
                    return Some(Found { property: property.name, steps, walks: seed + 1 });
                }
            }
        }
        goals(&world);
    }
    None
}
