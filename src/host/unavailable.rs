//! Which facts of a connection cannot be had here, why, and what helps: for whoever starts the
//! gateway. It tells what was found out at the start, and changes nothing.

use std::path::{Path, PathBuf};

use super::container::{Container, Network};
use super::peer::{Peers, Silence};
use super::user::Users;

/// A fact that cannot be had of some connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The name of its attribute.
    pub fact: &'static str,
    /// Why, and of which connections: a sentence without its stop.
    pub why: String,
    /// What helps: a sentence without its stop.
    pub helps: String,
}

/// Where the gateway runs, as far as facts depend on it.
#[derive(Debug)]
pub struct Situation {
    container: Option<Container>,
    silence: Option<Silence>,
    users: Option<Users>,
    socket: Option<PathBuf>,
}

impl Situation {
    /// Finds it out, with a connection of this process to itself. `socket` is where the gateway
    /// listens for unix sockets, if it does.
    #[must_use]
    pub fn of(peers: &Peers, container: Option<Container>, socket: Option<&Path>) -> Situation {
        Situation {
            container,
            silence: peers.try_out().err(),
            users: Users::of_this_process(),
            socket: socket.map(Path::to_owned),
        }
    }

    /// What cannot be had; nothing where all can.
    #[must_use]
    pub fn unavailable(&self) -> Vec<Unavailable> {
        let mut all: Vec<Unavailable> = self.silence.iter().map(|why| self.silent(why)).collect();
        if self
            .container
            .as_ref()
            .is_some_and(|container| container.network == Network::Own)
        {
            all.extend(self.behind_a_network());
        }
        if self.users.is_some_and(|users| users.overflow.is_some()) {
            all.push(Unavailable {
                fact: "peer-uid",
                why: "users of the host who have no number in this user namespace all look alike: \
                      they are unknown, at the unix socket too"
                    .to_owned(),
                helps: "give the callers a number here (Podman: `--userns=keep-id`)".to_owned(),
            });
        }
        if self.users.is_some_and(|users| users.own == 0) {
            all.push(Unavailable {
                fact: "peer-uid",
                why:
                    "the gateway runs as root, and so cannot tell another process of root's, such \
                      as a forwarder (`kubectl port-forward`, a proxy), from its owner"
                        .to_owned(),
                helps: "run it as a user of its own".to_owned(),
            });
        }
        all
    }

    /// The kernel tells of no TCP peer.
    fn silent(&self, silence: &Silence) -> Unavailable {
        let socket = self.by_the_socket();
        let (why, helps) = match silence {
            Silence::Unsupported => (
                "this system does not tell who owns a TCP connection".to_owned(),
                socket,
            ),
            Silence::Refused(error) => (
                format!("the kernel may not be asked who owns a TCP connection ({error})"),
                format!(
                    "allow the gateway netlink sockets (systemd: `AF_NETLINK` in \
                     `RestrictAddressFamilies`), or {socket}"
                ),
            ),
            Silence::NotFound => (
                "the kernel does not find a TCP connection of the gateway to itself".to_owned(),
                format!("load the module that looks for them (`modprobe tcp_diag`), or {socket}"),
            ),
            Silence::Untried(error) => (
                format!("there is no loopback address to connect to ({error})"),
                "set the interface `lo` up".to_owned(),
            ),
        };
        Unavailable {
            fact: "peer-uid",
            why: format!("{why}: nobody is known over TCP"),
            helps,
        }
    }

    /// The container has a network of its own.
    fn behind_a_network(&self) -> [Unavailable; 3] {
        let mounted = match &self.socket {
            Some(path) => {
                let folder = path.parent().unwrap_or(path).display();
                format!("mount {folder} from the host, and let callers there use the unix socket")
            }
            None => "set `listen.socket`, and mount its folder from the host".to_owned(),
        };
        [
            Unavailable {
                fact: "peer-uid",
                why: "callers outside the container are in another network namespace: their user \
                      is unknown over TCP"
                    .to_owned(),
                helps: mounted.clone(),
            },
            Unavailable {
                fact: "same-host",
                why: "loopback is the container's own: callers on the host come from another \
                      address, often that of the bridge"
                    .to_owned(),
                helps: format!(
                    "{mounted}; or give the container the network of its callers (Docker: \
                     `--network host`, `--network container:NAME`)"
                ),
            },
            Unavailable {
                fact: "peer",
                why: "a published port may be served by a forwarder of the runtime: then all \
                      callers come from one address"
                    .to_owned(),
                helps: "let the network translate without a forwarder, or put a proxy that names \
                        its clients before the gateway, and list it in `trustedProxies`"
                    .to_owned(),
            },
        ]
    }

