//! THE TABLE of mutations: what is changed in a policy to see whether a test notices.
//!
//! A mutation changes one place: a clause, or a definition wherever it is used. Whether it changes
//! any verdict is not asked here.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{called, counted, main_file, words};
use crate::compile::ClauseId;
use crate::lang::check::Vocabulary;
use crate::lang::checked::{Answer, Checked, Clause, Condition, Predicate, Role};
use crate::policy::Policy;
use crate::source::{SourceId, Sources, Span, Spanned};
use crate::verdict::{Grant, Reason};

/// A kind of change.
pub(super) struct Mutation {
    /// What it is called.
    pub(super) name: &'static str,
    make: fn(&Site<'_>) -> Vec<Mutant>,
}

/// Every kind of change.
pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "drop-clause",
        make: drop_clause,
    },
    Mutation {
        name: "change-verdict",
        make: change_verdict,
    },
    Mutation {
        name: "swap-rules",
        make: swap_rules,
    },
    Mutation {
        name: "drop-condition",
        make: drop_condition,
    },
    Mutation {
        name: "negate-condition",
        make: negate_condition,
    },
    Mutation {
        name: "widen-network",
        make: widen_network,
    },
    Mutation {
        name: "narrow-network",
        make: narrow_network,
    },
];

/// A policy with one change.
#[derive(Clone, Debug)]
pub(super) struct Mutant {
    /// The row of the table.
    pub(super) mutation: &'static str,
    pub(super) edit: Edit,
    /// Where it is written.
    pub(super) span: Span,
    /// What was changed, in the policy's words.
    pub(super) says: String,
    /// What a test that notices may be called.
    pub(super) name: String,
}

/// What is otherwise.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Dropped(ClauseId),
    Answers(ClauseId, Answer),
    Behind(ClauseId, ClauseId),
    Applies(ClauseId, Condition),
    /// Every clause that uses a definition, with its condition.
    Everywhere(Vec<(ClauseId, Condition)>),
}

impl Edit {
    /// The policy so changed, without its tests and claims.
    pub(super) fn apply(&self, checked: &Checked) -> Checked {
        let mut changed = Checked {
            guards: checked.guards.clone(),
            rules: checked.rules.clone(),
            default: checked.default.clone(),
            tests: Vec::new(),
            claims: Vec::new(),
            base: None,
        };
        let guards = changed.guards.len();
        match self {
            Edit::Dropped(id) => {
                let at = id.0 as usize;
                match at.checked_sub(guards) {
                    None => drop(changed.guards.remove(at)),
                    Some(rule) if rule < changed.rules.len() => drop(changed.rules.remove(rule)),
                    Some(_) => {}
                }
            }
            Edit::Answers(id, answer) => clause_mut(&mut changed, *id).answer = *answer,
            Edit::Behind(first, second) => {
                let place = |id: &ClauseId| (id.0 as usize).checked_sub(guards);
                if let Some((first, second)) = place(first).zip(place(second))
                    && second < changed.rules.len()
                {
                    changed.rules.swap(first, second);
                }
            }
            Edit::Applies(id, condition) => {
                clause_mut(&mut changed, *id).condition.value = condition.clone();
            }
            Edit::Everywhere(all) => {
                for (id, condition) in all {
                    clause_mut(&mut changed, *id).condition.value = condition.clone();
                }
            }
        }
        changed
    }
}

fn clause_mut(checked: &mut Checked, id: ClauseId) -> &mut Clause {
    let all = checked.guards.iter_mut().chain(&mut checked.rules);
    all.into_iter()
        .nth(id.0 as usize)
        .unwrap_or(&mut checked.default)
}

/// Every mutant of a policy, in the order of its text.
pub(super) fn mutants(policy: &Policy) -> Vec<Mutant> {
    let main = main_file(policy).unwrap_or_default();
    let (sources, vocabulary) = (policy.sources(), policy.vocabulary());
    all(policy.checked(), main, sources, vocabulary)
}

/// The same of clauses that stand in one file, in the words of some texts.
pub(super) fn all(
    checked: &Checked,
    main: SourceId,
    sources: &Sources,
    vocabulary: &Vocabulary,
) -> Vec<Mutant> {
    let site = Site::new(checked, main, sources, vocabulary);
    let mut mutants: Vec<Mutant> = Vec::new();
    for mutation in MUTATIONS {
        mutants.extend((mutation.make)(&site).into_iter().map(|mutant| Mutant {
            mutation: mutation.name,
            ..mutant
        }));
    }
    mutants.sort_by_key(|it| it.span.start);
    mutants
}

