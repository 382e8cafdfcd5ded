//! A policy as a diagram, asked of one connection at a time.

use crate::analysis::{Budget, Ground, Outcomes, OverBudget};
use crate::decide::Decision;
use crate::facts::Facts;
use crate::policy::Policy;

/// What a policy decides of all connections: what is proved of a policy is proved of this. It answers
/// as [`decide()`](crate::decide()) does, and by other means, so that one can be held against the
/// other.
#[derive(Clone, Debug)]
pub struct Diagram {
    ground: Ground,
    outcomes: Outcomes,
}

impl Diagram {
    /// Makes it; `nodes` is how many nodes that may take.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that is too few.
    ///
    /// # Examples
    ///
    /// ```
    /// let policy = gw::Policy::parse("door.policy", "gw-policy 1\ndefault → require-pairing\n")?;
    /// let diagram = gw::audit::Diagram::new(&policy, 1_000_000)?;
    /// let facts = gw::Facts::default();
    /// assert_eq!(diagram.decision(&facts), Some(gw::decide(policy.program(), &facts)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(policy: &Policy, nodes: usize) -> Result<Self, OverBudget> {
        let program = policy.program();
        let mut ground = Ground::new(&[program], &[], Budget::of(nodes))?;
        let outcomes = ground.outcomes(program)?;
        Ok(Diagram { ground, outcomes })
    }

    /// What is decided of a connection, trials left out. Nothing where no connection is so, unless
    /// the policy cannot tell it from one that is.
    #[must_use]
    pub fn decision(&self, facts: &Facts) -> Option<Decision> {
        let Ground { space, arena, .. } = &self.ground;
        let value = arena.value(self.outcomes.root, |var| space.class(var, facts));
        self.outcomes.decision(value).copied()
    }
}
