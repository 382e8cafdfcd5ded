//! Secrets, from where a configuration says they are; and which mode they come to.
//!
//! What is wrong with one is said by the name of its key, never with a part of it.

use std::path::PathBuf;

use super::strength::{Weakness, weakness};
use super::values::{Place, Value, Values, Written};
use super::{Surroundings, Token};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::facts::AuthMode;
use crate::secret::Secret;
use crate::source::shell_word;

/// What proves a client.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    pub(super) mode: Option<AuthMode>,
    pub(super) token: Option<Secret>,
    pub(super) password: Option<Secret>,
}

impl Credentials {
    /// The mode in force.
    pub(super) fn mode(&self) -> AuthMode {
        self.mode.unwrap_or(match self.password {
            Some(_) => AuthMode::Password,
            None => AuthMode::Token,
        })
    }

    /// Whether a token has to be made.
    pub(super) fn plan(&self) -> Token {
        match (self.mode(), &self.token) {
            (AuthMode::Token, None) => Token::Generate,
            (AuthMode::Token, Some(_)) => Token::Given,
            (AuthMode::None | AuthMode::Password | AuthMode::TrustedProxy, _) => Token::Unused,
        }
    }
}

/// The bits of a unix mode that let others in.
const OTHERS: u32 = 0o077;

/// Finds the secrets and the mode.
pub(super) fn find(
    values: &Values,
    resolve: &dyn Fn(&str, Place) -> PathBuf,
    surroundings: &dyn Surroundings,
    diagnostics: &mut Diagnostics,
) -> Credentials {
    let mut secret = |path: &'static str| {
        let given = values.get(path)?;
        let Value::Secret(written) = &given.value else {
            return None;
        };
        match read(path, written, given.place, resolve, surroundings) {
            Ok(secret) => Some(secret),
            Err(diagnostic) => {
                diagnostics.push(placed(*diagnostic, given.place, ""));
                None
            }
        }
    };
    let token = secret("auth.token");
    let password = secret("auth.password");
    let mode = values.text("auth.mode").and_then(AuthMode::parse);
    let place = |path| values.get(path).map(|given| given.place);
    let (token_place, password_place) = (place("auth.token"), place("auth.password"));
    let unsaid = !values.mentions("auth.mode");
    if let (true, Some(first), Some(second)) = (unsaid, token_place, password_place) {
        let diagnostic = Diagnostic::error(
            Code::InvalidConfig,
            "`auth.token` and `auth.password` are both set, and nothing says which one counts",
        );
        let diagnostic = placed(diagnostic, first, "the token");
        let diagnostic = placed(diagnostic, second, "the password")
            .help("write `mode: token` or `mode: password` under `auth`, or remove one of them");
        diagnostics.push(diagnostic);
    }
    match mode {
        Some(AuthMode::Password) if !values.mentions("auth.password") => {
            let diagnostic = Diagnostic::error(
                Code::InvalidConfig,
                "`auth.mode` is `password`, and there is no `auth.password`",
            );
            let diagnostic = at(diagnostic, values, "auth.mode")
                .help("write `password: { file: PATH }` under `auth`");
            diagnostics.push(diagnostic);
        }
        Some(AuthMode::TrustedProxy) => trusted_proxy(values, diagnostics),
        Some(AuthMode::None | AuthMode::Password | AuthMode::Token) | None => {}
    }
    Credentials {
        mode,
        token,
        password,
    }
}

/// What the mode `trusted-proxy` needs, and what it does not go with.
fn trusted_proxy(values: &Values, diagnostics: &mut Diagnostics) {
    let wrong = |path| values.mentions(path) && values.get(path).is_none();
    let mut missing = |what: &str, help: &str| {
        let message = format!("`auth.mode` is `trusted-proxy`, and {what}");
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message);
        diagnostics.push(at(diagnostic, values, "auth.mode").help(help));
    };
    let blank = |header: &str| header.trim().is_empty();
    if !values.mentions("auth.trustedProxy.userHeader")
        || values
            .text("auth.trustedProxy.userHeader")
            .is_some_and(blank)
    {
        missing(
            "there is no `auth.trustedProxy.userHeader`",
            "name the header in which the proxy names the user",
        );
    }
    if values.texts("trustedProxies").is_empty() && !wrong("trustedProxies") {
        missing(
            "there are no `trustedProxies`",
            "list the addresses of the proxies",
        );
    }
    if values.has("auth.token") {
        missing(
            "there is an `auth.token` too",
            "remove the token: whoever has it would come in beside the proxy",
        );
    }
}

