//! The layout of a policy: spacing only, and the same when it is laid out again.

use gw::diagnostic::render::{Format, render};
use gw::lang::ast::Ast;
use gw::lang::format;
use gw::lang::parse::parse;
use gw::lang::tokens::{TokenKind, tokens};
use gw::source::{Source, Sources};

/// The tree of a text.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn tree(text: &str) -> Result<Ast, String> {
    let source = Source::new("x.policy", text);
    let mut sources = Sources::default();
    let id = sources.add(source.clone());
    let (ast, diagnostics) = parse(id, &source);
    if diagnostics.is_empty() {
        Ok(ast)
    } else {
        Err(render(
            &diagnostics,
            &sources,
            Format::Human { colour: false },
        ))
    }
}

fn comments(text: &str) -> Vec<&str> {
    let mut comments: Vec<&str> = tokens(text)
        .into_iter()
        .filter(|token| token.kind == TokenKind::Comment)
        .map(|token| token.text.trim_end())
        .collect();
    comments.sort_unstable();
    comments
}

/// Lays a text out: the tree and the comments stay, and a second time changes nothing.
///
/// # Errors
///
/// What changed, or why it cannot be read.
pub(crate) fn laid_out(text: &str) -> Result<String, String> {
    let once = format(text);
    let before = tree(text)?;
    let after =
        tree(&once).map_err(|error| format!("laid out, it does not parse:\n{once}\n{error}"))?;
    if before != after {
        return Err(format!("laid out, it says something else:\n{once}"));
    }
    if comments(text) != comments(&once) {
        return Err(format!("a comment was changed:\n{once}"));
    }
    let twice = format(&once);
    if once != twice {
        return Err(format!(
            "laid out twice, it changes again:\n{once}\n--\n{twice}"
        ));
    }
    Ok(once)
}
