//! A connection that is explained out of a log: its lines, what was answered, and whether the
//! same would be answered now.

use serde_json::{Value, json};

use super::fact::Problem;
use super::load;
use super::log::{self, Placed};
use super::output::{AnswerFormat, Output};
use super::reader::{self, Reader};
use crate::decide::{Decision, Law};
use crate::diagnostic::{Code, Diagnostic};
use crate::explain::client::{self, ClientAccount};
use crate::explain::{self, Explanation, facts_alone};
use crate::facts::{Facts, Text};
use crate::journal::{Explained, Kind, Line};
use crate::policy::Policy;
use crate::source::{Sources, printable_line, visible};
use crate::verdict::{Reason, Verdict, VerdictKind};
use crate::wire::reply::RequestRefusal;

/// So many connections are named where the one that was asked for is not there.
const MOST_NAMED: usize = 5;

/// What is asked about a connection of a log.
pub(super) enum Asked {
    /// The policy at this path.
    Policy(String),
    /// Nothing: the policy that decided cannot be read, and why.
    Gone(String),
}

/// The lines of one connection.
pub(super) struct Logged {
    /// The line that is explained: the one that says most.
    main: Placed,
    /// The others, as one says them in a line.
    others: Vec<String>,
}

/// Finds a connection by its id, or by the beginning of it.
pub(super) fn find(
    (path, named): (&str, bool),
    wanted: &str,
    output: &mut Output,
) -> Result<Logged, Problem> {
    let mut own: Vec<Placed> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut last: Vec<(String, String)> = Vec::new();
    let mut near: Vec<(usize, String)> = Vec::new();
    let mut take = |placed: Placed| {
        let line = &placed.line;
        let id = &*line.connection;
        if id.is_empty() {
            return;
        }
        if last.last().is_none_or(|(known, _)| known != id) {
            last.retain(|(known, _)| known != id);
            let what = log::what(line);
            last.push((
                id.to_owned(),
                format!("{} {} {what}", line.time, visible(id)),
            ));
            if last.len() > MOST_NAMED {
                last.remove(0);
            }
        }
        if id.starts_with(wanted) {
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
            own.push(placed);
        } else {
            let common = id.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b);
            let common = common.count();
            if common >= 3 && !near.iter().any(|(_, known)| known == id) {
                near.push((common, id.to_owned()));
                near.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
                near.truncate(MOST_NAMED);
            }
        }
    };
    let mut warnings = Vec::new();
    let read = log::lines(path, &mut |warning| warnings.push(warning), &mut take);
    for warning in warnings {
        output.complain(&format!("warning: {warning}\n"));
    }
    read.map_err(|error| {
        let unread = log::unreadable(path, &error, named);
        (Box::new(unread), Sources::default())
    })?;
    let whole = ids.iter().any(|id| id == wanted);
    if ids.len() > 1 && !whole {
        let named: Vec<String> = ids.iter().take(MOST_NAMED).map(|id| visible(id)).collect();
        let more = if ids.len() > named.len() { ", …" } else { "" };
        let message = format!("{} connections begin with `{}`", ids.len(), visible(wanted));
        let help = format!("write more of one: {}{more}", named.join(", "));
        return Err(missing(message, help));
    }
    own.retain(|placed| !whole || &*placed.line.connection == wanted);
    // A connection is decided once; what else is said of it comes after.
    let is = |kind: Kind| own.iter().position(|placed| placed.line.kind == kind);
    let at = is(Kind::Decided).or(is(Kind::UpgradeRefused));
    if own.is_empty() {
        let near: Vec<String> = near.iter().map(|(_, id)| visible(id)).collect();
        let last: Vec<String> = last.iter().map(|(_, shown)| format!("  {shown}")).collect();
        let help = match (near.is_empty(), last.is_empty()) {
            (false, _) => format!("similar ones: {}", near.join(", ")),
            (true, false) => format!("the last ones are\n{}", last.join("\n")),
            (true, true) => "the log names no connection".to_owned(),
        };
        let message = format!(
            "no connection `{}` in {}",
            visible(wanted),
            printable_line(path)
        );
        return Err(missing(message, help));
    }
    let main = own.remove(at.unwrap_or(0));
    let others = own.iter().map(|placed| log::shown(&placed.line)).collect();
    Ok(Logged { main, others })
}

fn missing(message: String, help: String) -> Problem {
    let diagnostic = Diagnostic::error(Code::NoSuchConnection, message).help(help);
    (Box::new(diagnostic), Sources::default())
}

impl Logged {
    fn line(&self) -> &Line {
        &self.main.line
    }

