//! A server behind the gateway: for each client that is admitted one connection to it.
//!
//! [`Upstream::open`] comes in there as the client, with what the policy granted it and with a
//! device of its own ([`Root`]), and gives a [`Link`]. What passes over it unread, what stays here
//! ([`route`]) and what is called otherwise there ([`Names`]) is known here; who may come in, and
//! the client's own connection, are not.
//!
//! [`http`] asks it for pages and their parts, as nobody in particular.
//!
//! Where any WebSocket server is behind, [`Upstream::pass`] sends it the client's own request
//! ([`Head`]), with who the client is ([`Told`]) in place of what only the gateway is to know.

mod connect;
mod device;
mod error;
mod head;
pub mod http;
mod link;
mod names;
mod pass;
pub mod route;
mod upstream;

pub use connect::Granted;
pub use device::{Root, Who};
pub use error::NoLink;
pub use head::{Head, HeadError, Told};
pub use link::{Came, FromUpstream, Gone, Link, ToUpstream};
pub use names::Names;
pub use pass::Passed;
pub use upstream::{Kind, Login, Open, Options, Trouble, Upstream};
