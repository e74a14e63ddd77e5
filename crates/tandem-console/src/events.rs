//! `/api/v1/events`: the status as server-sent events, whenever something changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tandem_admin::{AdminReply, AdminRequest, StatusView};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::channel_stream::ChannelStream;
use crate::router::Shared;
use crate::{AdminPort, answer};

/// How often the node is asked. People see no difference below this.
const EVERY: Duration = Duration::from_millis(500);

/// Streams at once: each costs the node two questions per second.
const STREAMS_MAX: usize = 32;

/// The places for streams.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

pub(crate) async fn events<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    let Ok(place) = Arc::clone(&shared.streams.0).try_acquire_owned() else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "too many event streams are open");
    };
    // A reader that is slower than the events makes the poller wait, not the memory grow.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(feed(shared.port, sender, place));
    Sse::new(ChannelStream::new(receiver)).keep_alive(KeepAlive::default()).into_response()
}

/// Sends the status until the reader leaves or the node ends.
async fn feed<P: AdminPort>(
    port: P,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    _place: OwnedSemaphorePermit,
) {
    let mut told: Option<StatusView> = None;
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let Ok(AdminReply::Status(view)) = port.call(AdminRequest::Status).await else { return };
        if sender.is_closed() {
            return;
        }
        let news = without_clocks(&view);
        if told.as_ref() == Some(&news) {
            continue;
        }
        told = Some(news);
        let Ok(json) = serde_json::to_string(&view) else { return };
        if sender.send(Ok(Event::default().event("status").data(json))).await.is_err() {
            return;
        }
    }
}

/// The status without what changes by time alone.
fn without_clocks(view: &StatusView) -> StatusView {
    let mut view = view.clone();
    view.uptime_seconds = 0;
    view.read_lease_ms = view.read_lease_ms.map(|_| 0);
    view.peer.load = None;
    view.peer.last_heard_ms = view.peer.last_heard_ms.map(|_| 0);
    if let Some(probe) = &mut view.probe {
        (probe.last_ms, probe.rtt_us) = (probe.last_ms.map(|_| 0), probe.rtt_us.map(|_| 0));
    }
    for channel in &mut view.channels {
        channel.last_heard_ms = channel.last_heard_ms.map(|_| 0);
        channel.rtt_us = channel.rtt_us.map(|_| 0);
    }
    view
}
