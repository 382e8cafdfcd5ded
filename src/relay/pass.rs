//! The client's own request, sent on to any WebSocket server, and its answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::{
    Request, Response, generate_key, generate_request,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::error::NoLink;
use super::head::{Head, Told};
use super::link::Link;
use super::upstream::{Login, Upstream};
use crate::client::{Bytes, ClientError, Patience, Target, dial, speaks_tls};
use crate::pipe::Buffered;
use crate::wire::Bearer;

/// How much is read at once.
const READ_BYTES: usize = 4_096;

/// What a record of TLS begins with that holds an alert (RFC 8446, 5.1).
const ALERT: [u8; 2] = [0x15, 0x03];

/// How long a server may take to show that it speaks TLS, which nobody asked it to.
const SOON: Patience = Patience {
    connection: Duration::from_secs(2),
    handshake: Duration::from_secs(2),
    call: Duration::from_secs(2),
};

/// The longest head of an answer, and the longest beginning of a body that is kept.
const MOST_HEAD: usize = 16_384;
const MOST_BODY: usize = 4_096;

/// A client's request that the server took up.
#[derive(Debug)]
pub struct Passed {
    /// The connection to it.
    pub link: Link,
    /// The subprotocol that it chose of those that the client offered.
    pub subprotocol: Option<Box<str>>,
}

impl Upstream {
    /// Sends the request of a client that was admitted here, with who it is and with the
    /// subprotocols that it offered, and waits for the server to make it a WebSocket. Messages may
    /// have `most` bytes.
    ///
    /// The path of [`Options::target`](super::Options) is not used: the client's is.
    ///
    /// # Errors
    ///
    /// [`NoLink`].
    pub async fn pass(
        &self,
        head: &Head,
        told: &Told<'_>,
        bearer: &Bearer,
        most: usize,
    ) -> Result<Passed, NoLink> {
        let patience = self.options.patience;
        let passing = self.try_pass(head, told, &bearer.offered, most);
        let passed = timeout(patience, passing).await;
        self.went(passed.unwrap_or(Err(NoLink::Late(patience))))
    }

    async fn try_pass(
        &self,
        head: &Head,
        told: &Told<'_>,
        offered: &[Box<str>],
        most: usize,
    ) -> Result<Passed, NoLink> {
        let request = self.request(head, told, offered)?;
        let (request, key) = generate_request(request).map_err(|error| unsaid(&error))?;
        let patience = self.options.patience;
        let patience = Patience {
            connection: patience,
            handshake: patience,
            call: patience,
        };
        let (target, trust) = (&self.options.target, self.options.trust);
        let (mut stream, _) = dial(target, trust, patience).await?;
        let (response, rest) = match answered(&mut stream, &request).await {
            Ok(answered) => answered,
            Err(error) if error.may_want_tls() && speaks_tls(target, SOON).await => {
                return Err(ClientError::NeedsTls {
                    target: target.to_string(),
                    over_tls: target.with_tls(true).to_string(),
                }
                .into());
            }
            Err(error) => return Err(error.of(target)),
        };
        if response.status().as_u16() != 101 {
            let body = rest.get(..MOST_BODY.min(rest.len())).unwrap_or_default();
            return Err(ClientError::Http {
                target: target.to_string(),
                status: response.status().as_u16(),
                body: String::from_utf8_lossy(body).trim().to_owned(),
                connection: None,
            }
            .into());
        }
        let subprotocol = checked(response.headers(), &key, offered)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let websocket = WebSocketStream::from_partially_read(
            Buffered::new(stream),
            rest,
            Role::Client,
            Some(config),
        )
        .await;
        let link = Link {
            websocket,
            hello: serde_json::Value::Null,
        };
        Ok(Passed { link, subprotocol })
    }

    fn request(
        &self,
        head: &Head,
        told: &Told<'_>,
        offered: &[Box<str>],
    ) -> Result<Request, NoLink> {
        let target = &self.options.target;
        let value = |text: String| HeaderValue::try_from(text).map_err(|error| unsaid(&error));
        let mut request = Request::new(());
        *request.uri_mut() = head.target.clone();
        let headers = request.headers_mut();
        for (name, value) in head.headers.iter().cloned().chain(told.headers()) {
            headers.append(name, value);
        }
        headers.insert(HOST, value(target.authority())?);
        if head.from_page {
            headers.insert(ORIGIN, value(target.origin())?);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, value(generate_key())?);
        if !offered.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value(offered.join(", "))?);
        }
        let login = match &self.options.login {
            Login::None => None,
            Login::Token(token) => Some(format!("Bearer {}", token.expose())),
            Login::Password(password) => {
                let pair = STANDARD.encode(format!(":{}", password.expose()));
                Some(format!("Basic {pair}"))
            }
        };
        if let Some(login) = login {
            let mut login = value(login)?;
            login.set_sensitive(true);
            headers.insert(AUTHORIZATION, login);
        }
        Ok(request)
    }
}

/// No request can be made of what is configured. What it is is not repeated: it may be a secret.
fn unsaid(error: &dyn std::error::Error) -> NoLink {
    ClientError::Request(error.to_string()).into()
}