/// A policy where it can be changed.
struct Site<'a> {
    sources: &'a Sources,
    vocabulary: &'a Vocabulary,
    clauses: Vec<(ClauseId, &'a Clause)>,
    parts: Vec<Part<'a>>,
}

/// A place in a condition: of one clause, or of a definition in all clauses that use it.
struct Part<'a> {
    span: Span,
    condition: &'a Condition,
    /// Where it stands: the clause, and which part of which part of its condition.
    uses: Vec<(ClauseId, Vec<usize>)>,
    /// Whether it is one of several, so that it can be left out.
    droppable: bool,
    /// Whether its contrary is a change of its own: of what is denied already it is the denial's.
    negatable: bool,
    of_definition: bool,
}

impl<'a> Site<'a> {
    fn new(
        checked: &'a Checked,
        main: SourceId,
        sources: &'a Sources,
        vocabulary: &'a Vocabulary,
    ) -> Self {
        let clauses = counted(checked, main);
        let mut own = Vec::new();
        let mut defined: BTreeMap<Span, Part<'a>> = BTreeMap::new();
        for (id, clause) in &clauses {
            let mut walk = Walk {
                id: *id,
                clause: clause.span,
                main,
                own: &mut own,
                defined: &mut defined,
            };
            walk.whole(&clause.condition);
        }
        own.extend(defined.into_values());
        Site {
            sources,
            vocabulary,
            clauses,
            parts: own,
        }
    }

    /// Its answer where a part of its condition is something else; what it was, without one.
    fn with(&self, part: &Part<'_>, other: Option<&Condition>) -> Edit {
        let mut all = Vec::new();
        for (id, path) in &part.uses {
            let Some((_, clause)) = self.clauses.iter().find(|it| it.0 == *id) else {
                continue;
            };
            // What one change did to a clause, the next one keeps; the last parts go first.
            let before = all.iter().position(|(known, _)| known == id);
            let own = match before {
                Some(at) => all.remove(at).1,
                None => clause.condition.value.clone(),
            };
            all.push((*id, replaced(own, path, other)));
        }
        match <[_; 1]>::try_from(all) {
            Ok([(id, condition)]) => Edit::Applies(id, condition),
            Err(all) => Edit::Everywhere(all),
        }
    }

    /// What a clause is called.
    fn called(&self, clause: &Clause) -> String {
        called(self.sources, clause)
    }

    /// Whose a part is.
    fn owner(&self, part: &Part<'_>) -> String {
        let used = part.uses.first().filter(|_| !part.of_definition);
        let clause = |id: ClauseId| self.clauses.iter().find(|it| it.0 == id);
        let user = used.and_then(|(id, _)| clause(*id));
        match (user, self.vocabulary.defined_at(part.span)) {
            (Some((_, clause)), _) => self.called(clause),
            (None, Some(name)) => format!("define {name}"),
            (None, None) => "a definition".to_owned(),
        }
    }

    fn text(&self, part: &Part<'_>) -> String {
        words(self.sources.slice(part.span))
    }

    /// A mutant for each network of each comparison, with other ones in its place.
    fn networks(&self, others: fn(IpNet) -> Vec<IpNet>, how: &str) -> Vec<Mutant> {
        let mut all = Vec::new();
        for part in &self.parts {
            let Condition::Test(comparison) = part.condition else {
                continue;
            };
            let Predicate::Among(members) = &comparison.predicate else {
                continue;
            };
            for (at, network) in members.networks.iter().enumerate() {
                for other in others(*network) {
                    let mut members = members.clone();
                    if let Some(place) = members.networks.get_mut(at) {
                        *place = other;
                    }
                    let mut changed = comparison.clone();
                    changed.predicate = Predicate::Among(members);
                    let owner = self.owner(part);
                    all.push(Mutant {
                        mutation: "",
                        edit: self.with(part, Some(&Condition::Test(changed))),
                        span: part.span,
                        says: format!("{owner} with {other} instead of {network}"),
                        name: format!("{owner} {how} {network}"),
                    });
                }
            }
        }
        all
    }
}

