//! Who guesses, and how that is counted: by where a client comes from, by its page, or by the key of
//! its device.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::facts::word::words;
use crate::facts::{Address, Origin, OriginClass, Text};
use crate::settings::Settings;
use crate::settings::compatibility::Compatibility;

/// The network that one client of IPv6 has to itself, and may change its address in.
const CLIENT_V6_BITS: u8 = 64;
/// The networks that are counted as one where there is no room for their clients.
const NETWORK_V4_BITS: u8 = 16;
/// The same for IPv6: what a registry gives to one provider.
const NETWORK_V6_BITS: u8 = 32;
/// An origin longer than this is counted with all others that cannot be told apart.
const LONGEST_ORIGIN: usize = 253;

words! {
    /// What is guessed: each kind is counted by itself.
    Guess {
        Shared "shared-secret" "the shared token or password",
        DeviceToken "device-token" "a device token",
        SetupCode "bootstrap-token" "a setup code",
    }
}

/// Who guesses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A client at an address; of IPv6, the network of 64 bits that it is in, unless this host is
    /// in it too.
    Client(IpAddr),
    /// A page, in a browser at such an address.
    Browser(IpAddr),
    /// Those clients of a network that there is no room to remember one by one.
    Clients(IpAddr),
    /// Those browsers of a network that there is no room to remember one by one.
    Browsers(IpAddr),
    /// A page in a browser on this host.
    Page(Box<str>),
    /// Pages on this host that are not told apart.
    Pages,
    /// Clients whose address cannot be known.
    Unknown,
    /// A device that is known and has proved its key, wherever it comes from.
    Device(Text),
}

words! {
    /// What a source is told apart by.
    By {
        Address "address" "the address of a client or of a browser",
        Network "network" "a network, where there is no room for the addresses in it",
        Page "page" "the page that speaks, in a browser on this host",
        Unknown "unknown" "nothing: the client's address is not known",
        Device "device" "the key of a device that is known",
    }
}

/// Sources that take room from each other, and from no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Clients at the one loopback address that all use, pages that are not told apart, and those
    /// without an address.
    Few,
    /// Clients at one of the sixteen million other loopback addresses.
    OtherLoopback,
    Clients {
        v6: bool,
    },
    Browsers {
        v6: bool,
    },
    ClientNetworks {
        v6: bool,
    },
    BrowserNetworks {
        v6: bool,
    },
    /// Pages that this host serves, as the dashboard.
    OwnPages,
    /// Pages from elsewhere in a browser on this host.
    OtherPages,
    Devices,
}

impl Source {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Source::Client(ip) if is_usual_loopback(*ip) => Kind::Few,
            Source::Client(ip) if ip.is_loopback() => Kind::OtherLoopback,
            Source::Client(ip) => Kind::Clients { v6: ip.is_ipv6() },
            Source::Browser(ip) => Kind::Browsers { v6: ip.is_ipv6() },
            Source::Clients(ip) => Kind::ClientNetworks { v6: ip.is_ipv6() },
            Source::Browsers(ip) => Kind::BrowserNetworks { v6: ip.is_ipv6() },
            Source::Page(text) if Origin::parse(text).class() == OriginClass::Loopback => {
                Kind::OwnPages
            }
            Source::Page(_) => Kind::OtherPages,
            Source::Pages | Source::Unknown => Kind::Few,
            Source::Device(_) => Kind::Devices,
        }
    }

    /// What it is told apart by.
    pub(super) fn by(&self) -> By {
        match self {
            Source::Client(_) | Source::Browser(_) => By::Address,
            Source::Clients(_) | Source::Browsers(_) => By::Network,
            Source::Page(_) | Source::Pages => By::Page,
            Source::Unknown => By::Unknown,
            Source::Device(_) => By::Device,
        }
    }

    /// Who it is counted with where there is no room for it.
    pub(super) fn wider(&self) -> Option<Source> {
        match self {
            Source::Client(ip) if is_usual_loopback(*ip) => None,
            Source::Client(ip) if ip.is_loopback() => Some(Source::Clients(LOOPBACK)),
            Source::Client(ip) => Some(Source::Clients(provider(*ip))),
            Source::Browser(ip) => Some(Source::Browsers(provider(*ip))),
            Source::Clients(_)
            | Source::Browsers(_)
            | Source::Page(_)
            | Source::Pages
            | Source::Unknown
            | Source::Device(_) => None,
        }
    }
}

/// As an operator knows it. The name of a page is its client's to choose.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = |ip: IpAddr| match ip.is_ipv6() {
            true => NETWORK_V6_BITS,
            false => NETWORK_V4_BITS,
        };
        match self {
            Source::Client(ip) => write!(f, "{}", Client(*ip)),
            Source::Browser(ip) => write!(f, "a page at {}", Client(*ip)),
            Source::Clients(ip) if *ip == LOOPBACK => f.write_str("127.0.0.0/8"),
            Source::Clients(ip) => write!(f, "{ip}/{}", network(*ip)),
            Source::Browsers(ip) => write!(f, "pages in {ip}/{}", network(*ip)),
            Source::Page(page) => write!(f, "the page {page}"),
            Source::Pages => f.write_str("pages on this host"),
            Source::Unknown => f.write_str("an unknown address"),
            Source::Device(device) => write!(f, "the device {device}"),
        }
    }
}

/// One client: an address, or the network of IPv6 that it has to itself.
struct Client(IpAddr);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = self.0;
        match ip.is_ipv6() && !ip.is_loopback() && network(ip, CLIENT_V6_BITS) == ip {
            true => write!(f, "{ip}/{CLIENT_V6_BITS}"),
            false => write!(f, "{ip}"),
        }
    }
}

