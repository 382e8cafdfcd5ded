//! The server behind the gateway, as a configuration names it. Whether it is there is not asked.

use super::values::Values;
use crate::facts::word::words;
use crate::secret::Secret;

words! {
    /// What speaks behind.
    UpstreamKind {
        OpenClaw "openclaw" "a gateway of OpenClaw",
        Plain "plain" "any WebSocket server",
    }
}

/// A server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is, as it is written.
    pub url: Box<str>,
    /// What it speaks.
    pub kind: UpstreamKind,
    /// Its shared token.
    pub token: Option<Secret>,
    /// Its shared password.
    pub password: Option<Secret>,
    /// The fingerprint of its certificate, as it is written.
    pub fingerprint: Option<Box<str>>,
    /// What may be asked of it over HTTP; nothing where that is not said.
    pub paths: Option<Vec<String>>,
    /// How long it may take to let a client in, in milliseconds.
    pub patience_ms: u64,
}

/// The server behind, where one is named.
pub(super) fn find(
    values: &Values,
    token: Option<Secret>,
    password: Option<Secret>,
) -> Option<Upstream> {
    let url = values.text("upstream.url")?;
    let kind = values.text("upstream.kind").and_then(UpstreamKind::parse);
    let paths = values.has("upstream.paths");
    Some(Upstream {
        url: url.into(),
        kind: kind.unwrap_or(UpstreamKind::OpenClaw),
        token,
        password,
        fingerprint: values.text("upstream.fingerprint").map(Into::into),
        paths: paths.then(|| {
            let texts = values.texts("upstream.paths").iter();
            texts.map(|(text, _)| text.clone()).collect()
        }),
        patience_ms: values.number("upstream.timeoutMs"),
    })
}
