//! Reading record and presences, and changing the record: one question after another.

use std::time::Duration;

use serde_json::json;
use tandem_switch::{Change, MediatorView, Outcome};
use tandem_types::Monotonic;

use crate::gateway::{self, TxnAnswer};
use crate::known::Known;
use crate::login::Asker;
use crate::trouble::Trouble;

/// What the questions need besides a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) now: fn() -> Monotonic,
    pub(crate) limit: Duration,
}

/// Record and presences at one moment.
pub(crate) async fn read(
    known: &mut Known,
    asker: &mut Asker,
    terms: Terms,
) -> Result<MediatorView, Trouble> {
    let asked = (terms.now)();
    let question = json!({ "success": known.ranges() });
    let answer: TxnAnswer = asker.ask_again(gateway::TXN, &question, terms.limit).await?;
    known.learn(&answer, 0, asked)
}

/// A compare-and-set. An error: nobody knows what became of it, and the connection is of no use.
pub(crate) async fn change(
    known: &mut Known,
    asker: &mut Asker,
    change: &Change,
    terms: Terms,
) -> Result<Outcome, Trouble> {
    if !known.is_expected(change.expect) {
        let view = read(known, asker, terms).await?;
        if !known.is_expected(change.expect) {
            // It was never sent.
            return Ok(Outcome::Lost(view));
        }
    }
    let asked = (terms.now)();
    let question = known.change(change, random()?);
    // Sent once: whether a second one found the first's result could not be told.
    let answer: TxnAnswer = match asker.ask(gateway::TXN, &question, terms.limit).await {
        Ok(answer) => answer,
        Err(trouble) if trouble.is_stale_login() => {
            asker.log_in().await?;
            return Ok(Outcome::Unknown { reason: trouble.to_string() });
        }
        Err(trouble) => return Err(trouble),
    };
    if answer.succeeded {
        let revision = known.won(&answer, &change.record)?;
        return Ok(Outcome::Won { revision });
    }
    Ok(Outcome::Lost(known.learn(&answer, 0, asked)?))
}

fn random() -> Result<u64, Trouble> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Trouble::Random(error.into()))?;
    Ok(u64::from_le_bytes(bytes))
}
