//! Secrets, from where a configuration says they are; and which mode they come to.
//!
//! What is wrong with one is said by the name of its key, never with a part of it.

use std::path::PathBuf;

use super::keys::{KEYS, Kind};
use super::strength::{Weakness, weakness};
use super::values::{Place, Value, Values, Written, is_path, is_variable};
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
    /// Those of the server behind: its token, its password.
    pub(super) upstream: [Option<Secret>; 2],
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
                diagnostics.push(placed(*diagnostic, path, given.place, ""));
                None
            }
        }
    };
    let token = secret("auth.token");
    let password = secret("auth.password");
    let upstream = ["upstream.token", "upstream.password"].map(secret);
    let mode = values.text("auth.mode").and_then(AuthMode::parse);
    let place = |path| values.get(path).map(|given| given.place);
    let (token_place, password_place) = (place("auth.token"), place("auth.password"));
    let unsaid = !values.mentions("auth.mode");
    if let (true, Some(first), Some(second)) = (unsaid, token_place, password_place) {
        let diagnostic = Diagnostic::error(
            Code::InvalidConfig,
            "`auth.token` and `auth.password` are both set, and nothing says which one counts",
        );
        let diagnostic = placed(diagnostic, "auth.token", first, "the token");
        let diagnostic = placed(diagnostic, "auth.password", second, "the password").help(words(
            second,
            "write `mode: token` or `mode: password` under `auth`, or remove one of them",
            "say which by `--auth token` or `--auth password`, or leave one of them out",
        ));
        diagnostics.push(diagnostic);
    }
    match mode {
        Some(AuthMode::Password) if !values.mentions("auth.password") => {
            let diagnostic = Diagnostic::error(
                Code::InvalidConfig,
                "`auth.mode` is `password`, and there is no `auth.password`",
            );
            let help = words_at(
                values,
                "auth.mode",
                "write `password: { file: PATH }` under `auth`",
                "name it by `--password-file FILE` or `--password-env NAME`",
            );
            diagnostics.push(at(diagnostic, values, "auth.mode").help(help));
        }
        Some(AuthMode::TrustedProxy) => trusted_proxy(values, diagnostics),
        Some(AuthMode::None | AuthMode::Password | AuthMode::Token) | None => {}
    }
    Credentials {
        mode,
        token,
        password,
        upstream,
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
            "name the header in which the proxy names the user: `userHeader` under \
             `auth.trustedProxy` of the configuration",
        );
    }
    if values.texts("trustedProxies").is_empty() && !wrong("trustedProxies") {
        missing(
            "there are no `trustedProxies`",
            "list the addresses of the proxies in the configuration",
        );
    }
    if values.has("auth.token") {
        missing(
            "there is an `auth.token` too",
            "remove the token: whoever has it would come in beside the proxy",
        );
    }
}

/// The files in which secrets stand.
pub(super) fn files(values: &Values, resolve: &dyn Fn(&str, Place) -> PathBuf) -> Vec<PathBuf> {
    let secrets = KEYS.iter().filter(|key| matches!(key.kind, Kind::Secret));
    let given = secrets.filter_map(|key| values.get(key.path));
    let mut files = Vec::new();
    for given in given {
        if let Value::Secret(Written::File(text)) = &given.value {
            files.push(resolve(text, given.place));
        }
    }
    files
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
    let kind = path.rsplit('.').next().unwrap_or(path);
    let behind = path.starts_with("upstream.");
    let secret = match written {
        Written::Inline(secret) => secret.clone(),
        Written::Variable(name) => {
            let text = surroundings.variable(name).ok_or_else(|| {
                // What is no usual name may be the secret itself.
                let usual = is_variable(name) && !name.contains(|c: char| c.is_ascii_lowercase());
                let named = match (usual, place) {
                    (true, Place::Flag(_)) => format!("no variable `{name}`"),
                    (_, _) => "no variable of this name".to_owned(),
                };
                let message = format!("`{path}`: the environment has {named}");
                let flag = match behind {
                    true => format!("--upstream-{kind}-file"),
                    false => format!("--{kind}-file"),
                };
                let help = words(
                    place,
                    "set it where the gateway is started, or use `{ file: PATH }`".to_owned(),
                    format!("set it where the gateway is started, or use `{flag} FILE`"),
                );
                Box::new(Diagnostic::error(Code::InvalidConfig, message).help(help))
            })?;
            Secret::new(&text)
        }
        Written::File(text) => {
            let file = resolve(text, place);
            let found = surroundings.secret_file(&file).map_err(|error| {
                let named = match is_path(text) {
                    true => format!(" {}", file.display()),
                    false => String::new(),
                };
                let message = format!("`{path}`: the file{named} cannot be read: {error}");
                let help = match (kind, place) {
                    _ if behind => {
                        "write the secret of the server behind into it, with `chmod 600`"
                    }
                    ("token", Place::File(_)) => {
                        "write the secret into it, or leave `token` out and have one made"
                    }
                    ("token", Place::Flag(_)) => {
                        "write the secret into it, or leave the flag out and have one made"
                    }
                    (_, _) => "write the secret into it, with `chmod 600`",
                };
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
            match (kind, place) {
                _ if behind => {
                    "make one with `openssl rand -hex 32`, and give the server behind the same"
                }
                ("token", Place::File(_)) => {
                    "make one with `openssl rand -base64 32`, or leave `auth.token` out and have one made"
                }
                ("token", Place::Flag(_)) => {
                    "make one with `openssl rand -base64 32`, or leave the flag out and have one made"
                }
                (_, _) => "make one with `openssl rand -base64 32`",
            },
        )),
    }
}

/// A diagnostic about a key, with the place of its value. To whom said it by a flag it speaks of
/// the flag.
pub(super) fn placed(
    mut diagnostic: Diagnostic,
    path: &str,
    place: Place,
    label: &str,
) -> Diagnostic {
    match place {
        Place::File(span) => diagnostic.label(span, label),
        Place::Flag(flag) => {
            let key = format!("`{path}`");
            diagnostic.message = match diagnostic.message.contains(&key) {
                true => diagnostic.message.replacen(&key, &format!("`{flag}`"), 1),
                false => format!("{} (by {flag})", diagnostic.message),
            };
            diagnostic
        }
    }
}

/// What helps, for whom wrote it in the file and for whom said it by a flag.
fn words<T>(place: Place, in_file: T, by_flag: T) -> T {
    match place {
        Place::File(_) => in_file,
        Place::Flag(_) => by_flag,
    }
}

/// The same for a key, where it is given.
pub(super) fn words_at<T>(values: &Values, path: &str, in_file: T, by_flag: T) -> T {
    match values.get(path) {
        Some(given) => words(given.place, in_file, by_flag),
        None => in_file,
    }
}

/// A diagnostic with the place of a key, where it is given.
pub(super) fn at(diagnostic: Diagnostic, values: &Values, path: &str) -> Diagnostic {
    match values.get(path) {
        Some(given) => placed(diagnostic, path, given.place, ""),
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
            let help = words(
                given.place,
                "remove it, or say another `auth.mode`",
                "leave it out, or say another mode by `--auth`",
            );
            warn(path, message, help);
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
