//! A WebSocket server behind the gateway: it keeps what it is asked, echoes what it is told, and can
//! be one that does not do as it should.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gw::client::Target;
use gw::client::tls::Trust;
use gw::relay::http::Paths;
use gw::relay::{Kind, Login, Options, Root, Upstream};
use gw::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::client::{Closed, soon};

/// What it answers a request with.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// A WebSocket, with these headers beside; it echoes.
    Echo(&'static str),
    /// These bytes, and the end.
    Says(&'static str),
    /// Nothing.
    Silent,
}

/// What it tells of.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The head of a request.
    Head(String),
    /// A message.
    Message,
    /// The end of a connection.
    End(Closed),
}

pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl Behind {
    pub(crate) async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, tell.clone()));
            }
        });
        Behind { address, heard }
    }

    /// The way there.
    pub(crate) fn upstream(&self, login: Login) -> Arc<Upstream> {
        upstream(self.address, login)
    }

    pub(crate) async fn heard(&mut self) -> Heard {
        soon("what the server hears", self.heard.recv())
            .await
            .unwrap()
    }

    /// The head of the next request.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Heard::Head(head) = self.heard().await {
                return head;
            }
        }
    }

    /// How the next connection to end ends.
    pub(crate) async fn end(&mut self) -> Closed {
        loop {
            if let Heard::End(closed) = self.heard().await {
                return closed;
            }
        }
    }

    /// Whether it was asked for nothing that was not heard yet.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.heard.try_recv().is_err()
    }
}

/// The way to a server at an address.
pub(crate) fn upstream(address: SocketAddr, login: Login) -> Arc<Upstream> {
    Arc::new(Upstream::new(Options {
        target: Target::parse(&format!("ws://{address}")).unwrap(),
        kind: Kind::Plain,
        login,
        trust: Trust::System,
        root: Root::new(Secret::new("0123456789abcdef0123456789abcdef")),
        patience: Duration::from_secs(20),
        paths: Paths::default(),
    }))
}

async fn serve(mut stream: TcpStream, manner: Manner, tell: mpsc::UnboundedSender<Heard>) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8(read).unwrap();
    let key = header(&head, "sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let _ = tell.send(Heard::Head(head));
    let headers = match manner {
        Manner::Echo(headers) => headers,
        Manner::Says(bytes) => {
            let _ = stream.write_all(bytes.as_bytes()).await;
            return;
        }
        Manner::Silent => {
            let _ = stream.read_u8().await;
            let _ = tell.send(Heard::End(Closed::new(1006, "")));
            return;
        }
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let closed = echo(stream, &tell).await;
    let _ = tell.send(Heard::End(closed));
}

async fn echo(stream: TcpStream, tell: &mpsc::UnboundedSender<Heard>) -> Closed {
    let config = Some(large());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, config).await;
    loop {
        match socket.next().await {
            // What closes is asked for by a message.
            Some(Ok(Message::Text(text))) if text.as_str() == "close" => {
                let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                    code: 4_000.into(),
                    reason: "enough".into(),
                };
                let _ = socket.send(Message::Close(Some(frame))).await;
            }
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                let _ = tell.send(Heard::Message);
                if socket.send(message).await.is_err() {
                    return Closed::new(1006, "");
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                let closed = Closed::new(frame.code.into(), &frame.reason);
                // It is confirmed while the end is awaited.
                while let Some(Ok(_)) = socket.next().await {}
                return closed;
            }
            Some(Ok(Message::Close(None))) => return Closed::new(1005, ""),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Closed::new(1006, ""),
        }
    }
}

/// For messages as large as the gateway takes.
pub(crate) fn large() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(26_214_400))
        .max_frame_size(Some(26_214_400))
}

/// The value of a header of a head; nothing where it is not there.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (sent, value) = line.split_once(':')?;
        sent.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
