//! The account for the client: what the wire tells it, and what it can do about that. Nothing of the
//! policy is in it but the words that a clause has for clients: no clause is named, and no step is
//! told that was found by looking for what the policy lets in.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::line;
use super::{Explanation, Subject, outcome};
use crate::facts::{Facts, Pairing};
use crate::settings::Compatibility;
use crate::verdict::{PairingReason, Verdict};
use crate::wire::reply::{Context, PairingRefusal, Refusal, pairing_required, refuse};

/// What a client can do whose request waits.
pub const ASK_THE_OWNER: &str = "ask the owner of the gateway to approve the request that waits";

/// What a client may know of its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAccount {
    /// Whether it got in.
    pub admitted: bool,
    /// `error.code` of the response; over HTTP `error.type`.
    pub code: Option<String>,
    /// `error.details.code` of the response.
    pub details: Option<String>,
    /// Why it is refused, in a public word.
    pub reason: Option<String>,
    /// `error.message` of the response.
    pub message: Option<String>,
    /// The code that the connection is closed with.
    pub close: Option<u16>,
    /// The status of an HTTP response in place of the WebSocket.
    pub http: Option<u16>,
    /// Of one that is let in: what it may do, in sentences.
    pub told: Vec<String>,
    /// What it can do to be let in.
    pub remedy: Option<String>,
}

impl ClientAccount {
    /// What is told to the client of a connection that was explained, in the words of a release.
    #[must_use]
    pub fn new(
        explanation: &Explanation,
        facts: &Facts,
        subject: &Subject,
        compatibility: &Compatibility,
    ) -> Self {
        let verdict = explanation.decision.verdict;
        let context = Context::of_facts(facts, compatibility);
        let refusal = match verdict {
            Verdict::Reject(reason) => refuse(reason, &context),
            Verdict::RequirePairing(reason) => {
                pairing_required(&PairingRefusal::new(reason), &context)
            }
            Verdict::Approve(_) | Verdict::SilentApprove(_) => {
                return ClientAccount {
                    admitted: true,
                    told: outcome::told(explanation.decision, facts, subject),
                    ..ClientAccount::default()
                };
            }
        };
        let Refusal {
            code,
            message,
            details,
            close,
            ..
        } = refusal;
        let details = details.as_ref().and_then(|details| details.get("code"));
        let hint = explanation.by.hint.clone();
        ClientAccount {
            code: Some(code.name().to_owned()),
            details: details.and_then(Value::as_str).map(str::to_owned),
            reason: super::json::reason(verdict).map(str::to_owned),
            message: Some(message),
            close: Some(close.code),
            remedy: hint.or_else(|| remedy(verdict, facts, subject)),
            ..ClientAccount::default()
        }
    }

    /// As one JSON object; what is not known is null.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "for": "client",
            "admitted": self.admitted,
            "code": self.code,
            "details": self.details,
            "reason": self.reason,
            "message": self.message,
            "close": self.close,
            "http": self.http,
            "told": self.told,
            "remedy": self.remedy,
        })
    }

    /// As text: drawn in columns for people, or told line by line.
    #[must_use]
    pub fn text(&self, drawn: bool) -> String {
        let mut out = String::new();
        if drawn {
            let head = if self.admitted { "ADMITTED" } else { "REFUSED" };
            let codes = [&self.code, &self.details];
            let codes: Vec<&str> = codes.into_iter().flatten().map(String::as_str).collect();
            let codes = line(&codes.join(" "));
            let _ = writeln!(out, "{}", format!("{head}   {codes}").trim_end());
            out.extend(self.message.iter().map(|text| line(text) + "\n"));
            out.push('\n');
        } else {
            let admitted = if self.admitted { "yes" } else { "no" };
            let _ = writeln!(out, "admitted: {admitted}");
        }
        let first = [
            ("code", &self.code),
            ("details", &self.details),
            ("message", &self.message),
        ];
        let first = first.into_iter().filter(|_| !drawn);
        let number = |number: Option<u16>| number.map(|number| number.to_string());
        let rest = [
            ("reason", self.reason.clone()),
            ("closed", number(self.close)),
            ("HTTP", number(self.http)),
        ];
        let told = self.told.iter().enumerate().map(|(at, told)| {
            let again = drawn && at > 0;
            (if again { "" } else { "consequence" }, Some(told.clone()))
        });
        let all = first
            .map(|(heading, text)| (heading, text.clone()))
            .chain(rest)
            .chain(told)
            .chain([("what helps", self.remedy.clone())]);
        for (heading, text) in all.filter_map(|(heading, text)| Some((heading, text?))) {
            let text = line(&text);
            let _ = match drawn {
                true => writeln!(out, "  {heading:<13} {text}"),
                false => writeln!(out, "{heading}: {text}"),
            };
        }
        out
    }
}

/// What the client can do by itself, or ask the owner for: the words of the reason, which are the
/// same under every policy. What was approved is told to the one whom it was approved for.
fn remedy(verdict: Verdict, facts: &Facts, subject: &Subject) -> Option<String> {
    let reason = match verdict {
        Verdict::Reject(reason) => return Some(reason.remedy().to_owned()),
        Verdict::RequirePairing(reason) => reason,
        Verdict::Approve(_) | Verdict::SilentApprove(_) => return None,
    };
    let approved = subject.approved_scopes.as_deref().unwrap_or_default();
    let may_ask_less = reason == PairingReason::ScopeUpgrade
        && facts.pairing == Pairing::Upgrade
        && !approved.is_empty();
    Some(match may_ask_less {
        true => format!(
            "ask for no more than {}; or {ASK_THE_OWNER}",
            approved.join(", ")
        ),
        false => ASK_THE_OWNER.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of the log may say anything, wherever it came from.
    #[test]
    fn no_field_is_told_as_a_line_of_its_own() {
        let hostile = || Some("x\u{1b}[2J\u{7}\u{202e}\r\nADMITTED".to_owned());
        let account = ClientAccount {
            code: hostile(),
            details: hostile(),
            reason: hostile(),
            message: hostile(),
            remedy: hostile(),
            told: hostile().into_iter().collect(),
            ..ClientAccount::default()
        };
        for drawn in [true, false] {
            let text = account.text(drawn);
            assert!(
                !text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']),
                "{text}"
            );
            assert!(
                !text.lines().any(|line| line.starts_with("ADMITTED")),
                "{text}"
            );
            assert_eq!(text.matches("ADMITTED").count(), 6, "{text}");
        }
    }
}
