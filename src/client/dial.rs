//! The bytes of a connection to a gateway: a unix socket, TCP, or TLS over TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::{ClientError, Waited};
use super::target::Target;
use super::tls::{ConnectError, Connector, Trust, Trusted};
use crate::pipe::Buffered;

/// A stream of bytes, whatever it goes over.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// What a WebSocket to a gateway goes over.
pub(crate) type Wire = Buffered<Box<dyn Bytes>>;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until there is a connection, with TLS.
    pub connection: Duration,
    /// For each message of the handshake. A gateway may hold an answer back.
    pub handshake: Duration,
    /// For the answer to a call.
    pub call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connection: Duration::from_secs(10),
            handshake: Duration::from_secs(20),
            call: Duration::from_secs(60),
        }
    }
}

/// What a connection goes over, once it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The other end; TCP only.
    pub peer: Option<SocketAddr>,
    /// This end; TCP only.
    pub local: Option<SocketAddr>,
    /// Why the certificate is trusted; nothing where no TLS is spoken.
    pub trusted: Option<Trusted>,
}

/// Connects to where a gateway is.
pub(crate) async fn dial(
    target: &Target,
    trust: Trust,
    patience: Patience,
) -> Result<(Box<dyn Bytes>, Reached), ClientError> {
    let late = |what| ClientError::TooLate {
        target: target.to_string(),
        what,
    };
    match target {
        #[cfg(unix)]
        Target::Unix(path) => {
            let connected = timeout(patience.connection, UnixStream::connect(path)).await;
            let stream = connected
                .map_err(|_| late(Waited::Connection))?
                .map_err(|error| unreachable(target, error))?;
            Ok((Box::new(stream), Reached::default()))
        }
        #[cfg(not(unix))]
        Target::Unix(_) => Err(unreachable(target, io::ErrorKind::Unsupported.into())),
        Target::Tcp {
            tls, host, port, ..
        } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let connected = timeout(patience.connection, TcpStream::connect((bare, *port))).await;
            let stream = connected
                .map_err(|_| late(Waited::Connection))?
                .map_err(|error| unreachable(target, error))?;
            let mut reached = Reached {
                peer: stream.peer_addr().ok(),
                local: stream.local_addr().ok(),
                trusted: None,
            };
            if !tls {
                return Ok((Box::new(stream), reached));
            }
            let connector = Connector::new(trust)
                .map_err(|error| unreachable(target, io::Error::other(error)))?;
            let connected = timeout(patience.connection, connector.connect(host, stream)).await;
            let stream = connected.map_err(|_| late(Waited::Tls))??;
            reached.trusted = Some(connector.trusted(&stream));
            Ok((Box::new(stream), reached))
        }
    }
}

/// Whether TLS is spoken where no answer came without it. It is asked over a connection of its
/// own, on which nothing of the client's is sent.
pub(crate) async fn speaks_tls(target: &Target, patience: Patience) -> bool {
    if !matches!(target, Target::Tcp { tls: false, .. }) {
        return false;
    }
    match dial(&target.with_tls(true), Trust::System, patience).await {
        Ok(_) => true,
        Err(ClientError::Tls(error)) => match error {
            ConnectError::Pin { .. }
            | ConnectError::Untrusted { .. }
            | ConnectError::Key(_)
            | ConnectError::Handshake { .. } => true,
            ConnectError::NotTls(_) | ConnectError::Name(_) | ConnectError::Broken { .. } => false,
        },
        Err(_) => false,
    }
}

fn unreachable(target: &Target, error: io::Error) -> ClientError {
    let nobody = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    );
    match nobody {
        true => ClientError::Nobody(target.to_string()),
        false => ClientError::Unreachable {
            target: target.to_string(),
            error,
        },
    }
}
