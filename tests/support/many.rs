//! Policies of many rules, in shapes that people write, and connections that a rule at a place decides.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use gw::compile::ClauseId;
use gw::facts::attributes::Value;
use gw::facts::{Address, AttributeId, Facts, Ingress};
use gw::{Policy, decide};

/// What rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Words of a few vocabularies: no two rules ask for the same ones.
    Words,
    /// A set of networks that some rules share, networks of its own, sometimes a path.
    Networks,
    /// A network of the peer and one of the client behind it, of any size.
    Crossing,
}

/// Which rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Middle,
    Last,
    Default,
}

/// What rules of words ask for, and whether for TLS. Together they tell more than ten thousand rules apart.
const WORDS: [&str; 4] = ["client", "mode", "auth", "pairing"];

impl Shape {
    /// A policy of so many rules.
    pub(crate) fn policy(self, rules: usize) -> String {
        let mut text = String::from("gw-policy 1\n");
        if self == Shape::Networks {
            for site in 0..rules.div_ceil(10) {
                let (a, b) = (site / 250, site % 250);
                writeln!(
                    text,
                    "set site-{site} = {{ 172.16.0.0/24, 100.{a}.{b}.0/24, fd00:{a}:{b}::/48 }}"
                )
                .expect("writing to a string");
            }
        }
        for rule in 0..rules {
            let condition = self.condition(rule);
            let verdict = match rule % 2 {
                0 => "approve",
                _ => "reject(not-permitted)",
            };
            writeln!(text, "{condition} → {verdict}").expect("writing to a string");
        }
        text.push_str("default → require-pairing\n");
        text
    }

    fn condition(self, rule: usize) -> String {
        match self {
            Shape::Words => {
                let (words, tls) = words(rule);
                let tests = words
                    .into_iter()
                    .map(|(name, word)| format!("{name}={word}"));
                let tls = if tls { "tls" } else { "not tls" };
                let tests: Vec<String> = tests.chain([tls.to_owned()]).collect();
                tests.join(" and ")
            }
            Shape::Networks => {
                let (a, b) = (rule / 250, rule % 250);
                match rule % 3 {
                    0 => format!("auth=token and peer in {{ 10.{a}.{b}.0/24, fd01:{a}:{b}::/48 }}"),
                    1 => format!(
                        "auth=token and no-origin and peer in {{ 10.{a}.{b}.0/25 }} and not forwarded"
                    ),
                    _ => format!(
                        "auth=token and path=\"/{rule}\" and peer in site-{}",
                        rule / 10
                    ),
                }
            }
            Shape::Crossing => {
                let [peer, client] = crossing(rule);
                format!("auth=token and peer in {{ {peer} }} and client-ip in {{ {client} }}")
            }
        }
    }

    /// A connection that the rule at a place decides, or the last one before it that decides any.
    pub(crate) fn connection(self, policy: &Policy, rules: usize, place: Place) -> Facts {
        let at = match place {
            Place::First => 0,
            Place::Middle => rules / 2,
            Place::Last => rules - 1,
            Place::Default => return self.outside(),
        };
        let mut tried = (0..=at).rev().map(|rule| (rule, self.within(rule)));
        let decided = tried.find(|(rule, facts)| {
            let by = ClauseId(u32::try_from(*rule).expect("not that many"));
            decide(policy.program(), facts).rule == by
        });
        decided.expect("the first rule decides what it is about").1
    }

    /// A connection that a rule is about.
    fn within(self, rule: usize) -> Facts {
        let mut facts = self.outside();
        match self {
            Shape::Words => {
                let (words, tls) = words(rule);
                facts.tls = tls;
                for (name, word) in words {
                    let id = AttributeId::named(name).expect("an attribute");
                    let word = Value::Word(word.to_owned());
                    id.assign(&mut facts, &word).expect("a word of it");
                }
            }
            Shape::Networks => {
                let narrow = |number: usize| u8::try_from(number).expect("a byte");
                let (a, b) = (rule / 250, rule % 250);
                let peer = match rule % 3 {
                    2 => {
                        facts.path = format!("/{rule}").into();
                        let site = rule / 10;
                        [100, narrow(site / 250), narrow(site % 250), 7]
                    }
                    _ => [10, narrow(a), narrow(b), 7],
                };
                facts.peer = Address::new(IpAddr::from(peer));
            }
            Shape::Crossing => {
                let [peer, client] = crossing(rule);
                facts.peer = Address::new(peer.broadcast().into());
                facts.client_ip = Address::new(client.broadcast().into());
            }
        }
        facts
    }

    /// A connection that no rule is about.
    fn outside(self) -> Facts {
        let mut facts = Facts {
            peer: Address::new([203, 0, 113, 9].into()),
            client_ip: Address::new([203, 0, 113, 9].into()),
            ..Facts::default()
        };
        let token = Value::Word("token".into());
        let auth = AttributeId::named("auth").expect("an attribute");
        auth.assign(&mut facts, &token).expect("a word of it");
        if self == Shape::Crossing {
            facts.ingress = Ingress::TrustedProxy;
        }
        if self == Shape::Words {
            facts.scopes = gw::facts::ScopeSet::EMPTY;
            let client = AttributeId::named("client").expect("an attribute");
            let last = client.row().kind.words().last().expect("a vocabulary");
            let last = Value::Word(last.name.to_owned());
            client.assign(&mut facts, &last).expect("a word of it");
        }
        facts
    }
}

/// The words that a rule asks for, and whether for TLS: those of its number, where each attribute is a
/// digit.
fn words(rule: usize) -> (Vec<(&'static str, &'static str)>, bool) {
    let mut rest = rule;
    let mut all = Vec::with_capacity(WORDS.len());
    for name in WORDS {
        let words = AttributeId::named(name)
            .expect("an attribute")
            .row()
            .kind
            .words();
        // The last word of the first attribute is left to what no rule is about.
        let words = match name {
            "client" => words.split_last().expect("a vocabulary").1,
            _ => words,
        };
        let word = words.iter().cycle().nth(rest % words.len());
        all.push((name, word.expect("a vocabulary").name));
        rest /= words.len();
    }
    (all, rest % 2 == 1)
}

/// The networks of a rule, of 10.0.0.0/8 and of any size from a sixteenth of that to a handful of
/// addresses.
fn crossing(rule: usize) -> [ipnet::Ipv4Net; 2] {
    // Two numbers that look like chance and are the same in every run.
    let mixed = |salt: u64| {
        let number = u64::try_from(rule).expect("not that many") ^ (salt << 32);
        let number = number
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    };
    [1, 2].map(|salt| {
        let number = mixed(salt);
        let length = 12 + u8::try_from(number % 17).expect("a byte");
        let [_, b, c, d, ..] = number.to_be_bytes();
        let ip = Ipv4Addr::new(10, b, c, d);
        ipnet::Ipv4Net::new(ip, length).expect("a length").trunc()
    })
}
