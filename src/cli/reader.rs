//! Whom an explanation is for: the same decision, told for each as far as it is theirs to know.

use clap::ValueEnum;
use serde_json::Value;

use super::log;
use super::output::{AnswerFormat, Output};
use crate::explain::client::ClientAccount;
use crate::journal::Line;

/// Whom an explanation is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Reader {
    /// whoever runs the gateway: all of it
    #[default]
    Operator,
    /// the client: what it is told, and what it can do; nothing of the policy
    Client,
    /// a log: one line, as `gw tail` shows it
    Log,
}

impl Reader {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reader::Operator => "operator",
            Reader::Client => "client",
            Reader::Log => "log",
        }
    }
}

/// Tells a client what it may know.
pub(super) fn tell_client(account: &ClientAccount, format: AnswerFormat, output: &mut Output) {
    match format {
        AnswerFormat::Json => output.say_json(&account.json()),
        AnswerFormat::Human => output.say(&account.text(true)),
        AnswerFormat::Plain => output.say(&account.text(false)),
    }
}

/// Tells of a decision that stands in no log, on one line.
pub(super) fn tell_log(line: &Line, format: AnswerFormat, output: &mut Output) {
    let text = match format {
        AnswerFormat::Json => line.text_alone(),
        AnswerFormat::Human | AnswerFormat::Plain => log::said(line),
    };
    output.say(&format!("{text}\n"));
}

/// Tells of a connection that was refused before any policy was asked: what is in its account, for
/// whoever it is.
pub(super) fn tell_early(early: &Value, reader: Reader, format: AnswerFormat, output: &mut Output) {
    let text = |name: &str| early.get(name).and_then(Value::as_str).map(str::to_owned);
    let account = ClientAccount {
        message: text("reads"),
        remedy: text("remedy"),
        ..ClientAccount::default()
    };
    match (reader, format) {
        (Reader::Log, AnswerFormat::Human | AnswerFormat::Plain) => {
            let message = account.message.unwrap_or_default();
            let message = crate::source::visible(&message);
            output.say(&format!("REFUSED before any policy was asked: {message}\n"));
        }
        (Reader::Log, AnswerFormat::Json) => output.say(&format!("{early}\n")),
        (Reader::Client | Reader::Operator, _) => tell_client(&account, format, output),
    }
}
