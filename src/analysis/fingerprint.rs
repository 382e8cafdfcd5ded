//! The meaning of a policy as one text: two policies that mean the same come to the same text, and
//! two that do not, do not.
//!
//! A diagram is the only one for what it says, over the same classes. So what a policy tells apart
//! and never answers differently is put together again: networks, texts and sets of scopes. What is
//! left does not depend on how the policy is written. Attributes are asked for in the order of their
//! table, whatever order is found to be small.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rustc_hash::FxHashMap;

use super::combine::Combine;
use super::diagram::{Arena, Budget, ClassId, Edge, Id, OverBudget, Var};
use super::ground::Ground;
use super::groups::Groups;
use super::meaning::Answered;
use super::outcome::IMPOSSIBLE;
use super::space::Order;
use crate::compile::program::{HIT, Instruction, MISS, Test};
use crate::compile::{Lone, Program};
use crate::facts::{AttributeId, Kind};
use crate::lang::checked::Checked;
use crate::source::Span;

/// The meaning of a policy as a text.
pub(crate) fn canonical(
    checked: &Checked,
    program: &Program,
    budget: Budget,
) -> Result<String, OverBudget> {
    let mut ground = Ground::in_order(&[program], &[of_both_ends(program)], budget, Order::Table)?;
    let (_, meaning) = ground.meaning(program, checked)?;
    // Classes that are put together must be answered alike, one by one and all at once; were that
    // not so of some, the text would be of none of them.
    for together in [true, false] {
        let groups = ground.groups(meaning.root, together)?;
        let widths = groups.iter().map(Groups::count).collect();
        let mut small = Merged {
            from: &ground.arena,
            groups: &groups,
            arena: Arena::new(widths, budget),
            memo: FxHashMap::default(),
            answering: Answering::default(),
        };
        let root = small.merged(meaning.root)?;
        if !small.answering.differs {
            return Ok(written(
                &ground,
                &small.arena,
                root,
                &groups,
                &meaning.answers,
            ));
        }
    }
    Err(OverBudget)
}

/// What is asked of one end of a connection is told apart at the other too: of a direct connection
/// both are one address.
fn of_both_ends(program: &Program) -> Lone {
    let ends = ["peer", "client-ip"].map(AttributeId::named);
    let mut instructions = Vec::new();
    for instruction in &program.instructions {
        let Test::Address(_, _, networks) = &instruction.test else {
            continue;
        };
        if networks.is_empty() || !ends.contains(&Some(instruction.attribute)) {
            continue;
        }
        for end in ends.into_iter().flatten() {
            if let Kind::Address { get, .. } = end.row().kind {
                instructions.push(Instruction {
                    attribute: end,
                    test: Test::Address(get, 0, networks.clone()),
                    hit: HIT,
                    miss: MISS,
                    span: Span::default(),
                });
            }
        }
    }
    Lone {
        instructions,
        entry: HIT,
    }
}

/// A diagram over groups in the place of classes.
struct Merged<'a> {
    from: &'a Arena,
    groups: &'a [Groups],
    arena: Arena,
    memo: FxHashMap<Id, Id>,
    answering: Answering,
}

impl Merged<'_> {
    fn merged(&mut self, id: Id) -> Result<Id, OverBudget> {
        if id.as_value().is_some() {
            return Ok(id);
        }
        if let Some(known) = self.memo.get(&id) {
            return Ok(*known);
        }
        let Some((var, edges)) = self.from.at(id) else {
            return Ok(id);
        };
        let Some(groups) = self.groups.get(usize::from(var)) else {
            return Ok(id);
        };
        // Of a group, whoever can be answers. Most groups have only classes that lead to one place.
        let most = self.from.most(id).unwrap_or(id);
        let mut apart: BTreeMap<ClassId, (ClassId, Id)> = BTreeMap::new();
        let mut first = 0;
        for edge in edges {
            let own = groups.of.get(first as usize..=edge.last as usize);
            first = edge.last.saturating_add(1);
            if edge.to == most {
                continue;
            }
            let below = self.merged(edge.to)?;
            for group in own.unwrap_or_default() {
                let nothing = (0, Id::value(IMPOSSIBLE));
                let (count, to) = apart.entry(*group).or_insert(nothing);
                *count += 1;
                *to = self.arena.combined(*to, below, &mut self.answering)?;
            }
        }
        let most = self.merged(most)?;
        let mut runs = Vec::new();
        let mut next = 0;
        for (group, (count, mut to)) in apart {
            if groups
                .sizes
                .get(group as usize)
                .is_some_and(|size| count < *size)
            {
                to = self.arena.combined(to, most, &mut self.answering)?;
            }
            if let Some(last) = group.checked_sub(1).filter(|_| next < group) {
                runs.push(Edge { last, to: most });
            }
            runs.push(Edge { last: group, to });
            next = group.saturating_add(1);
        }
        if let Some(last) = groups.count().checked_sub(1).filter(|last| next <= *last) {
            runs.push(Edge { last, to: most });
        }
        let made = self.arena.make(var, runs)?;
        self.memo.insert(id, made);
        Ok(made)
    }
}

