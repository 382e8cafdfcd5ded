//! A test as it stands in a policy: a name, the fewest facts, and the verdict.

use std::collections::BTreeSet;

use crate::analysis::Ground;
use crate::compile::Program;
use crate::decide::decide;
use crate::facts::assumptions::{Named, complete};
use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Facts, Kind};
use crate::lang::checked::{Checked, Expected};
use crate::verdict::{Grant, PairingReason, Verdict, VerdictKind};

/// A test that stands in no file yet.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) facts: Facts,
    pub(crate) expected: Expected,
    /// The facts as they are said.
    said: String,
}

impl Written {
    /// A connection of a ground with the verdict that it gets, said exactly; without a name.
    pub(crate) fn new(ground: &Ground, facts: &Facts, verdict: Verdict) -> Self {
        let mut named = ground.named(facts);
        // A test has a fact, even where all are as usual.
        if named.is_empty() {
            named.extend(AttributeId::named("peer"));
        }
        let (mut told, mut names) = (Facts::default(), Named::default());
        for id in &named {
            id.copy(facts, &mut told);
            names.add(*id);
        }
        complete(&mut told, &names, |_| true);
        let said: Vec<String> = named.iter().map(|id| said(*id, facts)).collect();
        Written {
            name: String::new(),
            facts: told,
            expected: exactly(verdict),
            said: said.join(" and "),
        }
    }

    pub(crate) fn called(self, name: String) -> Self {
        Written { name, ..self }
    }

    /// The same without saying what goes without saying, as long as that tells it from another
    /// verdict.
    pub(crate) fn against(self, other: Verdict) -> Self {
        let plain = self.clone().plainly();
        match plain.expected.met_by(other) {
            true => self,
            false => plain,
        }
    }

    /// The same without saying what goes without saying.
    pub(crate) fn plainly(mut self) -> Self {
        self.expected = match self.expected {
            Expected::RequirePairing(PairingReason::NotPaired) => {
                Expected::Kind(VerdictKind::RequirePairing)
            }
            Expected::Grant(kind, grant) if grant == Grant::default() => Expected::Kind(kind),
            expected @ (Expected::Admit
            | Expected::Kind(_)
            | Expected::Reject(_)
            | Expected::RequirePairing(_)
            | Expected::Grant(..)) => expected,
        };
        self
    }

    /// Whether a program passes it.
    pub(crate) fn passes(&self, program: &Program) -> bool {
        self.expected.met_by(decide(program, &self.facts).verdict)
    }
}

/// As it stands in a policy.
impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Written {
            name,
            said,
            expected,
            ..
        } = self;
        write!(f, "test \"{name}\": {said} → {expected}")
    }
}

/// Names for new tests, of which each is given once.
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// Other ones than those of a policy.
    pub(crate) fn beside(checked: &Checked) -> Self {
        Names(checked.tests.iter().map(|test| test.name.clone()).collect())
    }

    pub(crate) fn new_one(&mut self, name: &str) -> String {
        // A name is one line, and ends at a quote.
        let name: String = name.replace('"', "'");
        let name = &name.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut all = std::iter::once(name.clone())
            .chain((2..u32::MAX).map(|number| format!("{name} ({number})")));
        let found = all.find(|it| !self.0.contains(it)).unwrap_or_default();
        self.0.insert(found.clone());
        found
    }
}

/// Whether a test can expect the one verdict so that the other one fails it.
pub(super) fn told_apart(own: Verdict, other: Verdict) -> bool {
    own.kind() != other.kind() || !exactly(own).met_by(other)
}

/// What a test expects that is met by one verdict alone, as far as a test can say it.
fn exactly(verdict: Verdict) -> Expected {
    match verdict {
        Verdict::Reject(reason) => Expected::Reject(reason),
        Verdict::RequirePairing(reason) => Expected::RequirePairing(reason),
        Verdict::Approve(grant) | Verdict::SilentApprove(grant) => {
            let is_silent = verdict.kind() == VerdictKind::SilentApprove;
            let own = Grant {
                ttl_seconds: grant.ttl_seconds.filter(|_| is_silent),
                ..grant
            };
            match grant == own {
                true => Expected::Grant(verdict.kind(), grant),
                // How long a record would last where none is made is not for a test to say.
                false => Expected::Kind(verdict.kind()),
            }
        }
    }
}

/// A fact as a test names it.
fn said(id: AttributeId, facts: &Facts) -> String {
    let name = id.row().name;
    let text = match id.row().kind {
        Kind::Header { text, .. } => text(facts),
        Kind::Text { get, .. } => get(facts),
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } => "",
    };
    if !text.is_empty() {
        return format!("{name}=\"{text}\"");
    }
    let is_usual = |word: &str| {
        let mut usual = Facts::default();
        let is_so = id.assign(&mut usual, &Value::Word(word.to_owned())).is_ok();
        is_so && id.show(&usual) == id.show(facts)
    };
    // A class of addresses stands for its usual member, and some absences have names.
    match (name, id.show(facts).as_str()) {
        ("peer", _) if is_usual("loopback") => "loopback".to_owned(),
        ("origin" | "host" | "device", "absent") => format!("no-{name}"),
        (_, _) => crate::claims::written(id, facts),
    }
}
