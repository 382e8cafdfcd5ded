//! What an engine is to this comparison, and the list of all that are compared. How each of them is
//! spoken to stands in its own module.

mod casbin;
mod cedar;
mod cel;
mod chain;
mod gw;
mod linear;
mod rego;

use ::gw::Facts;

use crate::policy::Files;
use crate::rules::Rules;

/// What an engine says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The number of the rule that decides.
    Rule(usize),
    /// Whether it is let in; which rule says so is not told.
    Admits(bool),
}

impl Outcome {
    /// Whether it says the same as the number of the rule that decides.
    pub(crate) fn agrees(self, rule: usize, rules: &Rules) -> bool {
        match self {
            Outcome::Rule(number) => number == rule,
            Outcome::Admits(admits) => rules
                .rules
                .get(rule)
                .is_some_and(|rule| rule.admits == admits),
        }
    }
}

/// An engine with a policy in it.
pub(crate) trait Peer {
    /// What the engine takes a connection as.
    type Input<'f>;

    fn input<'f>(&self, facts: &'f Facts) -> Result<Self::Input<'f>, String>;

    fn decide(&mut self, input: &Self::Input<'_>) -> Result<Outcome, String>;
}

/// A peer, and connections that were converted for it.
pub(crate) trait Engine<'f> {
    /// Converts the connection, and decides it.
    fn decide(&mut self, facts: &Facts) -> Result<Outcome, String>;

    /// Converts connections, to be decided later by their places.
    fn prepare(&mut self, connections: &'f [Facts]) -> Result<(), String>;

    fn decide_prepared(&mut self, at: usize) -> Result<Outcome, String>;
}

struct Prepared<'f, P: Peer> {
    peer: P,
    inputs: Vec<P::Input<'f>>,
}

impl<'f, P: Peer> Engine<'f> for Prepared<'f, P> {
    fn decide(&mut self, facts: &Facts) -> Result<Outcome, String> {
        let input = self.peer.input(facts)?;
        self.peer.decide(&input)
    }

    fn prepare(&mut self, connections: &'f [Facts]) -> Result<(), String> {
        let inputs = connections.iter().map(|facts| self.peer.input(facts));
        self.inputs = inputs.collect::<Result<_, String>>()?;
        Ok(())
    }

    fn decide_prepared(&mut self, at: usize) -> Result<Outcome, String> {
        let input = self.inputs.get(at).ok_or("not prepared")?;
        self.peer.decide(input)
    }
}

/// Loads a policy whose text is ready: what is timed as loading.
pub(crate) type Load<'f> = Box<dyn Fn() -> Result<Box<dyn Engine<'f> + 'f>, String> + 'f>;

fn load<'f, P: Peer + 'f>(load: impl Fn() -> Result<P, String> + 'f) -> Load<'f> {
    Box::new(move || {
        let inputs = Vec::new();
        Ok(Box::new(Prepared {
            peer: load()?,
            inputs,
        }))
    })
}

/// What sort of engine it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The one that all others are compared with.
    Gw,
    /// Code for these rules and for nothing else.
    Plain,
    /// An engine with a language of its own.
    General,
}

/// An engine that is compared.
pub(crate) struct Candidate<'f> {
    pub(crate) name: &'static str,
    pub(crate) sort: Sort,
    /// Makes the engine's own text of the policy.
    pub(crate) translate: fn(&Subject<'_>) -> Result<Load<'f>, String>,
}

/// The policy that is compared: as gw reads it, and sorted.
pub(crate) struct Subject<'a> {
    pub(crate) files: &'a Files,
    pub(crate) rules: &'a Rules,
}

/// Every engine, gw first.
pub(crate) fn all<'f>() -> Vec<Candidate<'f>> {
    let candidate = |name, sort, translate| Candidate {
        name,
        sort,
        translate,
    };
    vec![
        candidate("gw", Sort::Gw, gw::translate),
        candidate("if-chain", Sort::Plain, chain::translate),
        candidate("linear scan", Sort::Plain, linear::translate),
        candidate("cel, list", Sort::General, cel::list),
        candidate("cel, ternary", Sort::General, cel::ternary),
        candidate("rego VM, else", Sort::General, rego::machine_else),
        candidate("rego VM, min", Sort::General, rego::machine_min),
        candidate("rego, else", Sort::General, rego::interpreter_else),
        candidate("cedar", Sort::General, cedar::translate),
        candidate("casbin", Sort::General, casbin::translate),
    ]
}
