//! The bare server: the parts that the gateway is built of, with nothing between them.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// What makes this program the bare server. The size of its answer follows, and the folder with
/// the certificate if it speaks TLS.
pub(crate) const ARGUMENT: &str = "--bare";

/// Serves until it is killed. Says first where.
#[tokio::main]
pub(crate) async fn serve(arguments: &[String]) {
    let [bytes, folder @ ..] = arguments else {
        panic!("how many bytes to answer with?");
    };
    let bytes: usize = bytes.parse().expect("a size");
    let tls = folder.first().map(|folder| acceptor(Path::new(folder)));
    let anywhere: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = TcpListener::bind(anywhere).await.expect("loopback");
    println!(
        "listening ws://{}",
        listener.local_addr().expect("it is bound")
    );
    let filling: Arc<str> = "x".repeat(bytes).into();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(connection(stream, tls.clone(), Arc::clone(&filling)));
    }
}

/// TLS as the gateway speaks it, with the certificate that it made.
fn acceptor(folder: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(folder.join("tls.crt")).expect("a certificate");
    let chain = chain.map(|certificate| certificate.expect("a certificate"));
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("a version that there is")
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .expect("they go together");
    config.send_tls13_tickets = 0;
    TlsAcceptor::from(Arc::new(config))
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, filling: Arc<str>) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => upgraded(stream, filling).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                upgraded(stream, filling).await;
            }
        }
    }
}

async fn upgraded<S>(stream: S, filling: Arc<str>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        let key = request.headers().get(SEC_WEBSOCKET_KEY);
        let accept = derive_accept_key(key.expect("a WebSocket is asked for").as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        let filling = Arc::clone(&filling);
        tokio::spawn(async move {
            if let Ok(stream) = upgrade.await {
                let _ = session(stream, &filling).await;
            }
        });
        let answer = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, accept)
            .body(Empty::<Bytes>::new());
        async move { Ok::<_, Infallible>(answer.expect("a sound head")) }
    });
    let _ = http1::Builder::new()
        .max_buf_size(8_192)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn session(stream: Upgraded, filling: &str) -> Option<()> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .max_frame_size(None);
    let stream = TokioIo::new(stream);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let nonce = uuid::Uuid::from_bytes([7; 16]).to_string();
    let challenge = json!({
        "type": "event", "event": "connect.challenge", "payload": { "nonce": nonce, "ts": 0 },
    });
    socket
        .send(Message::text(challenge.to_string()))
        .await
        .ok()?;
    let first = socket.next().await?.ok()?.into_data();
    let frame: Value = serde_json::from_slice(&first).ok()?;
    let text = |place: &str| frame.pointer(place).and_then(Value::as_str);
    let key = URL_SAFE_NO_PAD
        .decode(text("/params/device/publicKey")?)
        .ok()?;
    let signature = URL_SAFE_NO_PAD
        .decode(text("/params/device/signature")?)
        .ok()?;
    // The scopes that are asked for, and no more than these clients say.
    let signed = format!(
        "v3|{}|cli|cli|operator|operator.read|{}|{}|{nonce}|linux|",
        text("/params/device/id")?,
        frame.pointer("/params/device/signedAt")?,
        text("/params/auth/token")?,
    );
    let verified = UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature);
    let answer = json!({
        "type": "res", "id": text("/id")?, "ok": verified.is_ok(),
        "payload": { "type": "hello-ok", "filling": filling },
    });
    socket.send(Message::text(answer.to_string())).await.ok()?;
    // What is said then is said back.
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await.ok()?;
        }
    }
    Some(())
}