/// The first that answers.
#[derive(Default)]
struct Answering {
    /// Whether the other one would answer differently.
    differs: bool,
}

impl Combine for Answering {
    fn values(&mut self, left: u32, right: u32) -> u32 {
        self.differs |= left != IMPOSSIBLE && right != IMPOSSIBLE && left != right;
        if left == IMPOSSIBLE { right } else { left }
    }

    fn known(&mut self, left: Id, right: Id) -> Option<Id> {
        if left == Id::value(IMPOSSIBLE) {
            return Some(right);
        }
        (left == right || right == Id::value(IMPOSSIBLE)).then_some(left)
    }
}

/// A diagram with all that it is about. Nodes have the places in which they are met.
fn written(
    ground: &Ground,
    arena: &Arena,
    root: Id,
    groups: &[Groups],
    answers: &[Answered],
) -> String {
    let mut text = String::new();
    let mut places: FxHashMap<Id, usize> = FxHashMap::default();
    let mut asked = BTreeSet::new();
    for id in arena.reached(root) {
        let place = places.len();
        places.insert(id, place);
        let Some((var, edges)) = arena.at(id) else {
            let answer = id
                .as_value()
                .and_then(|value| answers.get((value as usize).checked_sub(1)?));
            let _ = match answer {
                Some(answer) => writeln!(text, "{place} {}", of_answer(answer)),
                None => writeln!(text, "{place} cannot be"),
            };
            continue;
        };
        asked.insert(var);
        let _ = write!(text, "{place} {}", of_var(ground, var));
        for edge in edges {
            let to = places.get(&edge.to).copied().unwrap_or_default();
            let _ = write!(text, " {}:{to}", edge.last);
        }
        text.push('\n');
    }
    for var in asked {
        let says = groups
            .get(usize::from(var))
            .map_or("", |groups| &groups.says);
        let kind = ground
            .space
            .domain(var)
            .map(|domain| domain.attribute.row().kind);
        let words = kind
            .map_or(&[][..], Kind::words)
            .iter()
            .map(|word| word.name);
        let words: Vec<&str> = words.collect();
        let _ = writeln!(text, "{} {} = {says}", of_var(ground, var), words.join(" "));
    }
    text
}

/// A variable by the name of its attribute.
fn of_var(ground: &Ground, var: Var) -> String {
    let Some(domain) = ground.space.domain(var) else {
        return String::new();
    };
    let name = domain.attribute.row().name;
    match ground.space.fine(domain.attribute) == Some(var) {
        true => format!("{name}/which"),
        false => name.to_owned(),
    }
}

