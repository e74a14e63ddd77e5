//! The way to the mediator that the configuration names.

use anyhow::{Context as _, bail};
use tandem_config::{Config, MediatorKind, NodeConfig, Topology};
use tandem_server::clock;
use tandem_switch::{MediatorEvent, MediatorRequest};
use tandem_types::{NodeId, Pair};
use tandem_witness::{Place, Places};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::serve::{secrets, tls};

/// How the node asks it.
pub(crate) type Ask = Box<dyn FnMut(MediatorRequest) + Send>;

/// Starts the client; it ends when what asks it is dropped. `third` gets the Sentinel port of a witness.
pub(crate) fn start(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    third: watch::Sender<Option<(String, u16)>>,
    tell: impl FnMut(MediatorEvent) + Send + 'static,
) -> anyhow::Result<(Ask, JoinHandle<()>)> {
    match config.switch.mediator.kind {
        MediatorKind::Witness => {
            let settings = witness(config, node, third)?;
            let (client, task) = tandem_witness::Client::start(runtime, settings, tell);
            Ok((Box::new(move |request| client.ask(request)), task))
        }
        MediatorKind::Etcd => {
            let settings = etcd(config, node)?;
            let (client, task) = tandem_etcd::Client::start(runtime, settings, tell);
            Ok((Box::new(move |request| client.ask(request)), task))
        }
        MediatorKind::Zookeeper => {
            let settings = zookeeper(config, node)?;
            let (client, task) = tandem_zookeeper::Client::start(runtime, settings, tell);
            Ok((Box::new(move |request| client.ask(request)), task))
        }
        kind @ MediatorKind::Keepalived => {
            bail!("`switch.mediator.kind` = \"{kind}\" keeps no record; use \"witness\"")
        }
    }
}

fn witness(
    config: &Config,
    node: NodeId,
    third: watch::Sender<Option<(String, u16)>>,
) -> anyhow::Result<tandem_witness::ClientSettings> {
    let mediator = &config.switch.mediator;
    let secret = config.auth.peer_secret_file.as_deref().map(secrets::read).transpose();
    Ok(tandem_witness::ClientSettings {
        endpoints: mediator.endpoints.clone(),
        pair: config.pair.name.clone(),
        node,
        session: mediator.session,
        secret: secret
            .context("read the secret of `auth.peer_secret_file`")?
            .map_or_else(tandem_witness::Secret::default, tandem_witness::Secret::new),
        tls: config.tls.as_ref().map(tls::client_config).transpose()?,
        now: clock::monotonic,
        places: places(config),
        sentinel: third,
    })
}

/// What the witness tells clients of this pair.
fn places(config: &Config) -> Places {
    let place = |node: &NodeConfig| Place {
        host: node.host.clone(),
        client_port: node.client_port,
        read_port: node.read_port,
        sentinel_port: node.sentinel_port,
    };
    Places {
        nodes: Pair { a: place(&config.nodes.a), b: place(&config.nodes.b) },
        replicas_serve: config.pair.topology == Topology::PrimaryReplica,
    }
}

fn etcd(config: &Config, node: NodeId) -> anyhow::Result<tandem_etcd::ClientSettings> {
    let mediator = &config.switch.mediator;
    let login = secrets::mediator_login(mediator)?
        .map(|(user, password)| {
            let password = String::from_utf8(password)
                .context("`switch.mediator.password_file`: etcd takes UTF-8 only")?;
            anyhow::Ok(tandem_etcd::Login::new(user, password))
        })
        .transpose()?;
    Ok(tandem_etcd::ClientSettings {
        endpoints: mediator.endpoints.clone(),
        pair: config.pair.name.clone(),
        node,
        session: mediator.session,
        login,
        tls: tls::mediator_config(mediator)?,
        now: clock::monotonic,
    })
}

fn zookeeper(config: &Config, node: NodeId) -> anyhow::Result<tandem_zookeeper::ClientSettings> {
    let mediator = &config.switch.mediator;
    Ok(tandem_zookeeper::ClientSettings {
        endpoints: mediator.endpoints.clone(),
        pair: config.pair.name.clone(),
        node,
        session: mediator.session,
        login: secrets::mediator_login(mediator)?
            .map(|(user, password)| tandem_zookeeper::Login::new(user, password)),
        tls: tls::mediator_config(mediator)?,
        now: clock::monotonic,
    })
}
