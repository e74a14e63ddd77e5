//! Keeps the address where the node wants it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::{Address, Interface, VipError};

/// When a taken address is announced. Announcements are lost now and then, and a neighbour that missed
/// all of them would go on talking to the old machine until its memory ages.
const ANNOUNCE_AFTER: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How often a held address is looked after, and a refused one tried again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is told: whether the address is bound here, and what the system said if it should not be so.
type Tell = Box<dyn FnMut(bool, Option<String>) + Send>;

/// Follows the node's wishes until nobody can have one any more; then gives the address up.
pub struct Keeper {
    interface: Interface,
    wishes: mpsc::UnboundedReceiver<bool>,
    tell: Tell,
    wanted: bool,
    told: Option<(bool, Option<String>)>,
    /// Announcements that are due, latest first.
    announce_at: Vec<Instant>,
    look_at: Option<Instant>,
}

impl Keeper {
    /// Wants nothing yet: the address is not bound.
    pub fn new(
        interface: Interface,
        wishes: mpsc::UnboundedReceiver<bool>,
        tell: impl FnMut(bool, Option<String>) + Send + 'static,
    ) -> Self {
        Self {
            interface,
            wishes,
            tell: Box::new(tell),
            wanted: false,
            told: None,
            announce_at: Vec::new(),
            look_at: None,
        }
    }

    /// Runs until every sender of wishes is gone.
    pub async fn run(mut self) {
        self.say(false, None);
        loop {
            let due = self.announce_at.last().copied().into_iter().chain(self.look_at).min();
            let wait = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                wish = self.wishes.recv() => match wish {
                    Some(wanted) => self.follow(wanted).await,
                    None => break,
                },
                () = wait => self.look_after(Instant::now()).await,
            }
        }
        self.follow(false).await;
    }

    async fn follow(&mut self, wanted: bool) {
        self.wanted = wanted;
        self.announce_at.clear();
        self.look_at = None;
        if wanted {
            return self.hold().await;
        }
        match self.interface.give_up().await {
            Ok(_) => self.say(false, None),
            Err(error) => {
                // Still bound: it must not stay so.
                self.look_at = Some(Instant::now() + LOOK_EVERY);
                self.say(true, Some(error.to_string()));
            }
        }
    }

    async fn hold(&mut self) {
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        match self.interface.take().await {
            Ok(new) => {
                if new {
                    let now = Instant::now();
                    self.announce_at =
                        ANNOUNCE_AFTER.iter().rev().map(|&after| now + after).collect();
                    self.announce(now);
                }
                self.say(true, None);
            }
            Err(error) => self.say(false, Some(error.to_string())),
        }
    }

    async fn look_after(&mut self, now: Instant) {
        if self.wanted {
            self.announce(now);
        }
        if self.look_at.is_some_and(|at| at <= now) {
            if !self.wanted {
                return self.follow(false).await;
            }
            match self.interface.is_held().await {
                Ok(true) => self.renew(now).await,
                Ok(false) => {
                    if self.told == Some((true, None)) {
                        tracing::warn!(
                            "somebody removed the virtual address, or the node stood still for so long that it ran \
                             out; it is taken again"
                        );
                    }
                    self.hold().await;
                }
                Err(error) => {
                    self.look_at = Some(now + LOOK_EVERY);
                    self.say(true, Some(error.to_string()));
                }
            }
        }
    }

    async fn renew(&mut self, now: Instant) {
        self.look_at = Some(now + LOOK_EVERY);
        let trouble = self.interface.renew().await.err();
        self.say(true, trouble.map(|error| error.to_string()));
    }

    /// Every announcement that is due.
    fn announce(&mut self, now: Instant) {
        let mut due = false;
        while self.announce_at.last().is_some_and(|&at| at <= now) {
            self.announce_at.pop();
            due = true;
        }
        if due && let Err(error) = self.interface.announce() {
            tracing::warn!("{error}");
        }
    }

    /// Once per change.
    fn say(&mut self, held: bool, trouble: Option<String>) {
        let news = (held, trouble);
        if self.told.as_ref() != Some(&news) {
            self.told = Some(news.clone());
            (self.tell)(news.0, news.1);
        }
    }
}

/// Removes the address at once, whoever bound it: for a supervisor whose node has ended. Returns whether
/// it was bound.
///
/// # Errors
/// See [`VipError`].
pub fn remove_now(address: &Address) -> Result<bool, VipError> {
    let failed = |error: std::io::Error| VipError::System {
        op: "open netlink for",
        address: address.clone(),
        reason: error.to_string(),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (_interface, removed) = Interface::open(address.clone()).await?;
        Ok(removed)
    })
}
