//! The answer to a client that is known by its request alone, and does not get its WebSocket.

use serde_json::json;

use super::http::{HttpReason, HttpRefusal};
use crate::verdict::Reason;

/// How often a client should look whether the server behind is there again, in seconds.
const AGAIN_SECONDS: u64 = 5;

/// A reason that such a client hears of in other words than one that sends a connect frame.
struct Row {
    reason: Reason,
    /// `WWW-Authenticate` (RFC 6750, 3), where another token helps.
    challenge: Option<&'static str>,
    /// In place of the reason's own.
    remedy: Option<&'static str>,
}

static ROWS: [Row; 5] = [
    Row {
        reason: Reason::TokenMissing,
        challenge: Some("Bearer"),
        remedy: Some(
            "send the gateway's token as `Authorization: Bearer TOKEN`; a page in a browser offers \
             the subprotocols `gw.bearer` and `gw.bearer.` with the token in base64url behind it",
        ),
    },
    Row {
        reason: Reason::PasswordMissing,
        challenge: Some("Bearer"),
        remedy: Some(
            "send the gateway's password as `Authorization: Bearer PASSWORD`; a page in a browser \
             offers the subprotocols `gw.bearer` and `gw.bearer.` with the password in base64url \
             behind it",
        ),
    },
    Row {
        reason: Reason::TokenMismatch,
        challenge: Some("Bearer error=\"invalid_token\""),
        remedy: None,
    },
    Row {
        reason: Reason::PasswordMismatch,
        challenge: Some("Bearer error=\"invalid_token\""),
        remedy: None,
    },
    Row {
        reason: Reason::DeviceRequired,
        challenge: None,
        remedy: Some(
            "a client of the server behind the gateway has no device: have the owner of the \
             gateway add a rule that admits it by its address, its path or its token",
        ),
    },
];

/// A refusal of a client that is known by its request alone.
#[derive(Clone, Copy, Debug)]
pub struct RequestRefusal<'a> {
    /// Why.
    pub reason: Reason,
    /// Whether the policy asks for pairing first.
    pub pairing: bool,
    /// When to try again, where it failed too often.
    pub retry_after_ms: Option<u64>,
    /// What the policy has to say to the client; it stands in place of the reason's own remedy.
    pub hint: Option<&'a str>,
    /// The line of the policy that refuses, where the client may know it.
    pub rule: Option<&'a str>,
}

impl RequestRefusal<'_> {
    fn row(&self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.reason == self.reason)
    }

    /// What makes the answer another one.
    #[must_use]
    pub fn remedy(&self) -> &str {
        let own = self.row().and_then(|row| row.remedy);
        self.hint.or(own).unwrap_or_else(|| self.reason.remedy())
    }

    /// The response: 401 where another token helps, 429 where there were too many of them, else
    /// 403.
    #[must_use]
    pub fn response(&self) -> HttpRefusal {
        if let (Reason::RateLimited, Some(retry_after_ms)) = (self.reason, self.retry_after_ms) {
            return HttpRefusal::of(HttpReason::RateLimited { retry_after_ms });
        }
        let (row, remedy) = (self.row(), self.remedy());
        let (kind, why) = match self.pairing {
            true => (
                "pairing_required".to_owned(),
                "the policy asks for pairing before this connection is let in",
            ),
            false => (self.reason.name().replace('-', "_"), self.reason.doc()),
        };
        let message = format!("{why}: {remedy}");
        let mut error = json!({ "message": message, "type": kind });
        if let (Some(rule), Some(error)) = (self.rule, error.as_object_mut()) {
            error.insert("rule".to_owned(), rule.into());
        }
        let challenge = row.and_then(|row| row.challenge);
        let status = if challenge.is_some() { 401 } else { 403 };
        let headers = challenge.map(|value| ("www-authenticate", value.to_owned()));
        HttpRefusal {
            headers: headers.into_iter().collect(),
            ..HttpRefusal::json(status, error)
        }
    }
}

/// Why a client that is admitted does not get to the server behind. What is wrong there is for the
/// owner's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BehindRefusal {
    /// It is not there.
    Away,
    /// It is there, and it and the gateway do not get on.
    Refused,
    /// It answers this very request with another status than that of a WebSocket.
    Status(u16),
    /// What the client was admitted by changed meanwhile.
    Changed,
}

impl BehindRefusal {
    /// The response.
    #[must_use]
    pub fn response(self) -> HttpRefusal {
        let (status, kind, message) = match self {
            BehindRefusal::Away => (
                503,
                "upstream_unavailable",
                "the server behind the gateway cannot be reached: try again later; the gateway's \
                 log and `gw status` tell its owner what is wrong"
                    .to_owned(),
            ),
            BehindRefusal::Refused => (
                503,
                "upstream_refused",
                "the server behind the gateway does not let it in: try again later; the gateway's \
                 log and `gw status` tell its owner what is wrong"
                    .to_owned(),
            ),
            BehindRefusal::Status(status) => (
                502,
                "upstream_refused",
                format!(
                    "the server behind the gateway answers this request with {status}, and not \
                     with a WebSocket: look at the path, and at what that server asks for; the \
                     gateway's log tells its owner more"
                ),
            ),
            BehindRefusal::Changed => (
                503,
                "admission_changed",
                "what this connection was let in by has changed meanwhile: try again".to_owned(),
            ),
        };
        let error = json!({ "message": message, "type": kind });
        let again = match self {
            BehindRefusal::Away | BehindRefusal::Refused => Some(AGAIN_SECONDS),
            BehindRefusal::Changed => Some(1),
            BehindRefusal::Status(_) => None,
        };
        HttpRefusal {
            headers: again
                .map(|seconds| ("retry-after", seconds.to_string()))
                .into_iter()
                .collect(),
            ..HttpRefusal::json(status, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reason: Reason) -> RequestRefusal<'static> {
        RequestRefusal {
            reason,
            pairing: false,
            retry_after_ms: None,
            hint: None,
            rule: None,
        }
    }

    #[test]
    fn only_another_token_is_asked_for_with_401() {
        for reason in Reason::ALL {
            let response = of(*reason).response();
            let asks = response
                .headers
                .iter()
                .any(|(name, _)| *name == "www-authenticate");
            assert_eq!(asks, response.status == 401, "{reason}");
            assert!(response.body.contains(": "), "{reason}: no step");
        }
        assert_eq!(of(Reason::TokenMissing).response().status, 401);
        assert_eq!(of(Reason::NotPermitted).response().status, 403);
        let late = RequestRefusal {
            retry_after_ms: Some(1_001),
            ..of(Reason::RateLimited)
        };
        let response = late.response();
        assert_eq!(response.status, 429);
        assert_eq!(response.headers, [("retry-after", "2".to_owned())]);
    }

    #[test]
    fn the_words_of_the_policy_take_the_place_of_ours() {
        let response = RequestRefusal {
            pairing: true,
            hint: Some("call 4711"),
            rule: Some("door"),
            ..of(Reason::DeviceRequired)
        }
        .response();
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(
            body["error"],
            json!({
                "type": "pairing_required",
                "message": "the policy asks for pairing before this connection is let in: call 4711",
                "rule": "door",
            })
        );
    }
}
