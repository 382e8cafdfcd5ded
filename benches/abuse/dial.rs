//! Connections from an address of one's choice: loopback has sixteen million of them, and each has
//! ports of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

/// The `number`th loopback address, none of which is the one that everybody uses.
pub(crate) fn loopback(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number % 16_000_000).expect("24 bits");
    Ipv4Addr::from(0x7f00_0002 + number)
}

/// An address far away, as a proxy may say of its clients.
pub(crate) fn far(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number % 16_000_000).expect("24 bits");
    Ipv4Addr::from(0x0b00_0001 + number)
}

/// Connects from an address.
pub(crate) fn from(address: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}
