//! `docs/attacks.md`: what each attack comes to, as the cases have it.

use std::collections::BTreeMap;

use crate::case::{Attack, Beside, Call, Case, Closed, Expect, Gw, Logged, Step};

const HEAD: &str = include_str!("page.md");

/// The page.
pub(crate) fn page(attacks: &[Attack]) -> String {
    let (rows, others): (Vec<&Attack>, Vec<&Attack>) =
        attacks.iter().partition(|attack| row(attack).is_some());
    let mut text = HEAD.to_owned();
    text.push_str("\n## The list of OpenClaw's gateways\n\n");
    text.push_str(&table(&rows));
    text.push_str("\n## Besides\n\n");
    text.push_str(&table(&others));
    text.push_str("\n## Where this gateway answers otherwise, and why\n\n");
    text.push_str("| attack | here | why |\n| --- | --- | --- |\n");
    for attack in attacks {
        if let Some(why) = &attack.why {
            let beside = match attack.beside {
                Beside::Stricter => "stricter",
                Beside::Alike | Beside::Otherwise => "otherwise",
            };
            text.push_str(&format!(
                "| {} | {beside} | {} |\n",
                link(attack),
                cell(why)
            ));
        }
    }
    text.push_str("\n## What the addresses stand for\n\n");
    let mut stands: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for attack in attacks {
        if let Some(said) = &attack.stands {
            stands.entry(said.trim()).or_default().push(link(attack));
        }
    }
    for (said, links) in stands {
        text.push_str(&format!("- {said}: {}\n", links.join(", ")));
    }
    text
}

/// The number of a row of the list.
pub(crate) fn row(attack: &Attack) -> Option<u32> {
    attack.name.strip_prefix('S')?.parse().ok()
}

fn table(attacks: &[&Attack]) -> String {
    let mut text = "| attack | the newest OpenClaw | case | here | decided by |\n\
                    | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for attack in attacks {
        let reports = match attack.reports.is_empty() {
            true => String::new(),
            false => format!(" ({})", attack.reports.join(", ")),
        };
        let mut head = format!("{} {}{reports}", link(attack), cell(&attack.attack));
        let mut newest = cell(&attack.newest);
        for case in &attack.cases {
            let (answers, places) = comes_to(case);
            let what = cell(&case.what);
            text.push_str(&format!(
                "| {head} | {newest} | {what} | {answers} | {places} |\n"
            ));
            head.clear();
            newest.clear();
        }
    }
    text
}

fn link(attack: &Attack) -> String {
    let name = &attack.name;
    format!("[{name}](../fixtures/attacks/{name}.yaml)")
}

fn cell(text: &str) -> String {
    text.trim().replace('\n', " ").replace('|', "\\|")
}

/// What the deciding steps of a case are answered, and where that is decided.
fn comes_to(case: &Case) -> (String, String) {
    let (mut answers, mut places): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for step in case.steps.iter().filter(|step| step.decides()) {
        let (answer, place) = match step {
            Step::Call(call) => (of_call(call), format!("`{}`", call.method)),
            Step::Closed(closed) => of_close(closed),
            Step::Gw(gw) => of_command(gw),
            Step::Dial(_)
            | Step::Connect(_)
            | Step::Knock(_)
            | Step::Send(_)
            | Step::Settings(_) => match step.expected() {
                Some(expect) => (of_attempt(expect), place(expect.log.as_ref())),
                None => continue,
            },
        };
        if answers.last() != Some(&answer) || places.last() != Some(&place) {
            answers.push(answer);
            places.push(place);
        }
    }
    places.dedup();
    (answers.join("; then "), places.join("; "))
}

fn of_call(call: &Call) -> String {
    match &call.fails {
        Some(message) => format!("fails: `{}`", cell(message)),
        None => "answered".to_owned(),
    }
}

fn of_close(closed: &Closed) -> (String, String) {
    let answer = format!("closed {} {}", closed.code, closed.reason);
    (answer.trim().to_owned(), place(closed.log.as_ref()))
}

fn of_command(gw: &Gw) -> (String, String) {
    let verb: Vec<&str> = gw
        .run
        .iter()
        .map(String::as_str)
        .take_while(|word| !word.starts_with(['-', '<']))
        .collect();
    let said = gw
        .says
        .first()
        .map(|said| format!("prints `{}`", cell(said)));
    let said = said.unwrap_or_else(|| "prints nothing that is hidden".to_owned());
    let answer = match gw.exits {
        0 => said,
        code => format!("exit {code}, {said}"),
    };
    (answer, format!("`gw {}`", verb.join(" ")))
}

fn of_attempt(expect: &Expect) -> String {
    if let Some(scopes) = &expect.admitted {
        let token = match expect.token.as_ref().is_some_and(Vec::is_empty) {
            true => ", and no device token",
            false => "",
        };
        return match scopes.is_empty() {
            true => format!("let in without scopes{token}"),
            false => format!("let in with {}{token}", scopes.join(", ")),
        };
    }
    if let Some(reason) = &expect.asked {
        return format!("asked: {reason}");
    }
    if let Some(code) = &expect.refused {
        return format!("refused: `{code}`");
    }
    if let Some(status) = expect.http {
        return format!("HTTP {status}");
    }
    format!("closed {}", expect.closed.unwrap_or_default())
}

fn place(log: Option<&Logged>) -> String {
    let Some(log) = log else {
        return "plain HTTP".to_owned();
    };
    let reason = log.reason.as_deref().unwrap_or_default();
    match (&log.by, &log.law, log.kind.as_deref()) {
        (Some(by), Some(law), _) => format!("{}, law `{law}`", line(by)),
        (Some(by), None, _) => line(by),
        (None, _, Some("frame-refused" | "closed-before-connect")) => format!("wire: `{reason}`"),
        (None, _, Some("upgrade-refused")) => format!("limit: `{reason}`"),
        (None, _, Some("session-ended")) => format!("session: `{reason}`"),
        (None, _, Some(_) | None) => format!("`{reason}`"),
    }
}

/// A line of a policy: its label, or its place.
fn line(by: &str) -> String {
    match by.contains(':') {
        true => format!("`{by}`"),
        false => format!("`[{by}]`"),
    }
}
