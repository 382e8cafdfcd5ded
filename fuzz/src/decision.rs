//! A policy and connections, arbitrary both. Deciding, watching, walking the tree and the diagram
//! agree; what failed is never admitted; a guard opens nothing; nobody of the table of attackers gets
//! further than is proved of them.
//!
//! The bytes are choices; where they begin as a policy does, a zero byte ends the policy and the rest
//! is the connections.

use std::sync::LazyLock;

use gw::audit::{Attack, Attacked, Diagram};
use gw::decide::{self, decide, traced};
use gw::facts::assumptions::{Named, broken, complete};
use gw::facts::attributes::Value;
use gw::facts::{AttributeId, Facts, Kind};
use gw::verdict::{Reason, Verdict};
use gw::{Policy, lang};

use super::choices::Choices;
use super::naive;
use super::written::{self, About};

/// How large a diagram may become: one that is larger is not looked at.
const NODES: usize = 8_000;

/// How many connections are tried at most.
const CONNECTIONS: usize = 12;

const ADDRESSES: [&str; 8] = [
    "127.0.0.1",
    "10.0.0.5",
    "10.66.0.9",
    "172.18.0.1",
    "192.168.1.10",
    "203.0.113.9",
    "fd00::5",
    "::1",
];
const HEADERS: [&str; 6] = [
    "localhost",
    "gw.example.com",
    "10.0.0.5",
    "box.local",
    "http://localhost:5173",
    "https://ui.example.com",
];
const TEXTS: [&str; 3] = ["linux", "macos 26.4.0", "/x"];
const SCOPES: [&[&str]; 6] = [
    &[],
    &["operator.read"],
    &["operator.admin"],
    &["operator.read", "operator.write"],
    &["operator.pairing", "operator.talk"],
    &["operator.approvals", "operator.questions"],
];

/// Every attribute with the values that it is given.
static VALUES: LazyLock<Vec<(AttributeId, Vec<Value>)>> =
    LazyLock::new(|| AttributeId::all().map(|id| (id, values(id))).collect());

fn values(id: AttributeId) -> Vec<Value> {
    let kind = id.row().kind;
    let words = kind
        .words()
        .iter()
        .map(|word| Value::Word(word.name.to_owned()));
    let texts = |all: &[&str]| -> Vec<Value> {
        all.iter()
            .map(|text| Value::Text((*text).to_owned()))
            .collect()
    };
    let more = match kind {
        Kind::Flag { .. } => return vec![Value::Flag(false), Value::Flag(true)],
        Kind::Set { .. } => {
            let owned = |set: &&[&str]| set.iter().map(|it| (*it).to_owned()).collect();
            return SCOPES.iter().map(|set| Value::Words(owned(set))).collect();
        }
        Kind::Enum { .. } => Vec::new(),
        Kind::Address { .. } => {
            let all = ADDRESSES.iter().map(|text| text.parse().unwrap());
            all.map(Value::Address).collect()
        }
        Kind::Header { .. } => texts(&HEADERS),
        Kind::Text { .. } => texts(&TEXTS),
    };
    words.chain(more).collect()
}

/// What is known of a connection; it need not go together.
fn facts(choices: &mut Choices<'_>, start: &Facts) -> Facts {
    let mut facts = start.clone();
    let mut named = Named::default();
    for _ in 0..=choices.below(8) {
        let (id, values) = choices.one(&VALUES);
        // What cannot be said of it, as a text of a Host header that is none, is not said.
        if id.assign(&mut facts, choices.one(values)).is_ok() {
            named.add(*id);
        }
    }
    if !choices.rarely() {
        complete(&mut facts, &named, |_| true);
    }
    facts
}

/// Reads the bytes as a policy and connections.
pub fn run(data: &[u8]) {
    let (text, rest) = match written::as_it_is(data) {
        Some((text, rest)) => (Some(text), rest),
        None => (None, data),
    };
    let is_made = text.is_none();
    let mut choices = Choices::new(rest);
    let text = text.unwrap_or_else(|| written::policy(&mut choices, About::Anything));
    let nothing = &mut |_: &str, _| Err(lang::ReadError::NotFound);
    let policy = match Policy::load_untested("some.policy", &text, nothing) {
        Ok(policy) => policy,
        // What choices write, loads.
        Err(error) => return assert!(!is_made, "{error}\n{text}"),
    };
    let guard = format!("guard {}", written::guard(&mut choices, About::Anything));
    let guarded = text.replacen('\n', &format!("\n{guard}\n"), 1);
    let guarded = Policy::load_untested("guarded.policy", &guarded, nothing).ok();
    assert!(!is_made || guarded.is_some(), "{guard}");

    let diagram = Diagram::new(&policy, NODES).ok();
    let attack = Attack::new(&policy, NODES).ok();
    let attacked = attack
        .as_ref()
        .and_then(|attack| attack.clone().attacked().ok());
    let mut start = Facts::default();
    for _ in 0..CONNECTIONS {
        let facts = facts(&mut choices, &start);
        agrees(&policy, &facts, diagram.as_ref(), &text);
        if let Some(guarded) = &guarded {
            let plain = decide(policy.program(), &facts).verdict;
            let guarded = decide(guarded.program(), &facts).verdict;
            assert!(
                guarded.kind() <= plain.kind(),
                "{plain} became {guarded}\n{guard}\n{text}"
            );
        }
        if let (Some(attack), Some(attacked)) = (&attack, &attacked) {
            gets_no_further(&policy, &facts, attack, attacked, &text);
        }
        if choices.is_over() {
            break;
        }
        start = if choices.flag() {
            facts
        } else {
            Facts::default()
        };
    }
}

/// All ways to decide come to one answer, and it keeps the laws.
fn agrees(policy: &Policy, facts: &Facts, diagram: Option<&Diagram>, text: &str) {
    let program = policy.program();
    let decision = decide(program, facts);
    let verdict = naive::verdict(policy.checked(), facts);
    assert_eq!(decision.verdict, verdict, "walked: {text}{facts:#?}");
    let (watched, trace) = traced(program, facts);
    assert_eq!(decision, watched, "watched: {text}{facts:#?}");
    assert!(trace.matched(decision.rule) && trace.matched(decision.by));
    if Reason::barred(facts).is_some() {
        assert!(!decision.verdict.admits(), "{text}{facts:#?}");
    }
    if decide::at_upgrade(program, facts).is_some() {
        assert!(
            matches!(decision.verdict, Verdict::Reject(_)),
            "{text}{facts:#?}"
        );
    }
    let Some(diagram) = diagram else {
        return;
    };
    let mut decided = decision;
    decided.trial = None;
    match diagram.decision(facts) {
        Some(told) => assert_eq!(told, decided, "diagram: {text}{facts:#?}"),
        None => assert!(broken(facts).next().is_some(), "{text}{facts:#?}"),
    }
}

/// No attacker who can make the connection is said to get less far than it gets.
fn gets_no_further(
    policy: &Policy,
    facts: &Facts,
    attack: &Attack,
    attacked: &[Attacked],
    text: &str,
) {
    if broken(facts).next().is_some() {
        return;
    }
    let verdict = decide(policy.program(), facts).verdict;
    for name in attack.who_could(facts) {
        let said = attacked.iter().find(|it| it.attacker == name);
        let most = said.and_then(|it| it.verdict);
        let is_so = most.is_some_and(|most| verdict.kind() <= most.kind());
        assert!(
            is_so,
            "{name} gets {verdict}, not {most:?}: {text}{facts:#?}"
        );
    }
}
