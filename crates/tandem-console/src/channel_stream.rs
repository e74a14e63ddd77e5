//! The receiving end of a channel as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;

/// Yields what comes through a channel; an error ends the response without its proper end, so that the
/// other side sees a broken transfer and not a short file.
pub(crate) struct ChannelStream<T> {
    receiver: mpsc::Receiver<T>,
}

impl<T> ChannelStream<T> {
    pub(crate) const fn new(receiver: mpsc::Receiver<T>) -> Self {
        Self { receiver }
    }
}

impl<T> Stream for ChannelStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv(context)
    }
}