    /// The policy that is asked: the one that was named, or the one that the line names.
    pub(super) fn policy(&self, named: Option<&str>) -> Asked {
        if let Some(named) = named {
            return Asked::Policy(named.to_owned());
        }
        let line = self.line();
        let file = line.policy.as_ref().map(|policy| &*policy.file);
        let Some(file) = file else {
            return Asked::Policy(load::default_policy());
        };
        match load::policy_text(file, file) {
            Ok(_) if file != "-" => Asked::Policy(file.to_owned()),
            Ok(_) => Asked::Gone("it was read from standard input".to_owned()),
            Err(error) => Asked::Gone(error.to_string()),
        }
    }

    /// Whether the client came in.
    pub(super) fn admits(&self) -> bool {
        let answer = self.line().answer.as_ref();
        answer.is_some_and(|answer| answer.admitted)
    }

    /// All that is logged, where the policy that decided cannot be read any more: what it said, by
    /// which of its clauses, of which facts.
    pub(super) fn alone_text(
        &self,
        explained: &Explained,
        why: &str,
        style: explain::text::Style,
    ) -> String {
        let drawn = style.drawn;
        let line = self.line();
        let lead = if drawn { "" } else { "log: " };
        let mut text = self.head(None, &explained.unread, drawn);
        let by = line.by.as_deref().map(visible).unwrap_or_default();
        let policy = line.policy.as_ref();
        let policy = policy.map(|policy| (visible(&policy.file), visible(&policy.digest)));
        let (file, digest) = policy.unwrap_or_default();
        let digest: String = digest.chars().take(12).collect();
        text += &match drawn {
            true => format!("{}   by {by}   policy {digest}\n", log::what(line)),
            false => format!("verdict: {}\ndecided by: {by}\n", self.verdict()),
        };
        text += &format!("{lead}decided by {file} {digest}, which cannot be read here: {why}\n");
        text += &format!(
            "{lead}a copy of it is named by --policy; whether it is the same one is said\n"
        );
        if drawn {
            text.push('\n');
        }
        let facts = facts_alone(&explained.facts, &explained.subject);
        text += &explain::text::facts(&facts, style);
        text + &self.foot(drawn)
    }

    /// The same for programs.
    pub(super) fn alone_json(&self, why: &str) -> Value {
        json!({
            "verdict": self.line().verdict,
            "admitted": self.admits(),
            "by": self.line().by,
            "policyUnreadable": why,
            "logged": self.json(None),
        })
    }

    /// Puts in what came of it where the policy alone does not say: a client that the server behind
    /// did not take is not admitted; one of a plain server sends no connect frame, has no device,
    /// and is answered over HTTP.
    pub(super) fn as_answered(&self, explanation: &mut Explanation) {
        let Line { kind, answer, .. } = self.line();
        if self.line().cause.is_some() && explanation.decision.verdict.admits() {
            let told = "let in here, and not by the server behind: the client is told to try again";
            explanation.consequences = vec![told.to_owned()];
            let helps = "what is said of the server behind; `gw doctor` looks at it as it is now";
            explanation.remedy = Some(helps.to_owned());
            return;
        }
        let over_http = answer.as_ref().is_some_and(|answer| answer.http.is_some());
        let decision = explanation.decision;
        let (Verdict::Reject(reason), Kind::Decided, true) = (decision.verdict, kind, over_http)
        else {
            return;
        };
        let refusal = RequestRefusal {
            reason,
            pairing: decision.law == Some(Law::DeviceRequired),
            retry_after_ms: None,
            hint: None,
            rule: None,
        };
        let response = refusal.response();
        let kind = response.kind().unwrap_or_default();
        explanation.consequences = vec![format!(
            "the client is answered {} `{kind}`, and gets no WebSocket",
            response.status
        )];
        explanation.remedy = Some(refusal.remedy().to_owned());
    }

    /// Facts and whom they are about, where the connection came so far that anything was decided.
    pub(super) fn explained(&self) -> Option<Explained> {
        let decided = matches!(self.line().kind, Kind::Decided);
        let by_guard = self.line().kind == Kind::UpgradeRefused && self.line().verdict.is_some();
        self.line().explained().filter(|_| decided || by_guard)
    }