/// The way through the condition of a clause.
struct Walk<'a, 'b> {
    id: ClauseId,
    clause: Span,
    main: SourceId,
    own: &'b mut Vec<Part<'a>>,
    defined: &'b mut BTreeMap<Span, Part<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn whole(&mut self, condition: &'a Spanned<Condition>) {
        let is_here = |part: &Spanned<Condition>| within(part.span, self.clause);
        match &condition.value {
            // The terms that the clause itself joins; a lone one may be left out, too.
            Condition::All(parts) if parts.iter().all(is_here) => {
                for (at, part) in parts.iter().enumerate() {
                    self.part(part, vec![at], true, true);
                }
            }
            Condition::All(parts) if parts.is_empty() => {}
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) | Condition::Test(_) => {
                self.part(condition, Vec::new(), true, true);
            }
        }
    }

    fn part(
        &mut self,
        part: &'a Spanned<Condition>,
        path: Vec<usize>,
        droppable: bool,
        negatable: bool,
    ) {
        // What a definition means has the place of the definition.
        let span = part.span;
        let is_here = within(span, self.clause);
        if is_here {
            self.own.push(Part {
                span,
                condition: &part.value,
                uses: vec![(self.id, path.clone())],
                droppable,
                negatable,
                of_definition: false,
            });
        } else if span.source == self.main {
            let known = self.defined.entry(span).or_insert_with(|| Part {
                span,
                condition: &part.value,
                uses: Vec::new(),
                droppable,
                negatable,
                of_definition: true,
            });
            // The place of a definition may be that of its only part.
            if known.condition == &part.value {
                known.uses.push((self.id, path.clone()));
                known.droppable &= droppable;
            }
        }
        let further = |at: usize| [path.as_slice(), &[at]].concat();
        match &part.value {
            Condition::All(parts) | Condition::Any(parts) => {
                for (at, inner) in parts.iter().enumerate() {
                    self.part(inner, further(at), parts.len() > 1, true);
                }
            }
            Condition::Not(inner) => self.part(inner, further(0), false, false),
            Condition::Test(_) => {}
        }
    }
}

fn within(inner: Span, outer: Span) -> bool {
    inner.source == outer.source && outer.start <= inner.start && inner.end <= outer.end
}

/// A condition with another part at a place, or without it.
fn replaced(whole: Condition, path: &[usize], other: Option<&Condition>) -> Condition {
    let [at, rest @ ..] = path else {
        return other.cloned().unwrap_or(Condition::ALWAYS);
    };
    let inside = |mut parts: Vec<Spanned<Condition>>| {
        if rest.is_empty() && other.is_none() {
            if *at < parts.len() {
                parts.remove(*at);
            }
        } else if let Some(part) = parts.get_mut(*at) {
            let own = std::mem::replace(&mut part.value, Condition::ALWAYS);
            part.value = replaced(own, rest, other);
        }
        parts
    };
    match whole {
        Condition::All(parts) => Condition::All(inside(parts)),
        Condition::Any(parts) => Condition::Any(inside(parts)),
        Condition::Not(mut part) => {
            let own = std::mem::replace(&mut part.value, Condition::ALWAYS);
            part.value = replaced(own, rest, other);
            Condition::Not(part)
        }
        Condition::Test(_) => whole,
    }
}

fn drop_clause(site: &Site<'_>) -> Vec<Mutant> {
    let clauses = site.clauses.iter();
    let clauses = clauses.filter(|(_, clause)| clause.role != Role::Default);
    clauses
        .map(|(id, clause)| {
            let name = site.called(clause);
            Mutant {
                mutation: "",
                edit: Edit::Dropped(*id),
                span: clause.head,
                says: format!("without {name}"),
                name: format!("{name} is needed"),
            }
        })
        .collect()
}

fn change_verdict(site: &Site<'_>) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (id, clause) in &site.clauses {
        for answer in neighbours(clause.answer, clause.role) {
            let name = site.called(clause);
            let (own, other) = (answered(clause.answer), answered(answer));
            all.push(Mutant {
                mutation: "",
                edit: Edit::Answers(*id, answer),
                span: clause.head,
                says: format!("{name} answers {other} instead of {own}"),
                name: format!("{name}: {own}, not {other}"),
            });
        }
    }
    all
}

