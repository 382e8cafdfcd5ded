//! Where connections come from: sockets that listen, and what is known of a connection once it
//! is accepted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;

/// How many connections the kernel may hold that were not accepted yet.
const BACKLOG: i32 = 1_024;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener(pub(super) Kind);

pub(super) enum Kind {
    Tcp {
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    },
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        path: PathBuf,
    },
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Tcp { listener, tls } => f
                .debug_struct("Tcp")
                .field("address", &listener.local_addr())
                .field("tls", &tls.is_some())
                .finish(),
            #[cfg(unix)]
            Kind::Unix { path, .. } => f.debug_struct("Unix").field("path", path).finish(),
        }
    }
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
    /// Of the process at the other end of a unix socket.
    pub(super) uid: Option<u32>,
    /// What speaks TLS with it first.
    pub(super) tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens at an address; port 0 takes a free one. IPv6 is IPv6 only. Only from within a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system says: the port is taken, the address is not this host's.
    pub fn tcp(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of a gateway that has just ended do not keep the port; another gateway does.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        Ok(Listener(Kind::Tcp { listener, tls }))
    }

    /// Listens at a unix socket that only its owner may reach. One that is there and that nobody
    /// listens at is replaced. Only from within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::AddrInUse`] when somebody listens at it, or it is
    /// something else.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        if let Ok(found) = std::fs::symlink_metadata(path) {
            let left_over = found.file_type().is_socket()
                && std::os::unix::net::UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !left_over {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        // Made under another name, so that nobody reaches it before it is closed to others.
        let made = path.with_extension(format!("{}.new", std::process::id()));
        // In a container every gateway has the same id, one that died half way too.
        if std::fs::symlink_metadata(&made).is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(&made)?;
        }
        let listener = UnixListener::bind(&made)?;
        let finished = std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::rename(&made, path));
        if let Err(error) = finished {
            let _ = std::fs::remove_file(&made);
            return Err(error);
        }
        Ok(Listener(Kind::Unix {
            listener,
            path: path.to_owned(),
        }))
    }

    /// The address that it listens at, with the port it got; TCP only.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp { listener, .. } => listener.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix { .. } => None,
        }
    }

    /// Where clients reach it, as a URL or a path.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.0 {
            Kind::Tcp { listener, tls } => {
                let scheme = if tls.is_some() { "wss" } else { "ws" };
                let address = listener.local_addr().map(|address| address.to_string());
                format!("{scheme}://{}", address.unwrap_or_default())
            }
            #[cfg(unix)]
            Kind::Unix { path, .. } => path.display().to_string(),
        }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp { listener, tls } => {
                let (stream, peer) = listener.accept().await?;
                // An answer is a few small writes that nothing follows. Where a peer that is gone
                // already makes it fail, that is no reason for the others to wait.
                let _ = stream.set_nodelay(true);
                Ok(Accepted {
                    peer: Some(canonical(peer)),
                    local: Some(canonical(stream.local_addr()?)),
                    stream: Stream::Tcp(stream),
                    uid: None,
                    tls: tls.clone(),
                })
            }
            #[cfg(unix)]
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted {
                    peer: None,
                    local: None,
                    uid: stream.peer_cred().ok().map(|credentials| credentials.uid()),
                    stream: Stream::Unix(stream),
                    tls: None,
                })
            }
        }
    }
}

/// A unix socket is gone with its listener.
#[cfg(unix)]
impl Drop for Kind {
    fn drop(&mut self) {
        if let Kind::Unix { path, .. } = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Without the form in which IPv6 has IPv4, so that each address has one name.
fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    match ip == address.ip() {
        true => address,
        false => SocketAddr::new(ip, address.port()),
    }
}
