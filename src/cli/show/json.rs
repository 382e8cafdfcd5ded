//! A policy as one JSON document: its clauses, and what each of them decides.

use serde_json::{Value, json};

use super::sheet::{Decided, Sheet, Shown};
use crate::cli::share::rounded;

/// The sheet as JSON.
pub(super) fn json(sheet: &Sheet) -> Value {
    let kinds = sheet.kinds.iter();
    let kinds = kinds.map(|(kind, share)| (kind.name().to_owned(), json!(rounded(*share))));
    json!({
        "policy": sheet.policy,
        "fingerprint": sheet.fingerprint,
        "shares": Value::Object(kinds.collect()),
        "clauses": sheet.clauses.iter().map(|it| clause(sheet, it)).collect::<Vec<_>>(),
    })
}

fn clause(sheet: &Sheet, clause: &Shown) -> Value {
    json!({
        "part": clause.part.title().to_lowercase(),
        "clause": clause.name,
        "place": clause.place,
        "condition": clause.condition,
        "because": clause.because,
        "onTrial": clause.on_trial,
        "decides": clause.decides.iter().map(|it| decided(sheet, it)).collect::<Vec<_>>(),
    })
}

fn decided(sheet: &Sheet, decided: &Decided) -> Value {
    let rows = decided.rows.iter().map(|row| {
        json!({
            "when": row.when,
            "share": rounded(row.share),
            "example": sheet.see(row),
        })
    });
    json!({
        "verdict": decided.verdict,
        "law": decided.law.map(|law| law.name()),
        "share": rounded(decided.share),
        "regions": rows.collect::<Vec<_>>(),
        "more": decided.more,
        "isCut": decided.is_cut,
    })
}
