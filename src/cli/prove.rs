//! `gw prove`: what is so of a policy for every connection there can be.

use serde_json::json;

use super::dead_ends::DeadEnds;
use super::output::{AnswerFormat, Output};
use super::trust::{self, Found};
use super::{Exit, load, soundness};
use crate::analysis::attacker::{ATTACKERS, Attacker, Intruder, Said};
use crate::analysis::prove_each;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, suggest};
use crate::lang::alone;
use crate::policy::Policy;
use crate::source::{Source, Sources, Span};

/// Proves what a policy claims, how far an attacker gets under it, or that nobody is sent in circles
///
/// Without --attacker, each `never` and `always` of the policy is proved or refuted. With it, the
/// answer is the most that the attacker gets, of all connections that they can make, and one that
/// gets so far. Nothing is tried out: all connections are looked at, at once.
///
/// With --dead-ends, the answer is where every refusal leads: to do what it names lets the connection
/// in, it is kept out by design, or it is a dead end. Of the owner's own command line it is asked whether
/// it can approve others.
///
/// Attackers are browser-page, browser-rebind, lan-host, sibling-container, remote-via-proxy,
/// headerless-proxy, same-user-proxy, local-process and stolen-token (docs/trust.md). With `+`
/// between them they are one who stands in all of their places, with what any of them holds. Anybody
/// else is described by a condition, in the words of the policy: what it does not speak of is as for
/// every attacker, so no secret is known and no device is paired. Settings are what they are without a
/// configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw prove                                              the claims of the default policy
  gw prove my.policy
  gw prove --attacker browser-page --policy my.policy
  gw prove --attacker stolen-token+lan-host             in the network, with the token
  gw prove --attacker 'peer in { 10.0.0.0/8 } and auth=password'
  gw prove --attacker lan-host --fact setting.auth-mode=none
  gw prove --dead-ends                                  where every refusal leads
  gw check-policy --trust                               all attackers in a table

Exit codes: 0 proved; no attacker gets further than to a request for the owner; no dead ends, 1 not so,
2 wrong command line, 3 a file cannot be read")]
pub(super) struct Args {
    /// The policy, or `built-in:NAME`; without it, policies/default.policy or, where there is none,
    /// the built-in default
    #[arg(value_name = "POLICY", conflicts_with = "policy")]
    file: Option<String>,

    /// The policy, as other commands are told
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,

    /// Who tries to get in: an attacker, several with `+` between them, or a condition
    #[arg(long, value_name = "WHO")]
    attacker: Vec<String>,

    /// Where every refusal leads, and whether anybody is at a dead end
    #[arg(long, conflicts_with = "attacker")]
    dead_ends: bool,

    /// What else is so of every attacker, as a condition; of a setting, what it is
    #[arg(long, value_name = "FACT", requires = "attacker")]
    fact: Vec<String>,

    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

/// How many nodes the analysis may make.
const NODES: usize = 4_000_000;

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let named = args.file.as_ref().or(args.policy.as_ref());
    let file = named.cloned().unwrap_or_else(load::default_policy);
    let policy = match load::policy(&file, false) {
        Ok(policy) => policy,
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, args.format.report());
            return Exit::of(&error);
        }
    };
    // Of its claims alone it says itself which do not hold.
    if args.dead_ends || !args.attacker.is_empty() {
        soundness::warn(&file, &policy, output);
    }
    output.busy(&format!("{file}: looking at all connections"));
    if args.dead_ends {
        return dead_ends(&policy, &file, args.format, output);
    }
    match args.attacker.is_empty() {
        true => claims(&policy, &file, args.format, output),
        false => attackers(&policy, &file, args, output),
    }
}

/// What came of a claim, as it is printed.
const PROVED: &str = "proved";
const REFUTED: &str = "refuted";
const VACUOUS: &str = "says nothing";

