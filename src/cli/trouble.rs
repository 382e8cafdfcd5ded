//! What our tools say when a gateway is not reached, or says no.

use super::Exit;
use super::output::{AnswerFormat, Output};
use crate::client::{ClientError, Refusal};
use crate::diagnostic::{Code, Diagnostic};
use crate::handshake::clean;
use crate::source::{Sources, printable};
use serde_json::json;
use std::io::ErrorKind;

/// What OpenClaw's gateways advise a program to do next, and what that is for people.
const NEXT_STEPS: &[(&str, &str)] = &[
    (
        "retry_with_device_token",
        "bring the secret that the gateway has; a client that was paired may bring its device token",
    ),
    (
        "review_auth_configuration",
        "compare how the client comes with what the gateway's `auth` wants",
    ),
    (
        "update_auth_configuration",
        "say where the secret is: the client brings none, or the gateway has none",
    ),
    (
        "update_auth_credentials",
        "bring another secret: what was sent is not, or no longer, good here",
    ),
    ("wait_then_retry", "wait, and try again"),
];

/// Tells it, to standard error for people.
pub(super) fn report(error: &ClientError, format: AnswerFormat, output: &mut Output) -> Exit {
    match (error, format) {
        (ClientError::Refused(refusal), AnswerFormat::Json) => {
            output.say_json(&json!({ "error": refusal.to_json() }));
        }
        (ClientError::Refused(refusal), AnswerFormat::Human | AnswerFormat::Plain) => {
            output.complain(&format!(
                "error: refused: {}\n",
                clean_line(&refusal.message)
            ));
            output.complain(&details(refusal));
        }
        (_, _) => {
            output.report_one(diagnostic(error), &Sources::default(), format.report());
        }
    }
    Exit::Failure
}

/// What a peer said, on one line.
pub(super) fn clean_line(text: &str) -> String {
    cut_line(text, 400)
}

/// What a peer said, on one line, cut after so many characters.
pub(super) fn cut_line(text: &str, most: usize) -> String {
    let mut line: String = text
        .trim()
        .chars()
        .take(most)
        .map(|c| if c == '\n' { ' ' } else { c })
        .collect();
    if text.trim().chars().nth(most).is_some() {
        line.push('…');
    }
    printable(&line)
}

/// All that a refusal says beside its message, a line for each.
pub(super) fn details(refusal: &Refusal) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let mut say = |label, text: String| lines.push((label, text));
    let code = match refusal.detail_code() {
        Some(detail) => format!("{}, {}", clean(&refusal.code), clean(detail)),
        None => clean(&refusal.code),
    };
    say("code", code);
    if let Some(reason) = refusal.reason() {
        say("reason", clean(reason));
    }
    if let Some(request) = refusal.request_id() {
        say("request", clean(request));
    }
    for (label, list) in [
        ("asks for", "requestedScopes"),
        ("would get", "waitingScopes"),
        ("approved", "approvedScopes"),
        ("needs", "requiredScopes"),
    ] {
        let scopes = refusal.list(list);
        if !scopes.is_empty() {
            let scopes: Vec<String> = scopes.into_iter().map(clean).collect();
            let scopes = scopes.join(", ");
            say(
                label,
                match list {
                    "waitingScopes" => format!("{scopes}: with what it asked for before"),
                    _ => scopes,
                },
            );
        }
    }
    if let Some(remedy) = refusal.remedy() {
        say("what helps", clean_line(remedy));
    }
    if let Some(request) = refusal.request_id() {
        say("", format!("gw devices approve {}", clean(request)));
    }
    if let Some(next) = refusal.next_step() {
        let step = NEXT_STEPS.iter().find(|(word, _)| *word == next);
        say(
            "next",
            match step {
                Some((word, told)) => format!("{told} ({word})"),
                None => clean(next),
            },
        );
    }
    if let Some(close) = &refusal.close {
        say(
            "closed",
            format!("{} {}", close.code, clean_line(&close.reason)),
        );
    }
    let lines = lines
        .iter()
        .map(|(label, text)| format!("  {label:<12}{text}").trim_end().to_owned() + "\n");
    lines.collect()
}

/// Anything but a refusal.
pub(super) fn diagnostic(error: &ClientError) -> Diagnostic {
    let help = match error {
        ClientError::Nobody(_) => {
            "is `gw serve` running? `--url`, `--state` and `--config` name another gateway"
        }
        ClientError::Unreachable { error, .. } if error.kind() == ErrorKind::PermissionDenied => {
            "the socket is for the user who runs the gateway: run this as that user, or name its \
             URL by `--url`"
        }
        ClientError::Unreachable { .. } => "look at the name, the port, and what is in between",
        ClientError::Tls(_) => "`gw status` on the gateway's own host says its fingerprint",
        ClientError::TooLate { .. } | ClientError::Protocol { .. } => {
            "it may be no gateway, or a busy one: `gw connect` shows how far it gets"
        }
        ClientError::Http { .. } => {
            "something else may listen there, or the gateway or a proxy refuses the request itself"
        }
        ClientError::Request(_) => "write a header as `Name: value`, on one line",
        ClientError::Closed { .. } => "the gateway's log may say why",
        ClientError::Refused(_) => "`gw connect` shows all of the answer",
    };
    let mut message = error.to_string();
    if let ClientError::Http { body, .. } = error
        && !body.is_empty()
    {
        message = format!("{message}: {}", clean_line(body));
    }
    Diagnostic::error(Code::CannotReach, message).help(help)
}