    /// What the policy that is asked now has to do with the one that decided then, and whether
    /// they answer alike; nothing where it is the same.
    pub(super) fn compared(&self, policy: &Policy, facts: &Facts, now: Decision) -> Compared {
        let line = self.line();
        let then = line.policy.as_ref();
        let answer = match line.kind {
            // Before the upgrade only guards `at upgrade` are asked, and of a page those that
            // ask for no more than the head.
            Kind::UpgradeRefused => {
                let found = crate::decide::at_upgrade(policy.program(), facts)
                    .or_else(|| crate::decide::of_page(policy.program(), facts));
                found.map(|(by, reason)| (crate::verdict::Verdict::Reject(reason), by))
            }
            Kind::Decided
            | Kind::FrameRefused
            | Kind::Unfinished
            | Kind::SessionEnded
            | Kind::PairingChanged
            | Kind::LinesDropped
            | Kind::LinesLeftOut => Some((now.verdict, now.by)),
        };
        let (shown, clause) = match answer {
            Some((verdict, by)) => (verdict.to_string(), policy.clause_hash(by).to_owned()),
            None => ("no refusal before the upgrade".to_owned(), String::new()),
        };
        let same_policy = then.is_some_and(|then| &*then.digest == policy.digest());
        Compared {
            same_policy,
            then_policy: then
                .map(|then| format!("{} {}", visible(&then.file), visible(&then.digest))),
            now_policy: format!("{} {}", printable_line(policy.name()), policy.digest()),
            same_answer: shown == self.verdict(),
            same_clause: line.clause.as_deref() == Some(&*clause),
            then_answer: self.verdict(),
            now_answer: shown,
        }
    }

    /// The verdict as a policy writes it.
    fn verdict(&self) -> String {
        let line = self.line();
        let kind = line.verdict.as_deref().unwrap_or("none");
        let inside = line.reason.as_deref().or(line.grant.as_deref());
        match inside {
            Some(inside) => visible(&format!("{kind}({inside})")),
            None => visible(kind),
        }
    }

    /// Tells the connection to somebody else than an operator: to a client what it was told, to a
    /// log what stands there.
    pub(super) fn tell(&self, reader: Reader, format: AnswerFormat, output: &mut Output) {
        match (reader, format) {
            (Reader::Client | Reader::Operator, _) => {
                reader::tell_client(&self.client(), format, output);
            }
            (Reader::Log, AnswerFormat::Json) => output.say(&format!("{}\n", self.line().text())),
            (Reader::Log, AnswerFormat::Human | AnswerFormat::Plain) => {
                output.say(&format!("{}\n", log::shown(self.line())));
            }
        }
    }

    /// What the client was told, as far as that is logged.
    fn client(&self) -> ClientAccount {
        let line = self.line();
        let answer = line.answer.clone().unwrap_or_default();
        let owned = |text: &Option<Text>| text.as_deref().map(str::to_owned);
        let reason = line.reason.as_deref().and_then(Reason::parse);
        let waits = line.verdict.as_deref() == Some(VerdictKind::RequirePairing.name());
        let told = match answer.admitted {
            true => vec![self.answered()],
            false => Vec::new(),
        };
        ClientAccount {
            admitted: answer.admitted,
            code: owned(&answer.code),
            details: owned(&answer.details),
            reason: owned(&line.reason).filter(|_| line.verdict.is_some()),
            message: owned(&answer.message),
            close: answer.close.filter(|_| !answer.admitted),
            http: answer.http,
            told,
            remedy: match (answer.admitted, waits) {
                (true, _) => None,
                (false, true) => Some(client::ASK_THE_OWNER.to_owned()),
                (false, false) => reason.map(|reason| reason.remedy().to_owned()),
            },
        }
    }

    /// What stands above the explanation.
    pub(super) fn head(
        &self,
        compared: Option<&Compared>,
        unread: &[String],
        drawn: bool,
    ) -> String {
        let line = self.line();
        let mut text = format!(
            "{}connection {} of {}, {}:{}\n",
            if drawn { "" } else { "log: " },
            visible(&line.connection),
            line.time,
            printable_line(&self.main.file),
            self.main.at
        );
        if let Some(compared) = compared {
            text += &compared.text(drawn);
        }
        if let Some(cause) = &line.cause {
            let lead = if drawn { "" } else { "log: " };
            let verdict = line.verdict.as_deref().map(visible).unwrap_or_default();
            text += &format!(
                "{lead}{verdict}, but the server behind did not take it: {}\n",
                visible(cause)
            );
        }
        if !unread.is_empty() {
            let names: Vec<String> = unread.iter().map(|name| visible(name)).collect();
            let lead = if drawn { "" } else { "log: " };
            text += &format!(
                "{lead}the line was written by another version: {} cannot be taken from it\n",
                names.join(", ")
            );
        }
        if drawn {
            text.push('\n');
        }
        text
    }

