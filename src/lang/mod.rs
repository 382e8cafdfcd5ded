//! The policy language: text → [`ast`] → [`checked`], with every error found on the way.
//!
//! Deciding is not here: [`crate::compile`] and [`mod@crate::decide`] take over from
//! [`checked::Checked`]. Reading files is not here either: [`files`] asks its caller.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod alone;
pub mod ast;
pub mod check;
pub mod checked;
pub mod files;
pub mod format;
mod grammar;
pub mod lines;
mod mistake;
pub mod parse;
pub mod tokens;

/// Words that begin a statement.
const KEYWORDS: [&str; 12] = [
    "always",
    "default",
    "define",
    "extends",
    "guard",
    "gw-policy",
    "include",
    "never",
    "relax",
    "set",
    "test",
    "trial",
];

pub use checked::Checked;
pub use files::{Read, ReadError, load};
pub use format::format;
pub(crate) use format::one_line;
