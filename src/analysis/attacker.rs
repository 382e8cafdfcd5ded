//! THE TABLE of attackers: who tries to get in, what they can say, and what they cannot have; and
//! how far each of them gets, of everything that they can try.
//!
//! An attacker is a condition: the connections that they can make. It stands in the table in two
//! halves, in the words of policies: the place that they speak from, and what they hold. Several at
//! once stand in all of the places, with whatever one of them holds.

use super::clauses::Clauses;
use super::diagram::{Budget, Id, OverBudget};
use super::ground::Ground;
use super::outcome::{IMPOSSIBLE, Outcomes};
use super::witness::alike;
use crate::compile::{Lone, Program, lone};
use crate::decide::Decision;
use crate::facts::{AttributeId, Facts, Role, Scope, ScopeSet};
use crate::lang::alone;
use crate::lang::check::Vocabulary;
use crate::lang::checked::Condition;
use crate::source::{SourceId, Span, Spanned};
use crate::verdict::{Grant, ScopeBound, VerdictKind};

/// Somebody who should not get in.
#[derive(Debug)]
pub(crate) struct Attacker {
    /// As `gw prove --attacker` takes it.
    pub(crate) name: &'static str,
    /// Who that is.
    pub(crate) who: &'static str,
    /// What they can choose.
    pub(crate) controls: &'static str,
    /// What they cannot choose, or cannot have.
    pub(crate) cannot: &'static str,
    /// Where they speak from: what of the socket and the headers is given.
    place: &'static str,
    /// Which authentication can come of what they send.
    holds: &'static str,
    /// Whether the place is only that of somebody who is nobody else: beside another attacker, what
    /// they hold is used in the other one's place.
    roams: bool,
}

/// Nothing was sent, or something wrong, or nothing is asked for.
const NOTHING: &str = "auth in { none, failed, open }";

/// Every attacker.
pub(crate) static ATTACKERS: &[Attacker] = &[
    Attacker {
        name: "browser-page",
        who: "a web page that somebody has open in a browser on this host or on its network",
        controls: "the address that is dialled, the path, the whole connect frame, a device key of its own",
        cannot: "leave out the Origin header, which names the page or is `null`; add a header; know the secret. \
                 A proxy or Tailscale that knows the user vouches for the page too",
        place: "transport=tcp and peer in { loopback, private, link-local, cgnat } and not no-host \
                and origin in { opaque, private, mdns, tailnet, public, name } and not same-origin and not origin-allowed",
        holds: "auth in { none, failed, open, tailscale, trusted-proxy }",
        roams: false,
    },
    Attacker {
        name: "browser-rebind",
        who: "such a page whose own name was made to point at the gateway (DNS rebinding)",
        controls: "as browser-page; Host and Origin are both its own name, and equal",
        cannot: "have a Host or an Origin that is an address, or one that stands in allowedOrigins; know the secret",
        place: "transport=tcp and peer in { loopback, private, link-local, cgnat } \
                and origin in { mdns, tailnet, name } and same-origin and not origin-allowed",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "lan-host",
        who: "another machine on the gateway's network",
        controls: "every header, the whole connect frame, a device key of its own",
        cannot: "have an address of this host, or of a trusted proxy; know the secret",
        place: "transport=tcp and peer in { private, link-local, cgnat } and not same-host and not peer-is-own \
                and not peer-is-proxy and peer-uid=unknown",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "sibling-container",
        who: "another container of this host: over a bridge, or by way of Docker Desktop or a rootless network, \
              whose helper runs as the user and dials loopback",
        controls: "every header, the whole connect frame, a device key of its own",
        cannot: "know the secret. One that shares the gateway's network is a local-process",
        place: "transport=tcp and ((peer=private and not same-host and not peer-is-own and peer-uid=unknown) \
                or (loopback and peer-uid in { same-user, unknown })) and not peer-is-proxy",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "remote-via-proxy",
        who: "anybody who reaches a reverse proxy or tunnel in front of the gateway that leaves a header",
        controls: "every header that the proxy passes on, the whole connect frame, a device key of their own",
        cannot: "have another peer than the proxy, whoever runs it, or be without a header of it; \
                 be a user that the proxy vouches for; know the secret",
        place: "(loopback or transport=unix or peer-is-proxy) and (forwarded or proxy-trace)",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "headerless-proxy",
        who: "anybody who reaches a proxy or tunnel that adds no header: one on this host that another user runs or \
              nobody knows who, or one on the operator's list",
        controls: "every other header, the whole connect frame, a device key of their own",
        cannot: "be the gateway's own user; know the secret",
        place: "((loopback and peer-uid in { other-user, root, unknown }) \
                or (transport=unix and peer-uid=other-user) or (peer-is-proxy and not loopback)) \
                and not forwarded and not proxy-trace",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "same-user-proxy",
        who: "anybody who reaches a port that the gateway's own user forwards: `ssh -L` for others, `socat`, a \
              development proxy. No fact tells it from the user's own tools: only the secret keeps it out",
        controls: "every header, the whole connect frame, a device key of their own",
        cannot: "know the secret",
        place: "transport=tcp and loopback and peer-uid=same-user and ingress=direct and not proxy-trace",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "local-process",
        who: "a process of another user of this host, or of one that the kernel does not tell",
        controls: "every header, the whole connect frame, a device key of its own",
        cannot: "be the gateway's user or root; know the secret",
        place: "(transport=tcp and same-host and peer-uid in { other-user, unknown }) \
                or (transport=unix and peer-uid=other-user)",
        holds: NOTHING,
        roams: false,
    },
    Attacker {
        name: "stolen-token",
        who: "somebody elsewhere who has the shared secret, token or password",
        controls: "every header, the whole connect frame, a device key of their own",
        cannot: "speak from this host, or through its proxies; have a device that the owner approved",
        place: "transport=tcp and not same-host and not peer-is-own and not peer-is-proxy and peer-uid=unknown",
        holds: "auth in { token, password }",
        roams: true,
    },
];

