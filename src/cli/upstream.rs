//! The server behind the gateway, from what a configuration says of it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::client::tls::Trust;
use crate::client::{NoTarget, Target};
use crate::config::{Config, Named, Upstream as Configured, UpstreamKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::host::interface::{interfaces, own_addresses};
use crate::host::token::{self, Made};
use crate::relay::http::{CONTROL_UI, Paths};
use crate::relay::{Kind, Login, Options, Root};
use crate::server::tls::Fingerprint;

/// The secret in the state folder that devices of clients are made of.
pub(super) const ROOT: &str = "upstream.key";

const DEVICES: Made = Made {
    name: "the secret that devices behind are made of",
    anew: "put a copy of it back, or remove the file: another one is made, and every client is \
           another device to the server behind",
};

/// Where it is and whom it is taken for; nothing is read for it but what is configured.
pub(super) fn target(
    named: &Named,
    configured: &Configured,
) -> Result<(Target, Trust), Box<Diagnostic>> {
    let wrong = |key: &str, message: String, help: &str| {
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message);
        Box::new(named.at(diagnostic, key).help(help))
    };
    let target = Target::parse(&configured.url).map_err(|error| {
        let (message, help) = match error {
            NoTarget::Scheme => (
                "`upstream.url` begins neither with `ws://` nor with `wss://`".to_owned(),
                match configured.url.split_once("://") {
                    Some(("https", _)) => "write `wss://` in place of `https://`",
                    Some(("http", _)) => "write `ws://` in place of `http://`",
                    _ => "write `ws://HOST:PORT`, or `wss://`",
                },
            ),
            NoTarget::Secret => (
                "`upstream.url` holds a secret: logs and histories keep URLs".to_owned(),
                "leave it out, and name a file that holds it: `--upstream-token-file FILE`, or \
                 `upstream: { token: { file: PATH } }`",
            ),
            NoTarget::Host | NoTarget::Port | NoTarget::Fragment => (
                format!("`upstream.url`: {error}"),
                "write `ws://HOST:PORT`, or `wss://`",
            ),
        };
        wrong("upstream.url", message, help)
    })?;
    if configured.kind == UpstreamKind::Plain && target.path() != "/" {
        let message = "`upstream.url` has a path, and that of each client's request is asked for \
                       there";
        let help = "write `ws://HOST:PORT`, or `wss://`";
        return Err(wrong("upstream.url", message.to_owned(), help));
    }
    let trust = match &configured.fingerprint {
        None => Trust::System,
        Some(text) => Trust::Fingerprint(text.parse::<Fingerprint>().map_err(|error| {
            let message = format!("`upstream.fingerprint`: {error}");
            let help = "write the SHA-256 of its certificate, 64 digits";
            wrong("upstream.fingerprint", message, help)
        })?),
    };
    if configured.fingerprint.is_some() && !target.is_tls() {
        let message = "`upstream.fingerprint` does not count: no TLS is spoken".to_owned();
        return Err(wrong(
            "upstream.fingerprint",
            message,
            "write `wss://` in `upstream.url`, or remove the fingerprint",
        ));
    }
    // Whoever checks a configuration hears of these too.
    paths(named, configured)?;
    Ok((target, trust))
}

/// That the server behind is this gateway itself, as far as that can be seen.
pub(super) fn itself(config: &Config) -> Option<Box<Diagnostic>> {
    let listen = &config.listen;
    let url = &config.upstream.as_ref()?.url;
    let target = Target::parse(url).ok()?.from_this_host();
    let is_itself = match &target {
        Target::Unix(path) => listen.socket.as_ref() == Some(path),
        Target::Tcp { host, port, .. } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let address = bare.parse::<IpAddr>();
            let own = || address.is_ok_and(|it| own_addresses(&interfaces()).contains(&it));
            // It listens at loopback wherever else it listens.
            *port == listen.port && (target.is_loopback() || listen.beyond_loopback() && own())
        }
    };
    let message = "`upstream.url` leads to this gateway itself";
    let help = "move the server behind to another port, and name that one";
    is_itself.then(|| {
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message.to_owned());
        let named = config.named();
        Box::new(named.at(diagnostic, "upstream.url").help(help))
    })
}

/// Which requests go there over HTTP.
fn paths(named: &Named, configured: &Configured) -> Result<Paths, Box<Diagnostic>> {
    let found = match (&configured.paths, configured.kind) {
        (Some(texts), _) => Paths::parse(texts),
        (None, UpstreamKind::OpenClaw) => Paths::parse(CONTROL_UI),
        (None, UpstreamKind::Plain) => Ok(Paths::default()),
    };
    found.map_err(|error| {
        let message = format!("`upstream.paths`: {error}");
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message);
        let help = "write a path, `/assets/` for all that begins with it, and before it the \
                    methods where those are others than GET and HEAD: `GET,POST /hooks/`";
        Box::new(named.at(diagnostic, "upstream.paths").help(help))
    })
}

/// How it is reached. What devices are made of is made where there is none.
pub(super) fn options(
    named: &Named,
    configured: &Configured,
    state: &Path,
) -> Result<Options, Box<Diagnostic>> {
    let (target, trust) = target(named, configured)?;
    let root = token::made_as(&state.join(ROOT), DEVICES).map_err(|error| {
        let diagnostic = Diagnostic::error(Code::CannotServe, error);
        Box::new(diagnostic.help("what clients are called by the server behind is made of it"))
    })?;
    let login = match (&configured.token, &configured.password) {
        (Some(token), _) => Login::Token(token.clone()),
        (None, Some(password)) => Login::Password(password.clone()),
        (None, None) => Login::None,
    };
    Ok(Options {
        target,
        kind: match configured.kind {
            UpstreamKind::OpenClaw => Kind::OpenClaw,
            UpstreamKind::Plain => Kind::Plain,
        },
        login,
        trust,
        root: Root::new(root),
        patience: Duration::from_millis(configured.patience_ms),
        paths: paths(named, configured)?,
    })
}
