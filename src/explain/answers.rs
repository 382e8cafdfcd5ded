//! Answers to further questions about a connection, as text and as JSON: the ways to a verdict, why
//! a clause did not decide, what is possible where facts are not known.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::nearest::{clause_name, shown};
use super::possible::{Answer, Case, Limit, MOST_TOLD, Possible};
use super::step::{Hand, Step};
use super::text::{self, Style, line};
use super::ways::{Way, Ways};
use super::why_not::{Other, Standing, WhyNot};
use super::{ClauseAccount, Explanation};
use crate::decide::Decision;
use crate::facts::{AttributeId, ScopeSet};
use crate::policy::Policy;
use crate::verdict::{Verdict, VerdictKind, show_scopes};

/// How many ways are shown to people who did not ask for all.
const SHOWN: usize = 5;

/// What is decided as it is, in one line.
fn head(explanation: &Explanation) -> String {
    format!(
        "{} by {}, policy {}\n",
        explanation.decision.verdict,
        text::name(&explanation.by),
        explanation.policy
    )
}

fn decided(policy: &Policy, decision: &Decision) -> String {
    let law = decision
        .law
        .map_or_else(String::new, |law| match decision.verdict.admits() {
            true => String::new(),
            false => format!(" ({})", law.doc()),
        });
    format!(
        "{} by {}{law}",
        decision.verdict,
        clause_name(policy, decision.by)
    )
}

/// The ways to a verdict, as text.
#[must_use]
pub fn ways(
    explanation: &Explanation,
    policy: &Policy,
    to: &str,
    found: Option<&Ways>,
    style: Style,
) -> String {
    let mut out = format!("now: {}", head(explanation));
    let Some(found) = found else {
        let _ = writeln!(
            out,
            "to {to}: finding the ways takes more than is allowed for one connection"
        );
        return out;
    };
    if found.all.first().is_some_and(|way| way.steps.is_empty()) {
        let _ = writeln!(out, "to {to}: nothing has to change");
        return out;
    }
    if found.all.is_empty() {
        let _ = writeln!(
            out,
            "to {to}: nothing that is sent, approved or set leads there, only another policy"
        );
        return out;
    }
    let most = if style.all { found.all.len() } else { SHOWN };
    let count = match found.all.len() {
        1 => "one way".to_owned(),
        more => format!("{more} ways, the cheapest first"),
    };
    let _ = writeln!(out, "to {to}: {count}");
    for (at, way) in found.all.iter().take(most).enumerate() {
        match style.drawn {
            true => way_drawn(at + 1, way, policy, &mut out),
            false => way_told(at + 1, way, policy, &mut out),
        }
    }
    if let Some(more @ 1..) = found.all.len().checked_sub(most) {
        let _ = writeln!(out, "\n  {more} more, which cost more: --all shows them");
    }
    out
}

fn command(step: Step) -> &'static str {
    if step == Step::Approve {
        " (gw devices approve)"
    } else {
        ""
    }
}

fn way_drawn(at: usize, way: &Way, policy: &Policy, out: &mut String) {
    out.push('\n');
    let mut before: Option<Hand> = None;
    for (place, told) in way.steps.iter().enumerate() {
        let number = match place {
            0 => format!("{at}"),
            _ => String::new(),
        };
        let hand = match before == Some(told.hand()) {
            true => "",
            false => told.hand().name(),
        };
        before = Some(told.hand());
        let words = line(&told.words);
        let _ = writeln!(out, "  {number:<3}{hand:<7} {words}{}", command(told.step));
    }
    let _ = writeln!(out, "     facts   {}", line(&shown(way)));
    let _ = writeln!(out, "     then    {}", decided(policy, &way.decision));
}

fn way_told(at: usize, way: &Way, policy: &Policy, out: &mut String) {
    for told in &way.steps {
        let words = line(&told.words);
        let _ = writeln!(
            out,
            "way {at}: {}: {words}{}",
            told.hand(),
            command(told.step)
        );
    }
    let _ = writeln!(out, "way {at}: facts: {}", line(&shown(way)));
    let _ = writeln!(out, "way {at}: then: {}", decided(policy, &way.decision));
}