/// The attacker who brings the secret to every other one.
const THIEF: &str = "stolen-token";

/// What is so for every attacker, unless they are described otherwise: what it is about, the
/// condition, and how it is told. Settings are the operator's, and are what they are without a
/// configuration.
const EVERYONE: [(&str, &str, &str); 4] = [
    ("auth", NOTHING, "no secret"),
    (
        "pairing",
        "pairing in { none, unpaired, key-changed }",
        "no approved device",
    ),
    ("transport", "transport!=in-process", "not in process"),
    ("node-network", "not node-network", "in no network of nodes"),
];

/// What the names of settings begin with.
const SETTING: &str = "setting.";

/// Without a configuration there is a token; who configures a password has that one thing otherwise.
const AUTH_MODE: &str = "setting.auth-mode";
const WITH_A_SECRET: &str = "setting.auth-mode in { token, password }";

/// What is known of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// They are what they are without a configuration, but for which shared secret there is, unless
    /// something else is said.
    Usual,
    /// Nothing.
    Any,
}

impl Attacker {
    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<&'static Attacker> {
        ATTACKERS.iter().find(|it| it.name == name)
    }
}

/// Who tries to get in: attackers of the table, or somebody described by a condition.
#[derive(Clone, Debug)]
pub(crate) struct Intruder {
    /// What they are called: names with `+` between them, or the condition.
    pub(crate) name: String,
    /// The connections that they can make, as a policy writes it.
    pub(crate) says: String,
    /// What is taken to be so of them besides.
    pub(crate) assumes: Vec<&'static str>,
    condition: Condition,
}

/// A condition with its text.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// As it was written.
    pub(crate) text: String,
    /// What it means.
    pub(crate) condition: Condition,
}

impl Said {
    /// Of a text of this program.
    pub(crate) fn own(text: &str) -> Self {
        let condition = alone::condition(SourceId::default(), text, &Vocabulary::default());
        Said {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            // What cannot be read holds for nobody; a test reads them all.
            condition: condition.unwrap_or(Condition::Any(Vec::new())),
        }
    }
}

