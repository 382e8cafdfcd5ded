//! Frames as text: a response to a request, or an event.

use serde::Serialize;
use serde_json::Value;

use super::refusal::Refusal;

#[derive(Serialize)]
struct Response<'a> {
    r#type: &'static str,
    id: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Refusal>,
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    event: &'a str,
    payload: &'a Value,
}

/// The response to the request with an id. As for any frame, it is one text message.
#[must_use]
pub fn response(id: &str, answer: Result<&Value, &Refusal>) -> String {
    text(&Response {
        r#type: "res",
        id,
        ok: answer.is_ok(),
        payload: answer.ok(),
        error: answer.err(),
    })
}

/// An event without a sequence number, as the challenge is.
#[must_use]
pub fn event(name: &str, payload: &Value) -> String {
    text(&Event {
        r#type: "event",
        event: name,
        payload,
    })
}

/// JSON of plain values cannot fail; were it to, an empty message would be no frame.
fn text(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}