    /// What stands below it: what was answered, and what else is in the log.
    pub(super) fn foot(&self, drawn: bool) -> String {
        let mut told = vec![("answered", self.answered())];
        let line = self.line();
        if let Some(says) = &line.says {
            let parts = [
                ("name", &says.name),
                ("version", &says.version),
                ("program", &says.agent),
            ];
            let parts = parts
                .into_iter()
                .filter_map(|(what, text)| Some(format!("{what} {}", visible(text.as_deref()?))));
            told.push(("calls itself", parts.collect::<Vec<_>>().join(", ")));
        }
        if let Some(device) = &line.device {
            told.push(("device", visible(device)));
        }
        if let Some(upgrade) = &line.upgrade {
            let asks = log::asks_for_more(upgrade);
            let asks = asks.trim_start_matches("asks for more: ").to_owned();
            told.push(("asks for more", asks));
        }
        for other in &self.others {
            told.push(("also", other.clone()));
        }
        let told = told.into_iter().filter(|(_, text)| !text.is_empty());
        let lines: Vec<String> = told
            .map(|(heading, text)| match drawn {
                true => format!("  {heading:<13} {text}\n"),
                false => format!("log: {heading}: {text}\n"),
            })
            .collect();
        let heading = if drawn { "\nAs logged:\n" } else { "" };
        format!("{heading}{}", lines.concat())
    }

    fn answered(&self) -> String {
        let line = self.line();
        let Some(answer) = &line.answer else {
            return String::new();
        };
        let scopes = line.scopes.as_deref().unwrap_or_default();
        let mut parts = Vec::new();
        if answer.admitted {
            let scopes = match scopes.is_empty() {
                true => "no scopes".to_owned(),
                false => visible(&scopes.join(", ")),
            };
            let token = if answer.token { ", a device token" } else { "" };
            parts.push(format!("admitted with {scopes}{token}"));
        }
        let codes = [&answer.code, &answer.details];
        let codes: Vec<String> = codes
            .into_iter()
            .flatten()
            .map(|code| visible(code))
            .collect();
        if !codes.is_empty() {
            parts.push(codes.join(" "));
        }
        if let Some(message) = &answer.message {
            parts.push(visible(message));
        }
        parts.extend(answer.close.map(|code| format!("closed {code}")));
        parts.extend(answer.http.map(|status| format!("HTTP {status}")));
        parts.extend(line.until.map(|until| format!("until {until}")));
        parts.extend(
            line.request
                .as_ref()
                .map(|request| format!("request {}", visible(request))),
        );
        parts.join(", ")
    }

    /// Of a connection that never was decided: what is known of it.
    pub(super) fn early_text(&self, drawn: bool) -> String {
        let line = self.line();
        let what = visible(&log::what(line));
        let doc = line.kind.doc();
        let foot = self.foot(drawn);
        let head = self.head(None, &[], drawn);
        match drawn {
            true => format!("{head}{what}\n{doc}\n{foot}"),
            false => format!("{head}verdict: none; {what}: {doc}\n{foot}"),
        }
    }

    /// The same as JSON.
    pub(super) fn early_json(&self) -> Value {
        json!({ "verdict": null, "admitted": false, "by": null, "logged": self.json(None) })
    }

    /// The line with how it compares, for programs.
    pub(super) fn json(&self, compared: Option<&Compared>) -> Value {
        let line: Value = serde_json::from_str(&self.main.text).unwrap_or_default();
        let mut told = json!({ "file": self.main.file, "at": self.main.at, "line": line });
        if let (Some(compared), Some(map)) = (compared, told.as_object_mut()) {
            map.insert("samePolicy".to_owned(), compared.same_policy.into());
            map.insert("sameAnswer".to_owned(), compared.same_answer.into());
        }
        told
    }
}

/// How an answer of then and one of now compare.
pub(super) struct Compared {
    same_policy: bool,
    same_answer: bool,
    same_clause: bool,
    then_policy: Option<String>,
    now_policy: String,
    then_answer: String,
    now_answer: String,
}

impl Compared {
    fn text(&self, drawn: bool) -> String {
        let lead = if drawn { "" } else { "log: " };
        let alike = match (self.same_answer, self.same_clause) {
            (true, true) => format!("the same clause still answers {}", self.now_answer),
            (true, false) => format!("the answer is still {}, by another clause", self.now_answer),
            (false, _) => format!(
                "it answered {}, and answers {} now",
                self.then_answer, self.now_answer
            ),
        };
        match (&self.then_policy, self.same_policy) {
            (Some(_), true) if self.same_answer => String::new(),
            (Some(_), true) => {
                format!("{lead}the same policy answers otherwise in this version of gw: {alike}\n")
            }
            (Some(then), false) => format!(
                "{lead}decided then by {then}\n{lead}asked now of   {}: {alike}\n",
                self.now_policy
            ),
            (None, _) => format!(
                "{lead}no policy had been asked; asked now of {}\n",
                self.now_policy
            ),
        }
    }
}
