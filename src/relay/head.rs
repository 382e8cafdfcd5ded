//! The head of a client's request, as it is sent on to any WebSocket server: the target as it is,
//! the headers without what is not the server's to see or to believe, and who the client is.

use tokio_tungstenite::tungstenite::http::header::{CONNECTION, HOST, ORIGIN};
use tokio_tungstenite::tungstenite::http::uri::PathAndQuery;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::http::Path;
use crate::facts::forwarding::is_forwarding;

/// What begins so is for the gateway to say, or of this very connection.
const PREFIXES: [&str; 4] = ["gw-", "proxy-", "sec-websocket-", "x-gw-"];

/// What is not sent on besides.
const STAYS: [&str; 24] = [
    // Of the client's connection, and not of the one behind (RFC 9110, 7.6.1).
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Made anew for the server behind.
    "host",
    "origin",
    // For the gateway alone. The page's origin is not sent on, so that the server could not tell
    // whose page brings a cookie.
    "authorization",
    "cookie",
    // What some servers take for who the client is, or for the path.
    "client-ip",
    "fastly-client-ip",
    "remote-user",
    "x-client-cert",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-original-host",
    "x-original-url",
    "x-remote-user",
    "x-rewrite-url",
    "x-ssl-client-cert",
];

/// What of a request goes on.
#[derive(Clone, Debug)]
pub struct Head {
    /// Path and query, as they were sent.
    pub(super) target: Uri,
    /// What goes on of the headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether a page asks.
    pub(super) from_page: bool,
}

/// Why a request does not go on: it may mean one thing here and another one behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// None, or several.
    #[error("a request has one `Host`")]
    Host,
    /// The target names another host.
    #[error("the target of the request and its `Host` name two hosts")]
    OtherHost,
    /// Not as plain as it can be.
    #[error(
        "the path of the request can be written in another way: write it without `//`, `.`, `..`, \
         `\\` and percent-encoded letters, digits and slashes, and other escapes in capitals"
    )]
    Path,
}

/// Who a client is, in headers that nobody but the gateway can send.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// `Gw-Client`: its address, or `unknown`.
    pub client: &'a str,
    /// `Gw-Verdict`: the kind of verdict.
    pub verdict: &'a str,
    /// `Gw-Rule`: the clause that decided, by its label or place, percent-encoded where it is no
    /// visible ASCII.
    pub rule: &'a str,
    /// `Gw-Scopes`: the scopes that it was granted, with spaces between them.
    pub scopes: &'a [Box<str>],
    /// `Gw-Auth`: the authentication that held.
    pub auth: &'a str,
}

impl Head {
    /// Of a request.
    ///
    /// # Errors
    ///
    /// [`HeadError`] where it could be read in two ways.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, HeadError> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(HeadError::Host);
        };
        if let Some(authority) = uri.authority()
            && !host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        {
            return Err(HeadError::OtherHost);
        }
        let written = |target: &&PathAndQuery| target.as_str().starts_with('/');
        let target = uri.path_and_query().filter(written);
        let target = target.filter(|_| is_plain(uri.path()));
        let target = target.ok_or(HeadError::Path)?;
        let named = named(headers);
        let passes = |name: &HeaderName| {
            let name = folded(name.as_str());
            !stays(&name) && !named.contains(&name)
        };
        let passing = headers.iter().filter(|(name, _)| passes(name));
        Ok(Head {
            target: target.clone().into(),
            headers: passing
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            from_page: headers.contains_key(ORIGIN),
        })
    }

    /// The same without a header that says who the client is and is not believed.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let name = folded(name);
        self.headers
            .retain(|(sent, _)| folded(sent.as_str()) != name);
        self
    }
}

impl Told<'_> {
    /// The headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let scopes: Vec<String> = self.scopes.iter().map(|scope| visible(scope)).collect();
        let headers = [
            ("gw-client", visible(self.client)),
            ("gw-verdict", visible(self.verdict)),
            ("gw-rule", visible(self.rule)),
            ("gw-scopes", scopes.join(" ")),
            ("gw-auth", visible(self.auth)),
        ];
        headers.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::from_str(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        })
    }
}

