//! Two policies, the one before and the one after.

use crate::analysis::{Both, Budget, Direction, OverBudget};
use crate::policy::Policy;

/// Two policies, ready to be compared.
#[derive(Clone, Debug)]
pub struct Comparison(Both);

impl Comparison {
    /// Makes ready; `nodes` is how many nodes that, and the comparison, may take.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that is too few.
    ///
    /// # Examples
    ///
    /// ```
    /// let old = gw::Policy::parse("old.policy", "gw-policy 1\ndefault → require-pairing\n")?;
    /// let new = gw::Policy::parse("new.policy", "gw-policy 1\n\
    ///     auth=token and loopback → approve\ndefault → require-pairing\n")?;
    /// let direction = gw::audit::Comparison::new(&old, &new, 1_000_000)?.direction()?;
    /// assert!(direction.wider && !direction.narrower);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(old: &Policy, new: &Policy, nodes: usize) -> Result<Self, OverBudget> {
        let budget = Budget {
            nodes,
            steps: nodes.saturating_mul(100),
        };
        Both::new(old.side(), new.side(), budget).map(Comparison)
    }

    /// In which ways the new one is more than the old one, or less.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that takes more nodes than are allowed.
    pub fn direction(self) -> Result<Direction, OverBudget> {
        Ok(self.0.difference()?.direction())
    }
}
