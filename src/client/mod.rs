//! Our own tools as clients: where a gateway is, whom they trust, how they come in, and what they
//! ask it then.
//!
//! [`Door::open`] connects to a [`Target`] and speaks HTTP; [`Door::knock`] answers the challenge
//! and gives a [`Session`], or says why there is none. Each wait has an end ([`Patience`]). Files
//! and the terminal are not here: keys and secrets are passed in.

mod device;
mod dial;
mod door;
mod error;
mod knock;
mod messages;
mod refusal;
mod session;
mod target;
pub mod tls;

pub use device::Device;
pub(crate) use dial::{Bytes, Wire, dial, speaks_tls};
pub use dial::{Patience, Reached};
pub use door::{Asked, Door, Step};
pub use error::{ClientError, Waited};
pub use knock::Knock;
pub use refusal::Refusal;
pub use session::{Event, Session};
pub use target::{NoTarget, Target};

#[cfg(test)]
mod tests;
