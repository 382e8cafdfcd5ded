//! The heads of requests and answers, as they are sent on. Of a request goes on what the
//! table names; of an answer all but what is between the upstream and the gateway.

use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, ORIGIN,
    PRAGMA, PROXY_AUTHENTICATE, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use hyper::http::request;
use hyper::{Method, Uri};

use super::paths::{OddPath, Passage, Path, Paths, has_body, unescaped};
use crate::client::Target;

/// What a request says that has to do with what is asked for, and with nothing else. Anything else
/// stays here: credentials are for the gateway, what proxies say of the client is, and a header
/// that some server takes for the name of a user is known to that server only.
const PASSED: [HeaderName; 20] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    PRAGMA,
    RANGE,
    USER_AGENT,
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-user"),
];

/// What an answer says to the next hop only (RFC 9110, 7.6.1), beside what `Connection` names.
const OF_ONE_HOP: [HeaderName; 8] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Parts of the names of parameters whose values are secrets of the gateway or of a device.
const SECRETS: [&str; 3] = ["password", "secret", "token"];

/// Why a request does not go to the upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// There is no rule for its path.
    #[error("there is nothing")]
    NotListed,
    /// Its path could be taken for several.
    #[error("no path that is relayed: {0}")]
    Path(#[from] OddPath),
    /// Its path is relayed with these methods only.
    #[error("understood here: {}", .0.join(", "))]
    Method(Vec<&'static str>),
    /// `Host` is missing, is there twice, or is not whom the request is addressed to.
    #[error("a request has one `Host`, and it is the one that is asked")]
    Host,
    /// A body where there is none.
    #[error("a request of this method has no body")]
    Body,
    /// A body whose length is not said.
    #[error("a body is taken with a `Content-Length` only")]
    Length,
    /// Its body is larger than may be.
    #[error("a body has at most {0} bytes here")]
    TooLarge(u64),
}

/// The head that goes to the upstream in place of another one.
pub(super) fn request(
    asked: &request::Parts,
    paths: &Paths,
    target: &Target,
) -> Result<request::Parts, Stays> {
    let path = Path::parse(asked.uri.path())?;
    match paths.passage(asked.method.as_str(), &path) {
        Passage::On => {}
        Passage::OtherMethod(methods) => return Err(Stays::Method(methods)),
        Passage::Not => return Err(Stays::NotListed),
    }
    if !has_one_host(&asked.uri, &asked.headers) {
        return Err(Stays::Host);
    }
    body(asked, paths.most_body)?;
    let query = asked.uri.query().map(without_secrets).unwrap_or_default();
    let uri = match query.is_empty() {
        true => path.to_string(),
        false => format!("{path}?{query}"),
    };
    let (mut head, ()) = hyper::Request::new(()).into_parts();
    head.method = asked.method.clone();
    // A path in its one form, and a query that was one before.
    head.uri = Uri::try_from(uri).map_err(|_| OddPath::Character)?;
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Stays::Host);
    head.headers.insert(HOST, value(&target.authority())?);
    if asked.headers.contains_key(ORIGIN) {
        head.headers.insert(ORIGIN, value(&target.origin())?);
    }
    let named = named_by_connection(&asked.headers);
    for name in PASSED.into_iter().filter(|name| !named.contains(name)) {
        for value in asked.headers.get_all(&name) {
            head.headers.append(&name, value.clone());
        }
    }
    Ok(head)
}

/// Whether a host is named once, and is the one that the request line names, if it names one: any
/// other head is read in two ways.
pub(crate) fn has_one_host(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    uri.authority().is_none_or(|named| {
        host.as_bytes()
            .eq_ignore_ascii_case(named.as_str().as_bytes())
    })
}

/// A body is where there may be one, with its length, and not too large. Where a length and an
/// encoding are both sent, the library shows the encoding.
fn body(asked: &request::Parts, most: u64) -> Result<(), Stays> {
    let lengths = asked.headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = lengths.map(|length| length.to_str().ok()?.parse::<u64>().ok());
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(Some(length)), None) => Some(length),
        (Some(_), _) => return Err(Stays::Length),
    };
    let encoded = asked.headers.contains_key(TRANSFER_ENCODING);
    if !has_body(asked.method.as_str()) {
        return match encoded || length.is_some_and(|length| length > 0) {
            true => Err(Stays::Body),
            false => Ok(()),
        };
    }
    match length {
        _ if encoded => Err(Stays::Length),
        Some(length) if length > most => Err(Stays::TooLarge(most)),
        Some(_) => Ok(()),
        None if asked.method == Method::DELETE => Ok(()),
        None => Err(Stays::Length),
    }
}

/// A query without the parameters that are named like secrets: old links to the Control UI hold
/// the token.
fn without_secrets(query: &str) -> String {
    let is_secret = |parameter: &&str| {
        // To some servers a semicolon begins another one.
        parameter.split(';').any(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            let name = unescaped(name).to_ascii_lowercase();
            SECRETS.iter().any(|secret| name.contains(secret))
        })
    };
    let kept = query.split('&').filter(|parameter| !is_secret(parameter));
    kept.collect::<Vec<_>>().join("&")
}