/// A way as JSON.
#[must_use]
pub fn way_json(policy: &Policy, way: &Way) -> Value {
    let steps = way
        .steps
        .iter()
        .map(|told| json!({ "step": told.step, "hand": told.hand(), "words": told.words }));
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "changes": way.changes.iter().map(|(id, from, to)| {
            json!({ "name": id.row().name, "from": from, "to": to })
        }).collect::<Vec<_>>(),
        "cost": way.cost,
        "then": decision_json(policy, &way.decision),
    })
}

fn decision_json(policy: &Policy, decision: &Decision) -> Value {
    json!({
        "verdict": decision.verdict.kind(),
        "reason": super::json::reason(decision.verdict),
        "by": policy.label(decision.by),
    })
}

/// The ways to a verdict as JSON.
#[must_use]
pub fn ways_json(policy: &Policy, to: &str, found: Option<&Ways>) -> Value {
    json!({
        "to": to,
        "ways": found.map(|found| {
            found.all.iter().map(|way| way_json(policy, way)).collect::<Vec<_>>()
        }),
    })
}

/// Why a clause did not decide, as text.
#[must_use]
pub fn why_not(explanation: &Explanation, found: &WhyNot, style: Style) -> String {
    let mut out = format!("now: {}", head(explanation));
    let clause = &found.clause;
    let name = text::short_name(clause);
    let _ = writeln!(out, "{name}: {}", standing(found, &name));
    let gap = if clause.terms.is_empty() { "" } else { "\n" };
    let _ = match style.drawn {
        true => write!(out, "\n  {}\n{gap}", clause.text),
        false => writeln!(out, "text: {}", clause.text),
    };
    terms(clause, style, &mut out);
    let mut say = |heading: &str, sentence: String| {
        let _ = match style.drawn {
            true => writeln!(out, "\n  {heading}\n    {sentence}"),
            false => writeln!(out, "{heading}: {sentence}"),
        };
    };
    let told = |other: &Other| {
        let (way, by) = (&other.way, &other.by);
        format!("{}: {} by {by}", line(&shown(way)), way.decision.verdict)
    };
    match (&found.held, found.standing) {
        (Some(held), _) => say(
            "had its conditions held, with the fewest changes",
            told(held),
        ),
        (None, Standing::Missed) => say(
            "had its conditions held",
            "that cannot be for a connection like this".to_owned(),
        ),
        (None, _) => {}
    }
    match &found.decided {
        Some(decided) => say("for it to decide, the fewest changes", told(decided)),
        None if found.standing != Standing::Decided
            && found.cap.is_none()
            && found
                .held
                .as_ref()
                .is_none_or(|held| held.way.decision.by != clause.id) =>
        {
            say(
                "for it to decide",
                "no connection that differs from this one comes to that".to_owned(),
            );
        }
        None => {}
    }
    out
}

fn standing(found: &WhyNot, name: &str) -> String {
    let failed = found.clause.terms.iter().filter(|term| !term.held).count();
    match found.standing {
        Standing::Decided => "it is what decides".to_owned(),
        Standing::Earlier => format!("its conditions hold, and {} comes before it", found.by),
        Standing::Restricted if found.by == name => {
            "it decides, and a law that no policy can lift changes its answer".to_owned()
        }
        Standing::Restricted => {
            format!(
                "its conditions hold, and {} restricts what is answered",
                found.by
            )
        }
        Standing::Default => format!("a rule above it holds: {} decides", found.by),
        Standing::Caps => format!(
            "its conditions hold, and it caps the answer to {}",
            show_scopes(found.cap.unwrap_or(ScopeSet::ANY))
        ),
        Standing::NothingToCap => format!(
            "its conditions hold, and there is nothing for it to cap: {} does not let this connection in",
            found.by
        ),
        Standing::Missed if found.clause.terms.len() == 1 => {
            "its condition does not hold".to_owned()
        }
        Standing::Missed => format!(
            "{failed} of its {} conditions {}",
            found.clause.terms.len(),
            if failed == 1 {
                "does not hold"
            } else {
                "do not hold"
            }
        ),
    }
}

fn terms(clause: &ClauseAccount, style: Style, out: &mut String) {
    let width = clause.terms.iter().map(|term| term.text.chars().count());
    let width = width.max().unwrap_or(0);
    for term in &clause.terms {
        let facts = term
            .settled_by
            .iter()
            .map(|(attribute, value)| format!("{} is {}", attribute.row().name, line(value)));
        let facts = facts.collect::<Vec<_>>().join(", ");
        let _ = match (style.drawn, term.held) {
            (true, true) => writeln!(out, "  ✓ {:<width$}  {facts}", term.text),
            (true, false) => writeln!(out, "  ✗ {:<width$}  {facts}", term.text),
            (false, true) => writeln!(out, "holds: {}: {facts}", term.text),
            (false, false) => writeln!(out, "does not hold: {}: {facts}", term.text),
        };
    }
}

