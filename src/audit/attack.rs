//! All attackers of the table, and a policy.

use crate::analysis::attacker::{Intruder, Siege};
use crate::analysis::{Budget, OverBudget};
use crate::compile::Lone;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::verdict::Verdict;

/// A policy, ready to be attacked by everybody whom `docs/trust.md` names.
#[derive(Clone, Debug)]
pub struct Attack {
    siege: Siege,
    names: Vec<String>,
    /// The connections of each.
    own: Vec<Lone>,
}

/// How far an attacker gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attacked {
    /// Who, as `gw prove --attacker` takes it: `lan-host`, `stolen-token+lan-host`.
    pub attacker: String,
    /// The verdict that they get at most; nothing where no connection is theirs.
    pub verdict: Option<Verdict>,
}

impl Attack {
    /// Makes ready; `nodes` is how many nodes that may take.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that is too few.
    ///
    /// # Examples
    ///
    /// ```
    /// let policy = gw::Policy::parse("door.policy", "gw-policy 1\ndefault → require-pairing\n")?;
    /// let attacked = gw::audit::Attack::new(&policy, 1_000_000)?.attacked()?;
    /// let is_in = |it: &gw::audit::Attacked| it.verdict.is_some_and(|it| it.admits());
    /// assert!(!attacked.iter().any(is_in));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(policy: &Policy, nodes: usize) -> Result<Self, OverBudget> {
        let budget = Budget::of(nodes);
        let everybody = Intruder::everybody().into_iter();
        let all: Vec<Intruder> = everybody.flat_map(|(_, own)| own).collect();
        Ok(Attack {
            siege: Siege::new(policy.program(), &all, budget)?,
            own: all.iter().map(Intruder::lone).collect(),
            names: all.into_iter().map(|it| it.name).collect(),
        })
    }

    /// Who of them can make a connection of these facts: none gets it further than
    /// [`attacked`](Self::attacked) says.
    pub fn who_could<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = &'a str> {
        let all = self.names.iter().zip(&self.own);
        all.filter(|(_, own)| own.holds(facts))
            .map(|(name, _)| name.as_str())
    }

    /// How far each of them gets.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that takes more nodes than are allowed.
    pub fn attacked(mut self) -> Result<Vec<Attacked>, OverBudget> {
        let reached = self.siege.reaches()?.into_iter();
        let found = self.names.into_iter().zip(reached);
        let found = found.map(|(attacker, reach)| Attacked {
            attacker,
            verdict: reach.map(|it| it.decision.verdict),
        });
        Ok(found.collect())
    }
}
