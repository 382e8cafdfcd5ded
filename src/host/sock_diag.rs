//! The messages in which Linux is asked about one TCP socket and answers: `sock_diag(7)`,
//! `linux/inet_diag.h`, `linux/netlink.h`. Bytes only; who sends them is [`super::socket_table`].
//!
//! Numbers are in the order of the machine, addresses and ports in that of the network.

use std::net::IpAddr;

use super::peer::Ends;

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`: the type of the request and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` of `linux/netlink.h`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST` alone: without `NLM_F_DUMP` the kernel looks for the one socket that is named.
const ONE: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `TCP_ESTABLISHED` of `net/tcp_states.h`.
const ESTABLISHED: u8 = 1;
/// `ENOENT`.
const NOT_FOUND: i32 = 2;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The length of a request: a header and `struct inet_diag_req_v2`.
const REQUEST: u32 = 16 + 56;

/// A question about the socket at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// The connection as this end sees it.
    pub(super) ends: Ends,
    /// The number by which the answer is known.
    pub(super) sequence: u32,
    /// The netlink port that asks.
    pub(super) port: u32,
}

/// What a message says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The socket is there and belongs to this user.
    Owner(u32),
    /// There is no such socket, or what is there has no owner.
    Nobody,
    /// The kernel refuses, with this `errno`.
    Refused(i32),
    /// The message is no answer to this question.
    Other,
}

impl Question {
    /// The message of the question; `None` where the two addresses are not of one family, which
    /// no connection has.
    ///
    /// The socket is named from its own side: its source is our peer. An IPv4 address in IPv6
    /// form is asked for as IPv4: the kernel finds the socket by its addresses, whatever the
    /// family under which it was made.
    pub(super) fn message(&self) -> Option<Vec<u8>> {
        let (peer, local) = (self.ends.peer.ip(), self.ends.local.ip());
        let (family, source, destination) = match (peer.to_canonical(), local.to_canonical()) {
            (IpAddr::V4(peer), IpAddr::V4(local)) => {
                (AF_INET, wide(peer.octets()), wide(local.octets()))
            }
            (IpAddr::V6(peer), IpAddr::V6(local)) => (AF_INET6, peer.octets(), local.octets()),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        let mut message = Vec::with_capacity(REQUEST as usize);
        message.extend(REQUEST.to_ne_bytes());
        message.extend(BY_FAMILY.to_ne_bytes());
        message.extend(ONE.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(self.port.to_ne_bytes());
        // No extensions; the states are not looked at where one socket is asked for.
        message.extend([family, TCP, 0, 0]);
        message.extend(u32::MAX.to_ne_bytes());
        message.extend(self.ends.peer.port().to_be_bytes());
        message.extend(self.ends.local.port().to_be_bytes());
        message.extend(source);
        message.extend(destination);
        message.extend(self.interface().to_ne_bytes());
        // `INET_DIAG_NOCOOKIE`, twice.
        message.extend(u64::MAX.to_ne_bytes());
        Some(message)
    }

    /// The interface to which a peer with a link-local address is bound, else 0.
    fn interface(&self) -> u32 {
        use std::net::SocketAddr::{V4, V6};
        match self.ends.peer {
            V6(peer) => peer.scope_id(),
            V4(_) => 0,
        }
    }

    /// What a message that the kernel sent says to this question.
    ///
    /// An owner is believed only from an established socket with an inode and with the addresses
    /// that were asked about. The kernel answers with more than that: where a connection is gone
    /// it finds one in TIME_WAIT or a half-open one, and tells its user as 0 (`inet_diag.c`:
    /// `inet_twsk_diag_fill`, `inet_req_diag_fill`); a closed one that is still sending has no
    /// inode any more; and failing all, it finds whoever listens at the port.
    pub(super) fn answer(&self, message: &[u8]) -> Answer {
        self.read(message).unwrap_or(Answer::Other)
    }

    fn read(&self, message: &[u8]) -> Option<Answer> {
        let length = usize::try_from(u32::from_ne_bytes(at(message, 0)?)).ok()?;
        let message = message.get(..length)?;
        let kind = u16::from_ne_bytes(at(message, 4)?);
        if u32::from_ne_bytes(at(message, 8)?) != self.sequence
            || u32::from_ne_bytes(at(message, 12)?) != self.port
        {
            return None;
        }
        let body = message.get(HEADER..)?;
        match kind {
            // `struct nlmsgerr`: the number, negative.
            ERROR => match i32::from_ne_bytes(at(body, 0)?).checked_neg()? {
                NOT_FOUND => Some(Answer::Nobody),
                number => Some(Answer::Refused(number)),
            },
            BY_FAMILY => self.socket(body),
            _ => None,
        }
    }

    /// Reads `struct inet_diag_msg`; attributes after it are not looked at.
    fn socket(&self, body: &[u8]) -> Option<Answer> {
        let [family, state, _, _] = at(body, 0)?;
        let source_port = u16::from_be_bytes(at(body, 4)?);
        let destination_port = u16::from_be_bytes(at(body, 6)?);
        let source = address(family, at(body, 8)?)?;
        let destination = address(family, at(body, 24)?)?;
        let interface = u32::from_ne_bytes(at(body, 40)?);
        let user = u32::from_ne_bytes(at(body, 64)?);
        let inode = u32::from_ne_bytes(at(body, 68)?);
        let Ends { peer, local } = self.ends;
        let asked = source == peer.ip().to_canonical()
            && source_port == peer.port()
            && destination == local.ip().to_canonical()
            && destination_port == local.port()
            && (interface == 0 || interface == self.interface());
        Some(if asked && state == ESTABLISHED && inode != 0 {
            Answer::Owner(user)
        } else {
            Answer::Nobody
        })
    }
}

/// An IPv4 address in the field of an IPv6 one.
fn wide([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(IpAddr::from(at::<4>(&bytes, 0)?)),
        AF_INET6 => Some(IpAddr::from(bytes).to_canonical()),
        _ => None,
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    /// The fields of an answer that the kernel may send.
    #[derive(Clone, Copy, Debug)]
    struct Told {
        peer: SocketAddr,
        local: SocketAddr,
        mapped: bool,
        state: u8,
        interface: u32,
        user: u32,
        inode: u32,
        sequence: u32,
        port: u32,
    }

    impl Told {
        /// What a good answer to a question is.
        fn to(question: &Question, user: u32) -> Told {
            Told {
                peer: question.ends.peer,
                local: question.ends.local,
                mapped: false,
                state: ESTABLISHED,
                interface: 0,
                user,
                inode: 77,
                sequence: question.sequence,
                port: question.port,
            }
        }

        fn message(&self) -> Vec<u8> {
            let field = |ip: IpAddr| match ip {
                IpAddr::V4(ip) if self.mapped => ip.to_ipv6_mapped().octets(),
                IpAddr::V4(ip) => wide(ip.octets()),
                IpAddr::V6(ip) => ip.octets(),
            };
            let six = self.mapped || self.peer.is_ipv6();
            let mut message = Vec::new();
            message.extend(88u32.to_ne_bytes());
            message.extend(BY_FAMILY.to_ne_bytes());
            message.extend(0u16.to_ne_bytes());
            message.extend(self.sequence.to_ne_bytes());
            message.extend(self.port.to_ne_bytes());
            message.extend([if six { AF_INET6 } else { AF_INET }, self.state, 0, 0]);
            message.extend(self.peer.port().to_be_bytes());
            message.extend(self.local.port().to_be_bytes());
            message.extend(field(self.peer.ip()));
            message.extend(field(self.local.ip()));
            message.extend(self.interface.to_ne_bytes());
            message.extend([0; 8 + 12]);
            message.extend(self.user.to_ne_bytes());
            message.extend(self.inode.to_ne_bytes());
            message
        }
    }

    fn question(peer: &str, local: &str) -> Question {
        Question {
            ends: Ends {
                peer: peer.parse().unwrap(),
                local: local.parse().unwrap(),
            },
            sequence: 7,
            port: 4_711,
        }
    }

    #[test]
    fn the_socket_is_named_from_its_own_side() {
        let asked = question("127.0.0.1:258", "127.0.0.2:772");
        let message = asked.message().unwrap();
        assert_eq!(message.len(), 72);
        assert_eq!(message[16..18], [AF_INET, TCP]);
        assert_eq!(message[24..28], [1, 2, 3, 4]);
        assert_eq!(message[28..34], [127, 0, 0, 1, 0, 0]);
        assert_eq!(message[44..50], [127, 0, 0, 2, 0, 0]);
        let mapped = question("[::ffff:127.0.0.1]:258", "[::ffff:127.0.0.2]:772");
        assert_eq!(mapped.message().unwrap(), message);
        let six = question("[fe80::1%3]:258", "[fe80::1%3]:772")
            .message()
            .unwrap();
        assert_eq!(six[16], AF_INET6);
        assert_eq!(six[60..64], 3u32.to_ne_bytes());
        assert_eq!(question("127.0.0.1:1", "[::1]:2").message(), None);
    }

    #[test]
    fn an_owner_needs_an_established_socket_with_an_inode() {
        for (peer, local) in [("127.0.0.1:1", "127.0.0.1:2"), ("[::1]:1", "[::1]:2")] {
            let question = question(peer, local);
            let good = Told::to(&question, 1000);
            let answer = |told: Told| question.answer(&told.message());
            assert_eq!(answer(good), Answer::Owner(1000));
            for state in (0..=20).filter(|state| *state != ESTABLISHED) {
                assert_eq!(answer(Told { state, ..good }), Answer::Nobody);
            }
            assert_eq!(answer(Told { inode: 0, ..good }), Answer::Nobody);
            assert_eq!(
                answer(Told {
                    interface: 5,
                    ..good
                }),
                Answer::Nobody
            );
            assert_eq!(
                answer(Told {
                    sequence: 8,
                    ..good
                }),
                Answer::Other
            );
            assert_eq!(answer(Told { port: 8, ..good }), Answer::Other);
        }
        // The socket was made for IPv6, and speaks IPv4.
        let question = question("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2");
        let mapped = Told {
            mapped: true,
            ..Told::to(&question, 3)
        };
        assert_eq!(question.answer(&mapped.message()), Answer::Owner(3));
    }

    #[test]
    fn the_kernel_may_refuse() {
        let question = question("127.0.0.1:1", "127.0.0.1:2");
        let error = |number: i32| {
            let mut message = Vec::new();
            message.extend(36u32.to_ne_bytes());
            message.extend(ERROR.to_ne_bytes());
            message.extend(0u16.to_ne_bytes());
            message.extend(question.sequence.to_ne_bytes());
            message.extend(question.port.to_ne_bytes());
            message.extend(number.to_ne_bytes());
            message.extend([0; 16]);
            question.answer(&message)
        };
        assert_eq!(error(-2), Answer::Nobody);
        assert_eq!(error(-1), Answer::Refused(1));
        assert_eq!(error(i32::MIN), Answer::Other);
    }

    fn ends() -> impl Strategy<Value = Ends> {
        let ports = (1..4u16, 1..4u16);
        let four = (1..4u8, 1..4u8).prop_map(|(peer, local)| {
            (
                IpAddr::from([127, 0, 0, peer]),
                IpAddr::from([127, 0, 0, local]),
            )
        });
        let six = (1..4u16, 1..4u16).prop_map(|(peer, local)| {
            let ip = |last| IpAddr::from([0, 0, 0, 0, 0, 0, 0, last]);
            (ip(peer), ip(local))
        });
        (prop_oneof![four, six], ports).prop_map(|((peer, local), (from, to))| Ends {
            peer: (peer, from).into(),
            local: (local, to).into(),
        })
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = question("127.0.0.1:1", "127.0.0.1:2").answer(&bytes);
        }

        #[test]
        fn a_changed_answer_names_no_other_owner(
            asked in ends(), at in 0..88usize, to in any::<u8>(), cut in 0..=88usize,
        ) {
            let question = Question { ends: asked, sequence: 7, port: 9 };
            let mut message = Told::to(&question, 1000).message();
            let whole = cut == 88;
            let was = std::mem::replace(&mut message[at], to);
            message.truncate(cut);
            let answer = question.answer(&message);
            // Of what is looked at only the user may be another one without the rest failing.
            let user = (80..84).contains(&at);
            if !whole {
                prop_assert_eq!(answer, Answer::Other);
            } else if user && was != to {
                prop_assert_ne!(answer, Answer::Owner(1000));
            } else if let Answer::Owner(owner) = answer {
                prop_assert_eq!(owner, 1000);
            }
        }

        #[test]
        fn an_answer_about_another_connection_is_not_believed(asked in ends(), told in ends()) {
            let question = Question { ends: asked, sequence: 7, port: 9 };
            let other = Question { ends: told, ..question };
            let answer = question.answer(&Told::to(&other, 1000).message());
            prop_assert_eq!(answer == Answer::Owner(1000), asked == told);
        }
    }
}
