//! Where a gateway is: a unix socket, or a URL without secrets.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::source::visible;

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The gateway's own socket on this host.
    Unix(PathBuf),
    /// A host and a port, over TCP.
    Tcp {
        /// Whether TLS is spoken.
        tls: bool,
        /// A name or an address; IPv6 in brackets.
        host: Box<str>,
        /// The port.
        port: u16,
        /// What is asked for there: a path, perhaps with a query.
        path: Box<str>,
    },
}

/// Why a text says no such place. The text is not repeated where it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// It begins otherwise.
    #[error("a gateway's URL begins with `ws://` or `wss://`, or is the path of its unix socket")]
    Scheme,
    /// It holds a user, a password or a token.
    #[error(
        "a URL ends up in logs and in the shell's history: leave the secret out of it, and name \
         a file or a variable that holds it (`--token-file`, `--token-env`)"
    )]
    Secret,
    /// There is no host in it, or nothing that could be one.
    #[error("it names no host")]
    Host,
    /// Its port is no port.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// It has a part that no server ever sees.
    #[error("what follows `#` is never sent: leave it out")]
    Fragment,
}

/// Names of parameters that hold secrets, or look as if they did.
const SECRETS: [&str; 5] = ["auth", "key", "pass", "secret", "token"];

impl Target {
    /// Whether TLS protects what is sent there.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match self {
            Target::Tcp { tls, .. } => *tls,
            Target::Unix(_) => false,
        }
    }

    /// Whether it is this host, by its own addresses.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Target::Unix(_) => true,
            Target::Tcp { host, .. } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let address = bare.parse::<IpAddr>();
                bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
            }
        }
    }

    /// Where a listener of this host is reached from it: one at every address, at its own.
    #[must_use]
    pub fn from_this_host(self) -> Self {
        match self {
            Target::Tcp {
                tls,
                host,
                port,
                path,
            } => {
                let host = match &*host {
                    "0.0.0.0" => "127.0.0.1".into(),
                    "[::]" => "[::1]".into(),
                    _ => host,
                };
                Target::Tcp {
                    tls,
                    host,
                    port,
                    path,
                }
            }
            Target::Unix(_) => self,
        }
    }

    /// What is asked for there, with a query where it has one; of a socket `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Target::Unix(_) => "/",
            Target::Tcp { path, .. } => path,
        }
    }

    /// The same port, with TLS or without.
    #[must_use]
    pub fn with_tls(&self, tls: bool) -> Self {
        let mut other = self.clone();
        if let Target::Tcp { tls: spoken, .. } = &mut other {
            *spoken = tls;
        }
        other
    }

    /// Reads a URL, `unix:PATH`, or an absolute path.
    ///
    /// # Errors
    ///
    /// [`NoTarget`].
    pub fn parse(text: &str) -> Result<Self, NoTarget> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Target::Unix(path.strip_prefix("//").unwrap_or(path).into()));
        }
        if text.starts_with('/') {
            return Ok(Target::Unix(text.into()));
        }
        let (scheme, rest) = text.split_once("://").ok_or(NoTarget::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            _ => return Err(NoTarget::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') || holds_secret(path) {
            return Err(NoTarget::Secret);
        }
        if path.contains('#') {
            return Err(NoTarget::Fragment);
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '%');
        if host.is_empty() || host.contains(odd) || (host.contains(':') && !bracketed) {
            return Err(NoTarget::Host);
        }
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(NoTarget::Port),
                Ok(port) => port,
            },
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(Target::Tcp {
            tls,
            host: host.into(),
            port,
            path: path.into(),
        })
    }

    /// The origin of a page that comes from there, as browsers write it.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// As `Host` names it: with the port where that is not the usual one.
    pub(crate) fn authority(&self) -> String {
        match self {
            Target::Unix(_) => "localhost".to_owned(),
            Target::Tcp {
                tls, host, port, ..
            } => match (tls, port) {
                (true, 443) | (false, 80) => host.to_string(),
                (_, port) => format!("{host}:{port}"),
            },
        }
    }

    /// As a request names it: the `Host` header, and the URL that the library wants.
    pub(super) fn url(&self) -> String {
        match self {
            Target::Unix(_) => "ws://localhost/".to_owned(),
            Target::Tcp {
                tls,
                host,
                port,
                path,
            } => {
                let scheme = if *tls { "wss" } else { "ws" };
                format!("{scheme}://{host}:{port}{path}")
            }
        }
    }
}

/// Whether a path with its query and fragment holds what is named like a secret.
fn holds_secret(path: &str) -> bool {
    let parameters = path.split(['?', '#', '&', ';']).skip(1);
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .map(|(name, _)| name.to_ascii_lowercase())
        .any(|name| SECRETS.iter().any(|secret| name.contains(secret)))
}

/// The place, without a query.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Unix(path) => f.write_str(&visible(&path.to_string_lossy())),
            Target::Tcp {
                tls,
                host,
                port,
                path,
            } => {
                let scheme = if *tls { "wss" } else { "ws" };
                write!(f, "{scheme}://{}:{port}", visible(host))?;
                let path = path.split('?').next().unwrap_or_default();
                f.write_str(if path == "/" { "" } else { path })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths_say_where() {
        for (text, shown, url) in [
            ("ws://gateway", "ws://gateway:80", "ws://gateway:80/"),
            (
                "WSS://[::1]:1/x?a=b",
                "wss://[::1]:1/x",
                "wss://[::1]:1/x?a=b",
            ),
            ("wss://h?a", "wss://h:443/", "wss://h:443/?a"),
            ("/run/gw.sock", "/run/gw.sock", "ws://localhost/"),
            ("unix:gw.sock", "gw.sock", "ws://localhost/"),
        ] {
            let target = Target::parse(text).unwrap();
            let shown = shown.trim_end_matches('/');
            assert_eq!(target.to_string().trim_end_matches('/'), shown);
            assert_eq!(target.url(), url);
        }
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for text in [
            "ws://user:s3cret@host",
            "ws://s3cret@host",
            "ws://host/?token=s3cret",
            "ws://host/x?a=b&gatewayToken=s3cret",
            "wss://host/#token=s3cret",
            "ws://host?PASSWORD=s3cret",
        ] {
            let error = Target::parse(text).unwrap_err();
            assert_eq!(error, NoTarget::Secret, "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
        for (text, error) in [
            ("http://host", NoTarget::Scheme),
            ("host:1", NoTarget::Scheme),
            ("ws://", NoTarget::Host),
            ("ws://::1:5", NoTarget::Host),
            ("ws://a b", NoTarget::Host),
            ("ws://host:0", NoTarget::Port),
            ("ws://host:x", NoTarget::Port),
            ("ws://host/#x", NoTarget::Fragment),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }
}
