//! What a pair without a third party goes by besides its link: further channels, the fence command, ping
//! targets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::rand::{GetRandomFlags, getrandom};
use tandem_channel::{Channel, ChannelSettings, Endpoint, Key, fence, reach_any};
use tandem_config::Config;
use tandem_server::{AdminHandle, Report, clock};
use tandem_switch::Input;
use tandem_types::NodeId;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::serve::secrets;

/// How often the ping targets are tried, at the most.
const PING_EVERY_MIN: Duration = Duration::from_millis(500);

/// Starts the channels besides the link; the node's reports go to all of them.
pub(crate) fn start_channels(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    admin: &AdminHandle,
) -> anyhow::Result<Option<Report>> {
    let secret = config.auth.peer_secret_file.as_deref().map(secrets::read).transpose();
    let secret = secret.context("read the secret of `auth.peer_secret_file`")?.unwrap_or_default();
    let key = Key::new(&secret);
    let (own, peer) = (&config.nodes[node].name, &config.nodes[node.peer()].name);
    let mut channels = Vec::new();
    for channel in &config.switch.direct.channels {
        let tandem_config::Channel::Endpoints(ends) = channel else { continue };
        let end = |name: &String| {
            let text = ends.get(name).map_or("", String::as_str);
            Endpoint::parse(text).context("read `switch.direct.channels`")
        };
        let index = u8::try_from(channels.len()).context("count `switch.direct.channels`")?;
        let settings = ChannelSettings {
            index,
            node,
            pair: config.pair.name.clone(),
            key: key.clone(),
            own: end(own)?,
            peer: end(peer)?,
            nonce: nonce()?,
            now: clock::monotonic,
        };
        let admin = admin.clone();
        let tell = move |heard: tandem_channel::Heard| {
            let tandem_channel::Heard { channel, asked, round_trip, vitals } = heard;
            // The node may have ended.
            admin.seen(Input::ChannelHeard { channel, asked, round_trip, vitals }).ok();
        };
        let (channel, _task) = Channel::start(runtime, settings, tell);
        channels.push(channel);
    }
    if channels.is_empty() {
        return Ok(None);
    }
    let send = move |vitals| {
        for channel in &channels {
            channel.report(vitals);
        }
    };
    Ok(Some(Report { every: config.switch.heartbeat(), send: Box::new(send) }))
}

/// Runs the fence command when the node wants it.
pub(crate) fn fencer(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    admin: &AdminHandle,
) -> Option<Box<dyn FnMut() + Send>> {
    let command: Arc<str> = config.switch.fence.as_deref()?.into();
    let peer = &config.nodes[node.peer()];
    let (name, host) = (peer.name.clone(), peer.host.clone());
    let (runtime, admin) = (runtime.clone(), admin.clone());
    Some(Box::new(move || {
        let (command, name, host) = (Arc::clone(&command), name.clone(), host.clone());
        let admin = admin.clone();
        runtime.spawn(async move {
            let ended = fence(&command, &name, &host).await;
            admin.seen(Input::Fenced(ended)).ok();
        });
    }))
}

/// Tries the ping targets, and tells the node.
pub(crate) fn start_pings(runtime: &Handle, config: &Config, admin: &AdminHandle) {
    let targets = config.switch.direct.ping_targets.clone();
    if targets.is_empty() {
        return;
    }
    let every = config.switch.failure_timeout.max(PING_EVERY_MIN) / 2;
    let patience = config.switch.failure_timeout.max(PING_EVERY_MIN);
    let admin = admin.clone();
    runtime.spawn(async move {
        let mut rounds = interval(every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let asked = clock::monotonic();
            let reached = reach_any(&targets, patience).await;
            if admin.seen(Input::Pinged { asked, reached }).is_err() {
                return; // The node has ended.
            }
        }
    });
}

pub(super) fn nonce() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty()).context("draw random numbers")?;
    Ok(u64::from_le_bytes(bytes))
}
