//! `gw explain --log-line`: what a line of an OpenClaw gateway's log means, and what a policy says to
//! a connection like that.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::fact::{NamedFacts, Problem};
use super::load;
use crate::claims;
use crate::diagnostic::{Code, Diagnostic};
use crate::explain::chart::Chart;
use crate::explain::open::Open;
use crate::explain::text::Style;
use crate::explain::{Explanation, Subject, answers, explain, nearest, possible};
use crate::facts::{AttributeId, Facts};
use crate::lang::check::settle;
use crate::lang::checked::NamedFact;
use crate::logline::{self, KINDS, Told};
use crate::policy::Policy;
use crate::source::{Sources, Span, printable_line, shell_file, shell_word};

/// How many connections of a pasted text are told of.
const MOST: usize = 8;

/// What a line says, and what comes of it.
pub(super) struct Account {
    told: Told,
    explanation: Explanation,
    possible: Option<possible::Possible>,
    /// Facts that were said beside the line.
    ask_on: String,
    facts: Facts,
}

/// Reads what was pasted; `-` reads standard input.
pub(super) fn read(text: &str) -> Result<Vec<Told>, Problem> {
    let problem = |diagnostic| (Box::new(diagnostic), Sources::default());
    let text = match text {
        "-" => load::read("-", load::MAX_HANDSHAKE_BYTES)
            .map_err(|error| problem(load::unreadable("-", &error)))?,
        text => text.to_owned(),
    };
    let told = logline::read(&text);
    if !told.is_empty() {
        return Ok(told);
    }
    if let Some(connection) = own(&text) {
        let message = "this is a line of gw's own log, which has all facts of its connection";
        return Err(problem(
            Diagnostic::error(Code::InvalidFact, message)
                .help(format!("ask for it: gw explain --connection {connection}")),
        ));
    }
    // The line is not shown: it may hold a secret.
    let message = match text.trim().is_empty() {
        true => "there is no line",
        false => "this is no line that an OpenClaw gateway writes about a connection",
    };
    let markers: Vec<String> = KINDS
        .iter()
        .filter(|kind| !kind.marker.is_empty())
        .map(|kind| format!("`{}`", kind.marker))
        .collect();
    Err(problem(
        Diagnostic::error(Code::InvalidFact, message)
            .help(format!("lines are known by {}", markers.join(", ")))
            .help("and by the words of a refusal: `pairing required`, `gateway token mismatch`, `device identity required`, `origin not allowed`"),
    ))
}

/// The connection of a line of our own log.
fn own(text: &str) -> Option<String> {
    let line: Value = serde_json::from_str(text.lines().next()?).ok()?;
    line.get("gw-log")?;
    let connection = line.get("connection")?.as_str()?;
    Some(shell_word(&printable_line(connection)))
}

/// What a policy says to each connection that was told of, and how many it was not asked about.
pub(super) fn accounts(
    all: Vec<Told>,
    chart: &Chart<'_>,
    named: &NamedFacts,
) -> Result<(Vec<Account>, usize), Problem> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut left = all.into_iter();
    while accounts.len() < MOST
        && let Some(told) = left.next()
    {
        let account = account(told, chart, named)?;
        let same = |known: &Account| {
            known.facts == account.facts && known.told.unknown == account.told.unknown
        };
        if !accounts.iter().any(same) {
            accounts.push(account);
        }
    }
    Ok((accounts, left.len()))
}

fn account(mut told: Told, chart: &Chart<'_>, named: &NamedFacts) -> Result<Account, Problem> {
    let given = |id: AttributeId| named.facts.iter().any(|fact| fact.attribute == id);
    let dismissed = |id: AttributeId| named.unknown.contains(&id);
    // What is said beside the line counts for more.
    told.known
        .retain(|known| !given(known.attribute) && !dismissed(known.attribute));
    told.unknown.retain(|id| !given(*id));
    told.likely.retain(|likely| !given(likely.attribute));
    for id in &named.unknown {
        if !told.unknown.contains(id) {
            told.unknown.push(*id);
        }
    }
    let of_line = told.known.iter().map(|known| NamedFact {
        attribute: known.attribute,
        value: known.value.clone(),
        span: Span::default(),
    });
    let facts: Vec<NamedFact> = named.facts.iter().cloned().chain(of_line).collect();
    let contradictory = |mut diagnostic: Box<Diagnostic>| {
        diagnostic.labels.clear();
        (diagnostic, named.sources.clone())
    };
    let (_, names) = settle(Facts::default(), &facts).map_err(contradictory)?;
    let likely = told.likely.iter().map(|known| NamedFact {
        attribute: known.attribute,
        value: known.value.clone(),
        span: Span::default(),
    });
    let facts: Vec<NamedFact> = facts.iter().cloned().chain(likely).collect();
    let (facts, _) = settle(Facts::default(), &facts).map_err(contradictory)?;
    let mut subject = Subject::of_facts(&facts);
    subject.approved_scopes.clone_from(&told.approved_scopes);
    subject.approved_roles.clone_from(&told.approved_roles);
    subject.device.clone_from(&told.device);
    let mut explanation = explain(chart.policy(), &facts, &subject);
    nearest::look(&mut explanation, chart, &facts, &subject);
    let known: Vec<AttributeId> = AttributeId::all()
        .filter(|id| names.has(id.row().name))
        .collect();
    let possible = possible::possible(
        chart,
        &facts,
        &Open {
            unknown: &told.unknown,
            given: &known,
            is_seen: false,
        },
    );
    let likely = told.likely.iter().map(|likely| likely.attribute);
    let likely = likely.filter(|id| !told.unknown.contains(id) && !known.contains(id));
    let flags = known.iter().copied().chain(likely);
    let flags = flags.map(|id| claims::fact(id, &facts));
    let open = told
        .unknown
        .iter()
        .map(|id| format!("'{}=?'", id.row().name));
    let ask_on = flags
        .chain(open)
        .map(|flag| format!(" --fact {flag}"))
        .collect();
    Ok(Account {
        told,
        explanation,
        possible,
        ask_on,
        facts,
    })
}

