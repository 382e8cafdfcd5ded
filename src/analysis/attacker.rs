//! THE TABLE of attackers: who tries to get in, what they can say, and what they cannot have; and
//! how far each of them gets, of everything that they can try.
//!
//! An attacker is a condition: the connections that they can make. It stands in the table in two
//! halves, in the words of policies: the place that they speak from, and what they hold. Several at
//! once stand in all of the places, with whatever one of them holds.

use super::change::Moves;
use super::diagram::{Budget, ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use super::outcome::{IMPOSSIBLE, Outcomes};
use super::product::{Product, Run, Tracks};
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
        // What two of them have in common is said once.
        let mut says: Vec<String> = Vec::new();
        for said in parts.iter().flat_map(conjuncts) {
            if !says.contains(&said) {
                says.push(said);
            }
        }
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

/// The parts of a conjunction, as they are written.
fn conjuncts(said: &Said) -> Vec<String> {
    if !matches!(said.condition, Condition::All(_)) {
        return vec![grouped(said)];
    }
    let mut all: Vec<String> = vec![String::new()];
    let (mut depth, mut is_quoted) = (0_u32, false);
    for word in said.text.split(' ') {
        let is_joint = word == "and" && depth == 0 && !is_quoted;
        for character in word.chars() {
            match character {
                '"' => is_quoted = !is_quoted,
                '(' | '{' if !is_quoted => depth += 1,
                ')' | '}' if !is_quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        match all.last_mut() {
            Some(last) if !is_joint && last.is_empty() => last.push_str(word),
            Some(last) if !is_joint => last.push_str(&format!(" {word}")),
            _ => all.push(String::new()),
        }
    }
    all
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
    fn reach(&mut self, depths: &Depths, own: Id) -> Result<Option<Reach>, OverBudget> {
        let free = Moves::free();
        let tracks = Tracks::free([own, depths.root], &free);
        let is_over = |[own, deep]: &[Id; 2]| *own == Id::NO || *deep == Id::value(IMPOSSIBLE);
        let tried = Product::new(&mut self.arena, &tracks, is_over)?;
        let how_deep = |asking: &[(Var, ClassId)]| -> Vec<Depth> {
            let ends = tried.ends(|var, run| asks_for(asking, var).is_none_or(|it| run.has(it)));
            let found = ends.into_iter();
            found.filter_map(|[_, deep]| depths.depth(deep)).collect()
        };
        let all = how_deep(&[]);
        let Some(widest) = all.iter().map(|it| it.kind).max() else {
            return Ok(None);
        };
        // Whether administration is had by asking for it is asked of those who do ask.
        if widest.admits() {
            let asking = self.asking_for(&Facts {
                scopes: ScopeSet::of(&[Scope::Admin]),
                ..Facts::default()
            });
            let wanted = Depth {
                kind: widest,
                gain: Gain::Admin,
            };
            if how_deep(&asking).contains(&wanted) {
                let reach = self.nearest_of(depths, &tried, &asking, |it| it == wanted);
                return Ok(reach.map(|mut reach| {
                    reach.facts.scopes = ScopeSet::of(&[Scope::Admin]);
                    reach.gain = Gain::Admin;
                    reach
                }));
            }
        }
        let so_far = |it: &Depth| it.kind == widest;
        let gain = |it: &Depth| it.gain.min(Gain::Some);
        let best = all.iter().filter(|it| so_far(it)).map(gain).max();
        let is_wanted = |it: Depth| so_far(&it) && Some(gain(&it)) == best;
        Ok(self.nearest_of(depths, &tried, &[], is_wanted))
    }

    /// Those who ask, in the role of an operator, for just these scopes, or for some that nobody
    /// tells from these.
    pub(crate) fn asking(&mut self, facts: &Facts) -> Result<Id, OverBudget> {
        let mut all = Id::YES;
        for (var, class) in self.asking_for(facts) {
            let one = self.arena.test(var, |it| it == class)?;
            all = self.arena.and(all, one)?;
        }
        Ok(all)
    }

    /// The same as the class of each variable that says so.
    fn asking_for(&self, facts: &Facts) -> [(Var, ClassId); 2] {
        let facts = Facts {
            role: Role::Operator,
            ..facts.clone()
        };
        ["scopes", "role"].map(|name| {
            let var = self.space.named(name);
            (var, self.space.class(var, &facts))
        })
    }

    /// The connection that differs least from a usual one, of those that ask for some classes and
    /// get so far.
    fn nearest_of(
        &self,
        depths: &Depths,
        tried: &Product<2>,
        asking: &[(Var, ClassId)],
        is_wanted: impl Fn(Depth) -> bool,
    ) -> Option<Reach> {
        let usual = self.vector(&Facts::default());
        let own = |var: Var| usual.get(usize::from(var)).copied().unwrap_or_default();
        let price = |var: Var, run: Run| match asks_for(asking, var) {
            Some(asked) => run
                .has(asked)
                .then_some((u32::from(asked != own(var)), asked)),
            None if run.has(own(var)) => Some((0, own(var))),
            None => Some((1, run.first)),
        };
        let is_wanted = |[_, deep]: &[u32; 2]| depths.depth(*deep).is_some_and(&is_wanted);
        let (_, vector) = tried.cheapest(&usual, is_wanted, price)?;
        let class = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
        let value = self.arena.value(depths.outcomes.root, class);
        let decision = *depths.outcomes.decision(value)?;
        Some(Reach {
            facts: self.facts_of(&vector),
            decision,
            gain: most(decision.verdict.grant()).min(Gain::Some),
        })
    }
}

/// How far a decision lets somebody come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Depth {
    kind: VerdictKind,
    gain: Gain,
}

/// What a policy decides, and how far that lets somebody come: of however many decisions, few
/// depths.
#[derive(Clone, Debug)]
struct Depths {
    outcomes: Outcomes,
    /// Leads to [`IMPOSSIBLE`], or to the place of a depth and one more.
    root: Id,
    all: Vec<Depth>,
}

impl Depths {
    fn new(ground: &mut Ground, outcomes: Outcomes) -> Result<Self, OverBudget> {
        let mut all: Vec<Depth> = Vec::new();
        let root = ground.arena.mapped(outcomes.root, |value| {
            let Some(decision) = outcomes.decision(value) else {
                return IMPOSSIBLE;
            };
            let depth = Depth {
                kind: decision.verdict.kind(),
                gain: most(decision.verdict.grant()),
            };
            let at = all.iter().position(|it| *it == depth);
            let at = at.unwrap_or_else(|| {
                all.push(depth);
                all.len() - 1
            });
            u32::try_from(at + 1).unwrap_or(IMPOSSIBLE)
        })?;
        Ok(Depths {
            outcomes,
            root,
            all,
        })
    }

    fn depth(&self, value: u32) -> Option<Depth> {
        let at = (value as usize).checked_sub(1)?;
        self.all.get(at).copied()
    }
}

/// The class that is asked for of a variable.
fn asks_for(asking: &[(Var, ClassId)], var: Var) -> Option<ClassId> {
    let asked = asking.iter().find(|(asked, _)| *asked == var);
    asked.map(|(_, class)| *class)
}

/// A policy and some who try to get in, over one space.
#[derive(Clone, Debug)]
pub(crate) struct Siege {
    ground: Ground,
    depths: Depths,
    /// The connections that each of them can make.
    connections: Vec<Id>,
}

impl Siege {
    pub(crate) fn new(
        program: &Program,
        intruders: &[Intruder],
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        let beside: Vec<Lone> = intruders.iter().map(Intruder::lone).collect();
        let mut ground = Ground::new(&[program], &beside, budget)?;
        let outcomes = ground.outcomes(program)?;
        let depths = Depths::new(&mut ground, outcomes)?;
        let mut connections = Vec::with_capacity(beside.len());
        for lone in &beside {
            let own = ground.holds(lone)?;
            connections.push(ground.arena.and(own, ground.assumed)?);
        }
        Ok(Siege {
            ground,
            depths,
            connections,
        })
    }

    /// How far each of them gets; nothing of those who can make no connection.
    pub(crate) fn reaches(&mut self) -> Result<Vec<Option<Reach>>, OverBudget> {
        let Siege {
            ground,
            depths,
            connections,
        } = self;
        let all = connections.iter();
        all.map(|own| ground.reach(depths, *own)).collect()
    }

    /// What has to be said of a connection so that all of it follows.
    pub(crate) fn named(&self, reach: &Reach) -> Vec<AttributeId> {
        self.ground.named(&reach.facts)
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
