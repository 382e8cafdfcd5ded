//! Where connections come from: addresses with a port, and a unix socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::facts::Bind;

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Which addresses.
    pub bind: Bind,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The addresses of [`Bind::Custom`].
    pub custom: Vec<IpAddr>,
    /// The unix socket, if there is one.
    pub socket: Option<PathBuf>,
}

/// What the host says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Whether this is the inside of a container.
    pub container: bool,
    /// The address that Tailscale gave it.
    pub tailnet: Option<IpAddr>,
}

const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const EVERY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

impl Listen {
    /// The addresses to listen at. Beside addresses of its own the gateway listens at loopback,
    /// so that its helpers on this host find it.
    #[must_use]
    pub fn addresses(&self, host: Host) -> Vec<SocketAddr> {
        let mut addresses = match self.bind {
            Bind::Lan => EVERY.to_vec(),
            Bind::Auto if host.container => EVERY.to_vec(),
            Bind::Auto | Bind::Loopback => LOOPBACK.to_vec(),
            Bind::Tailnet => host.tailnet.into_iter().chain(LOOPBACK).collect(),
            Bind::Custom => self.custom.clone(),
        };
        for loopback in LOOPBACK {
            let reached = |ip: &IpAddr| {
                *ip == loopback || ip.is_unspecified() && ip.is_ipv4() == loopback.is_ipv4()
            };
            if self.bind == Bind::Custom && !addresses.iter().any(reached) {
                addresses.push(loopback);
            }
        }
        addresses
            .into_iter()
            .map(|ip| SocketAddr::new(ip, self.port))
            .collect()
    }

    /// Whether a peer on another host may reach one of the addresses.
    #[must_use]
    pub fn beyond_loopback(&self) -> bool {
        match self.bind {
            Bind::Loopback => false,
            Bind::Auto | Bind::Lan | Bind::Tailnet => true,
            Bind::Custom => self.custom.iter().any(|ip| !ip.is_loopback()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_addresses() {
        let shown = |bind, custom: &[&str], host| {
            let custom = custom.iter().map(|ip| ip.parse().unwrap()).collect();
            let listen = Listen {
                bind,
                port: 1,
                custom,
                socket: None,
            };
            let addresses = listen.addresses(host);
            addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let quiet = Host::default();
        let container = Host {
            container: true,
            ..quiet
        };
        let tailnet = Host {
            tailnet: Some(Ipv4Addr::new(100, 64, 0, 9).into()),
            ..quiet
        };
        assert_eq!(shown(Bind::Loopback, &[], quiet), "127.0.0.1 ::1");
        assert_eq!(shown(Bind::Auto, &[], quiet), "127.0.0.1 ::1");
        assert_eq!(shown(Bind::Auto, &[], container), "0.0.0.0 ::");
        assert_eq!(shown(Bind::Lan, &[], quiet), "0.0.0.0 ::");
        assert_eq!(shown(Bind::Tailnet, &[], quiet), "127.0.0.1 ::1");
        assert_eq!(
            shown(Bind::Tailnet, &[], tailnet),
            "100.64.0.9 127.0.0.1 ::1"
        );
        assert_eq!(
            shown(Bind::Custom, &["192.168.1.5"], quiet),
            "192.168.1.5 127.0.0.1 ::1"
        );
        assert_eq!(shown(Bind::Custom, &["0.0.0.0"], quiet), "0.0.0.0 ::1");
    }
}
