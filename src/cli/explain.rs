//! `gw explain`: what a policy says to one connection, and why.

use std::io::IsTerminal as _;

use super::check::count;
use super::fact::{self, NamedFacts};
use super::further::{Connection, Questions};
use super::log::LogArgs;
use super::output::{AnswerFormat, Output, colour};
use super::reader::{self, Reader};
use super::{Exit, constants, load, log_line, logged, recorded, recording, soundness};
use crate::diagnostic::{Code, Diagnostic};
use crate::explain::chart::Chart;
use crate::explain::client::ClientAccount;
use crate::explain::{Explanation, Subject, explain, json, nearest, text};
use crate::facts::{AttributeId, Facts};
use crate::journal::Line;
use crate::lang::check::settle;
use crate::policy::{Policy, PolicyError};
use crate::source::printable_line;

/// Says what a policy answers to a connection, and why
///
/// The connection is a recorded handshake: settings, socket, HTTP head, connect frame,
/// pairing records, time (docs/handshake.schema.json). Its facts are found by the code that
/// serves, each with where it came from, and the program that decides is what is explained.
/// Without a handshake, the facts given by --fact are completed with the defaults of
/// `gw schema`.
///
/// A YAML file beside the policy, with its name, gives the constants of a release: a handshake
/// is then read as that release would have read it. A policy without one has those of the
/// policy that it extends.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw explain handshake.json
  gw explain handshake.json --policy policies/docker.policy
  gw explain handshake.json --fact auth=none        what if it had sent no token?
  gw explain --fact client=cli --fact auth=token --fact peer=127.0.0.1
  gw explain handshake.json --format json | jq .verdict
  gw explain handshake.json --policy policies/openclaw/2026.4.22.policy
  gw explain --recorded fixtures/observed/2026.4.22.jsonl.gz \
      --row token-loopback/pairing/direct/cli/paired-read/admin/auth-good \
      --policy policies/openclaw/2026.4.22.policy
  gw explain --recorded fixtures/observed/2026.4.22.jsonl.gz      its rows
  gw explain handshake.json --to admit              what would have to be otherwise?
  gw explain handshake.json --why-not local-tools   why did this rule not decide?
  gw explain --fact client=cli --fact auth=token --fact 'peer=?'       what if that is not known?
  gw explain --log-line 'closed before connect conn=… reason=pairing required'      or - for stdin
  gw explain handshake.json --for client           what may the client know?
  gw explain --connection 1a015c6d                 why was it treated so then?
  gw explain --connection 1a015c6d --fact auth=token           what if it had sent the token?
  gw explain --log decisions.jsonl --connection 1a015c6d       the same, of another log
  gw explain --log decisions.jsonl --connection 1a015c6d --policy new.policy     and now?

Exit codes: 0 answered, 1 the policy has errors, 2 wrong command line,
3 an input cannot be read, 4 refused (with --exit-code)")]
pub(super) struct Args {
    /// A recorded handshake; `-` reads standard input
    #[arg(value_name = "HANDSHAKE.json")]
    handshake: Option<String>,

