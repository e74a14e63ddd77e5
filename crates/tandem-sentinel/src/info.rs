//! `INFO` as a Sentinel says it.

use std::fmt::Write as _;

use crate::SentinelView;

/// The version of Redis whose protocol is spoken; libraries look at it.
pub(crate) const REDIS_VERSION: &str = "7.2.4";

/// The sections `server` and `sentinel`, whichever were asked for.
pub(crate) fn info(view: &SentinelView) -> String {
    let mut text = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:sentinel\r\nrun_id:{}\r\n\
         tcp_port:{}\r\n\r\n# Sentinel\r\nsentinel_masters:{}\r\n",
        view.me.runid,
        view.me.port,
        view.masters.len()
    );
    for (index, master) in view.masters.iter().enumerate() {
        let Some(primary) = &master.primary else { continue };
        let status = if master.down { "odown" } else { "ok" };
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            "master{index}:name={},status={status},address={}:{},slaves={},sentinels={}\r\n",
            master.name,
            primary.ip,
            primary.port,
            master.replicas.len(),
            master.sentinels.len() + 1
        );
    }
    text
}
