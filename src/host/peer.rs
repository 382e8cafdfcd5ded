//! Who is at the other end of a socket, by the word of the kernel. Nothing that the peer sends
//! counts here. What follows from the answer is the policy's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

#[cfg(target_os = "linux")]
use super::socket_table::SocketTable;
use super::user::Users;
use crate::facts::PeerUid;

/// The two ends of a TCP connection, as this side sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The address at the other end.
    pub peer: SocketAddr,
    /// The address at this end.
    pub local: SocketAddr,
}

/// Tells who is at the other end. One is made at the start and shared.
#[derive(Debug)]
pub struct Peers {
    users: Option<Users>,
    #[cfg(target_os = "linux")]
    table: io::Result<SocketTable>,
}

/// Why nobody at the other end of a TCP connection is known.
#[derive(Debug)]
pub enum Silence {
    /// This system has no table of sockets that says it, as far as this program knows.
    Unsupported,
    /// The kernel, or the sandbox around this process, refuses to be asked.
    Refused(io::Error),
    /// The table does not have a connection of this process to itself.
    NotFound,
    /// There is no loopback address over which it could be tried.
    Untried(io::Error),
}

/// How long a connection to ourselves over loopback may take; it does not leave the kernel.
const TRIAL: Duration = Duration::from_secs(1);

impl Peers {
    /// Opens the kernel's table of sockets, where there is one. If it cannot be opened, every TCP
    /// peer is [`PeerUid::Unknown`], and [`Peers::try_out`] says why.
    #[must_use]
    pub fn open() -> Peers {
        Peers {
            users: Users::of_this_process(),
            #[cfg(target_os = "linux")]
            table: SocketTable::open(),
        }
    }

    /// Whose a unix socket's peer is, by the user that `SO_PEERCRED` of `unix(7)` tells.
    #[must_use]
    pub fn unix(&self, user: u32) -> PeerUid {
        self.users
            .map_or(PeerUid::Unknown, |users| users.peer_uid(user))
    }

    /// Whose a TCP peer is. `ends` asks the accepted socket for its two addresses, as `peer_addr`
    /// and `local_addr` give them, and is asked twice.
    ///
    /// The second time is after the kernel's answer: if our own end is still connected then, the
    /// other end that was found is ours. Else a peer could send its bytes, reset the connection,
    /// and leave its port to a process of another user that connects from there.
    ///
    /// [`PeerUid::Unknown`] where the kernel cannot tell: the peer is on another host or in
    /// another network namespace, its address was translated on the way, it has hung up already.
    #[must_use]
    pub fn tcp(&self, ends: impl Fn() -> io::Result<Ends>) -> PeerUid {
        let Ok(before) = ends() else {
            return PeerUid::Unknown;
        };
        match self.owner(before) {
            Ok(Some(user)) if ends().is_ok_and(|after| after == before) => self.unix(user),
            Ok(_) | Err(_) => PeerUid::Unknown,
        }
    }

    /// Tries it on a connection of this process to itself.
    ///
    /// # Errors
    ///
    /// Why it does not work here.
    pub fn try_out(&self) -> Result<(), Silence> {
        #[cfg(target_os = "linux")]
        if let Err(error) = &self.table {
            return Err(Silence::Refused(again(error)));
        }
        if cfg!(not(target_os = "linux")) {
            return Err(Silence::Unsupported);
        }
        let (_listener, _ours, ends) = to_ourselves(Ipv4Addr::LOCALHOST.into())
            .or_else(|_| to_ourselves(Ipv6Addr::LOCALHOST.into()))
            .map_err(Silence::Untried)?;
        match self.owner(ends) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Silence::NotFound),
            Err(error) => Err(Silence::Refused(error)),
        }
    }

    #[cfg(target_os = "linux")]
    fn owner(&self, ends: Ends) -> io::Result<Option<u32>> {
        match &self.table {
            Ok(table) => table.owner(ends),
            Err(error) => Err(again(error)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn owner(&self, _: Ends) -> io::Result<Option<u32>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A connection to ourselves, and its ends as the listening side would see them.
fn to_ourselves(ip: IpAddr) -> io::Result<(TcpListener, TcpStream, Ends)> {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
    let ours = TcpStream::connect_timeout(&listener.local_addr()?, TRIAL)?;
    let ends = Ends {
        peer: ours.local_addr()?,
        local: ours.peer_addr()?,
    };
    Ok((listener, ours, ends))
}

/// An error of the system once more: `io::Error` cannot be copied.
#[cfg(target_os = "linux")]
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

#[cfg(test)]
mod tests;