    /// A recording of a real gateway, as JSON lines, compressed or not; without --row, its rows
    /// are listed
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "handshake")]
    recorded: Option<String>,

    /// The row of it: its configuration, a slash, its id; `START*` lists the rows that begin so
    #[arg(
        long,
        value_name = "CFG/ID",
        requires = "recorded",
        conflicts_with = "handshake"
    )]
    row: Option<String>,

    /// Which handshake of a row that has several, from 1 (the default)
    #[arg(long, value_name = "N", requires = "row", conflicts_with = "handshake")]
    step: Option<usize>,

    /// A log of decisions; older files beside it (FILE.1, …) are looked through as well. Without
    /// it, the log of the gateway of --config and --state
    #[arg(
        long,
        value_name = "FILE",
        requires = "connection",
        conflicts_with_all = ["handshake", "recorded", "config", "state"]
    )]
    log: Option<String>,

    /// The connection of the log: its id, or as much of its beginning as no other has
    #[arg(long, value_name = "ID", conflicts_with_all = ["handshake", "recorded"])]
    connection: Option<String>,

    /// A line of an OpenClaw gateway's log: what it means, and what the policy says to such a
    /// connection. Several lines are read as well; `-` reads standard input
    #[arg(
        long,
        value_name = "LINE",
        allow_hyphen_values = true,
        conflicts_with_all = ["handshake", "recorded", "connection", "to", "why_not"]
    )]
    log_line: Option<String>,

    #[command(flatten)]
    of: LogArgs,

    /// The policy, or `built-in:NAME` (built-in:lan.policy, built-in:openclaw/2026.9.6.policy);
    /// without it, policies/default.policy or, where there is none, the built-in default; with
    /// --log, the one that decided
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,

    /// A fact as a policy writes it: NAME=VALUE, or a flag alone, or `not FLAG`; NAME=? for one
    /// that is not known
    #[arg(long, value_name = "FACT")]
    fact: Vec<String>,

    /// What would lead to another verdict: all smallest sets of steps, and whose they are.
    /// A verdict as a policy writes it, or `admit`
    #[arg(long, value_name = "VERDICT", conflicts_with = "why_not")]
    to: Option<String>,

    /// Why a rule or guard did not decide: its label, its line, or FILE:LINE
    #[arg(long, value_name = "RULE")]
    why_not: Option<String>,

    /// Whom to tell it to
    #[arg(long = "for", value_name = "READER", value_enum, default_value_t)]
    reader: Reader,

    /// Show every fact and every guard; with --to every way
    #[arg(long)]
    all: bool,

    /// Exit with 4 when the connection is refused
    #[arg(long)]
    exit_code: bool,

    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let report = args.format.report();
    if let Some(option) = more_than_a_decision(args) {
        let name = args.reader.name();
        output.complain(&format!(
            "error: --for {name} tells what was decided, and {option} asks for more\n  help: leave one of them out\n"
        ));
        return Exit::Usage;
    }
    if let Some(connection) = &args.connection {
        let path = match &args.log {
            Some(path) => Ok(path.clone()),
            None => args.of.file(output, report),
        };
        return match path {
            Ok(path) => of_log(args, &path, connection, output),
            Err(exit) => exit,
        };
    }
    if args.of.config.is_some() || args.of.state.is_some() {
        output.complain(
            "error: say which connection of the log\n  help: `gw tail` lists them, and --connection ID names one\n",
        );
        return Exit::Usage;
    }
    if let Some(line) = &args.log_line {
        return of_line(args, line, output);
    }
    if args.handshake.is_none() && args.recorded.is_none() && args.fact.is_empty() {
        output.complain(
            "error: say which connection: a recorded handshake, or facts\n  help: gw explain handshake.json\n  help: gw explain --fact client=cli --fact auth=token --fact peer=127.0.0.1\n",
        );
        return Exit::Usage;
    }
    if let (Some(path), Some(start)) = (&args.recorded, listed(args)) {
        return list(args, path, start, output);
    }
    let named = match fact::read(&args.fact) {
        Ok(named) => named,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Usage;
        }
    };
    if args.reader != Reader::Operator && !named.unknown.is_empty() {
        output.complain(&format!(
            "error: --for {} tells one answer, and a fact that is not known has several\n  help: leave --for out, or say what the fact is\n",
            args.reader.name()
        ));
        return Exit::Usage;
    }
    let path = args.policy.clone().unwrap_or_else(load::default_policy);
    let subject = match subject(args, &path, &named) {
        Ok(subject) => subject,
        Err(Trouble::Input((diagnostic, sources))) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Input;
        }
        Err(Trouble::Policy(error)) => {
            output.report(&error.diagnostics, &error.sources, report);
            return Exit::of(&error);
        }
    };
    let (recorded, told) = match subject {
        Read::Facts => (None, None),
        Read::Handshake(recorded) => (Some(recorded), None),
        Read::Row(recorded, told) => {
            let told = told.supposing(!named.facts.is_empty());
            (Some(recorded), Some(told))
        }
        Read::Early(told) => return early(args, &told, named, output),
    };
    let found = recorded
        .as_ref()
        .map_or_else(Facts::default, |recorded| recorded.0.clone());
    let is_seen = recorded.is_some();
    // What was found in a recording goes together, under the constants it was read with.
    let settled = match named.facts.is_empty() {
        true => Ok(found.clone()),
        false => settle(found.clone(), &named.facts).map(|(facts, _)| facts),
    };
    let facts = match settled {
        Ok(facts) => facts,
        Err(diagnostic) => {
            output.report_one(*diagnostic, &named.sources, report);
            return Exit::Usage;
        }
    };
    let policy = match load::policy(&path, false) {
        Ok(policy) => policy,
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, report);
            return Exit::of(&error);
        }
    };
    soundness::warn(&path, &policy, output);
    let subject = match recorded {
        Some(recorded) => attributed(recorded.1, &named, &found, &facts, None),
        None => attributed(
            Subject::of_facts(&facts),
            &named,
            &found,
            &facts,
            Some("assumed"),
        ),
    };
    let mut explanation = explain(&policy, &facts, &subject);
    let chart = Chart::new(&policy);
    nearest::look(&mut explanation, &chart, &facts, &subject);
    if args.reader != Reader::Operator {
        let about = (&facts, &subject);
        return for_reader(args, &policy, &path, &explanation, about, output);
    }
    let connection = Connection {
        chart: &chart,
        facts: &facts,
        is_seen,
        subject: &subject,
    };
    let further = match further(args, &connection, &explanation, &named) {
        Ok(further) => further,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Usage;
        }
    };
    match args.format {
        AnswerFormat::Json => {
            let mut account = json::json(&explanation);
            if let Some(map) = account.as_object_mut() {
                map.extend(
                    told.as_ref()
                        .map(|told| ("recorded".to_owned(), told.json())),
                );
                map.extend(further.map(|further| (further.name.to_owned(), further.json)));
            }
            output.say_json(&account);
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            match further {
                Some(further) => output.say(&further.text),
                None => output.say(&text::text(&explanation, style(args))),
            }
            if let Some(told) = &told {
                output.say(&told.text());
            }
        }
    }
    if args.exit_code && !explanation.decision.verdict.admits() {
        Exit::Refused
    } else {
        Exit::Success
    }
}

