//! Frames as text: a response to a request, or an event.

use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Response<'a, P, E> {
    r#type: &'static str,
    id: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a E>,
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    event: &'a str,
    payload: &'a Value,
}

/// The response to the request with an id. As for any frame, it is one text message. The error
/// is a [`Refusal`](super::Refusal) or a [`CallError`](super::CallError).
#[must_use]
pub fn response<E: Serialize>(id: &str, answer: Result<&Value, &E>) -> String {
    text(&Response {
        r#type: "res",
        id,
        ok: answer.is_ok(),
        payload: answer.ok(),
        error: answer.err(),
    })
}

/// The response that a request is done, with what it gives.
pub(super) fn accepted(id: &str, payload: &impl Serialize) -> String {
    text(&Response::<_, Value> {
        r#type: "res",
        id,
        ok: true,
        payload: Some(payload),
        error: None,
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