/// Why a clause did not decide, as JSON.
#[must_use]
pub fn why_not_json(policy: &Policy, found: &WhyNot) -> Value {
    let other = |other: &Option<Other>| other.as_ref().map(|other| way_json(policy, &other.way));
    json!({
        "clause": super::json::clause(&found.clause),
        "standing": match found.standing {
            Standing::Decided => "decided",
            Standing::Earlier => "earlier",
            Standing::Restricted => "restricted",
            Standing::Missed => "missed",
            Standing::Default => "default",
            Standing::Caps => "caps",
            Standing::NothingToCap => "nothing-to-cap",
        },
        "by": policy.label(found.decision.by),
        "held": other(&found.held),
        "decided": other(&found.decided),
    })
}

/// What is possible where facts are not known, as text.
#[must_use]
pub fn possible(policy: &Policy, found: Option<&Possible>, style: Style) -> String {
    let mut out = String::new();
    let Some(found) = found else {
        let _ = writeln!(
            out,
            "what is possible takes more to find than is allowed for one connection"
        );
        return out;
    };
    let words = |told: fn(Verdict) -> String| {
        let mut words: Vec<String> = Vec::new();
        for answer in &found.answers {
            let word = told(answer.decision.verdict);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    };
    let mut kinds = words(|verdict| verdict.to_string());
    if kinds.len() > MOST_TOLD {
        kinds = words(|verdict| verdict.kind().to_string());
    }
    let head = match kinds.as_slice() {
        [only] => format!("{only}, whatever is not known"),
        _ => kinds.join(" or "),
    };
    let _ = writeln!(out, "{head}   policy {}", policy.digest());
    if style.drawn {
        out.push('\n');
    }
    match &found.cases {
        Some(cases) if found.answers.len() > 1 => {
            cases_table(policy, found, cases, style, &mut out)
        }
        Some(_) | None => answers_list(policy, found, style, &mut out),
    }
    let named = |matters: bool| {
        let some = found.unknown.iter().filter(|(_, it)| *it == matters);
        let names: Vec<&str> = some.map(|(id, _)| id.row().name).collect();
        names.join(", ")
    };
    let mut say = |heading: &str, names: String| {
        if !names.is_empty() {
            let _ = match style.drawn {
                true => writeln!(out, "  {heading:<13} {names}"),
                false => writeln!(out, "{heading}: {names}"),
            };
        }
    };
    if style.drawn {
        say("", String::new());
    }
    say("matters", named(true));
    say("does not", named(false));
    // Of several unknowns, how one is limited that makes no difference is no help.
    for limit in &found.limits {
        let is_it = |(id, matters): &(AttributeId, bool)| *id == limit.attribute && *matters;
        if found.unknown.len() == 1 || found.unknown.iter().any(is_it) {
            say("limited", limited(limit));
        }
    }
    out
}

/// What an unknown can be, and because of what.
fn limited(limit: &Limit) -> String {
    let by = limit.by.iter().map(|(id, value)| with(*id, &line(value)));
    let by: Vec<String> = by.collect();
    let by = match by.split_last() {
        Some((last, first @ [_, ..])) => format!("{} and {last}", first.join(", ")),
        _ => by.concat(),
    };
    format!("{}, because {by}", line(&limit.condition))
}

fn cases_table(policy: &Policy, found: &Possible, cases: &[Case], style: Style, out: &mut String) {
    // One of several conditions stands on a line of its own.
    let told = |case: &Case| -> Vec<String> {
        let mut all: Vec<String> = case.conditions.iter().map(|it| line(it)).collect();
        let last = all.len().saturating_sub(1);
        for condition in all.iter_mut().take(last) {
            condition.push_str(", or");
        }
        match all.is_empty() {
            true => vec!["otherwise".to_owned()],
            false => all,
        }
    };
    let all = cases.iter().flat_map(told);
    let width = all.map(|it| it.chars().count()).max().unwrap_or(0).min(60);
    for case in cases {
        let answers = case.answers.iter().filter_map(|at| found.answers.get(*at));
        let answers = together(policy, answers);
        let told = told(case);
        if !style.drawn {
            let _ = writeln!(out, "case: {}: {answers}", told.join(" "));
            continue;
        }
        let (last, first) = told
            .split_last()
            .map_or(("", &[][..]), |(last, first)| (&**last, first));
        for condition in first {
            let _ = writeln!(out, "  {condition}");
        }
        let _ = match last.chars().count() > width {
            false => writeln!(out, "  {last:<width$}  {answers}"),
            true => writeln!(out, "  {last}\n  {:<width$}  {answers}", ""),
        };
    }
    if style.drawn {
        out.push('\n');
    }
}

/// Several answers in one sentence: of one clause those of one kind together.
fn together<'a>(policy: &Policy, answers: impl Iterator<Item = &'a Answer>) -> String {
    let mut told: Vec<(Decision, bool)> = Vec::new();
    for answer in answers {
        let decision = answer.decision;
        let is_alike = |(known, _): &&mut (Decision, bool)| {
            known.by == decision.by && known.verdict.kind() == decision.verdict.kind()
        };
        match told.iter_mut().find(is_alike) {
            Some((_, several)) => *several = true,
            None => told.push((decision, false)),
        }
    }
    let sentences = told.iter().map(|(decision, several)| match several {
        true => format!(
            "{} by {}",
            decision.verdict.kind(),
            clause_name(policy, decision.by)
        ),
        false => decided(policy, decision),
    });
    sentences.collect::<Vec<_>>().join("; or ")
}

