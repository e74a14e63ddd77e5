//! Who may ask: the token, and the names under which this node may be addressed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use crate::answer;

/// A wrong token costs this long, so that guessing is slow.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(500);

/// What is checked of each request.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// The token; `None`: whoever reaches the port may change things (loopback only, by default).
    pub(crate) token: Option<Vec<u8>>,
    /// Host names, besides addresses and `localhost`, that mean this node.
    pub(crate) hosts: Vec<String>,
}

impl Guard {
    /// A page of a foreign site whose name was made to resolve to us (DNS rebinding) sends that name.
    /// Addresses cannot be rebound, so any is fine.
    fn knows_host(&self, host: &str) -> bool {
        let name = without_port(host);
        name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn token_fits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
            .map(|(_, given)| given);
        // Takes the same time wherever the first difference is; only the length can be told.
        given.is_some_and(|given| given.ct_eq(token).into())
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address without a port ends in a bracket.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Refuses requests that were meant for, or come from a page of, another site.
pub(crate) async fn known_host(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !guard.knows_host(host) {
        return answer::error(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host header names another machine; use this node's address",
        );
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && from_elsewhere(headers, host) {
        return answer::error(
            StatusCode::FORBIDDEN,
            "requests from pages of other sites are refused",
        );
    }
    next.run(request).await
}

/// Browsers say where a request comes from; programs send neither header.
fn from_elsewhere(headers: &HeaderMap, host: &str) -> bool {
    let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default());
    let foreign_origin = origin.is_some_and(|origin| {
        origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host))
    });
    let site = headers.get("sec-fetch-site").map(header::HeaderValue::as_bytes);
    foreign_origin || site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

/// Refuses requests without the token.
pub(crate) async fn needs_token(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if guard.token_fits(request.headers()) {
        return next.run(request).await;
    }
    tokio::time::sleep(WRONG_TOKEN_DELAY).await;
    let mut response = answer::error(
        StatusCode::UNAUTHORIZED,
        "the admin token is missing or wrong; give it with --token or TANDEM_TOKEN",
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_mean_this_node_are_answered() {
        let guard = Guard { token: None, hosts: vec!["db1.example".to_owned()] };
        for host in [
            "127.0.0.1:8379",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8379",
            "[::1]",
            "10.0.0.1",
            "DB1.example:8379",
        ] {
            assert!(guard.knows_host(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:8379", "127.0.0.1.evil.example", "localhost.evil:1"]
        {
            assert!(!guard.knows_host(host), "{host}");
        }
    }

    #[test]
    fn only_the_whole_token_fits() {
        let guard = Guard { token: Some(b"secret".to_vec()), hosts: Vec::new() };
        for (given, fits) in [
            ("Bearer secret", true),
            ("bearer secret", true),
            ("Bearer secre", false),
            ("Bearer secrets", false),
            ("Basic secret", false),
            ("secret", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, given.parse().unwrap());
            assert_eq!(guard.token_fits(&headers), fits, "{given}");
        }
        assert!(!guard.token_fits(&HeaderMap::new()));
        assert!(Guard::default().token_fits(&HeaderMap::new()));
    }
}
