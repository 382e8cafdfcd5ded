//! A policy under review, for a program that puts policies into use: how far attackers get under it,
//! and whether it lets in more than the one before it. Each is exact, over all connections, and is
//! read off a diagram, which can be asked itself.
//!
//! What `gw check-policy --trust` and `gw diff` print is made of the same.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod attack;
mod comparison;
mod diagram;

pub use attack::{Attack, Attacked};
pub use comparison::Comparison;
pub use diagram::Diagram;

pub use crate::analysis::{Direction, OverBudget};