/// What is asked that is told to operators only.
fn more_than_a_decision(args: &Args) -> Option<&'static str> {
    let asked = [
        (args.to.is_some(), "--to"),
        (args.why_not.is_some(), "--why-not"),
        (args.log_line.is_some(), "--log-line"),
        (args.all, "--all"),
    ];
    let asked = asked.into_iter().find(|(is_asked, _)| *is_asked);
    asked
        .map(|(_, option)| option)
        .filter(|_| args.reader != Reader::Operator)
}

/// Tells a decision to somebody else than an operator.
fn for_reader(
    args: &Args,
    policy: &Policy,
    path: &str,
    explanation: &Explanation,
    about: (&Facts, &Subject),
    output: &mut Output,
) -> Exit {
    match args.reader {
        Reader::Log => {
            let line = Line::explained_of(policy, explanation, about);
            reader::tell_log(&line, args.format, output);
        }
        Reader::Client | Reader::Operator => {
            // Constants that cannot be read were told of before.
            let words = constants::of(path).ok().flatten().unwrap_or_default();
            let account = ClientAccount::new(explanation, about.0, about.1, &words);
            reader::tell_client(&account, args.format, output);
        }
    }
    match args.exit_code && !explanation.decision.verdict.admits() {
        true => Exit::Refused,
        false => Exit::Success,
    }
}

/// Explains what a line of another gateway's log says.
fn of_line(args: &Args, line: &str, output: &mut Output) -> Exit {
    let report = args.format.report();
    let named = match fact::read(&args.fact) {
        Ok(named) => named,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Usage;
        }
    };
    let told = match log_line::read(line) {
        Ok(told) => told,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Input;
        }
    };
    let path = args.policy.clone().unwrap_or_else(load::default_policy);
    let policy = match load::policy(&path, false) {
        Ok(policy) => policy,
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, report);
            return Exit::of(&error);
        }
    };
    soundness::warn(&path, &policy, output);
    let (accounts, more) = match log_line::accounts(told, &Chart::new(&policy), &named) {
        Ok(found) => found,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Input;
        }
    };
    match (args.format, accounts.as_slice()) {
        (AnswerFormat::Json, [only]) => output.say_json(&only.json(&policy)),
        (AnswerFormat::Json, all) => {
            let all: Vec<_> = all.iter().map(|account| account.json(&policy)).collect();
            output.say_json(&serde_json::json!({ "connections": all, "more": more }));
        }
        (AnswerFormat::Human | AnswerFormat::Plain, all) => {
            for (at, account) in all.iter().enumerate() {
                output.say(if at == 0 { "" } else { "\n" });
                output.say(&account.text(&policy, style(args)));
            }
            if more > 0 {
                let more = count(more, "connection");
                output.say(&format!(
                    "\n{more} besides: paste fewer lines to be told of them\n"
                ));
            }
        }
    }
    let refused = accounts.iter().any(|account| !account.admits());
    match args.exit_code && refused {
        true => Exit::Refused,
        false => Exit::Success,
    }
}

