//! What a node acts on besides sockets and its disk, on a runtime of its own: the virtual address, the
//! mediator, the Sentinel port.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tandem_config::{Config, SwitchBy, VipConfig};
use tandem_server::{AdminHandle, Edges};
use tandem_types::NodeId;
use tandem_vip::{Address, Interface, Keeper};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::serve::cut::Cut;
use crate::serve::{mediator, prober, sentinel, still_here, unaided};

/// How long the end of this process waits for the virtual address to be given up and the like.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Everything that runs beside the data thread for this node.
pub(crate) struct Surroundings {
    runtime: Runtime,
    /// Tasks that have something to do at the end, once the node is gone.
    last: Vec<JoinHandle<()>>,
}

impl Surroundings {
    /// Starts what the configuration asks for, and gives the node its ways there.
    pub(crate) fn start(
        config: &Config,
        node: NodeId,
        admin: &AdminHandle,
        cut: &Cut,
    ) -> anyhow::Result<(Self, Edges)> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("surroundings")
            .enable_all()
            .build()
            .context("start the surroundings")?;
        let mut surroundings = Self { runtime, last: Vec::new() };
        let mut edges = Edges::default();
        let third = watch::Sender::new(None);
        let witness = third.subscribe();
        let keepalived = config.switch.is_keepalived();
        if config.switch.by == SwitchBy::Mediator && !keepalived {
            let asked = surroundings.ask_mediator(config, node, admin.clone(), cut, third);
            edges.mediator = Some(asked?);
        }
        if config.switch.is_unaided() {
            let runtime = surroundings.runtime.handle();
            edges.report = unaided::start_channels(runtime, config, node, admin)?;
            edges.fence = unaided::fencer(runtime, config, node, admin);
            unaided::start_pings(runtime, config, admin);
        }
        if config.switch.by == SwitchBy::Probe {
            prober::start(surroundings.runtime.handle(), config, node, admin)?;
        }
        let news = Arc::new(Notify::new());
        let hear = Arc::clone(&news);
        sentinel::start(surroundings.runtime.handle(), config, node, admin, witness, hear)?;
        edges.news = Some(Box::new(move || news.notify_one()));
        // keepalived binds it itself.
        if let Some(vip) = config.vip.as_ref().filter(|_| !keepalived) {
            let wish = surroundings.keep_address(vip, admin.clone())?;
            edges.virtual_address = Some(Box::new(move |wanted| {
                // Gone only when the process ends.
                let _sent = wish.send(wanted);
            }));
        }
        Ok((surroundings, edges))
    }

    fn ask_mediator(
        &mut self,
        config: &Config,
        node: NodeId,
        admin: AdminHandle,
        cut: &Cut,
        third: watch::Sender<Option<(String, u16)>>,
    ) -> anyhow::Result<mediator::Ask> {
        let (gate, turns) = (cut.clone(), admin.turns());
        let tell = move |event| {
            // The node may have ended.
            if gate.left().is_none() {
                let _told = admin.mediator_said(event);
            }
        };
        let (mut ask, task) = mediator::start(self.runtime.handle(), config, node, third, tell)?;
        self.last.push(task);
        let gate = cut.clone();
        let ask: mediator::Ask = Box::new(move |request| {
            if gate.left().is_none() {
                ask(request);
            }
        });
        Ok(still_here::help_out(self.runtime.handle(), config, turns, ask))
    }

    fn keep_address(
        &mut self,
        vip: &VipConfig,
        admin: AdminHandle,
    ) -> anyhow::Result<mpsc::UnboundedSender<bool>> {
        let address = address(vip)?;
        let (interface, removed) = self.runtime.block_on(Interface::open(address.clone()))?;
        if removed {
            tracing::warn!("{address} was still bound here, left by a process that ended suddenly");
        }
        let (wish, wishes) = mpsc::unbounded_channel();
        let tell = move |held: bool, trouble: Option<String>| {
            match &trouble {
                Some(trouble) => tracing::error!("the virtual address: {trouble}"),
                None if held => tracing::info!("{address} is bound here"),
                None => tracing::info!("{address} is not bound here"),
            }
            // The node may have ended; the address is given up all the same.
            let _told = admin.virtual_address(held, trouble);
        };
        self.last.push(self.runtime.spawn(Keeper::new(interface, wishes, tell).run()));
        Ok(wish)
    }

    /// After the node has ended: lets everything come to its end.
    pub(crate) fn stop(self) {
        let Self { runtime, last } = self;
        runtime.block_on(async {
            for task in last {
                if tokio::time::timeout(END_TIME_MAX, task).await.is_err() {
                    tracing::warn!("this process ends before its surroundings are done");
                }
            }
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
    }
}

/// The virtual address of a configuration.
pub(crate) fn address(vip: &VipConfig) -> anyhow::Result<Address> {
    Ok(Address::parse(&vip.address, &vip.interface)?)
}
