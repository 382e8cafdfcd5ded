//! An answer that can be sent: whole, within the limits of what it goes over, and one that fits what
//! was decided.

use gw::admission::{Admission, Reply};
use serde_json::Value;

/// What may be wrong with an answer.
pub(crate) fn ill_formed(reply: &Reply) -> Option<String> {
    if let Some(close) = reply.close() {
        if close.reason.len() > 120 {
            return Some(format!("a reason of {} bytes", close.reason.len()));
        }
        if !(1000..=4999).contains(&close.code) {
            return Some(format!("the code {}", close.code));
        }
    }
    let Some(text) = reply.refusal() else {
        let refused = matches!(reply, Reply::Refused { .. });
        return refused.then(|| "a refusal without a text".to_owned());
    };
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    let message = said.pointer("/error/message").and_then(Value::as_str);
    let whole = said["type"] == "res"
        && said["ok"] == false
        && said["id"].is_string()
        && said.pointer("/error/code").is_some_and(Value::is_string)
        && message.is_some_and(|message| !message.is_empty());
    (!whole || said.get("payload").is_some()).then_some(text)
}

/// The same, of what was decided: whoever is admitted has a permit, and nobody else.
pub(crate) fn ill_decided(admission: &Admission) -> Option<String> {
    let admitted = matches!(admission.reply, Reply::Admitted(_));
    let closes = admission.reply.close();
    if admitted != admission.permit.is_some() || admitted != closes.is_none() {
        return Some(format!("{admission:#?}"));
    }
    if admission.event.close != closes.map(|close| close.code) {
        return Some(format!("{:#?}", admission.event));
    }
    let line = admission.event.to_string();
    if line.chars().any(char::is_control) || line.len() > 4_096 {
        return Some(line);
    }
    ill_formed(&admission.reply)
}