fn of_answer(answer: &Answered) -> String {
    let mut text = answer.verdict.to_string();
    if let Some(hint) = &answer.hint {
        let _ = write!(text, " hint {hint:?}");
    }
    for (what, reason) in [("upgrade", answer.at_upgrade), ("page", answer.of_page)] {
        if let Some(reason) = reason {
            let _ = write!(text, " {what} {reason}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::compile::compile;
    use crate::decide::decide;
    use crate::decide::tests::{facts, policy};
    use crate::facts::assumptions::broken;
    use crate::lang::checked::{Clause, Condition, Predicate, Role};
    use crate::policy::Policy;
    use crate::source::Spanned;

    const SMALL: Budget = Budget {
        nodes: 100_000,
        steps: 400_000,
    };

    fn print(rest: &str) -> String {
        let text = format!("gw-policy 1\n{rest}\n");
        let policy = Policy::parse("print.policy", &text);
        let policy = policy.unwrap_or_else(|error| panic!("{error}\n{text}"));
        policy.fingerprint().unwrap().to_owned()
    }

    const DEFAULT: &str = "default → require-pairing";

    /// Ways to write one policy, which stands first.
    const ALIKE: &[&[&str]] = &[
        // Order, names, labels, prose, trials, tests.
        &[
            "client=cli and loopback → approve\nclient=test and private → silent-approve\n",
            "client=test and private → silent-approve\nclient=cli and loopback → approve\n",
            "define here = loopback\n[a] client=cli and here → approve because \"x\"\n[b] client=test and private → silent-approve because \"y\"\n",
            "trial tls → approve\nclient=cli and loopback → approve\nclient=test and private → silent-approve\ntest \"t\": client=cli and loopback → approve\n",
            "client=cli and not (not loopback) → approve\nclient=test and peer=private → silent-approve\nclient=cli and loopback and tls → approve\n",
        ],
        // Networks that are divided, and that make no difference.
        &[
            "client=cli and peer in { 192.168.0.0/16 } → approve\n",
            "client=cli and peer in { 192.168.0.0/17, 192.168.128.0/17 } → approve\n",
            "client=cli and peer in { 192.168.0.0/17 } → approve\nclient=cli and peer in { 192.168.128.0/17 } → approve\n",
            "client=cli and peer in { 192.168.0.0/16 } → approve\nclient=test and client-ip in { 10.1.0.0/16 } → require-pairing\n",
            "client=cli and peer in { 192.168.0.0/16 } and (ingress!=direct or client-ip in { 192.168.0.0/16 }) → approve\n",
        ],
        &[
            "client=cli and loopback → approve\n",
            "client=cli and peer in { 127.0.0.0/8, ::1 } → approve\n",
        ],
        // Texts.
        &[
            "client=cli and origin=\"https://a.example\" → approve\n",
            "client=cli and origin in { \"https://a.example\" } and origin!=\"https://b.example\" → approve\n",
            "client=cli and origin=\"https://a.example\" → approve\nclient=test and path=\"/x\" → require-pairing\n",
        ],
        &[
            "client=cli and host=10.0.0.5 → approve\n",
            "client=cli and host=\"10.0.0.5\" → approve\n",
            "client=cli and host in { 10.0.0.5, \"10.0.0.5\" } and not (host in { 10.0.0.4 }) → approve\n",
        ],
        // Scopes.
        &[
            "client=cli and scopes within { operator.read, operator.write } → approve\n",
            "client=cli and scopes within { operator.read, operator.write } and not (scopes includes operator.admin) → approve\n",
            "client=cli and (scopes={} or scopes={ operator.read } or scopes={ operator.write } or scopes={ operator.read, operator.write }) → approve\n",
        ],
        // What cannot be.
        &[
            "client=cli and auth=token and setting.auth-mode=token → approve\n",
            "client=cli and auth=token → approve\n",
        ],
    ];

    #[test]
    fn however_it_is_written_it_is_the_same() {
        let mut all: Vec<String> = Vec::new();
        for group in ALIKE {
            let prints: Vec<String> = group
                .iter()
                .map(|it| print(&format!("{it}{DEFAULT}")))
                .collect();
            for (text, found) in group.iter().zip(&prints) {
                assert_eq!(Some(found), prints.first(), "{text}");
            }
            let first = prints.into_iter().next().unwrap();
            assert!(!all.contains(&first), "{group:#?}");
            all.push(first);
        }
    }

    /// What a client, or the server before the upgrade, notices.
    #[test]
    fn what_can_be_noticed_counts() {
        let texts = [
            "guard origin=opaque → reject(origin-not-allowed)\n",
            "guard at upgrade origin=opaque → reject(origin-not-allowed)\n",
            "guard origin=opaque → reject(device-required)\n",
            "guard origin=opaque → reject(origin-not-allowed) hint=\"ask me\"\n",
            "origin=opaque → reject(origin-not-allowed)\n",
            "tls → approve\n",
            "tls → approve(token=no)\n",
            "tls → silent-approve\n",
            "tls → silent-approve(ttl=\"1d\")\n",
            "tls and peer in { 10.0.0.0/9 } → approve\n",
            "tls and peer in { 10.0.0.0/10 } → approve\n",
            "tls and client-ip in { 10.0.0.0/9 } → approve\n",
        ];
        let prints: BTreeSet<String> = texts
            .iter()
            .map(|it| print(&format!("{it}{DEFAULT}")))
            .collect();
        assert_eq!(prints.len(), texts.len());
    }

    /// Of a kind of address of which others lie apart, a stretch is told from the rest.
    #[test]
    fn whole_stretches_of_a_kind_count() {
        let mut prints = BTreeSet::from([print(DEFAULT)]);
        let mut count = 1;
        for network in [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "127.0.0.0/8",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "172.16.0.0/12, fc00::/7",
        ] {
            for verdict in ["silent-approve", "approve", "reject(not-permitted)"] {
                for end in ["peer", "client-ip"] {
                    prints.insert(print(&format!(
                        "{end} in {{ {network} }} → {verdict}\n{DEFAULT}"
                    )));
                    count += 1;
                }
            }
        }
        assert_eq!(prints.len(), count);
    }

    /// Divides each network in two.
    fn divided(condition: &mut Condition) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter_mut().for_each(|part| divided(&mut part.value));
            }
            Condition::Not(inner) => divided(&mut inner.value),
            Condition::Test(comparison) => {
                if let Predicate::Among(members) = &mut comparison.predicate {
                    let networks = members.networks.iter();
                    let halves = networks.flat_map(|network| {
                        let halves = network.subnets(network.prefix_len() + 1);
                        halves.map_or_else(|_| vec![*network], Iterator::collect)
                    });
                    members.networks = halves.collect();
                }
            }
        }
    }

    /// The same, written otherwise.
    fn rewritten(checked: &Checked) -> Checked {
        let mut other = checked.clone();
        let clauses = other.guards.iter_mut().chain(&mut other.rules);
        for clause in clauses {
            divided(&mut clause.condition.value);
            let span = clause.condition.span;
            let own = std::mem::replace(&mut clause.condition.value, Condition::ALWAYS);
            let negated = Condition::Not(Box::new(Spanned::new(own, span)));
            clause.condition.value = Condition::Not(Box::new(Spanned::new(negated, span)));
            clause.label = Some("renamed".to_owned());
        }
        let is_alike = |one: &Clause, other: &Clause| {
            (one.answer, one.role, &one.hint) == (other.answer, other.role, &other.hint)
        };
        for at in 1..other.rules.len() {
            let pair = other.rules.get(at - 1).zip(other.rules.get(at));
            if pair.is_some_and(|(one, next)| is_alike(one, next)) {
                other.rules.swap(at - 1, at);
            }
        }
        other.rules.retain(|rule| rule.role == Role::Rule);
        other
    }

    /// Whether two policies answer alike.
    fn are_alike(one: &Checked, other: &Checked) -> Result<bool, OverBudget> {
        let programs = [compile(one), compile(other)];
        crate::analysis::are_alike([(one, &programs[0]), (other, &programs[1])], SMALL)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 12,
            rng_seed: RngSeed::Fixed(11),
            max_shrink_iters: 60,
            ..ProptestConfig::default()
        })]

        #[test]
        fn it_is_the_same_exactly_for_what_is_answered_alike(
            one in policy(),
            other in policy(),
            all in proptest::collection::vec(facts(), 1..60),
        ) {
            let too_large = |_| TestCaseError::reject("too large");
            let text = |checked: &Checked| canonical(checked, &compile(checked), SMALL).map_err(too_large);
            let own = text(&one)?;
            prop_assert_eq!(&own, &text(&rewritten(&one))?);
            // One clause of another policy in the place of one of its own, which may change nothing.
            let mut near = one.clone();
            if let (Some(place), Some(rule)) = (near.rules.last_mut(), other.rules.first()) {
                *place = rule.clone();
            }
            for other in [near, other] {
                let prints_alike = own == text(&other)?;
                prop_assert_eq!(prints_alike, are_alike(&one, &other).map_err(too_large)?);
                if prints_alike {
                    for facts in all.iter().filter(|facts| broken(facts).next().is_none()) {
                        let verdict = |checked: &Checked| decide(&compile(checked), facts).verdict;
                        prop_assert_eq!(verdict(&one), verdict(&other), "{:#?}", facts);
                    }
                }
            }
        }
    }
}
