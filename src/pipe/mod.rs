//! What goes over one connection, both ways, in few calls of the system and without memory that
//! outlasts it: bytes ([`Buffered`]), and the messages of a WebSocket in them ([`split`]).
//!
//! Where connections come from and what messages mean is not here.

mod buffered;
mod halves;

pub(crate) use buffered::{Buffered, Hold, Queue};
pub(crate) use halves::{Receiver, Sender, Shared, split};