impl Said {
    /// It by itself.
    pub(crate) fn lone(&self) -> Lone {
        lone(&self.condition)
    }
}

impl Intruder {
    /// Every attacker of the table, without the shared secret and, but for the thief of it, with it.
    pub(crate) fn everybody() -> Vec<(&'static Attacker, Vec<Intruder>)> {
        let thief = Attacker::named(THIEF);
        let each = |it: &'static Attacker| {
            let thief = thief.filter(|thief| thief.name != it.name);
            let with = thief.map(|thief| Intruder::of(&[thief, it], &[]));
            let all = std::iter::once(Intruder::of(&[it], &[])).chain(with);
            (it, all.collect())
        };
        ATTACKERS.iter().map(each).collect()
    }

    /// All of some attackers at once, of whom more may be known.
    pub(crate) fn of(attackers: &[&Attacker], known: &[Said]) -> Self {
        let (name, parts) = Intruder::parts(attackers);
        Intruder::whole(name, parts, known, Settings::Usual)
    }

    /// The same, whatever the operator configured.
    pub(crate) fn whatever_is_set(attackers: &[&Attacker], known: &[Said]) -> Self {
        let (name, parts) = Intruder::parts(attackers);
        Intruder::whole(name, parts, known, Settings::Any)
    }

    fn parts(attackers: &[&Attacker]) -> (String, Vec<Said>) {
        let names: Vec<&str> = attackers.iter().map(|it| it.name).collect();
        let is_placed = attackers.iter().any(|it| !it.roams);
        let placed = attackers.iter().filter(|it| !(it.roams && is_placed));
        let mut parts: Vec<Said> = placed.map(|it| Said::own(it.place)).collect();
        let mut held: Vec<&str> = Vec::new();
        for attacker in attackers {
            if !held.contains(&attacker.holds) {
                held.push(attacker.holds);
            }
        }
        parts.push(Said::own(&held.join(" or ")));
        (names.join("+"), parts)
    }

    /// Somebody of whom a condition says what is known.
    pub(crate) fn described(said: Said, known: &[Said]) -> Self {
        let name = said.text.clone();
        Intruder::whole(name, vec![said], known, Settings::Usual)
    }

    /// Somebody that this program describes, whatever the operator configured.
    pub(crate) fn own(text: &str) -> Self {
        Intruder::whole(text.to_owned(), vec![Said::own(text)], &[], Settings::Any)
    }

    fn whole(name: String, mut parts: Vec<Said>, known: &[Said], settings: Settings) -> Self {
        parts.extend(known.iter().cloned());
        let mut spoken_of = Vec::new();
        for part in &parts {
            attributes(&part.condition, &mut spoken_of);
        }
        let is_open = |name: &str| {
            !spoken_of
                .iter()
                .any(|id: &AttributeId| id.row().name == name)
        };
        let rest: Vec<_> = EVERYONE.iter().filter(|it| is_open(it.0)).collect();
        let mut assumes: Vec<&str> = rest.iter().map(|it| it.2).collect();
        let usual = Facts::default();
        let (open, said): (Vec<_>, Vec<_>) = AttributeId::all()
            .filter(|id| settings == Settings::Usual && id.row().name.starts_with(SETTING))
            .partition(|id| is_open(id.row().name));
        if !open.is_empty() {
            assumes.push(match (said.is_empty(), is_open(AUTH_MODE)) {
                (true, _) => "settings of no configuration, where a token or a password is set",
                (false, true) => {
                    "other settings of no configuration, where a token or a password is set"
                }
                (false, false) => "other settings of no configuration",
            });
        }
        let settings: Vec<Said> = open
            .into_iter()
            .map(|id| match id.row().name {
                AUTH_MODE => Said::own(WITH_A_SECRET),
                _ => Said::own(&crate::claims::written(id, &usual)),
            })
            .collect();
        let says: Vec<String> = parts.iter().map(grouped).collect();
        parts.extend(rest.iter().map(|it| Said::own(it.1)));
        parts.extend(settings);
        let all = parts.into_iter();
        let all = all.map(|it| Spanned::new(it.condition, Span::default()));
        Intruder {
            name,
            says: says.join(" and "),
            assumes,
            condition: Condition::All(all.collect()),
        }
    }

    /// Their connections, for a program's tests.
    pub(crate) fn lone(&self) -> Lone {
        lone(&self.condition)
    }
}

