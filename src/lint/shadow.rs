//! Rules that are never the first to match.

use super::{View, share, verdict};
use crate::analysis::{Id, OverBudget, Way};
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::source::Span;

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for (_, id, clause) in view.own_rules() {
        if view.told.contains(&id) {
            continue;
        }
        let own = view.first(id)?;
        if view.ground.is_possible(own)? {
            continue;
        }
        view.told.push(id);
        let holding = view.holding(id)?;
        let taken = view.ground.first(view.clauses.way, holding)?;
        let shares = view.ground.arena.shares(taken);
        let mut takers: Vec<(u32, f64)> = shares
            .into_iter()
            .filter(|(rule, _)| *rule < id.0)
            .collect();
        let whole: f64 = takers.iter().map(|(_, part)| part).sum();
        takers.sort_by(|one, other| other.1.total_cmp(&one.1));
        let same = takers
            .iter()
            .all(|(rule, _)| view.answer(*rule) == clause.answer);
        let by_name: Vec<String> = takers.iter().map(|(rule, _)| view.name(*rule)).collect();
        let (code, severity) = match same {
            true => (Code::CoveredRule, Severity::Warning),
            false => (Code::ShadowedRule, Severity::Error),
        };
        let told = match same {
            true => "with the same verdict",
            false => "before it is asked",
        };
        let message = format!("this rule decides nothing: others decide all of it {told}");
        let mut diagnostic = Diagnostic::error(code, message)
            .with_severity(severity)
            .label(clause.head, "never the first to match");
        // Those with another verdict are what matters, then those that take most.
        let mut shown: Vec<&(u32, f64)> = takers.iter().collect();
        shown.sort_by_key(|(rule, _)| view.answer(*rule) == clause.answer);
        for (rule, part) in shown.into_iter().take(2) {
            let answers = verdict(view.answer(*rule));
            let text = format!("takes {} of it: {answers}", share(*part, whole));
            diagnostic = diagnostic.label(head(view, *rule), text);
        }
        if by_name.len() > 2 {
            diagnostic = diagnostic.help(format!("it is decided by {}", by_name.join(", ")));
        }
        let mut delete = "delete it, which changes nothing";
        let mut moving = None;
        if !same && let Some(above) = first_of(&takers) {
            let flips = moved(view, id.0, above)?;
            diagnostic = diagnostic.help(format!("move it above {}{flips}", view.name(above)));
            delete = "or delete it, which changes nothing: `--fix` leaves that to you, for it was to \
                      answer otherwise";
            let edits = view
                .wording
                .moved_above(clause.span, view.clause(above).span);
            let says = format!("move {} above {}", view.name(id.0), view.name(above));
            moving = Some((says, edits));
        }
        diagnostic = diagnostic.help(delete);
        if let Some(example) = view.example(holding) {
            diagnostic = diagnostic.help(example);
        }
        // What says something else than those before it was meant to be asked: which of the two it
        // should be is its author's to say.
        if same {
            diagnostic = view.deleted(diagnostic, id);
        }
        if let Some((says, edits)) = moving {
            diagnostic = diagnostic.fix(Effect::Changes, says, edits);
        }
        found.push(diagnostic);
    }
    Ok(found)
}

/// The one that stands first.
fn first_of(takers: &[(u32, f64)]) -> Option<u32> {
    takers.iter().map(|(rule, _)| *rule).min()
}

fn head(view: &View<'_>, rule: u32) -> Span {
    view.clause(rule).head
}

/// What changes when a rule is moved above another one: whose verdicts, of all that it decides then.
fn moved(view: &mut View<'_>, id: u32, above: u32) -> Result<String, OverBudget> {
    let holding = view.holding(crate::compile::ClauseId(id))?;
    // Those before the other one go on deciding.
    let region = view.first_in(holding, |rule| rule >= above)?;
    let rules = Id::value(id);
    let way = view.clauses.way;
    let otherwise = view.otherwise(Way { rules, ..way }, region)?;
    let Some(facts) = view.ground.witness(otherwise.differs, |value| value == 1) else {
        return Ok(", which changes nothing".to_owned());
    };
    let before = crate::decide::decide(view.program, &facts).verdict;
    let vector = view.ground.vector(&facts);
    let class = |var: u8| vector.get(usize::from(var)).copied().unwrap_or_default();
    let after = view.ground.arena.value(otherwise.other.root, class);
    let after = otherwise.other.decision(after);
    let after = after.map_or_else(String::new, |it| it.verdict.to_string());
    Ok(format!(
        ": {before} becomes {after}, as for{}",
        view.ground.told(&facts)
    ))
}
