//! A pause is on both nodes only once the other one says so.

use super::*;
use crate::{Request, Ticket};

impl Node {
    fn asks(&mut self, request: Request) -> Option<String> {
        self.step(Input::Ask { ticket: Ticket(7), request });
        self.answer()
    }

    fn answer(&mut self) -> Option<String> {
        self.answers.pop().map(|answer| answer.expect("a pause takes effect here at least"))
    }

    /// The peer's greeting comes again, with this.
    fn peer_has(&mut self, pauses: u64) {
        let said = self.brain.greeting().copied().expect("it is connected");
        self.step(Input::PeerSaid(PeerMessage::Greeting(Greeting { pauses, ..said })));
    }
}

#[test]
fn a_pause_is_answered_once_the_peer_has_it_on_its_disk() {
    let mut node = Node::first_primary();
    node.is_followed();
    for (request, pauses, words) in
        [(Request::Pause, 1, "either node"), (Request::Resume, 2, "taken again")]
    {
        assert_eq!(node.asks(request), None, "nobody knows whether the peer decides meanwhile");
        let told = node
            .said
            .iter()
            .any(|it| matches!(it, PeerMessage::Greeting(it) if it.pauses == pauses));
        assert!(told);
        node.peer_has(pauses);
        let answer = node.answer().expect("the peer says so");
        assert!(answer.contains(words), "{answer}");
    }
}

#[test]
fn a_pause_that_the_peer_does_not_confirm_says_that_it_may_still_decide() {
    let mut node = Node::first_primary();
    let alone = node.asks(Request::Pause).expect("nobody is there to wait for");
    assert!(
        alone.contains("node b is not connected") && alone.contains("this node only"),
        "{alone}"
    );

    let mut node = Node::first_primary();
    node.is_followed();
    assert_eq!(node.asks(Request::Pause), None);
    node.waits(Duration::from_millis(900));
    assert_eq!(node.answer(), None);
    node.waits(Duration::from_millis(200));
    let silent = node.answer().expect("a second has passed");
    assert!(silent.contains("node b has not confirmed it"), "{silent}");
    let again = node.asks(Request::Pause);
    assert_eq!(again, None);
    node.step(Input::PeerDown { silent: Duration::ZERO });
    let gone = node.answer().expect("nobody is there any more");
    assert!(gone.starts_with("paused already on this node only"), "{gone}");
}