/// Takes from the head of an answer what is not the client's.
pub(super) fn answer(headers: &mut HeaderMap, target: &Target) {
    for name in named_by_connection(headers).iter().chain(&OF_ONE_HOP) {
        headers.remove(name);
    }
    // What the upstream takes for its own address leads past the gateway.
    let origin = target.origin();
    let inside = headers.get(LOCATION).and_then(|location| {
        let rest = location.to_str().ok()?.strip_prefix(&origin)?;
        match rest.is_empty() {
            true => Some(HeaderValue::from_static("/")),
            false if rest.starts_with(['/', '?']) => HeaderValue::from_str(rest).ok(),
            false => None,
        }
    });
    if let Some(inside) = inside {
        headers.insert(LOCATION, inside);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(method: &str, uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn sent(asked: &request::Parts) -> Result<request::Parts, Stays> {
        let paths = Paths::parse(["/", "/assets/", "POST,DELETE /hooks/"]).unwrap();
        let target = Target::parse("wss://behind:8443/ws").unwrap();
        request(asked, &paths, &target)
    }

    #[test]
    fn only_what_is_asked_for_goes_on() {
        let asked = asked(
            "GET",
            "/assets/%61?v=1&gatewayToken=s&x=a;to%6ben=s&%50ASSWORD=s&tokens&w=2",
            &[
                ("host", "gw:18789"),
                ("origin", "http://gw:18789"),
                ("accept", "text/html"),
                ("if-none-match", "\"1\""),
                ("connection", "keep-alive, range , X-Other"),
                ("range", "bytes=0-1"),
                ("keep-alive", "5"),
                ("referer", "http://gw/?token=s"),
                ("cookie", "a=b"),
                ("authorization", "Bearer s"),
                ("proxy-authorization", "Basic s"),
                ("gw-scopes", "operator.admin"),
                ("forwarded", "for=1.2.3.4"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-user", "root"),
                ("x-real-ip", "1.2.3.4"),
                ("remote-user", "root"),
                ("x-openclaw-token", "s"),
                ("te", "trailers"),
                ("expect", "100-continue"),
            ],
        );
        let head = sent(&asked).unwrap();
        assert_eq!(head.uri, "/assets/a?v=1&w=2");
        let headers: Vec<String> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [
                "host: behind:8443",
                "origin: https://behind:8443",
                "accept: text/html",
                "if-none-match: \"1\"",
            ]
        );
    }

    /// Method, URI, headers, and why it stays.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<Stays>);

    #[test]
    fn what_two_ends_could_read_differently_stays() {
        let host = ("host", "gw");
        let cases: [Case<'_>; 20] = [
            ("GET", "/", &[host], None),
            ("GET", "http://gw/", &[host], None),
            ("GET", "http://GW/", &[host], None),
            ("GET", "http://gw:80/", &[host], Some(Stays::Host)),
            ("GET", "http://other/", &[host], Some(Stays::Host)),
            ("GET", "/", &[], Some(Stays::Host)),
            ("GET", "/", &[host, host], Some(Stays::Host)),
            ("GET", "/", &[host, ("content-length", "0")], None),
            (
                "GET",
                "/",
                &[host, ("content-length", "1")],
                Some(Stays::Body),
            ),
            (
                "GET",
                "/",
                &[host, ("transfer-encoding", "chunked")],
                Some(Stays::Body),
            ),
            ("POST", "/hooks/", &[host], Some(Stays::Length)),
            ("POST", "/hooks/", &[host, ("content-length", "5")], None),
            (
                "POST",
                "/hooks/",
                &[host, ("content-length", "5, 5")],
                Some(Stays::Length),
            ),
            (
                "POST",
                "/hooks/",
                &[
                    host,
                    ("content-length", "5"),
                    ("transfer-encoding", "chunked"),
                ],
                Some(Stays::Length),
            ),
            (
                "POST",
                "/hooks/",
                &[host, ("transfer-encoding", "chunked")],
                Some(Stays::Length),
            ),
            (
                "POST",
                "/hooks/",
                &[host, ("content-length", "1048577")],
                Some(Stays::TooLarge(1_048_576)),
            ),
            ("DELETE", "/hooks/", &[host], None),
            (
                "POST",
                "/",
                &[host],
                Some(Stays::Method(vec!["GET", "HEAD"])),
            ),
            ("GET", "/v1/models", &[host], Some(Stays::NotListed)),
            (
                "GET",
                "/assets/../v1",
                &[host],
                Some(Stays::Path(OddPath::Dots)),
            ),
        ];
        for (method, uri, headers, stays) in cases {
            let found = sent(&asked(method, uri, headers)).err();
            assert_eq!(found, stays, "{method} {uri} {headers:?}");
        }
    }

    #[test]
    fn an_answer_says_nothing_of_the_hop_to_the_upstream() {
        let target = Target::parse("ws://127.0.0.1:19001").unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-own"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("etag", "\"1\""),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        answer(&mut headers, &target);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag", "set-cookie"]);
        for (location, told) in [
            ("http://127.0.0.1:19001/chat?a", "/chat?a"),
            ("http://127.0.0.1:19001", "/"),
            ("http://127.0.0.1:190011/", "http://127.0.0.1:190011/"),
            ("/chat", "/chat"),
            ("https://elsewhere/", "https://elsewhere/"),
        ] {
            headers.insert(LOCATION, HeaderValue::from_static(location));
            answer(&mut headers, &target);
            assert_eq!(headers.get(LOCATION).unwrap(), told);
        }
    }
}
