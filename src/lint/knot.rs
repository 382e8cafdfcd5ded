//! Denials of a denial, which read as their opposite.

use super::View;
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic, Edit, Effect, Severity};
use crate::lang::ast::visit::{Visit, visit};
use crate::lang::ast::{Expression, ExpressionKind, Operator};
use crate::lang::one_line;
use crate::source::Span;

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let sources = view.policy.sources();
    let mut found = Vec::new();
    for statement in &view.wording.ast.statements {
        visit(statement, &mut |it| match it {
            Visit::Denial(whole, inner) => {
                let Some(edits) = plain(whole, inner) else {
                    return;
                };
                let span = whole.span.0;
                let said = one_line(sources.slice(span));
                let meant = one_line(&meant(sources.slice(span), span, &edits));
                found.push(
                    Diagnostic::error(Code::NegationKnot, "this denies a denial")
                        .with_severity(Severity::Warning)
                        .label(span, "read it aloud")
                        .help(format!("write `{meant}`, which is the same"))
                        .fix(
                            Effect::Keeps,
                            format!("write `{meant}` for `{said}`"),
                            edits,
                        ),
                );
            }
            Visit::Name(_) | Visit::Values(_) => {}
        });
    }
    Ok(found)
}

/// The edits that say the same without a denial.
fn plain(whole: &Expression, inner: &Expression) -> Option<Vec<Edit>> {
    let cut = |from: Span, to: u32| Edit {
        span: Span { end: to, ..from },
        text: String::new(),
    };
    let mut denied = inner;
    while let ExpressionKind::Group(inside) = &denied.kind {
        denied = inside;
    }
    let (start, end) = (whole.span.0, whole.span.0.end);
    let behind = denied.span.0.after();
    match &denied.kind {
        ExpressionKind::Not(kept) => {
            let kept = kept.span.0;
            Some(vec![cut(start, kept.start), cut(kept.after(), end)])
        }
        ExpressionKind::Compare { operator, .. } => {
            let text = match operator.value {
                Operator::NotEqual => "=",
                Operator::NotIn => "in",
                Operator::Equal | Operator::In | Operator::Includes | Operator::Within => {
                    return None;
                }
            };
            let positive = Edit {
                span: operator.span,
                text: text.to_owned(),
            };
            let before = cut(start, denied.span.0.start);
            Some(vec![before, positive, cut(behind, end)])
        }
        ExpressionKind::All(_)
        | ExpressionKind::Any(_)
        | ExpressionKind::Group(_)
        | ExpressionKind::Bare(_) => None,
    }
}

/// What stands there after the edits.
fn meant(text: &str, whole: Span, edits: &[Edit]) -> String {
    let mut said = String::new();
    let mut from = whole.start;
    let slice = |from: u32, to: u32| {
        let place = |at: u32| (at - whole.start) as usize;
        text.get(place(from)..place(to)).unwrap_or("")
    };
    for edit in edits {
        said.push_str(slice(from, edit.span.start));
        said.push_str(&edit.text);
        from = edit.span.end;
    }
    said + slice(from, whole.end)
}
