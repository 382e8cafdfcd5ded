//! The policies that are compared, as files of gw's language: the twelve rules, and any number of
//! made rules in front of them. What gw makes of the text is not here.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use gw::Policy;
use gw::facts::client::{Client, Mode, Role};
use gw::facts::{Scope, Word};
use gw::lang::ReadError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::random::Random;

/// How many rules the policy has that all others are built upon, its default among them.
pub(crate) const TWELVE: usize = 12;

/// A file of a policy may have a mebibyte, which is some thousands of rules.
const RULES_A_FILE: usize = 4_000;

/// How many networks the made rules choose from.
const NETWORKS: usize = 512;

const SEED: u64 = 12;

/// The files of a policy: each extends the next, and the last are the twelve.
#[derive(Clone)]
pub(crate) struct Files(Vec<(String, String)>);

impl Files {
    /// A policy of so many rules, the default among them.
    pub(crate) fn of(rules: usize) -> Result<Self, String> {
        let made = rules
            .checked_sub(TWELVE)
            .ok_or_else(|| format!("{rules} rules: there are never fewer than {TWELVE}"))?;
        let mut random = Random::new(SEED);
        let networks = networks(&mut random);
        let numbers: Vec<usize> = (0..made).collect();
        let mut files = Vec::new();
        for (at, numbers) in numbers.chunks(RULES_A_FILE).enumerate() {
            let last = (at + 1) * RULES_A_FILE >= made;
            let next = if last { twelve().0 } else { name(at + 1) };
            let mut text = format!("gw-policy 1\nextends \"{next}\"\n\n");
            for number in numbers {
                rule(&mut text, *number, &mut random, &networks)
                    .ok_or("nothing to make a rule of")?;
            }
            files.push((name(at), text));
        }
        files.push(twelve());
        Ok(Files(files))
    }

    /// Reads, checks and compiles them, as a gateway does.
    pub(crate) fn load(&self) -> Result<Policy, String> {
        let (path, text) = self.0.first().ok_or("no file")?;
        let mut read = |path: &str, _| {
            let found = self.0.iter().find(|(name, _)| name == path);
            found
                .map(|(_, text)| text.clone())
                .ok_or(ReadError::NotFound)
        };
        Policy::load(path, text, &mut read).map_err(|error| error.to_string())
    }
}

fn twelve() -> (String, String) {
    (
        "twelve.policy".to_owned(),
        include_str!("../twelve.policy").to_owned(),
    )
}

fn name(at: usize) -> String {
    format!("rules-{at}.policy")
}

/// Three of four are IPv4, as long as networks of sites and of subnets are.
fn networks(random: &mut Random) -> Vec<IpNet> {
    let network = |at: usize| {
        let host = random.bits();
        let [a, b, c, ..] = host.to_le_bytes();
        if at.is_multiple_of(4) {
            let site = u16::from_le_bytes([a, b]);
            let address = Ipv6Addr::new(0xfd00, site, u16::from(c), 0, 0, 0, 0, 0);
            let length = if c.is_multiple_of(2) { 48 } else { 64 };
            Ipv6Net::new(address, length).map(|network| IpNet::V6(network.trunc()))
        } else {
            let first = if a.is_multiple_of(2) { 10 } else { 198 };
            let length = [16, 20, 24, 28].get(usize::from(a / 64)).copied();
            Ipv4Net::new(Ipv4Addr::new(first, b, c, 0), length.unwrap_or(24))
                .map(|network| IpNet::V4(network.trunc()))
        }
    };
    (0..NETWORKS).map(network).filter_map(Result::ok).collect()
}

/// One rule of the shape that the twelve have: always a client and a network, sometimes more.
fn rule(text: &mut String, number: usize, random: &mut Random, networks: &[IpNet]) -> Option<()> {
    let mut word = |words: &'static [Word]| random.pick(words).map(|word| word.name);
    let (client, mode, role) = (word(Client::WORDS)?, word(Mode::WORDS)?, word(Role::WORDS)?);
    let scope = word(Scope::WORDS)?;
    let auth = random.pick(&["token", "password", "device-token", "tailscale", "open"])?;
    let pairing = random.pick(&["unpaired", "paired", "upgrade", "none"])?;
    let scopes = match random.below(3) {
        0 => format!("scopes includes {scope}"),
        1 => format!("scopes within {{ {scope} }}"),
        _ => "scopes={}".to_owned(),
    };
    let transport = random.pick(&["tls", "not tls", "transport=tcp"])?;
    let network = random.pick(networks)?;
    let mut conditions = vec![format!("client={client}")];
    for (one_in, condition) in [
        (2, format!("mode={mode}")),
        (2, format!("auth={auth}")),
        (3, format!("role={role}")),
        (3, format!("pairing={pairing}")),
        (4, (*transport).to_owned()),
        (3, scopes),
    ] {
        if random.once_in(one_in) {
            conditions.push(condition);
        }
    }
    conditions.push(format!("peer in {{ {network} }}"));
    let answer = random.pick(&["approve", "reject(not-permitted)"])?;
    let condition = conditions.join(" and ");
    writeln!(text, "[r{number}] {condition} → {answer}").ok()
}
