//! The words of a failed authentication, which name what this client can do about it.

use super::context::Context;
use super::table::{self, AuthRow, Says};
use crate::facts::{AuthMode, Mode};
use crate::settings::compatibility::RefusalWording;
use crate::wire::connect::SecretKind;

/// Which of the hints a client gets.
#[derive(Clone, Copy)]
enum Reader {
    /// A command line elsewhere.
    Cli,
    /// A command line on the gateway's host.
    LocalCli,
    /// A page, or the terminal interface.
    Ui,
    /// Any other client.
    Other,
}

impl Reader {
    /// A mode `cli` goes before a client id of a user interface.
    fn of(context: &Context<'_>) -> Self {
        if context.mode == Mode::Cli {
            match context.compatibility.refusal_wording {
                RefusalWording::Guided if context.direct_local => Reader::LocalCli,
                RefusalWording::Guided | RefusalWording::Brief => Reader::Cli,
            }
        } else if context.is_operator_ui() || context.is_webchat() {
            Reader::Ui
        } else {
            Reader::Other
        }
    }

    fn token(self) -> &'static str {
        match self {
            Reader::Cli => "set gateway.remote.token to match gateway.auth.token",
            Reader::LocalCli => "use this gateway's gateway.auth.token or pair the device",
            Reader::Ui => "open the dashboard URL and paste the token in Control UI settings",
            Reader::Other => "provide gateway auth token",
        }
    }

    fn password(self) -> &'static str {
        match self {
            Reader::Cli => "set gateway.remote.password to match gateway.auth.password",
            Reader::LocalCli => "use this gateway's gateway.auth.password",
            Reader::Ui => "enter the password in Control UI settings",
            Reader::Other => "provide gateway auth password",
        }
    }
}

/// What a page is told of a token that is missing, in the newest release.
const UI_TOKEN_MISSING: &str =
    "paste in Control UI settings or openclaw doctor --generate-gateway-token; restart";

/// The whole message.
pub(super) fn message(row: &AuthRow, context: &Context<'_>) -> String {
    match text(row.says, context) {
        Some(text) => format!("{}: {text}", table::UNAUTHORIZED),
        None => table::UNAUTHORIZED.to_owned(),
    }
}

fn text(says: Says, context: &Context<'_>) -> Option<String> {
    let reader = Reader::of(context);
    let wording = context.compatibility.refusal_wording;
    Some(match says {
        Says::Words(words) => words.to_owned(),
        Says::Reworded(before, since) => match wording {
            RefusalWording::Brief => before.to_owned(),
            RefusalWording::Guided => since.to_owned(),
        },
        Says::Token(what) => {
            let hint = match (reader, wording) {
                (Reader::Ui, RefusalWording::Guided) if what == table::TOKEN_MISSING => {
                    UI_TOKEN_MISSING
                }
                _ => reader.token(),
            };
            format!("{what} ({hint})")
        }
        Says::Password(what) => format!("{what} ({})", reader.password()),
        Says::Rest => return rest(reader, context),
    })
}

/// Where the reason has no words of its own, they follow from the mode and what was sent.
fn rest(reader: Reader, context: &Context<'_>) -> Option<String> {
    match (context.auth_mode, context.sent.strongest()) {
        (AuthMode::Token, None) => Some(format!("{} ({})", table::TOKEN_MISSING, reader.token())),
        (AuthMode::Token, Some(SecretKind::DeviceToken)) => Some(
            "device token rejected (pair/repair this device, or provide gateway token)".to_owned(),
        ),
        (_, Some(SecretKind::BootstrapToken)) => text(table::SETUP_CODE, context),
        (AuthMode::Password, None) => Some(format!(
            "{} ({})",
            table::PASSWORD_MISSING,
            reader.password()
        )),
        (
            AuthMode::Token | AuthMode::Password | AuthMode::None | AuthMode::TrustedProxy,
            Some(SecretKind::Token | SecretKind::Password | SecretKind::DeviceToken) | None,
        ) => None,
    }
}