/// Why there is no answer.
enum Unanswered {
    Broken(std::io::Error),
    /// As TLS says that it understands nothing.
    Alert,
    Closed,
    Nonsense(Box<str>),
}

impl Unanswered {
    /// Whether a server that speaks TLS may have ended it so.
    fn may_want_tls(&self) -> bool {
        match self {
            Unanswered::Broken(_) | Unanswered::Closed | Unanswered::Alert => true,
            Unanswered::Nonsense(_) => false,
        }
    }

    fn of(self, target: &Target) -> NoLink {
        let target = target.to_string();
        match self {
            Unanswered::Broken(error) => ClientError::Unreachable { target, error }.into(),
            Unanswered::Closed => ClientError::Closed {
                target,
                close: None,
            }
            .into(),
            Unanswered::Alert => NoLink::Nonsense("it answers in TLS".into()),
            Unanswered::Nonsense(what) => NoLink::Nonsense(what),
        }
    }
}

/// Sends a request, and reads the head of the answer; with what was read behind it.
async fn answered(
    stream: &mut Box<dyn Bytes>,
    request: &[u8],
) -> Result<(Response, Vec<u8>), Unanswered> {
    stream
        .write_all(request)
        .await
        .map_err(Unanswered::Broken)?;
    stream.flush().await.map_err(Unanswered::Broken)?;
    let mut read = Vec::with_capacity(READ_BYTES);
    loop {
        match stream.read_buf(&mut read).await {
            Ok(0) => return Err(Unanswered::Closed),
            Ok(_) => {}
            Err(error) => return Err(Unanswered::Broken(error)),
        }
        match Response::try_parse(&read) {
            Ok(Some((length, response))) => {
                let rest = read.split_off(length.min(read.len()));
                return Ok((response, rest));
            }
            Ok(None) if read.len() <= MOST_HEAD => {}
            Ok(None) => {
                let what = "the head of its answer does not end";
                return Err(Unanswered::Nonsense(what.into()));
            }
            Err(_) if read.starts_with(&ALERT) => return Err(Unanswered::Alert),
            Err(error) => return Err(Unanswered::Nonsense(error.to_string().into())),
        }
    }
}

/// Whether an answer is that of a WebSocket server to this very request (RFC 6455, 4.1); with the
/// subprotocol that it chose, where it chose one.
///
/// The library refuses an answer without a subprotocol where some were offered. A server may
/// answer so, and the client is told the same.
fn checked(
    headers: &HeaderMap,
    key: &str,
    offered: &[Box<str>],
) -> Result<Option<Box<str>>, NoLink> {
    let wrong = |what: &str| Err(NoLink::Nonsense(what.into()));
    let lists = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    if !lists(UPGRADE, "websocket") || !lists(CONNECTION, "upgrade") {
        return wrong("it answers 101, and not that it upgrades to a WebSocket");
    }
    let accept = derive_accept_key(key.as_bytes());
    if headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_none_or(|sent| *sent != *accept)
    {
        return wrong("its `Sec-WebSocket-Accept` answers another request");
    }
    let extensions = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    if extensions.into_iter().any(|value| !value.is_empty()) {
        return wrong("it takes up an extension that nobody offered");
    }
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(None),
        (Some(chosen), None) => {
            let chosen = offered.iter().find(|name| *chosen == ***name);
            match chosen {
                Some(chosen) => Ok(Some(chosen.clone())),
                None => wrong("it chooses a subprotocol that nobody offered"),
            }
        }
        (Some(_), Some(_)) => wrong("it chooses two subprotocols"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6455, 1.3, and its answer.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: (&str, &str) = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const UPGRADED: [(&str, &str); 2] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
    ];

    fn chosen(headers: &[(&'static str, &'static str)]) -> Result<Option<Box<str>>, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let offered = ["chat".into(), "superchat".into()];
        checked(&map, KEY, &offered).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_held_against_what_was_asked() {
        let [upgrade, connection] = UPGRADED;
        let all = [upgrade, connection, ACCEPT];
        assert_eq!(chosen(&all), Ok(None), "none of them is an answer");
        let with = |more: &[(&'static str, &'static str)]| chosen(&[&all[..], more].concat());
        let protocol = "sec-websocket-protocol";
        assert_eq!(
            with(&[(protocol, "superchat")]),
            Ok(Some("superchat".into()))
        );
        for (answer, what) in [
            (chosen(&[upgrade, ACCEPT]), "not that it upgrades"),
            (chosen(&[connection, ACCEPT]), "not that it upgrades"),
            (chosen(&[upgrade, connection]), "another request"),
            (
                chosen(&[upgrade, connection, (ACCEPT.0, "AAAA")]),
                "another request",
            ),
            (
                with(&[("sec-websocket-extensions", "permessage-deflate")]),
                "extension",
            ),
            (with(&[(protocol, "other")]), "nobody offered"),
            (with(&[(protocol, "chat, superchat")]), "nobody offered"),
            (with(&[(protocol, "chat"), (protocol, "chat")]), "two"),
        ] {
            let error = answer.unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