fn read(
    path: &str,
    written: &Written,
    place: Place,
    resolve: &dyn Fn(&str, Place) -> PathBuf,
    surroundings: &dyn Surroundings,
) -> Result<Secret, Box<Diagnostic>> {
    let unsafe_secret = |message: String, help: &str| {
        Box::new(Diagnostic::error(Code::UnsafeSecret, message).help(help))
    };
    let secret = match written {
        Written::Inline(secret) => secret.clone(),
        Written::Variable(name) => {
            let text = surroundings.variable(name).ok_or_else(|| {
                let message = format!("`{path}`: the environment has no variable of this name");
                let help = "set it where the gateway is started, or use `{ file: PATH }`";
                Box::new(Diagnostic::error(Code::InvalidConfig, message).help(help))
            })?;
            Secret::new(&text)
        }
        Written::File(file) => {
            let file = resolve(file, place);
            let found = surroundings.secret_file(&file).map_err(|error| {
                let message = format!("`{path}`: the file cannot be read: {error}");
                let help = "write the secret into it, or leave `token` out and have one made";
                Box::new(Diagnostic::error(Code::InvalidConfig, message).help(help))
            })?;
            if found.mode.is_some_and(|mode| mode & OTHERS != 0) {
                return Err(Box::new(
                    Diagnostic::error(
                        Code::UnsafeSecret,
                        format!("`{path}`: others may read the file"),
                    )
                    .help(format!(
                        "run `chmod 600 {}`",
                        shell_word(&file.to_string_lossy())
                    )),
                ));
            }
            found.secret
        }
    };
    match weakness(&secret) {
        None => Ok(secret),
        Some(Weakness::Url) => Err(unsafe_secret(
            format!("`{path}` is a URL"),
            "write the secret alone: logs and histories keep URLs",
        )),
        Some(weak) => Err(unsafe_secret(
            format!("`{path}` {weak}"),
            "make one with `openssl rand -base64 32`, or leave `auth.token` out and have one made",
        )),
    }
}

/// A diagnostic with the place of a value.
pub(super) fn placed(mut diagnostic: Diagnostic, place: Place, label: &str) -> Diagnostic {
    match place {
        Place::File(span) => diagnostic.label(span, label),
        Place::Flag(flag) => {
            diagnostic.message = format!("{} (by {flag})", diagnostic.message);
            diagnostic
        }
    }
}

/// A diagnostic with the place of a key, where it is given.
pub(super) fn at(diagnostic: Diagnostic, values: &Values, path: &str) -> Diagnostic {
    match values.get(path) {
        Some(given) => placed(diagnostic, given.place, ""),
        None => diagnostic,
    }
}

/// What counts for nothing in the mode in force, and what is kept where many read it.
pub(super) fn warnings(values: &Values, mode: AuthMode, diagnostics: &mut Diagnostics) {
    let mut warn = |path: &str, message: String, help: &str| {
        let diagnostic =
            Diagnostic::error(Code::RiskyConfig, message).with_severity(Severity::Warning);
        diagnostics.push(at(diagnostic, values, path).help(help));
    };
    for (path, counts) in [
        ("auth.token", mode == AuthMode::Token),
        (
            "auth.password",
            matches!(mode, AuthMode::Password | AuthMode::TrustedProxy),
        ),
    ] {
        let Some(given) = values.get(path) else {
            continue;
        };
        if !counts && mode != AuthMode::TrustedProxy {
            let message = format!("`{path}` does not count in the mode `{mode}`");
            warn(path, message, "remove it, or say another `auth.mode`");
        }
        if let (Value::Secret(Written::Inline(_)), Place::File(_)) = (&given.value, given.place) {
            let message = format!("`{path}` stands in the configuration itself");
            warn(
                path,
                message,
                "keep it in a file of its own, `{ file: PATH }`, so that this one may be shown",
            );
        }
    }
}
