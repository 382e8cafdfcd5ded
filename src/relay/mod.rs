//! A server behind the gateway: for each client that is admitted one connection to it.
//!
//! [`Upstream::open`] comes in there as the client, with what the policy granted it and with a
//! device of its own ([`Root`]), and gives a [`Link`]. What passes over it unread, what stays here
//! ([`route`]) and what is called otherwise there ([`Names`]) is known here; who may come in, and
//! the client's own connection, are not.
//!
//! [`http`] asks it for pages and their parts, as nobody in particular.

mod connect;
mod device;
mod error;
pub mod http;
mod link;
mod names;
pub mod route;
mod upstream;

pub use connect::Granted;
pub use device::{Root, Who};
pub use error::NoLink;
pub use link::{Came, FromUpstream, Gone, Link, ToUpstream};
pub use names::Names;
pub use upstream::{Kind, Login, Open, Options, Trouble, Upstream};
