//! Whether two policies mean the same.

use super::diagram::{Budget, Id, OverBudget};
use super::ground::Ground;
use crate::compile::Program;
use crate::lang::checked::Checked;

/// Whether two policies answer every connection alike, over one ground that tells apart what either
/// does. Prose for operators, names and trials do not count.
pub(crate) fn are_alike(
    policies: [(&Checked, &Program); 2],
    budget: Budget,
) -> Result<bool, OverBudget> {
    let mut ground = Ground::new(&policies.map(|(_, program)| program), &[], budget)?;
    let [one, other] = policies;
    let (_, one) = ground.meaning(one.1, one.0)?;
    let (_, other) = ground.meaning(other.1, other.0)?;
    let differs = ground
        .arena
        .combined(one.root, other.root, &mut |a: u32, b: u32| {
            u32::from(one.answer(a) != other.answer(b))
        })?;
    Ok(differs == Id::NO)
}
