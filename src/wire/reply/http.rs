//! A refusal before there is a WebSocket: an HTTP response.

use serde_json::{Value, json};

use crate::verdict::Reason;

/// The header in which an answer names its connection, as the log does. It is the gateway's own:
/// the protocol names a connection only to those that are admitted.
pub const CONNECTION_ID: &str = "x-gw-connection";

/// Why an upgrade is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpReason {
    /// A proxy that is not trusted sent it on, or a trusted one named no client.
    ProxyAttributionRequired,
    /// Another reason of the policy.
    Policy(Reason),
    /// Too many failures from this address.
    RateLimited {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Too many sockets of this client that are not admitted yet.
    WaitingSockets,
    /// The gateway does not take connections now.
    Closed,
}

/// An HTTP response in place of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status}: {body}")]
pub struct HttpRefusal {
    /// 401, 403, 429, 502 or 503.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
    /// Headers besides, in lower case.
    pub headers: Vec<(&'static str, String)>,
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const ATTRIBUTION: &str = "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and make the proxy overwrite or safely rebuild forwarded client headers.";

impl HttpRefusal {
    /// The response; the body of 403 as in the `http` rows of 2026.9.6.
    #[must_use]
    pub fn of(reason: HttpReason) -> Self {
        match reason {
            HttpReason::ProxyAttributionRequired => {
                HttpRefusal::typed(403, "proxy_attribution_required", ATTRIBUTION)
            }
            HttpReason::Policy(reason) => {
                let kind = reason.name().replace('-', "_");
                let message = format!("{}: {}", reason.doc(), reason.remedy());
                HttpRefusal::typed(403, &kind, &message)
            }
            HttpReason::RateLimited { retry_after_ms } => {
                let seconds = retry_after_ms.div_ceil(1_000).to_string();
                let message = "Too many failed authentication attempts. Try again later.";
                HttpRefusal {
                    headers: vec![("retry-after", seconds)],
                    ..HttpRefusal::typed(429, "rate_limited", message)
                }
            }
            HttpReason::WaitingSockets => {
                HttpRefusal::text(503, "Too many unauthenticated sockets")
            }
            HttpReason::Closed => HttpRefusal::text(503, "Gateway websocket admission closed"),
        }
    }

    /// `error.type` of the body, where it has one.
    #[must_use]
    pub fn kind(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body.pointer("/error/type")?.as_str()?.to_owned())
    }

    fn typed(status: u16, kind: &str, message: &str) -> Self {
        HttpRefusal::json(status, json!({ "message": message, "type": kind }))
    }

    pub(super) fn json(status: u16, error: Value) -> Self {
        HttpRefusal {
            status,
            content_type: JSON,
            body: json!({ "error": error }).to_string(),
            headers: Vec::new(),
        }
    }

    fn text(status: u16, message: &str) -> Self {
        HttpRefusal {
            status,
            content_type: TEXT,
            body: message.to_owned(),
            headers: Vec::new(),
        }
    }
}
