//! The status page: written by the server, brought up to date by a few lines of script.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tandem_admin::{
    AdminReply, AdminRequest, ConflictRequest, Health, HistoryView, PeerView, RoleName, StatusView,
    WhyView,
};

use crate::html::Html;
use crate::router::Shared;
use crate::{AdminPort, answer};

const HTML: &str = "text/html; charset=utf-8";

/// Entries of the timeline that are shown, newest first.
const TIMELINE_ROWS_MAX: usize = 20;

pub(crate) async fn whole<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    let Some(pair) = pair(&shared.port).await else { return answer::gone() };
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width\">\n<title>Tandem</title>\n");
    html.raw("<link rel=\"stylesheet\" href=\"/console.css\">\n");
    html.raw("<script src=\"/console.js\" defer></script>\n</head>\n<body>\n<main id=\"pair\">\n");
    let start = html.finish();
    let end = "</main>\n</body>\n</html>\n";
    answer::typed(StatusCode::OK, HTML, start + &pair + end)
}

pub(crate) async fn fragment<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    match pair(&shared.port).await {
        Some(pair) => answer::typed(StatusCode::OK, HTML, pair),
        None => answer::gone(),
    }
}

pub(crate) async fn style() -> Response {
    answer::typed(StatusCode::OK, "text/css; charset=utf-8", include_str!("console.css").to_owned())
}

pub(crate) async fn script() -> Response {
    let script = include_str!("console.js").to_owned();
    answer::typed(StatusCode::OK, "text/javascript; charset=utf-8", script)
}

/// The part of the page that changes.
async fn pair<P: AdminPort>(port: &P) -> Option<String> {
    let Ok(AdminReply::Status(status)) = port.call(AdminRequest::Status).await else { return None };
    let history = match port.call(AdminRequest::History).await {
        Ok(AdminReply::History(view)) => view,
        Ok(_) | Err(_) => HistoryView::default(),
    };
    let why = match port.call(AdminRequest::Why).await {
        Ok(AdminReply::Why(view)) => view,
        Ok(_) | Err(_) => WhyView::default(),
    };
    let mut html = Html::default();
    heading(&mut html, &status, &why);
    pending(&mut html, &status);
    buttons(&mut html, &status);
    html.raw("<div class=\"nodes\">\n");
    this_node(&mut html, &status);
    peer_node(&mut html, &status.peer);
    html.raw("</div>\n");
    if status.conflicts > 0 {
        conflicts(&mut html, port).await;
    }
    timeline(&mut html, &history);
    Some(html.finish())
}

fn heading(html: &mut Html, status: &StatusView, why: &WhyView) {
    let health = match status.health() {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::NoPrimary => "no primary",
    };
    html.raw("<h1>").text(&status.pair).raw(" <small>").text(&status.topology).raw(", ");
    html.text(&status.acknowledge).raw("</small></h1>\n<p class=\"health ");
    html.raw(match status.health() {
        Health::Healthy => "good",
        Health::Degraded => "fair",
        Health::NoPrimary => "bad",
    });
    html.raw("\">").text(health).raw("</p>\n");
    if !why.summary.is_empty() {
        html.raw("<p>").text(&why.summary).raw("</p>\n");
    }
    for wait in &why.waiting {
        html.raw("<p class=\"wait\">").text(&wait.fact).raw(" &larr; ").text(&wait.supplied_by);
        html.raw("</p>\n");
    }
    for warning in &status.warnings {
        html.raw("<p class=\"wait\">").text(warning).raw("</p>\n");
    }
}

/// A decision that waits for a person.
fn pending(html: &mut Html, status: &StatusView) {
    let Some(pending) = &status.pending else { return };
    html.raw("<section class=\"pending\">\n<h2>Waits for your word</h2>\n<p>");
    html.text(&pending.proposal).raw("</p>\n<table>\n");
    html.row("primary then", &pending.to);
    let lost = pending.records_lost.map_or("not known".to_owned(), |lost| lost.to_string());
    html.row("acknowledged records lost", &lost);
    html.row("dropped in", &format!("{} s", pending.expires_ms / 1_000));
    html.raw("</table>\n<button data-do=\"confirm\" data-ask=\"Carry out the proposed switch?\">");
    html.raw("Confirm</button> <button data-do=\"reject\" data-ask=\"Drop the proposal?\">");
    html.raw("Reject</button>\n</section>\n");
}