fn claims(policy: &Policy, file: &str, format: AnswerFormat, output: &mut Output) -> Exit {
    let checked = policy.checked();
    let proved = match prove_each(
        checked,
        policy.program(),
        policy.vocabulary(),
        policy.sources(),
    ) {
        Ok(proved) => proved,
        Err(too_much) => {
            output.report_one(*too_much, policy.sources(), format.report());
            return Exit::Failure;
        }
    };
    let mut findings = Diagnostics::default();
    let mut rows = Vec::new();
    for proved in proved {
        let Some(claim) = checked.claims.get(proved.claim) else {
            continue;
        };
        let outcome = match proved.finding.as_ref().map(|it| it.code) {
            None => PROVED,
            Some(Code::PropertyVacuous) => VACUOUS,
            Some(_) => REFUTED,
        };
        rows.push((claim, outcome, policy.sources().place(claim.span)));
        findings.0.extend(proved.finding);
    }
    let count = |outcome| rows.iter().filter(|it| it.1 == outcome).count();
    match format {
        AnswerFormat::Json => {
            let claims = rows.iter().map(|(claim, outcome, place)| {
                json!({
                    "name": claim.name,
                    "kind": if claim.never { "never" } else { "always" },
                    "outcome": outcome,
                    "place": place,
                })
            });
            output.say_json(&json!({
                "policy": file,
                "digest": policy.digest(),
                "claims": claims.collect::<Vec<_>>(),
            }));
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            for (claim, outcome, place) in &rows {
                let kind = if claim.never { "never" } else { "always" };
                output.say(&format!(
                    "{outcome:<12}  {place}  {kind} \"{}\"\n",
                    claim.name
                ));
            }
            let summary = match rows.is_empty() {
                true => "no claims; `never \"…\": CONDITION ⇒ admit` would be one".to_owned(),
                false => format!(
                    "{} proved, {} refuted, {} that say nothing",
                    count(PROVED),
                    count(REFUTED),
                    count(VACUOUS)
                ),
            };
            output.say(&format!("{file}: {summary}, policy {}\n", policy.digest()));
            output.report(&findings, policy.sources(), format.report());
        }
    }
    match count(REFUTED) {
        0 => Exit::Success,
        _ => Exit::Failure,
    }
}

fn dead_ends(policy: &Policy, file: &str, format: AnswerFormat, output: &mut Output) -> Exit {
    let found = match DeadEnds::find(policy, file, NODES) {
        Ok(found) => found,
        Err(too_much) => {
            output.report_one(*too_much, policy.sources(), format.report());
            return Exit::Failure;
        }
    };
    match format {
        AnswerFormat::Json => output.say_json(&found.document()),
        AnswerFormat::Human | AnswerFormat::Plain => output.say(&found.drawn()),
    }
    match found.count() {
        0 => Exit::Success,
        _ => Exit::Failure,
    }
}

fn attackers(policy: &Policy, file: &str, args: &Args, output: &mut Output) -> Exit {
    let mut sources = policy.sources().clone();
    let found = intruders(policy, args, &mut sources)
        .and_then(|all| trust::find(policy, file, all, NODES).map_err(|it| Diagnostics(vec![*it])))
        .and_then(possible);
    let found = match found {
        Ok(found) => found,
        Err(wrong) => {
            output.report(&wrong, &sources, args.format.report());
            return Exit::Usage;
        }
    };
    match args.format {
        AnswerFormat::Json => {
            let attackers: Vec<_> = found.iter().map(Found::document).collect();
            output.say_json(&json!({
                "policy": file,
                "digest": policy.digest(),
                "attackers": attackers,
            }));
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            let told: Vec<String> = found.iter().map(|it| told(it, policy)).collect();
            output.say(&told.join("\n"));
        }
    }
    match found.iter().any(Found::is_in) {
        true => Exit::Failure,
        false => Exit::Success,
    }
}

/// One attacker, for people.
fn told(found: &Found, policy: &Policy) -> String {
    let mut text = format!(
        "{}: at most {}   by {}   policy {}\n\n",
        found.intruder.name,
        found.verdict().to_uppercase(),
        found.by(),
        policy.digest()
    );
    let mut line = |name: &str, value: &str| {
        let value: Vec<&str> = value.split_whitespace().collect();
        text.push_str(&format!("  {name:<8}  {}\n", value.join(" ")));
    };
    let attackers = found.attackers();
    for attacker in &attackers {
        line("who", attacker.who);
    }
    // What one of several cannot, another one may.
    if let [only] = attackers.as_slice() {
        line("chooses", only.controls);
        line("cannot", only.cannot);
    }
    line("tries", &found.intruder.says);
    line("assumed", &found.intruder.assumes.join(", "));
    if found.is_in() {
        line("gains", found.gain());
    }
    line("see it", &found.see());
    text
}

