//! Elements that read the same are still several: the merge goes by places, never by names.

use std::collections::BTreeMap;

use tandem_merge::{Bytes, Chunk, Content, Key, KeyOp, Op, Site, Spans};
use tandem_types::{NodeId, WallMillis};

use crate::generate::{Theme, alike, key};
use crate::histories::plan;
use crate::keyspace::Keyspace;
use crate::world::{Plan, lists, run};

/// Two nodes that renamed the same list at once, and one of the two copies was popped. An oracle that tells
/// elements apart by what they read takes the pop for one of nothing: the element is still there.
const FOUND: [(u64, bool); 2] = [(363_143, true), (1_380_154, false)];

#[test]
fn a_copy_that_was_popped_is_gone_and_the_other_one_is_not() {
    for (seed, snapshots) in FOUND {
        let steps = if snapshots { 80 + seed % 160 } else { 40 + seed % 80 };
        let plan = Plan { snapshots, steps, ..plan(seed) };
        run(seed, plan, false).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

struct Node {
    site: Site,
    space: Keyspace,
}

impl Node {
    fn new(side: NodeId) -> Self {
        Self { site: Site::new(side, 500), space: Keyspace::default() }
    }

    fn write(&mut self, ops: Vec<Op>) -> Chunk {
        Chunk::of(self.site.write(ops, WallMillis::new(1_000), &mut self.space))
    }

    fn merge(&mut self, chunk: &Chunk) {
        let merged = self.site.merge(chunk, WallMillis::new(1_000), &mut self.space);
        assert!(merged.again.is_empty());
    }

    fn list(&self, key: &Key) -> Vec<Bytes> {
        self.space.keys.get(key).map(|(content, _)| content.list.clone()).unwrap_or_default()
    }
}

#[test]
fn both_rename_one_list_and_each_copy_is_popped_by_itself() {
    let (from, to) = (key(0), key(1));
    let element = Bytes::from(*b"job");
    let (mut a, mut b) = (Node::new(NodeId::A), Node::new(NodeId::B));
    let mut push = Spans::new();
    push.insert(vec![element.clone()]);
    b.merge(&a.write(vec![Op::Key(from.clone(), KeyOp::List(push))]));
    let rename = || {
        let content = Box::new(Content { list: vec![element.clone()], ..Content::default() });
        let restored = KeyOp::Restore { content, deadline: None };
        vec![Op::Key(from.clone(), KeyOp::Del), Op::Key(to.clone(), restored)]
    };
    let (renamed_a, renamed_b) = (a.write(rename()), b.write(rename()));
    a.merge(&renamed_b);
    b.merge(&renamed_a);
    for node in [&a, &b] {
        assert_eq!(node.list(&to), vec![element.clone(), element.clone()], "no push is lost");
        assert!(node.list(&from).is_empty());
    }
    let pop = || {
        let mut pop = Spans::new();
        pop.pop(vec![element.clone()]);
        vec![Op::Key(to.clone(), KeyOp::List(pop))]
    };
    b.merge(&a.write(pop()));
    for node in [&a, &b] {
        assert_eq!(node.list(&to), vec![element.clone()], "one of two was popped");
    }
    a.merge(&b.write(pop()));
    for node in [&a, &b] {
        assert!(node.list(&to).is_empty(), "and so was the other");
    }
}

/// The same history with elements that tell one another apart, which the oracle judges, and with two names for
/// all elements.
#[test]
fn what_elements_read_decides_nothing() {
    let mut elements = 0;
    for seed in 0..4_000 {
        let theme = if seed % 4 == 0 { Theme::Mixed } else { Theme::Lists };
        let plan = Plan { theme, snapshots: seed % 3 == 0, ..plan(seed) };
        let apart = lists(seed, plan).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let want: BTreeMap<Key, Vec<Bytes>> = apart
            .into_iter()
            .map(|(key, list)| (key, list.iter().map(|name| alike(name)).collect()))
            .collect();
        let found = lists(seed, Plan { alike: true, ..plan });
        let found = found.unwrap_or_else(|error| panic!("seed {seed}, alike: {error}"));
        assert_eq!(found, want, "seed {seed}");
        elements += found.values().map(Vec::len).sum::<usize>();
    }
    assert!(elements > 4_000, "only {elements} elements were left in all lists");
}