/// A name as servers may compare it: many take `_` and `-` for one, and some whatever is neither
/// letter nor digit.
fn folded(name: &str) -> String {
    let fold = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    name.trim().chars().map(fold).collect()
}

fn stays(name: &str) -> bool {
    STAYS.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || is_forwarding(name)
}

/// The headers that are of the client's connection by its own word.
fn named(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| folded(&String::from_utf8_lossy(name)))
        .collect()
}

/// Whether a path can be written in one way only, so that whoever reads it means what the policy
/// judged.
fn is_plain(path: &str) -> bool {
    Path::parse(path).is_ok_and(|read| read.to_string() == path)
}

/// A text of visible ASCII.
fn visible(text: &str) -> String {
    let mut shown = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_graphic() && byte != b'%' {
            true => shown.push(char::from(byte)),
            false => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn head(target: &str, headers: &[(&str, &str)]) -> Result<Head, HeadError> {
        Head::of(&target.parse().unwrap(), &map(headers))
    }

    #[test]
    fn what_is_not_the_servers_to_believe_stays_here() {
        let passes = ["user-agent", "accept-language", "x-app", "x-app"];
        let stay = [
            "host",
            "origin",
            "Authorization",
            "Cookie",
            "Connection",
            "Keep-Alive",
            "Upgrade",
            "TE",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Protocol",
            "Gw-Client",
            "GW-SCOPES",
            "gw_verdict",
            "Gw_Rule",
            "gw.auth",
            "gw-anything",
            "X-Gw-Connection",
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Real-IP",
            "Via",
            "Remote_User",
            "X-Original-URL",
            "Tailscale-User-Login",
            "X-Hop",
        ];
        let mut sent: Vec<(&str, &str)> = stay.iter().map(|name| (*name, "x")).collect();
        sent.extend(passes.iter().map(|name| (*name, "1")));
        sent.push(("connection", "Upgrade, x-hop"));
        let head = head("/", &sent).unwrap();
        let mut passed: Vec<&str> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
        passed.sort_unstable();
        assert_eq!(passed, ["accept-language", "user-agent", "x-app", "x-app"]);
        assert!(head.from_page);
    }

    #[test]
    fn a_request_that_says_two_things_does_not_go_on() {
        let host: &[(&str, &str)] = &[("host", "gw.example")];
        for (target, headers, error) in [
            ("/", &[][..], HeadError::Host),
            ("/", &[("host", "a"), ("host", "a")], HeadError::Host),
            ("http://other/", host, HeadError::OtherHost),
            ("http://gw.example:81/", host, HeadError::OtherHost),
            ("http://user@gw.example/", host, HeadError::OtherHost),
            ("*", host, HeadError::Path),
        ] {
            assert_eq!(head(target, headers).unwrap_err(), error, "{target}");
        }
        let same = head("http://GW.example/a?b=/../c", host).unwrap();
        assert_eq!(same.target, "/a?b=/../c");
        assert!(!same.from_page);
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/..d",
            "/a%20b",
            "/%C3%A9",
            "/a;b=c",
        ] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/../a",
            "/a/./b",
            "/a/..;x/b",
            "/%2e%2E/a",
            "/%61",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/%25",
            "/a b",
            "/\u{e9}",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn who_a_client_is_fits_into_headers() {
        let scopes = ["operator.read".into(), "a\nb".into()];
        let told = Told {
            client: "192.0.2.1",
            verdict: "approve",
            rule: "türen.policy:3",
            scopes: &scopes,
            auth: "token",
        };
        let values: Vec<String> = told
            .headers()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            values,
            [
                "gw-client: 192.0.2.1",
                "gw-verdict: approve",
                "gw-rule: t%C3%BCren.policy:3",
                "gw-scopes: operator.read a%0Ab",
                "gw-auth: token",
            ]
        );
    }
}
