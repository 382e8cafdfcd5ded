//! The kernel's table of TCP sockets: who owns the other end of a connection. Linux only; what the
//! messages look like is [`super::sock_diag`].
//!
//! `/proc/net/tcp` tells the same, but the kernel writes the whole table for each reader, so that
//! an answer takes longer the more connections there are. Where netlink is refused there is no
//! answer.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname, recvfrom,
    sendto, socket_with,
};

use super::peer::Ends;
use super::sock_diag::{Answer, Question};

/// The kernel's end of a netlink socket: port 0, no group.
const KERNEL: SocketAddrNetlink = SocketAddrNetlink::new(0, 0);

/// How many messages are looked at for one answer: there is none but the answer, unless an
/// earlier one came late.
const MESSAGES: usize = 8;

/// The table of the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct SocketTable {
    netlink: OwnedFd,
    port: u32,
    /// The number of the last question. Asking holds the lock: it takes microseconds.
    last: Mutex<u32>,
}

impl SocketTable {
    /// Opens the table.
    ///
    /// # Errors
    ///
    /// What the system says: a sandbox may refuse the address family, and some kernels have none.
    pub(super) fn open() -> io::Result<SocketTable> {
        let netlink = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(SOCK_DIAG),
        )?;
        // Port 0 asks for a free one.
        bind(&netlink, &KERNEL)?;
        let port = SocketAddrNetlink::try_from(getsockname(&netlink)?)?.pid();
        Ok(SocketTable {
            netlink,
            port,
            last: Mutex::new(0),
        })
    }

    /// The user that owns the other end of a connection: the one that made the socket, as the
    /// user namespace of this process numbers it. `None` if the table has no such end with an
    /// owner: it is in another namespace, on another host, or gone.
    ///
    /// Who holds the socket now may be somebody else: sockets can be handed on (`unix(7)`,
    /// `SCM_RIGHTS`) and inherited. A forwarder owns the sockets that it forwards through.
    /// Sockets that share an address (`SO_REUSEPORT`) differ by the other end, so that there is
    /// one at most for a question.
    ///
    /// It never waits for an answer: the kernel has written it when sending returns
    /// (`netlink_unicast_kernel`).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn owner(&self, ends: Ends) -> io::Result<Option<u32>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.wrapping_add(1);
        let question = Question {
            ends,
            sequence: *last,
            port: self.port,
        };
        let Some(message) = question.message() else {
            return Ok(None);
        };
        sendto(&self.netlink, &message, SendFlags::DONTWAIT, &KERNEL)?;
        for _ in 0..MESSAGES {
            let mut buffer = [0u8; 512];
            let (length, _, from) = recvfrom(&self.netlink, &mut buffer, RecvFlags::DONTWAIT)?;
            // A process with rights over the network may send here too.
            if from.and_then(|from| SocketAddrNetlink::try_from(from).ok()) != Some(KERNEL) {
                continue;
            }
            match question.answer(buffer.get(..length).unwrap_or_default()) {
                Answer::Owner(user) => return Ok(Some(user)),
                Answer::Nobody => return Ok(None),
                Answer::Refused(number) => return Err(io::Error::from_raw_os_error(number)),
                Answer::Other => {}
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}