/// What a person may start from here; the node still refuses what would not be safe.
fn buttons(html: &mut Html, status: &StatusView) {
    html.raw("<p class=\"buttons\">");
    let followed = status.role == RoleName::Primary && status.peer.connected;
    if followed {
        html.raw("<button data-do=\"switch\" data-ask=\"Make ").text(&status.peer.node);
        html.raw(" the primary? No write is lost; writes pause for a moment.\">Switch to ");
        html.text(&status.peer.node).raw("</button> ");
    }
    if status.switch_by != "manual" && !status.switch_by.is_empty() {
        if status.paused {
            html.raw("<button data-do=\"resume\" data-ask=\"Resume automatic switching?\">");
            html.raw("Resume automatic switching</button> ");
        } else {
            html.raw("<button data-do=\"pause\" data-ask=\"Suspend automatic switching on both ");
            html.raw("nodes?\">Pause automatic switching</button> ");
        }
    }
    html.raw("<span id=\"said\"></span></p>\n");
}

fn badge(html: &mut Html, role: Option<RoleName>) {
    html.raw(" <span class=\"role ");
    html.raw(role.map_or("unknown", RoleName::as_str)).raw("\">");
    html.raw(role.map_or("not heard", RoleName::as_str)).raw("</span></h2>\n<table>\n");
}

fn this_node(html: &mut Html, status: &StatusView) {
    html.raw("<section>\n<h2>").text(&status.node);
    badge(html, Some(status.role));
    html.row("address", &status.address);
    html.row("epoch", &format!("{} ({})", status.epoch, status.fork_id));
    let in_sync = if status.in_sync { "both".to_owned() } else { status.in_sync_set.join(", ") };
    html.row("in sync", &in_sync);
    if let Some(millis) = status.read_lease_ms {
        html.row("may answer reads for", &format!("{millis} ms"));
    }
    if let Some(vip) = &status.vip {
        html.row("virtual address", &format!("{}, {}", vip.address, held(vip.held)));
    }
    if let Some(mediator) = &status.mediator {
        let up = if mediator.connected { "connected" } else { "not reached" };
        let place = mediator.endpoint.as_deref().unwrap_or_default();
        html.row("mediator", &format!("{} {place}, {up}", mediator.kind));
        if let Some(record) = &mediator.record {
            html.row("record", record);
        }
        if let Some(trouble) = &mediator.trouble {
            html.row("mediator trouble", trouble);
        }
    }
    if let Some(switch) = &status.last_switch {
        let from = switch.from.as_deref().unwrap_or("nobody");
        html.row("last switch", &format!("{from} to {}: {}", switch.to, switch.cause));
    }
    html.row("last record", &status.last_lsn.to_string());
    html.row("durable", &status.durable_lsn.to_string());
    html.row("acknowledged", &status.commit_lsn.to_string());
    html.row("applied", &status.applied_lsn.to_string());
    html.row("keys", &status.keys.to_string());
    html.row("clients", &status.clients.to_string());
    html.row("version", &status.version);
    html.raw("</table>\n</section>\n");
}

const fn held(held: bool) -> &'static str {
    if held { "held here" } else { "not here" }
}

fn peer_node(html: &mut Html, peer: &PeerView) {
    html.raw("<section>\n<h2>").text(&peer.node);
    badge(html, peer.role);
    html.row("address", &peer.address);
    html.row("epoch", &peer.epoch.to_string());
    html.row("link", if peer.connected { "up" } else { "down" });
    let lag = format!("{} records, {} B, {} ms", peer.lag_records, peer.lag_bytes, peer.lag_ms);
    html.row("lag", &lag);
    html.row("received", &peer.received_lsn.to_string());
    html.row("durable", &peer.durable_lsn.to_string());
    html.row("applied", &peer.applied_lsn.to_string());
    if let Some(bytes) = peer.full_copy_bytes {
        html.row("full copy", &format!("{bytes} B so far"));
    }
    html.raw("</table>\n</section>\n");
}

/// Saved writes of a returned primary. What is in them is not shown here: the page needs no token.
async fn conflicts<P: AdminPort>(html: &mut Html, port: &P) {
    let request = AdminRequest::Conflicts(ConflictRequest::List);
    let Ok(AdminReply::Conflicts(view)) = port.call(request).await else { return };
    html.raw("<h2>Saved writes that the pair lacks</h2>\n<table class=\"timeline\">\n");
    for it in view.conflicts.iter().filter(|it| it.state == "open") {
        html.raw("<tr><td><time data-ms=\"").value(&it.saved_at_ms).raw("\"></time></td><td>");
        html.value(&it.records).raw(" records of ").text(&it.node).raw(", ").value(&it.keys);
        html.raw(" keys</td><td>tandem conflicts diff ").text(&it.id).raw("</td></tr>\n");
    }
    html.raw("</table>\n");
}

fn timeline(html: &mut Html, history: &HistoryView) {
    html.raw("<h2>Timeline</h2>\n<table class=\"timeline\">\n");
    for entry in history.entries.iter().rev().take(TIMELINE_ROWS_MAX) {
        html.raw("<tr><td><time data-ms=\"").value(&entry.at_ms).raw("\"></time></td><td>epoch ");
        html.value(&entry.epoch).raw("</td><td>");
        html.text(&entry.cause).raw("</td></tr>\n");
    }
    html.raw("</table>\n");
}
