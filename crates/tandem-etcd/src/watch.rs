//! Hearing that something has changed. What it is, is read: an event alone is not linearizable.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::gateway::{self, Streamed, WatchAnswer};
use crate::http::Lines;
use crate::keys::Keys;
use crate::login::Asker;
use crate::trouble::Trouble;

/// A watch of everything of the pair.
#[derive(Debug)]
pub(crate) struct Watch {
    lines: Lines,
}

impl Watch {
    /// From when this returns on no change is missed.
    pub(crate) async fn start(asker: Asker, keys: &Keys, limit: Duration) -> Result<Self, Trouble> {
        let started = async {
            let mut lines = asker.listen(gateway::WATCH, &gateway::watch(&keys.all())).await?;
            let first: Streamed<WatchAnswer> = serde_json::from_slice(&lines.next().await?)
                .map_err(|error| Trouble::Malformed(error.to_string()))?;
            if !first.into_result()?.created {
                return Err(Trouble::Malformed("the watch was not created".to_owned()));
            }
            Ok(Self { lines })
        };
        timeout(limit, started).await.map_err(|_| Trouble::Late)?
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) -> Result<(), Trouble> {
        let line = self.lines.next().await?;
        ended(&line).map_or(Ok(()), Err)
    }
}

/// Why a message says that the watch is over. A message that cannot be read, as it is too long, is an
/// event.
fn ended(line: &Bytes) -> Option<Trouble> {
    let message: Streamed<WatchAnswer> = serde_json::from_slice(line).ok()?;
    match message.into_result() {
        Ok(answer) if answer.canceled => {
            Some(Trouble::refused(200, 0, &format!("the watch is over: {}", answer.cancel_reason)))
        }
        Ok(_) => None,
        Err(trouble) => Some(trouble),
    }
}