/// Who is asked about, with what is known of all of them.
fn intruders(
    policy: &Policy,
    args: &Args,
    sources: &mut Sources,
) -> Result<Vec<Intruder>, Diagnostics> {
    let mut known = Vec::new();
    for text in &args.fact {
        known.push(said("--fact", text, policy, sources)?);
    }
    let mut all = Vec::new();
    for text in &args.attacker {
        all.push(intruder(text, &known, policy, sources)?);
    }
    Ok(all)
}

fn intruder(
    text: &str,
    known: &[Said],
    policy: &Policy,
    sources: &mut Sources,
) -> Result<Intruder, Diagnostics> {
    let mut names: Vec<&str> = text.split('+').map(str::trim).collect();
    let is_name = |name: &&str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !name.is_empty() && name.chars().all(letter)
    };
    if !names.iter().all(is_name) {
        let is_known = |name: &&str| Attacker::named(name).is_some();
        // What is neither: names with nothing between, or beside, them.
        if text.trim().is_empty() || names.iter().all(|it| it.is_empty() || is_known(it)) {
            return Err(Diagnostics(vec![nobody(text)]));
        }
        let said = said("--attacker", text, policy, sources).map_err(|mut wrong| {
            let named = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            if let Some(name) = named.into_iter().find(is_known) {
                for found in &mut wrong.0 {
                    *found = found.clone().help(format!(
                        "`{name}` is an attacker, and no condition: what is known besides is said \
                         with `--fact`, and another attacker is joined with `+`"
                    ));
                }
            }
            wrong
        })?;
        return Ok(Intruder::described(said, known));
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name);
            true
        }
    });
    let mut attackers = Vec::new();
    for name in &names {
        match Attacker::named(name) {
            Some(attacker) => attackers.push(attacker),
            // A flag or a definition is a condition, too.
            None if names.len() == 1
                && said("--attacker", text, policy, &mut sources.clone()).is_ok() =>
            {
                let said = said("--attacker", text, policy, sources)?;
                return Ok(Intruder::described(said, known));
            }
            None => return Err(Diagnostics(vec![unknown(name)])),
        }
    }
    Ok(Intruder::of(&attackers, known))
}

fn unknown(name: &str) -> Diagnostic {
    let message = format!("there is no attacker `{name}`");
    let names = ATTACKERS.iter().map(|it| it.name);
    Diagnostic::error(Code::UnknownAttacker, message)
        .maybe_help(suggest::did_you_mean(name, names))
        .help(who_there_are())
}

/// Where a name is missing.
fn nobody(text: &str) -> Diagnostic {
    let message = match text.trim() {
        "" => "no attacker is named".to_owned(),
        text => {
            format!("an attacker is missing in `{text}`: there is one before and behind each `+`")
        }
    };
    Diagnostic::error(Code::UnknownAttacker, message).help(who_there_are())
}

fn who_there_are() -> String {
    let names: Vec<&str> = ATTACKERS.iter().map(|it| it.name).collect();
    format!(
        "the attackers are {}; a condition describes anybody else",
        names.join(", ")
    )
}

/// A condition of the command line.
fn said(
    name: &str,
    text: &str,
    policy: &Policy,
    sources: &mut Sources,
) -> Result<Said, Diagnostics> {
    let id = sources.add(Source::new(name, text));
    let condition = alone::condition(id, text, policy.vocabulary()).map_err(|mut wrong| {
        for found in wrong.0.iter_mut().filter(|found| found.labels.is_empty()) {
            *found = found.clone().label(Span::new(id, 0..text.len()), "");
        }
        wrong
    })?;
    Ok(Said {
        text: text.trim().to_owned(),
        condition,
    })
}

/// The same, unless one of them can make no connection.
fn possible(found: Vec<Found>) -> Result<Vec<Found>, Diagnostics> {
    let impossible = found.iter().filter(|it| it.reach.is_none());
    let wrong: Vec<Diagnostic> = impossible
        .map(|it| {
            let message = match it.intruder.name.contains('+') {
                true => format!(
                    "nobody is {} at once: no connection is from all of these places",
                    it.intruder.name
                ),
                false => format!("nobody is `{}`: no connection can be so", it.intruder.name),
            };
            Diagnostic::error(Code::ImpossibleAttacker, message)
                .help(format!("it would have to be {}", it.intruder.says))
                .help(format!(
                    "and, as assumed: {}",
                    it.intruder.assumes.join(", ")
                ))
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(found),
        false => Err(Diagnostics(wrong)),
    }
}
