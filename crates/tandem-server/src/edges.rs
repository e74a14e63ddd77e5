//! What a node acts on besides sockets and its disk: given by the program, reached without waiting.

use std::time::Duration;

use tandem_switch::{BootId, MediatorEvent, MediatorRequest, Vitals};
use tandem_types::Monotonic;

/// How often the data thread says that it lives.
const BEAT_EVERY: Duration = Duration::from_millis(100);

/// The world beside the data thread. Every function is called on it and must not block; answers come by
/// [`crate::AdminHandle`].
#[derive(Default)]
pub struct Edges {
    /// Takes what the switch wants from the mediator, in order.
    pub mediator: Option<Box<dyn FnMut(MediatorRequest) + Send>>,
    /// Takes (`true`) or gives up the virtual address.
    pub virtual_address: Option<Box<dyn FnMut(bool) + Send>>,
    /// Runs the command that makes sure that the peer is off; the answer comes by
    /// [`crate::AdminHandle::seen`].
    pub fence: Option<Box<dyn FnMut() + Send>>,
    /// Takes this node's health report every so often, and says it on every channel. It is made by the loop
    /// that serves writes, so that a loop that hangs falls silent.
    pub report: Option<Report>,
    /// Hears ten times per second that the data thread lives, and which boot of the data it serves
    /// (`None` while that is being read).
    pub beat: Option<Box<dyn FnMut(Option<BootId>) + Send>>,
    /// Hears that something happened, such as a change of role: whoever tells others asks for the status.
    pub news: Option<Box<dyn FnMut() + Send>>,
}

/// Where this node's health reports go.
pub struct Report {
    /// How often one is made.
    pub every: Duration,
    /// Takes one.
    pub send: Box<dyn FnMut(Vitals) + Send>,
}

/// The edges of a running loop.
#[derive(Default)]
pub(crate) struct Attached {
    edges: Edges,
    beat_at: Monotonic,
    report_at: Monotonic,
    /// The mediator's endpoint, while a session is open.
    mediator: Option<String>,
}

impl Attached {
    pub(crate) fn new(edges: Edges) -> Self {
        Self { edges, beat_at: Monotonic::ZERO, report_at: Monotonic::ZERO, mediator: None }
    }

    /// Remembers whether a session is open: a node that boots while it is must hear of it.
    pub(crate) fn note(&mut self, event: &MediatorEvent) {
        match event {
            MediatorEvent::Up { endpoint } => self.mediator = Some(endpoint.clone()),
            MediatorEvent::Down { .. } => self.mediator = None,
            MediatorEvent::Renewed { .. }
            | MediatorEvent::View(_)
            | MediatorEvent::Outcome { .. } => {}
        }
    }

    /// The news of an open session, again.
    pub(crate) fn mediator_up(&self) -> Option<MediatorEvent> {
        self.mediator.clone().map(|endpoint| MediatorEvent::Up { endpoint })
    }

    pub(crate) fn ask_mediator(&mut self, request: MediatorRequest) {
        if let Some(mediator) = &mut self.edges.mediator {
            mediator(request);
        }
    }

    pub(crate) fn want_address(&mut self, wanted: bool) {
        if let Some(address) = &mut self.edges.virtual_address {
            address(wanted);
        }
    }

    /// Something happened that may interest others.
    pub(crate) fn tell_news(&mut self) {
        if let Some(news) = &mut self.edges.news {
            news();
        }
    }

    /// When the next beat is due, if anyone listens.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        let beat = self.edges.beat.as_ref().map(|_| self.beat_at);
        let report = self.edges.report.as_ref().map(|_| self.report_at);
        beat.into_iter().chain(report).min()
    }

    pub(crate) fn fence(&mut self) {
        if let Some(fence) = &mut self.edges.fence {
            fence();
        }
    }

    /// Says how this node is, if it is time and anyone listens.
    pub(crate) fn report(&mut self, now: Monotonic, vitals: impl FnOnce() -> Option<Vitals>) {
        if let Some(Report { every, send }) = &mut self.edges.report
            && self.report_at <= now
        {
            self.report_at = now.plus(*every);
            if let Some(vitals) = vitals() {
                send(vitals);
            }
        }
    }

    pub(crate) fn beat(&mut self, now: Monotonic, boot: impl FnOnce() -> Option<BootId>) {
        if let Some(beat) = &mut self.edges.beat
            && self.beat_at <= now
        {
            self.beat_at = now.plus(BEAT_EVERY);
            beat(boot());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_node_that_boots_later_hears_of_an_open_session() {
        let mut attached = Attached::default();
        assert_eq!(attached.mediator_up(), None);
        let up = MediatorEvent::Up { endpoint: "w:1".to_owned() };
        attached.note(&up);
        attached.note(&MediatorEvent::Renewed { sent: Monotonic::ZERO });
        assert_eq!(attached.mediator_up(), Some(up));
        attached.note(&MediatorEvent::Down { reason: String::new() });
        assert_eq!(attached.mediator_up(), None);
    }

    #[test]
    fn beats_come_ten_times_per_second_and_only_if_someone_listens() {
        let at = |millis| Monotonic::ZERO.plus(Duration::from_millis(millis));
        let mut deaf = Attached::default();
        deaf.beat(at(1_000), || unreachable!("nobody listens"));
        assert_eq!(deaf.deadline(), None);

        let count = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&count);
        let beat = move |_| {
            heard.fetch_add(1, Ordering::Relaxed);
        };
        let mut attached = Attached::new(Edges { beat: Some(Box::new(beat)), ..Edges::default() });
        for millis in 0..1_000 {
            attached.beat(at(millis), || None);
        }
        assert_eq!(count.load(Ordering::Relaxed), 10);
        assert_eq!(attached.deadline(), Some(at(1_000)));
    }
}