/// Each answer, with the fewest facts that lead to it.
fn answers_list(policy: &Policy, found: &Possible, style: Style, out: &mut String) {
    let mut shown: Vec<VerdictKind> = Vec::new();
    let is_long = found.answers.len() > MOST_TOLD;
    for answer in &found.answers {
        // Of many, the nearest of each kind.
        let kind = answer.decision.verdict.kind();
        if is_long && shown.contains(&kind) {
            continue;
        }
        shown.push(kind);
        let with: Vec<String> = answer
            .with
            .iter()
            .map(|(id, value)| with(*id, value))
            .collect();
        let told = decided(policy, &answer.decision);
        let when = match with.is_empty() {
            true if found.answers.len() == 1 => String::new(),
            true => "if nothing that is not known is unusual".to_owned(),
            false => format!("with {}", line(&with.join(", "))),
        };
        let _ = match (style.drawn, when.is_empty()) {
            (true, true) => writeln!(out, "  {told}"),
            (true, false) => writeln!(out, "  {told}\n    {when}"),
            (false, true) => writeln!(out, "possible: {told}"),
            (false, false) => writeln!(out, "possible: {told}: {when}"),
        };
    }
    if style.drawn {
        out.push('\n');
    }
}

fn with(id: AttributeId, value: &str) -> String {
    match value {
        "yes" => id.row().name.to_owned(),
        "no" => format!("not {}", id.row().name),
        value => format!("{}={value}", id.row().name),
    }
}

/// What is possible, as JSON.
#[must_use]
pub fn possible_json(policy: &Policy, found: Option<&Possible>) -> Value {
    let Some(found) = found else {
        return Value::Null;
    };
    json!({
        "answers": found.answers.iter().map(|answer| {
            json!({
                "then": decision_json(policy, &answer.decision),
                "with": answer.with.iter().map(|(id, value)| {
                    json!({ "name": id.row().name, "value": value })
                }).collect::<Vec<_>>(),
            })
        }).collect::<Vec<_>>(),
        "unknown": found.unknown.iter().map(|(id, matters)| {
            json!({ "name": id.row().name, "matters": matters })
        }).collect::<Vec<_>>(),
        "limits": found.limits.iter().map(|limit| {
            json!({
                "name": limit.attribute.row().name,
                "condition": limit.condition,
                "by": limit.by.iter().map(|(id, value)| {
                    json!({ "name": id.row().name, "value": value })
                }).collect::<Vec<_>>(),
            })
        }).collect::<Vec<_>>(),
        "cases": found.cases.as_ref().map(|cases| {
            cases.iter().map(|case| {
                json!({ "conditions": case.conditions, "answers": case.answers })
            }).collect::<Vec<_>>()
        }),
    })
}