/// A part of a conjunction, in parentheses where it needs them.
fn grouped(said: &Said) -> String {
    let is_any = matches!(said.condition, Condition::Any(_));
    match is_any && said.text.contains(" or ") {
        true => format!("({})", said.text),
        false => said.text.clone(),
    }
}

/// What a condition speaks of.
pub(crate) fn attributes(condition: &Condition, found: &mut Vec<AttributeId>) {
    match condition {
        Condition::Test(comparison) => found.push(comparison.attribute),
        Condition::Not(inner) => attributes(&inner.value, found),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| attributes(&part.value, found));
        }
    }
}

/// How far somebody gets.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// A connection of theirs that gets so far, with the fewest changes from a usual one.
    pub(crate) facts: Facts,
    /// What is decided of it.
    pub(crate) decision: Decision,
    /// What they may do, once in.
    pub(crate) gain: Gain,
}

/// What somebody may do who got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gain {
    /// Nothing, or not in.
    Nothing,
    /// Some scopes, and not to administer.
    Some,
    /// To administer, by asking for it.
    Admin,
}

/// What a grant comes to at most.
pub(crate) fn most(grant: Option<Grant>) -> Gain {
    let Some(grant) = grant else {
        return Gain::Nothing;
    };
    let bound = match grant.scopes {
        ScopeBound::None => ScopeSet::EMPTY,
        ScopeBound::Within(set) => set,
        ScopeBound::Requested | ScopeBound::Approved => ScopeSet::ANY,
    };
    match bound.intersection(grant.cap) {
        it if it.is_empty() => Gain::Nothing,
        it if it.contains(Scope::Admin) => Gain::Admin,
        _ => Gain::Some,
    }
}

impl Ground {
    /// How far somebody gets at most, by what is decided of the connections that they can make;
    /// nothing where there is none.
    fn reach(&mut self, outcomes: &Outcomes, tried: Id) -> Result<Option<Reach>, OverBudget> {
        let decisions = |values: Vec<u32>| {
            let decisions = values.into_iter();
            decisions.filter_map(|value| Some((value, *outcomes.decision(value)?)))
        };
        let kind = |decision: &Decision| decision.verdict.kind();
        let values = self.arena.values(tried);
        let Some(widest) = decisions(values.clone()).map(|(_, it)| kind(&it)).max() else {
            return Ok(None);
        };
        let so_far = |it: &Decision| kind(it) == widest;
        // Whether administration is had by asking for it is asked of those who do ask.
        if widest.admits() {
            let asking = self.asking(&Facts {
                scopes: ScopeSet::of(&[Scope::Admin]),
                ..Facts::default()
            })?;
            let asked = self.arena.within(asking, tried, IMPOSSIBLE)?;
            let grants = |it: &Decision| so_far(it) && most(it.verdict.grant()) == Gain::Admin;
            let wanted: Vec<u32> = decisions(self.arena.values(asked))
                .filter(|(_, it)| grants(it))
                .map(|(value, _)| value)
                .collect();
            if !wanted.is_empty() {
                let reach = self.nearest_of(outcomes, asked, &wanted);
                return Ok(reach.map(|mut reach| {
                    reach.facts.scopes = ScopeSet::of(&[Scope::Admin]);
                    reach.gain = Gain::Admin;
                    reach
                }));
            }
        }
        let gain = |it: &Decision| most(it.verdict.grant()).min(Gain::Some);
        let so_far: Vec<_> = decisions(values).filter(|(_, it)| so_far(it)).collect();
        let best = so_far.iter().map(|(_, it)| gain(it)).max();
        let wanted = so_far.iter().filter(|(_, it)| Some(gain(it)) == best);
        let wanted: Vec<u32> = wanted.map(|(value, _)| *value).collect();
        Ok(self.nearest_of(outcomes, tried, &wanted))
    }