/// Explains a connection of a log.
fn of_log(args: &Args, path: &str, connection: &str, output: &mut Output) -> Exit {
    let report = args.format.report();
    let named = match fact::read(&args.fact) {
        Ok(named) => named,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Usage;
        }
    };
    // What was logged is then the beginning of another connection.
    let is_supposed = !args.fact.is_empty();
    if is_supposed && args.reader != Reader::Operator {
        let name = args.reader.name();
        return cannot_suppose(
            &format!(
                "--for {name} tells what was answered then, and --fact supposes something else"
            ),
            "leave one of them out",
            output,
        );
    }
    let logged = match logged::find((path, args.log.is_some()), connection, output) {
        Ok(logged) => logged,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Input;
        }
    };
    if args.reader != Reader::Operator {
        logged.tell(args.reader, args.format, output);
        return match args.exit_code && !logged.admits() {
            true => Exit::Refused,
            false => Exit::Success,
        };
    }
    let drawn = args.format == AnswerFormat::Human;
    let Some(mut explained) = logged.explained() else {
        if is_supposed {
            return cannot_suppose(
                "no policy decided this connection: a fact changes nothing",
                "leave --fact out",
                output,
            );
        }
        match args.format {
            AnswerFormat::Json => output.say_json(&logged.early_json()),
            AnswerFormat::Human | AnswerFormat::Plain => output.say(&logged.early_text(drawn)),
        }
        return match args.exit_code {
            true => Exit::Refused,
            false => Exit::Success,
        };
    };
    let style = style(args);
    let policy = match logged.policy(args.policy.as_deref()) {
        logged::Asked::Policy(path) => load::policy(&path, false),
        logged::Asked::Gone(why) if is_supposed => {
            return cannot_suppose(
                &format!("the policy that decided cannot be asked: {why}"),
                "name a policy with --policy",
                output,
            );
        }
        logged::Asked::Gone(why) => {
            match args.format {
                AnswerFormat::Json => output.say_json(&logged.alone_json(&why)),
                AnswerFormat::Human | AnswerFormat::Plain => {
                    output.say(&logged.alone_text(&explained, &why, style));
                }
            }
            return match args.exit_code && !logged.admits() {
                true => Exit::Refused,
                false => Exit::Success,
            };
        }
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, report);
            return Exit::of(&error);
        }
    };
    if is_supposed {
        match settle(explained.facts.clone(), &named.facts) {
            Ok((facts, _)) => {
                let found = std::mem::replace(&mut explained.facts, facts);
                let facts = &explained.facts;
                explained.subject = attributed(explained.subject, &named, &found, facts, None);
            }
            Err(diagnostic) => {
                output.report_one(*diagnostic, &named.sources, report);
                return Exit::Usage;
            }
        }
    }
    let mut explanation = explain(&policy, &explained.facts, &explained.subject);
    let chart = Chart::new(&policy);
    nearest::look(
        &mut explanation,
        &chart,
        &explained.facts,
        &explained.subject,
    );
    if !is_supposed {
        logged.as_answered(&mut explanation);
    }
    let connection = Connection {
        chart: &chart,
        facts: &explained.facts,
        is_seen: true,
        subject: &explained.subject,
    };
    let further = match further(args, &connection, &explanation, &named) {
        Ok(further) => further,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, report);
            return Exit::Usage;
        }
    };
    let compared = logged.compared(&policy, &explained.facts, explanation.decision);
    let compared = Some(compared).filter(|_| !is_supposed);
    match args.format {
        AnswerFormat::Json => {
            let mut account = json::json(&explanation);
            if let Some(map) = account.as_object_mut() {
                map.insert("logged".to_owned(), logged.json(compared.as_ref()));
                map.extend(further.map(|further| (further.name.to_owned(), further.json)));
            }
            output.say_json(&account);
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            output.say(&logged.head(compared.as_ref(), &explained.unread, drawn));
            match further {
                Some(further) => output.say(&further.text),
                None => output.say(&text::text(&explanation, style)),
            }
            output.say(&logged.foot(drawn));
        }
    }
    match args.exit_code && !explanation.decision.verdict.admits() {
        true => Exit::Refused,
        false => Exit::Success,
    }
}

/// What was logged cannot be supposed otherwise.
fn cannot_suppose(why: &str, help: &str, output: &mut Output) -> Exit {
    output.complain(&format!("error: {why}\n  help: {help}\n"));
    Exit::Usage
}

/// What else was asked about the connection.
fn further(
    args: &Args,
    connection: &Connection<'_>,
    explanation: &Explanation,
    named: &NamedFacts,
) -> Result<Option<super::further::Further>, fact::Problem> {
    let questions = Questions {
        to: args.to.as_deref(),
        why_not: args.why_not.as_deref(),
        named,
    };
    connection.asked(&questions, explanation, style(args))
}