    fn by_the_socket(&self) -> String {
        match &self.socket {
            Some(path) => format!("let callers use the unix socket {}", path.display()),
            None => "set `listen.socket`, and let callers use the unix socket".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn own(network: Network) -> Option<Container> {
        Some(Container {
            sign: "there is `/.dockerenv`".to_owned(),
            network,
        })
    }

    fn situation() -> Situation {
        Situation {
            container: None,
            silence: None,
            users: Some(Users {
                own: 1000,
                overflow: None,
            }),
            socket: Some("/run/gw/gw.sock".into()),
        }
    }

    fn facts(situation: &Situation) -> String {
        let all = situation.unavailable();
        for told in &all {
            let known = crate::facts::AttributeId::all().any(|id| id.row().name == told.fact);
            assert!(known, "{told:?}");
            assert!(!told.why.ends_with('.') && !told.helps.ends_with('.'));
        }
        all.iter()
            .map(|told| told.fact)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn on_a_host_everything_can_be_had() {
        assert_eq!(facts(&situation()), "");
    }

    #[test]
    fn a_network_of_its_own_hides_callers_on_the_host() {
        let inside = |network| Situation {
            container: own(network),
            ..situation()
        };
        assert_eq!(facts(&inside(Network::Own)), "peer-uid same-host peer");
        assert_eq!(facts(&inside(Network::Host)), "");
        let helps = &inside(Network::Own).unavailable()[0].helps;
        assert!(helps.starts_with("mount /run/gw from the host"), "{helps}");
        let without = Situation {
            socket: None,
            ..inside(Network::Own)
        };
        let helps = &without.unavailable()[0].helps;
        assert!(helps.starts_with("set `listen.socket`"), "{helps}");
    }

    #[test]
    fn a_kernel_that_says_nothing_is_told_with_its_reason() {
        let error = || io::Error::from_raw_os_error(1);
        for (silence, word) in [
            (Silence::Unsupported, "this system"),
            (Silence::Refused(error()), "may not be asked"),
            (Silence::NotFound, "does not find"),
            (Silence::Untried(error()), "no loopback"),
        ] {
            let situation = Situation {
                silence: Some(silence),
                ..situation()
            };
            assert_eq!(facts(&situation), "peer-uid");
            let why = &situation.unavailable()[0].why;
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn users_that_look_alike_are_told() {
        let with = |own, overflow| Situation {
            users: Some(Users { own, overflow }),
            ..situation()
        };
        assert_eq!(facts(&with(1000, Some(65_534))), "peer-uid");
        assert_eq!(facts(&with(0, None)), "peer-uid");
        assert_eq!(facts(&with(0, Some(65_534))), "peer-uid peer-uid");
    }

    #[test]
    fn a_gateway_of_root_s_is_told_what_it_cannot_tell_apart() {
        let root = Situation {
            users: Some(Users {
                own: 0,
                overflow: None,
            }),
            ..situation()
        };
        let Unavailable { why, helps, .. } = root.unavailable().remove(0);
        assert_eq!(
            format!("{why}; {helps}"),
            "the gateway runs as root, and so cannot tell another process of root's, such as a \
             forwarder (`kubectl port-forward`, a proxy), from its owner; run it as a user of its \
             own"
        );
    }

    #[test]
    fn it_is_found_out_here() {
        let situation = Situation::of(&Peers::open(), own(Network::Own), None);
        let all = situation.unavailable();
        assert!(all.iter().any(|told| told.fact == "same-host"), "{all:?}");
    }
}