/// All of 127.0.0.0/8.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0));

fn is_usual_loopback(ip: IpAddr) -> bool {
    ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

/// The address itself, or of IPv6 the network whose addresses one client may take in turn. In a
/// network that this host is in by an address of its `own`, others are neighbours, each by itself.
fn one_client(ip: IpAddr, own: &[IpAddr]) -> IpAddr {
    let of = |ip: IpAddr| network(ip, CLIENT_V6_BITS);
    let neighbour = || own.iter().any(|own| own.is_ipv6() && of(*own) == of(ip));
    match ip.is_ipv6() && !ip.is_loopback() && !neighbour() {
        true => of(ip),
        false => ip,
    }
}

fn provider(ip: IpAddr) -> IpAddr {
    network(
        ip,
        match ip.is_ipv6() {
            true => NETWORK_V6_BITS,
            false => NETWORK_V4_BITS,
        },
    )
}

fn network(ip: IpAddr, bits: u8) -> IpAddr {
    IpNet::new(ip, bits).map_or(ip, |network| network.network())
}

/// What failures are counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What is guessed.
    pub guess: Guess,
    /// Who guesses.
    pub source: Source,
}

impl Key {
    pub(super) fn wider(&self) -> Option<Key> {
        let source = self.source.wider()?;
        Some(Key {
            guess: self.guess,
            source,
        })
    }
}

/// How the guesses of one connection are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub(super) source: Source,
    pub(super) measure: Measure,
    /// By whose key it is counted, in the place of where it comes from.
    device: Option<Text>,
    /// Whether what holds makes forgotten what failed.
    pub(super) forgives: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Failures are not even counted.
    Free,
    /// Failures make refusals slower.
    Delayed,
    /// They would, but no more refusals can be held back: nothing is looked at.
    Shut,
    /// Failures lock out.
    Locked,
}

impl Subject {
    /// Who is counted, and how, for a client at an address that speaks for a page or for none.
    ///
    /// Every page is limited, on this host by itself: any page that the user opens can try
    /// secrets against loopback. Other clients are limited where the settings say so, those on
    /// this host as a rule not: they could read the secret anyway. A page of this host may have to
    /// wait too and not be locked out, since any program here could see to that
    /// (`delayOwnPages`). All addresses of a network of 64 bits are one client, since IPv6 gives
    /// every host so many; not where one of `own_addresses` is in it, as its neighbours are.
    #[must_use]
    pub fn of(
        settings: &Settings,
        client_ip: Address,
        origin: &Origin,
        own_addresses: &[IpAddr],
    ) -> Self {
        let compatibility = &settings.compatibility;
        let limit = settings.auth.rate_limit;
        let page = !matches!(origin.class(), OriginClass::Absent | OriginClass::Empty);
        let exempt = limit.unwrap_or_default().exempt_loopback;
        let own_page = origin.class() == OriginClass::Loopback && client_ip.is_loopback();
        let measure = if own_page && exempt && compatibility.delay_own_pages {
            Measure::Delayed
        } else if page {
            Measure::Locked
        } else if limit.is_none() && !compatibility.always_limited {
            Measure::Free
        } else if client_ip.is_loopback() && exempt {
            match compatibility.delay_loopback {
                true => Measure::Delayed,
                false => Measure::Free,
            }
        } else {
            Measure::Locked
        };
        let source = match client_ip.ip() {
            None => Source::Unknown,
            Some(ip) if !page => Source::Client(one_client(ip, own_addresses)),
            Some(ip) if !client_ip.is_loopback() => Source::Browser(one_client(ip, own_addresses)),
            Some(_) => page_source(origin, compatibility),
        };
        Subject {
            source,
            measure,
            device: None,
            forgives: compatibility.success_forgives,
        }
    }

    /// The same of a client that is known by its device: one that has proved its key, and that a
    /// record with tokens in force is remembered of.
    ///
    /// Where the settings say so (`countByDevice`) its guesses are counted by that key. Setup codes
    /// are not: they are for those who are not known.
    #[must_use]
    pub fn known_as(self, device: Option<&Text>, settings: &Settings) -> Self {
        let counts = settings.compatibility.count_by_device && self.measure != Measure::Free;
        Subject {
            device: device.filter(|_| counts).cloned(),
            ..self
        }
    }

    /// The same where no more refusals can be held back. A device that is known is locked out in
    /// place of that; of strangers nothing is looked at until one of those that wait has gone.
    #[must_use]
    pub fn not_held(self) -> Self {
        let measure = match (self.measure, &self.device) {
            (Measure::Delayed, Some(_)) => Measure::Locked,
            (Measure::Delayed, None) => Measure::Shut,
            (measure, _) => measure,
        };
        Subject { measure, ..self }
    }

    /// What failures of where it comes from are counted under.
    pub(super) fn key(&self, guess: Guess) -> Key {
        Key {
            guess,
            source: self.source.clone(),
        }
    }

    /// What those of its device are counted under.
    pub(super) fn device_key(&self, guess: Guess) -> Option<Key> {
        let device = match guess {
            Guess::Shared | Guess::DeviceToken => self.device.clone(),
            Guess::SetupCode => None,
        };
        let source = Source::Device(device?);
        Some(Key { guess, source })
    }
}

fn page_source(origin: &Origin, compatibility: &Compatibility) -> Source {
    let text = origin.text();
    let named = origin.is_page() && text.len() <= LONGEST_ORIGIN;
    match compatibility.count_by_origin && named {
        true => Source::Page(text.into()),
        false => Source::Pages,
    }
}