fn style(args: &Args) -> text::Style {
    let drawn = args.format == AnswerFormat::Human;
    text::Style {
        drawn,
        colour: drawn && colour(std::io::stdout().is_terminal()),
        all: args.all,
    }
}

/// What the rows begin with that are to be listed, if they are and none is explained.
fn listed(args: &Args) -> Option<&str> {
    args.row
        .as_deref()
        .map_or(Some(""), |row| row.strip_suffix('*'))
}

fn list(args: &Args, path: &str, start: &str, output: &mut Output) -> Exit {
    if !args.fact.is_empty() || args.exit_code || args.step.is_some() {
        output.complain(&format!(
            "error: say which row: --row CFG/ID\n  help: `gw explain --recorded {path}` lists them\n"
        ));
        return Exit::Usage;
    }
    match recorded::rows(path, start) {
        Ok(rows) if args.format == AnswerFormat::Json => {
            output.say_json(&serde_json::json!({ "rows": rows }));
            Exit::Success
        }
        Ok(rows) => {
            for row in rows {
                output.say(&format!("{}\n", printable_line(&row)));
            }
            Exit::Success
        }
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, args.format.report());
            Exit::Input
        }
    }
}

/// Says of a row that it was answered before a policy is asked.
fn early(args: &Args, told: &recorded::Told, named: NamedFacts, output: &mut Output) -> Exit {
    if let Some(fact) = named.facts.first() {
        let message = "this row was answered before any policy was asked: a fact changes nothing";
        let diagnostic = Diagnostic::error(Code::InvalidFact, message)
            .label(fact.span, "")
            .help("leave --fact out, or take a row whose connect frame can be read");
        output.report_one(diagnostic, &named.sources, args.format.report());
        return Exit::Usage;
    }
    match args.format {
        _ if args.reader != Reader::Operator => {
            reader::tell_early(&told.early_json(), args.reader, args.format, output);
        }
        AnswerFormat::Json => output.say_json(&told.early_json()),
        AnswerFormat::Human => output.say(&told.early_text(true)),
        AnswerFormat::Plain => output.say(&told.early_text(false)),
    }
    match args.exit_code {
        true => Exit::Refused,
        false => Exit::Success,
    }
}

/// What is explained, besides facts that are named.
enum Read {
    /// Nothing.
    Facts,
    /// A recorded handshake.
    Handshake(Box<(Facts, Subject)>),
    /// A row of a recording, with what was answered.
    Row(Box<(Facts, Subject)>, recorded::Told),
    /// A row that was answered before a policy is asked.
    Early(recorded::Told),
}

/// What cannot be read.
enum Trouble {
    Input(fact::Problem),
    Policy(PolicyError),
}

fn subject(args: &Args, policy: &str, named: &NamedFacts) -> Result<Read, Trouble> {
    let constants = constants::of(policy).map_err(Trouble::Input)?;
    if let Some(path) = &args.handshake {
        let read = recording::read(path, named, constants.as_ref()).map_err(Trouble::Input)?;
        return Ok(Read::Handshake(Box::new(read)));
    }
    let (Some(path), Some(row)) = (&args.recorded, &args.row) else {
        return Ok(Read::Facts);
    };
    let by = recorded::By {
        policy: &load::policy(policy, false).map_err(Trouble::Policy)?,
        path: policy,
        named: args.policy.is_some(),
    };
    let place = recorded::Place {
        path,
        row,
        step: args.step.unwrap_or(1),
    };
    let read = recorded::read(place, by, constants.unwrap_or_default());
    let (handshake, told) = read.map_err(Trouble::Input)?;
    Ok(match handshake {
        Some(handshake) => Read::Row(Box::new(recording::facts(handshake, named)), told),
        None => Read::Early(told),
    })
}

/// The subject with a word on each fact that was given, or follows from one that was.
fn attributed(
    mut subject: Subject,
    named: &NamedFacts,
    found: &Facts,
    facts: &Facts,
    otherwise: Option<&str>,
) -> Subject {
    subject
        .evidence
        .resize(AttributeId::all().count(), String::new());
    for (id, evidence) in AttributeId::all().zip(&mut subject.evidence) {
        if named.facts.iter().any(|fact| fact.attribute == id) {
            "given by --fact".clone_into(evidence);
        } else if id.show(facts) != id.show(found) {
            "follows from --fact".clone_into(evidence);
        } else if let Some(otherwise) = otherwise {
            otherwise.clone_into(evidence);
        }
    }
    subject
}
