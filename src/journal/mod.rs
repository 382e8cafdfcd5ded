//! The log of decisions: a line of JSON for each connection that was decided, and for what
//! became of it.
//!
//! [`Kind`] is the table of lines. A [`Line`] is made of what an admission holds, and written by
//! [`Line::text`]; [`read`] takes a line back, with the facts as exactly as a policy sees them, so
//! that the same policy decides the same of them. No secret is in a line: there is none in what
//! lines are made of. Texts of clients are bounded, and characters that a terminal would act upon
//! are escaped.
//!
//! Files are not here: the server writes them, and `cli` reads them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod kept;
mod kind;
mod line;
mod made;
mod moment;
pub mod read;
#[cfg(test)]
mod tests;
mod visible;

pub use kept::Kept;
pub use kind::{Fault, Finish, Kind, Managed, Unfinished};
pub use line::{Answer, Line, Owner, PolicyName, Says, Upgraded, VERSION};
pub use made::{Connection, http_reason};
pub use moment::Moment;
pub use read::{Explained, LineError};