/// The answers of the neighbouring kinds that may stand in such a clause.
fn neighbours(answer: Answer, role: Role) -> Vec<Answer> {
    let ask = Answer::RequirePairing(None);
    match (answer, role) {
        (Answer::Cap(_), _) | (_, Role::Trial) => Vec::new(),
        (Answer::Reject(_) | Answer::RejectAsFound, _) => vec![ask],
        (Answer::RequirePairing(_), Role::Guard(_)) => vec![Answer::Reject(Reason::NotPermitted)],
        (Answer::RequirePairing(_), _) => vec![
            Answer::Reject(Reason::NotPermitted),
            Answer::Approve(Grant::default()),
        ],
        (Answer::Approve(grant), _) => vec![ask, Answer::SilentApprove(grant)],
        (Answer::SilentApprove(grant), _) => vec![Answer::Approve(Grant {
            ttl_seconds: None,
            ..grant
        })],
    }
}

/// An answer as a policy has it.
pub(super) fn answered(answer: Answer) -> String {
    match answer {
        Answer::Reject(reason) => format!("reject({reason})"),
        Answer::RejectAsFound => "reject(as-found)".to_owned(),
        Answer::RequirePairing(None) => "require-pairing".to_owned(),
        Answer::RequirePairing(Some(reason)) => format!("require-pairing(reason={reason})"),
        Answer::Approve(grant) => format!("approve{grant}"),
        Answer::SilentApprove(grant) => format!("silent-approve{grant}"),
        Answer::Cap(scopes) => format!("cap(scopes={})", crate::verdict::show_scopes(scopes)),
    }
}

fn swap_rules(site: &Site<'_>) -> Vec<Mutant> {
    let rules: Vec<_> = site
        .clauses
        .iter()
        .filter(|(_, clause)| clause.role == Role::Rule)
        .collect();
    let pairs = rules.windows(2).filter_map(|pair| match pair {
        [first, second] => Some((*first, *second)),
        _ => None,
    });
    // A trial between them stays where it is, and decides nothing.
    pairs
        .map(|((one, first), (other, second))| {
            let name = |clause| site.called(clause);
            Mutant {
                mutation: "",
                edit: Edit::Behind(*one, *other),
                span: first.head,
                says: format!("{} behind {}", name(first), name(second)),
                name: format!("{} stands before {}", name(first), name(second)),
            }
        })
        .collect()
}

fn drop_condition(site: &Site<'_>) -> Vec<Mutant> {
    let parts = site.parts.iter().filter(|part| part.droppable);
    parts
        .map(|part| {
            let (owner, text) = (site.owner(part), site.text(part));
            Mutant {
                mutation: "",
                edit: site.with(part, None),
                span: part.span,
                says: format!("{owner} without `{text}`"),
                name: format!("{owner} says {text}"),
            }
        })
        .collect()
}

fn negate_condition(site: &Site<'_>) -> Vec<Mutant> {
    let parts = site.parts.iter().filter(|part| part.negatable);
    parts
        .map(|part| {
            let (owner, text) = (site.owner(part), site.text(part));
            let own = Spanned::new(part.condition.clone(), part.span);
            let other = Condition::Not(Box::new(own));
            let contrary = match text.strip_prefix("not ") {
                Some(denied) => denied.to_owned(),
                None if text.contains(' ') && !text.starts_with('(') => format!("not ({text})"),
                None => format!("not {text}"),
            };
            Mutant {
                mutation: "",
                edit: site.with(part, Some(&other)),
                span: part.span,
                says: format!("{owner} with `{contrary}` instead of `{text}`"),
                name: format!("{owner} says {text}, not the contrary"),
            }
        })
        .collect()
}

fn widen_network(site: &Site<'_>) -> Vec<Mutant> {
    let wider = |network: IpNet| network.supernet().into_iter().collect();
    site.networks(wider, "keeps to")
}

fn narrow_network(site: &Site<'_>) -> Vec<Mutant> {
    let halves = |network: IpNet| {
        let longer = network.prefix_len() + 1;
        let halves = network.subnets(longer).ok();
        halves.into_iter().flatten().collect()
    };
    site.networks(halves, "reaches all of")
}