impl Account {
    /// Whether the policy admits it, whatever is not known.
    pub(super) fn admits(&self) -> bool {
        self.possible.as_ref().is_some_and(|possible| {
            let mut answers = possible.answers.iter();
            answers.all(|answer| answer.decision.verdict.admits())
        })
    }

    pub(super) fn text(&self, policy: &Policy, style: Style) -> String {
        let mut out = String::new();
        let mut last = "";
        for kind in &self.told.kinds {
            if kind.name != last {
                let _ = writeln!(out, "{}: {}", kind.name, kind.means);
            }
            last = kind.name;
        }
        for meaning in &self.told.meaning {
            let _ = writeln!(out, "{meaning}");
        }
        if self.told.is_unasked {
            return out;
        }
        if style.drawn {
            out.push('\n');
        }
        self.facts_text(style, &mut out);
        if style.drawn {
            out.push('\n');
        }
        out += &answers::possible(policy, self.possible.as_ref(), style);
        let mut say = |heading: &str, told: String| {
            let told = printable_line(&told);
            let _ = match style.drawn {
                true => writeln!(out, "  {heading:<13} {told}"),
                false => writeln!(out, "{heading}: {told}"),
            };
        };
        let refused = !self.explanation.decision.verdict.admits();
        if let Some(remedy) = self.explanation.remedy.as_ref().filter(|_| refused) {
            say("what helps", remedy.clone());
        }
        let file = shell_file(&self.explanation.file);
        say(
            "ask on",
            format!("gw explain --policy {file}{}", self.ask_on),
        );
        out
    }

    fn facts_text(&self, style: Style, out: &mut String) {
        let rows: Vec<(&str, String, &str)> = self
            .told
            .known
            .iter()
            .map(|known| {
                let value = known.attribute.show(&self.facts);
                (known.attribute.row().name, value, &*known.says)
            })
            .collect();
        let names = rows
            .iter()
            .map(|(name, ..)| name.len())
            .max()
            .unwrap_or(0)
            .max(8);
        let values = rows.iter().map(|(_, value, _)| value.chars().count());
        let values = values.max().unwrap_or(0).min(34);
        for (name, value, says) in &rows {
            let value = printable_line(value);
            let _ = match style.drawn {
                true => writeln!(out, "  {name:<names$}  {value:<values$}  {says}"),
                false => writeln!(out, "fact: {name} is {value}: {says}"),
            };
        }
        let open: Vec<&str> = self.told.unknown.iter().map(|id| id.row().name).collect();
        let mut say = |heading: &str, told: String| {
            let _ = match style.drawn {
                true => writeln!(out, "  {heading:<names$}  {told}"),
                false => writeln!(out, "{heading}: {told}"),
            };
        };
        if !open.is_empty() {
            say("not said", open.join(", "));
        }
        for known in &self.told.likely {
            let value = known.attribute.show(&self.facts);
            let name = known.attribute.row().name;
            say("likely", format!("{name} is {value}: {}", known.says));
        }
        if let Some(approved) = &self.told.approved_scopes {
            let approved = match approved.is_empty() {
                true => "no scopes".to_owned(),
                false => printable_line(&approved.join(", ")),
            };
            say("approved", approved);
        }
        if let Some(request) = &self.told.request {
            say("request", printable_line(request));
        }
    }

    pub(super) fn json(&self, policy: &Policy) -> Value {
        let mut account = crate::explain::json::json(&self.explanation);
        let told = json!({
            "kinds": self.told.kinds.iter().map(|kind| kind.name).collect::<Vec<_>>(),
            "meaning": self.told.kinds.iter().map(|kind| kind.means.to_owned())
                .chain(self.told.meaning.iter().cloned()).collect::<Vec<_>>(),
            "known": self.told.known.iter().map(|known| json!({
                "name": known.attribute.row().name,
                "value": known.attribute.show(&self.facts),
                "says": known.says,
            })).collect::<Vec<_>>(),
            "likely": self.told.likely.iter().map(|known| json!({
                "name": known.attribute.row().name,
                "value": known.attribute.show(&self.facts),
                "says": known.says,
            })).collect::<Vec<_>>(),
            "unknown": self.told.unknown.iter().map(|id| id.row().name).collect::<Vec<_>>(),
            "connection": self.told.conn,
            "device": self.told.device,
            "request": self.told.request,
        });
        if let Some(map) = account.as_object_mut() {
            map.insert("logLine".to_owned(), told);
            let possible = answers::possible_json(policy, self.possible.as_ref());
            map.insert("possible".to_owned(), possible);
        }
        account
    }
}
