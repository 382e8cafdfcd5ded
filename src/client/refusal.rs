//! A refusal, as a gateway words it: of a connection, or of a call.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::wire::Close;

/// The `error` of a response. All of it is a peer's word.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Refusal {
    /// What kind of failure, as `NOT_PAIRED`.
    pub code: String,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(default)]
    pub details: Value,
    /// How the connection was closed, where it was.
    #[serde(skip)]
    pub close: Option<Close>,
    /// The id that the gateway gave the connection, where it was the connection that was refused.
    #[serde(skip)]
    pub connection: Option<String>,
}

impl Refusal {
    fn detail(&self, name: &str) -> Option<&str> {
        self.details
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    /// The code that says more, as `PAIRING_REQUIRED`.
    #[must_use]
    pub fn detail_code(&self) -> Option<&str> {
        self.detail("code")
    }

    /// Why: `reason`, or `authReason`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.detail("reason").or_else(|| self.detail("authReason"))
    }

    /// What the owner approves the connection by.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.detail("requestId")
    }

    /// What the gateway says that helps.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.detail("remediationHint")
    }

    /// What the gateway wants the client to do next.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        self.detail("recommendedNextStep")
    }

    /// Whether it was refused for what it did not bring: a device, or a secret.
    #[must_use]
    pub fn wants_proof(&self) -> bool {
        let code = self.detail_code().unwrap_or_default();
        matches!(
            code,
            "DEVICE_IDENTITY_REQUIRED"
                | "AUTH_REQUIRED"
                | "AUTH_TOKEN_MISSING"
                | "AUTH_PASSWORD_MISSING"
        )
    }

    /// Whether the gateway does not refuse whoever it is, and only cannot go on now.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        self.code == "UNAVAILABLE"
    }

    /// A list of texts among the details; empty where there is none.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let list = self.details.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// As it came, with the close frame.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(object) = error.as_object_mut() {
            if !self.details.is_null() {
                object.insert("details".to_owned(), self.details.clone());
            }
            if let Some(close) = &self.close {
                let close = json!({ "code": close.code, "reason": close.reason });
                object.insert("closed".to_owned(), close);
            }
            if let Some(connection) = &self.connection {
                object.insert("connection".to_owned(), connection.as_str().into());
            }
        }
        error
    }
}
