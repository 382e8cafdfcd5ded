//! Where a message goes: on, or no further than here. No more of it is read than that takes.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

/// The part of a message that says where it goes. A field that is there twice is no answer: the
/// two ends may take another one of them each.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    event: Cow<'a, str>,
}

/// Where a message of a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the upstream.
    On,
    /// It is the gateway's to answer.
    Here,
    /// It may be, and nobody can say for sure.
    Nonsense,
}

/// What begins so is about devices that come in here. What is behind has none but ours.
const OURS: [&str; 2] = ["device.pair.", "device.token."];

/// What every method begins with that the gateway answers where there is an upstream.
pub const ROOTS: [&str; 4] = ["admission.", "connect", "device.", "policy."];

/// Where a message of a client goes; `own` are the methods that the gateway answers, each of which
/// begins with one of [`ROOTS`].
#[must_use]
pub fn of_request(message: &[u8], own: impl Fn(&str) -> bool) -> Route {
    if !may_say(message, &ROOTS) {
        return Route::On;
    }
    match serde_json::from_slice::<Envelope<'_>>(message) {
        Ok(envelope) if own(&envelope.method) => Route::Here,
        Ok(_) => Route::On,
        Err(_) => Route::Nonsense,
    }
}

/// Whether a message of the upstream goes to the client: its devices are nobody's business. What may
/// be about them and cannot be read for sure does not go.
#[must_use]
pub fn passes(message: &[u8]) -> bool {
    if !may_say(message, &OURS) {
        return true;
    }
    serde_json::from_slice::<Envelope<'_>>(message).is_ok_and(|envelope| !is_ours(&envelope.event))
}

/// Whether any string of the JSON may begin with one of some words. Only an escape can spell a
/// letter otherwise (RFC 8259, 7).
fn may_say(message: &[u8], words: &[&str]) -> bool {
    let says = |word: &str| memmem::find(message, word.as_bytes()).is_some();
    says("\\u") || words.iter().any(|word| says(word))
}

/// Whether a method or an event is about devices that come in here.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.starts_with(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_not_ours_goes_on() {
        let own = |method: &str| is_ours(method) || method == "policy.status";
        let deep = format!(
            r#"{{"method":"chat.send","params":{}1{}}}"#,
            "[".repeat(5_000),
            "]".repeat(5_000)
        );
        for (message, route) in [
            (r#"{"type":"req","id":"1","method":"health"}"#, Route::On),
            (r#"{"method":"device.pair.approve"}"#, Route::Here),
            (r#"{"method":"device.pair.anything"}"#, Route::Here),
            (r#"{"m\u0065thod":"device.token\u002erotate"}"#, Route::Here),
            (r#"{"method":"policy.status"}"#, Route::Here),
            (r#"{"params":{"method":"device.pair.list"}}"#, Route::On),
            (
                r#"{"method":"device.pair.list","method":"health"}"#,
                Route::Nonsense,
            ),
            (
                r#"{"method":"health","method":"device.pair.list"}"#,
                Route::Nonsense,
            ),
            (r#"{"method":["device.pair.list"]}"#, Route::Nonsense),
            ("device.pair.list", Route::Nonsense),
            ("", Route::On),
            ("{", Route::On),
            (r#"{"method":"health","method":"status"}"#, Route::On),
            (
                r#"{"m\u0065thod":"health","method":"status"}"#,
                Route::Nonsense,
            ),
            (
                r#"{"method":"chat.send","params":{"text":"\ud800"}}"#,
                Route::On,
            ),
            (r#"{"method":"chat.send","params":1e999}"#, Route::On),
            (&deep, Route::On),
        ] {
            assert_eq!(of_request(message.as_bytes(), own), route, "{message:.60}");
        }
    }

    #[test]
    fn events_of_devices_behind_are_not_told() {
        for (message, told) in [
            (r#"{"type":"event","event":"tick","payload":{}}"#, true),
            (r#"{"type":"event","event":"device.pair.requested"}"#, false),
            (r#"{"type":"res","id":"device.pair.list","ok":true}"#, true),
            ("what is this", true),
            ("what device.pair.requested is", false),
            (r#"{"event":"tick","event":"device.pair.requested"}"#, false),
            (r#"{"event":"device.pair.requested","method":5}"#, false),
            ("\u{feff}{\"event\":\"device.pair.requested\"}", false),
            (r#"{"event":"chat","payload":"\u00e9 \ud800"}"#, true),
        ] {
            assert_eq!(passes(message.as_bytes()), told, "{message}");
        }
    }
}
