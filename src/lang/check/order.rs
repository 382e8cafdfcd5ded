//! Order: which statement may stand where in a file.

use super::Checker;
use crate::diagnostic::{Code, Diagnostic};
use crate::lang::ast::{Ast, ClauseRole, StatementKind};
use crate::source::Span;

impl Checker {
    /// What must stand where: the edition first, `extends` before what answers, one default,
    /// and no rule below it.
    pub(super) fn order(&mut self, ast: &Ast, extending: bool) {
        let mut default: Option<Span> = None;
        let mut extends: Option<Span> = None;
        let mut answers = false;
        for (index, statement) in ast.statements.iter().enumerate() {
            let span = statement.span.0;
            match &statement.kind {
                StatementKind::Edition(_) if index > 0 => self.late_edition(span),
                StatementKind::Extends(_) => {
                    if let Some(first) = extends {
                        self.report(
                            Diagnostic::error(
                                Code::MisplacedStatement,
                                "a file extends one other file",
                            )
                            .label(span, "the second one")
                            .label(first, "the first one")
                            .help("extend one file, and `include` vocabulary from others"),
                        );
                    } else if answers {
                        self.report(
                            Diagnostic::error(
                                Code::MisplacedStatement,
                                "`extends` stands before guards, rules, claims and tests",
                            )
                            .label(span, "below one of them")
                            .help("move it to the top, under the edition"),
                        );
                    }
                    extends = extends.or(Some(span));
                }
                StatementKind::Clause(clause) => {
                    answers = true;
                    match (&clause.role, default) {
                        (ClauseRole::Default, Some(first)) => self.report(
                            Diagnostic::error(Code::MisplacedStatement, "a policy has one default")
                                .label(span, "the second one")
                                .label(first, "the first one")
                                .help("remove one of them"),
                        ),
                        (ClauseRole::Default, None) if extending => self.report(
                            Diagnostic::error(Code::MisplacedStatement, "the default of the extended file serves here")
                                .label(span, "a second default")
                                .help("remove it; to refuse more, write a guard; to decide more, write rules"),
                        ),
                        (ClauseRole::Default, None) => default = Some(span),
                        (ClauseRole::Rule | ClauseRole::Trial, Some(default)) => self.report(
                            Diagnostic::error(Code::MisplacedStatement, "a rule below the default decides nothing")
                                .label(span, "never reached")
                                .label(default, "decides everything that is left")
                                .help("move the rule above the default"),
                        ),
                        (ClauseRole::Rule | ClauseRole::Trial | ClauseRole::Guard(_), _) => {}
                    }
                }
                StatementKind::Claim { .. }
                | StatementKind::Relax { .. }
                | StatementKind::Test { .. } => {
                    answers = true;
                }
                StatementKind::Edition(_)
                | StatementKind::Include(_)
                | StatementKind::Set { .. }
                | StatementKind::Define { .. } => {}
            }
        }
    }
}
