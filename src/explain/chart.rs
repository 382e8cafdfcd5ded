//! The chart of a policy: its diagram, made once for all that is asked about connections, however
//! many there are.

use std::cell::OnceCell;

use crate::analysis::{Budget, Ground, Outcomes, OverBudget};
use crate::facts::assumptions::Assumption;
use crate::policy::Policy;

/// What may be looked at of a policy for one connection: some tens of megabytes, some tens of
/// milliseconds.
pub(super) const BUDGET: Budget = Budget {
    nodes: 200_000,
    steps: 1_000_000,
};

/// A policy with its diagram, which is made when it is first asked for.
#[derive(Debug)]
pub struct Chart<'a> {
    policy: &'a Policy,
    /// Where every assumption holds; nothing where that takes more than it may.
    drawn: OnceCell<Option<(Ground, Outcomes)>>,
}

impl<'a> Chart<'a> {
    /// The chart of a policy.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        Chart {
            policy,
            drawn: OnceCell::new(),
        }
    }

    /// What it is the chart of.
    #[must_use]
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// A copy to ask about one connection. What was found together under the constants of a release
    /// may break assumptions: those are excused, which takes a diagram of its own.
    pub(super) fn copy(&self, excused: &[&str]) -> Result<(Ground, Outcomes), OverBudget> {
        let draw = || {
            let kept = |assumption: &Assumption| !excused.contains(&assumption.says);
            let program = self.policy.program();
            let mut ground = Ground::excusing(&[program], BUDGET, &kept)?;
            let outcomes = ground.outcomes(program)?;
            Ok((ground, outcomes))
        };
        match excused {
            [] => self
                .drawn
                .get_or_init(|| draw().ok())
                .clone()
                .ok_or(OverBudget),
            _ => draw(),
        }
    }
}
