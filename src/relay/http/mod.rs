//! HTTP beside the WebSocket: which requests go to the upstream ([`Paths`]), what of their heads
//! does, and how the answer comes back. Who may ask is not known here, and nobody is logged in:
//! what the upstream gives to anybody is given.

mod fetch;
mod head;
mod pace;
mod paths;

pub use fetch::{FromBehind, NoAnswer};
pub use head::Stays;
pub(crate) use head::has_one_host;
pub use pace::{Pace, Paced};
pub use paths::{CONTROL_UI, NoRule, OddPath, Passage, Path, Paths};
