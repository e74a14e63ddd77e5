//! Answers in JSON, and what each reply of the node is in HTTP.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tandem_admin::{AdminReply, RefusedView};

use crate::Gone;

/// JSON that is never cached: it is about this moment.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // The views hold text, numbers and lists only; those always have a JSON form.
    let body = serde_json::to_string(value)
        .unwrap_or_else(|error| format!("{{\"ok\":false,\"error\":\"{error}\"}}"));
    typed(status, "application/json", body)
}

/// A body of a known type.
pub(crate) fn typed(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// `{"ok": false, "error": "..."}`.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    json(status, &serde_json::json!({ "ok": false, "error": message }))
}

/// A refusal with its parts, so that a script need not take the sentence apart.
pub(crate) fn refused(view: &RefusedView) -> Response {
    let mut value = serde_json::to_value(view).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("ok".to_owned(), false.into());
        object.insert("error".to_owned(), view.line().into());
    }
    json(StatusCode::CONFLICT, &value)
}

/// What the node's reply is in HTTP.
pub(crate) fn reply(reply: Result<AdminReply, Gone>) -> Response {
    match reply {
        Ok(AdminReply::Status(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::History(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::Why(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::Backup(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::Conflicts(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::ConflictLines(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::ConflictDiff(view)) => json(StatusCode::OK, &view),
        Ok(AdminReply::ConflictApply(view)) => done(&view),
        Ok(AdminReply::Metrics(view)) => {
            typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", view.to_prometheus())
        }
        Ok(AdminReply::Done(view)) => done(&view),
        Ok(AdminReply::Refused(view)) => refused(&view),
        Err(Gone) => gone(),
    }
}

/// Something that was done.
fn done(view: &impl Serialize) -> Response {
    let mut value = serde_json::to_value(view).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("ok".to_owned(), true.into());
    }
    json(StatusCode::OK, &value)
}

/// The node is shutting down.
pub(crate) fn gone() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "the node is shutting down; try the other node")
}
