//! The answer to a call that failed: the `error` of its response.

use serde::Serialize;
use serde_json::{Value, json};

use super::table::ErrorCode;
use crate::pairing::rpc::RpcError;
use crate::settings::Compatibility;
use crate::settings::compatibility::RefusalWording;

/// The `error` of the response to a call that failed; the connection stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same call may succeed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
}

impl CallError {
    /// The answer to a call that manages devices. Observed: `sequence/approve-needs-scope`.
    #[must_use]
    pub fn of(error: &RpcError, compatibility: &Compatibility) -> Self {
        let (code, details) = match (error, compatibility.refusal_wording) {
            (RpcError::MethodScope(scope), RefusalWording::Guided) => {
                let details = json!({
                    "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope],
                });
                (ErrorCode::Forbidden, Some(details))
            }
            (RpcError::MethodScope(_), RefusalWording::Brief) | (RpcError::Invalid(_), _) => {
                (ErrorCode::InvalidRequest, None)
            }
        };
        CallError {
            code,
            message: error.to_string(),
            details,
            retryable: None,
        }
    }
}