    /// Those who ask, in the role of an operator, for just these scopes, or for some that nobody
    /// tells from these.
    pub(crate) fn asking(&mut self, facts: &Facts) -> Result<Id, OverBudget> {
        let facts = Facts {
            role: Role::Operator,
            ..facts.clone()
        };
        let mut all = Id::YES;
        for name in ["scopes", "role"] {
            let var = self.space.named(name);
            let class = self.space.class(var, &facts);
            let one = self.arena.test(var, |it| it == class)?;
            all = self.arena.and(all, one)?;
        }
        Ok(all)
    }

    /// The connection that differs least from a usual one, of those with one of some decisions.
    fn nearest_of(&self, outcomes: &Outcomes, root: Id, wanted: &[u32]) -> Option<Reach> {
        let usual = self.vector(&Facts::default());
        let (_, vector) = self.nearest(root, |value| wanted.contains(&value), &usual, &alike)?;
        let class = |var: u8| vector.get(usize::from(var)).copied().unwrap_or_default();
        let decision = *outcomes.decision(self.arena.value(root, class))?;
        Some(Reach {
            facts: self.facts_of(&vector),
            decision,
            gain: most(decision.verdict.grant()).min(Gain::Some),
        })
    }
}

/// How far somebody gets, and what has to be said so that the connection that shows it follows.
pub(crate) struct Shown {
    /// How far.
    pub(crate) reach: Reach,
    /// The facts to say.
    pub(crate) named: Vec<AttributeId>,
}

/// A policy and some who try to get in, over one space.
#[derive(Clone, Debug)]
pub(crate) struct Siege<'a> {
    program: &'a Program,
    ground: Ground,
    clauses: Clauses,
    /// The connections that each of them can make.
    connections: Vec<Id>,
}

impl<'a> Siege<'a> {
    pub(crate) fn new(
        program: &'a Program,
        intruders: &[Intruder],
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        let beside: Vec<Lone> = intruders.iter().map(Intruder::lone).collect();
        let mut ground = Ground::new(&[program], &beside, budget)?;
        let clauses = ground.clauses(program)?;
        let mut connections = Vec::with_capacity(beside.len());
        for lone in &beside {
            let own = ground.holds(lone)?;
            connections.push(ground.arena.and(own, ground.assumed)?);
        }
        Ok(Siege {
            program,
            ground,
            clauses,
            connections,
        })
    }

    /// How far each of them gets; nothing of those who can make no connection.
    pub(crate) fn reaches(mut self) -> Result<Vec<Option<Shown>>, OverBudget> {
        let ground = &mut self.ground;
        let mut anybodys = Id::NO;
        for own in &self.connections {
            anybodys = ground.arena.or(anybodys, *own)?;
        }
        let outcomes = ground.decided(self.program, &self.clauses, self.clauses.way, anybodys)?;
        let mut found = Vec::with_capacity(self.connections.len());
        for own in &self.connections {
            let tried = ground.arena.within(*own, outcomes.root, IMPOSSIBLE)?;
            let reach = ground.reach(&outcomes, tried)?;
            found.push(reach.map(|reach| {
                let named = ground.named(&reach.facts);
                Shown { reach, named }
            }));
        }
        Ok(found)
    }
}

impl Reach {
    /// Whether they get further than to the owner's list of requests.
    pub(crate) fn is_in(&self) -> bool {
        self.decision.verdict.kind() > VerdictKind::RequirePairing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attacker_can_be_read() {
        let conditions = ATTACKERS.iter().flat_map(|it| [it.place, it.holds]);
        for text in conditions.chain(EVERYONE.map(|it| it.1)) {
            let read = alone::condition(SourceId::default(), text, &Vocabulary::default());
            assert!(read.is_ok(), "{text}: {read:?}");
        }
    }
}
