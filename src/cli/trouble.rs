//! What our tools say when a gateway is not reached, or says no.

use super::Exit;
use super::output::{AnswerFormat, Output};
use super::reach::Advice;
use crate::client::tls::ConnectError;
use crate::client::{ClientError, Refusal};
use crate::diagnostic::{Code, Diagnostic};
use crate::handshake::clean;
use crate::source::{MOST_WORDS, Sources, one_line, printable_line, shell_word};
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
pub(super) fn report(
    error: &ClientError,
    advice: &Advice,
    format: AnswerFormat,
    output: &mut Output,
) -> Exit {
    match (error, format) {
        (ClientError::Refused(refusal), AnswerFormat::Json) => {
            output.say_json(&json!({ "error": refusal.to_json() }));
        }
        (ClientError::Refused(refusal), AnswerFormat::Human | AnswerFormat::Plain) => {
            output.complain(&format!(
                "error: refused: {}\n",
                clean_line(&refusal.message)
            ));
            output.complain(&details(refusal, advice));
        }
        (_, _) => {
            output.report_one(
                diagnostic(error, advice),
                &Sources::default(),
                format.report(),
            );
        }
    }
    Exit::Failure
}

/// What a peer said, on one line.
pub(super) fn clean_line(text: &str) -> String {
    one_line(text, MOST_WORDS)
}

/// All that a refusal says beside its message, a line for each.
pub(super) fn details(refusal: &Refusal, advice: &Advice) -> String {
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
    // What only the owner may do is done where the gateway runs.
    let place = if advice.elsewhere { "on its host" } else { "" };
    if let Some(request) = refusal.request_id() {
        let words = format!("devices approve {}", shell_word(&clean(request)));
        say(place, advice.owner.command(&words));
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
    if let Some(connection) = &refusal.connection {
        let connection = clean(connection);
        let words = format!("explain --connection {}", shell_word(&connection));
        say("connection", connection);
        say(place, advice.owner.command(&words));
    }
    let lines = lines
        .iter()
        .map(|(label, text)| format!("  {label:<12}{text}").trim_end().to_owned() + "\n");
    lines.collect()
}

/// Anything but a refusal.
pub(super) fn diagnostic(error: &ClientError, advice: &Advice) -> Diagnostic {
    let status = advice.owner.command("status");
    let far = || {
        let connect = advice.same.command("connect");
        format!("it may be no gateway, or a busy one: `{connect}` shows how far it gets")
    };
    let (code, help) = match error {
        ClientError::Nobody(_) => (
            Code::CannotReach,
            match &advice.state {
                Some(_) => format!("start one: {}", advice.owner.command("serve")),
                None => {
                    "is `gw serve` running? `--url`, `--state` and `--config` name another gateway"
                        .to_owned()
                }
            },
        ),
        ClientError::Unreachable { error, .. } if error.kind() == ErrorKind::PermissionDenied => (
            Code::CannotReach,
            "the socket is for the user who runs the gateway: run this as that user, or name its \
             URL by `--url`"
                .to_owned(),
        ),
        ClientError::Unreachable { .. } => (
            Code::CannotReach,
            "look at the name, the port, and what is in between".to_owned(),
        ),
        ClientError::Tls(error) => of_tls(error, &status),
        ClientError::NeedsTls { .. } => (
            Code::NotAGateway,
            format!(
                "`{status}` on its own host says whether it is the gateway, and its fingerprint"
            ),
        ),
        ClientError::TooLate { .. } => (Code::NoAnswer, far()),
        ClientError::Closed { .. } => (Code::NoAnswer, "the gateway's log may say why".to_owned()),
        ClientError::Protocol { .. } => (Code::NotAGateway, far()),
        ClientError::Http {
            connection: Some(_),
            ..
        } => (
            Code::NotAGateway,
            "a gateway refuses the request itself. With a plain server behind it takes a bearer \
             token over TCP, and no connect frame: `gw connect --tcp` on its host comes so"
                .to_owned(),
        ),
        ClientError::Http { .. } => (
            Code::NotAGateway,
            "something else may listen there, or the gateway or a proxy refuses the request itself"
                .to_owned(),
        ),
        ClientError::Request(_) => (
            Code::InvalidTarget,
            "write a header as `Name: value`, on one line".to_owned(),
        ),
        ClientError::Refused(_) => {
            let connect = advice.same.command("connect");
            (
                Code::NoAnswer,
                format!("`{connect}` shows all of the answer"),
            )
        }
    };
    let mut message = match (error, &advice.state) {
        (ClientError::Nobody(place), Some(state)) => {
            let state = printable_line(state);
            match place.is_empty() {
                true => format!("no gateway runs in {state}"),
                false => format!("no gateway runs in {state}: nobody listens at {place}"),
            }
        }
        (error, _) => error.to_string(),
    };
    let mut connection = None;
    if let ClientError::Http {
        body,
        connection: id,
        ..
    } = error
    {
        if !body.is_empty() {
            message = format!("{message}: {}", clean_line(body));
        }
        connection = id.as_deref().map(clean);
    }
    let diagnostic = Diagnostic::error(code, message).help(help);
    match connection {
        None => diagnostic,
        Some(id) => {
            let words = format!("explain --connection {}", shell_word(&id));
            let place = if advice.elsewhere { " on its host" } else { "" };
            let explained = advice.owner.command(&words);
            diagnostic.help(format!("it is explained{place} by: {explained}"))
        }
    }
}

/// What an error of TLS is, and what helps; `status` asks the gateway on its own host.
fn of_tls(error: &ConnectError, status: &str) -> (Code, String) {
    match error {
        ConnectError::Untrusted { found, .. } => (
            Code::UntrustedCertificate,
            format!(
                "nothing was sent; if `{status}` on the gateway's own host says this fingerprint, \
                 pin it: `--tls-fingerprint {found}`"
            ),
        ),
        ConnectError::Pin { .. } => (
            Code::UntrustedCertificate,
            format!(
                "nothing was sent; if it was renewed, pin what `{status}` says on the gateway's \
                 own host; if not, somebody may stand between you and it"
            ),
        ),
        ConnectError::Key(_) => (
            Code::UntrustedCertificate,
            format!("nothing was sent; `{status}` on the gateway's own host says its fingerprint"),
        ),
        ConnectError::NotTls(_) => (
            Code::NotAGateway,
            "write `ws://` in place of `wss://` where nobody can listen in between".to_owned(),
        ),
        ConnectError::Name(_) => (
            Code::InvalidTarget,
            "look at the name in `--url`".to_owned(),
        ),
        ConnectError::Handshake { .. } => (
            Code::NotAGateway,
            format!(
                "something else may listen there: `{status}` on the gateway's own host says its port"
            ),
        ),
        ConnectError::Broken { .. } => (
            Code::NoAnswer,
            "something in between may cut it, or it speaks no TLS: `ws://` asks without".to_owned(),
        ),
    }
}
