//! The standby as a client of the primary (`switch.by = "probe"`).

use std::sync::Arc;

use anyhow::Context as _;
use tandem_admin::{AdminReply, AdminRequest, RoleName};
use tandem_config::{Config, TlsConfig};
use tandem_probe::{Own, ProberSettings, TlsSource};
use tandem_server::{AdminHandle, clock};
use tandem_switch::Input;
use tandem_types::NodeId;
use tokio::runtime::Handle;

use crate::serve::{secrets, tls, unaided};

/// Starts the prober. It runs on either node, and tries the other one while that may be primary.
pub(crate) fn start(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    admin: &AdminHandle,
) -> anyhow::Result<()> {
    let peer = &config.nodes[node.peer()];
    let password = config.auth.password_file.as_deref().map(secrets::read).transpose();
    let settings = ProberSettings {
        host: peer.host.clone(),
        port: peer.client_port,
        password: password.context("read the secret of `auth.password_file`")?.map(Arc::from),
        tls: config.tls.as_ref().map(source).transpose()?,
        every: config.switch.probe.every,
        write: config.switch.probe.write,
        silence: config.switch.failure_timeout,
        slow_after: config.switch.slow_after,
        folder: config.nodes[node].data_dir.clone(),
        nonce: unaided::nonce()?,
        now: clock::monotonic,
    };
    let asked = admin.clone();
    let own = move || {
        let admin = asked.clone();
        let own: std::pin::Pin<Box<dyn Future<Output = Option<Own>> + Send>> =
            Box::pin(async move { own(&admin).await });
        own
    };
    let told = admin.clone();
    let tell = move |asked, probed| told.seen(Input::Probed { asked, probed }).is_ok();
    tandem_probe::start(runtime, settings, Box::new(own), tell);
    Ok(())
}

/// The certificate is read for each connection; one that cannot be used now is an error now.
fn source(files: &TlsConfig) -> anyhow::Result<TlsSource> {
    tls::client_config(files)?;
    let files = files.clone();
    Ok(TlsSource::new(move || tls::client_config(&files).map_err(std::io::Error::other)))
}

/// How this node itself is; `None`: it has ended.
async fn own(admin: &AdminHandle) -> Option<Own> {
    match admin.ask(AdminRequest::Status).await {
        Ok(AdminReply::Status(status)) if status.role == RoleName::Primary => Some(Own::Serves),
        Ok(_) => Some(Own::Watches),
        Err(_) => None,
    }
}
