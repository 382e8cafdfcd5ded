//! What a file of `fixtures/attacks` says: an attack, what the newest release of OpenClaw does, and
//! cases of it, each a story of steps over real sockets with what has to come of them.
//!
//! `fixtures/attacks/README.md` explains the format to whoever writes a case.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::scenario::Spec;
use crate::words::{Known, constant, substituted_in};

/// An attack: one file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Attack {
    /// The file's name, without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// What is tried, in a sentence.
    pub(crate) attack: String,
    /// Advisories and reports of it.
    #[serde(default)]
    pub(crate) reports: Vec<String>,
    /// What the newest release of OpenClaw does.
    pub(crate) newest: String,
    pub(crate) beside: Beside,
    /// Why this gateway does otherwise, where it does.
    #[serde(default)]
    pub(crate) why: Option<String>,
    /// What of a real network the addresses here stand for.
    #[serde(default)]
    pub(crate) stands: Option<String>,
    /// Over the settings with the shared token.
    #[serde(default)]
    settings: Map<String, Value>,
    /// What all steps have in common.
    #[serde(default)]
    spec: Map<String, Value>,
    pub(crate) cases: Vec<Case>,
}

/// How this gateway answers beside the newest release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Beside {
    /// Nobody gets further or less far.
    Alike,
    /// Somebody gets less far.
    Stricter,
    /// Something else than how far one gets is answered otherwise.
    Otherwise,
}

/// A story.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What happens, in a sentence.
    pub(crate) what: String,
    /// Settings of this case over those of the attack.
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
    /// The text of a policy, in the place of `policies/default.policy`.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// What all steps of this case have in common.
    #[serde(default)]
    spec: Map<String, Value>,
    /// What is remembered of devices before.
    #[serde(default)]
    holds: Vec<Map<String, Value>>,
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) after: After,
}

/// What somebody does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Step {
    /// A connection is opened, as far as its HTTP answer; of a WebSocket as far as its challenge.
    Dial(Dial),
    /// The connect frame is sent on a connection that is open.
    Connect(Connect),
    /// Both.
    Knock(Knock),
    /// A text message is sent as it is.
    Send(Send),
    /// A session calls a method.
    Call(Call),
    /// The gateway closes a connection.
    Closed(Closed),
    /// The owner runs a command on the gateway's host.
    Gw(Gw),
    /// The operator changes the settings.
    Settings(Map<String, Value>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Dial {
    /// The name of the connection.
    #[serde(rename = "as")]
    pub(crate) name: String,
    /// How often; all stay open.
    #[serde(default = "once")]
    pub(crate) times: usize,
    #[serde(default)]
    pub(crate) spec: Map<String, Value>,
    /// The target of the request.
    #[serde(default = "root")]
    pub(crate) path: String,
    /// It asks for a page and not for a WebSocket.
    #[serde(default)]
    pub(crate) page: bool,
    #[serde(default)]
    pub(crate) expect: Option<Expect>,
    /// The attack is decided here, though nothing is logged of it.
    #[serde(default)]
    pub(crate) decides: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Connect {
    /// The connection.
    pub(crate) on: String,
    #[serde(default)]
    pub(crate) spec: Map<String, Value>,
    /// What is sent is what was sent on this connection, to the letter.
    #[serde(default)]
    pub(crate) replays: Option<String>,
    /// Put over the parameters of the frame, after it was signed.
    #[serde(default)]
    pub(crate) more: Map<String, Value>,
    pub(crate) expect: Expect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Knock {
    #[serde(rename = "as")]
    pub(crate) name: String,
    #[serde(default = "once")]
    pub(crate) times: usize,
    #[serde(default)]
    pub(crate) spec: Map<String, Value>,
    #[serde(default = "root")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) more: Map<String, Value>,
    pub(crate) expect: Expect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Send {
    pub(crate) on: String,
    /// The message, or a part of it that is repeated.
    pub(crate) text: String,
    #[serde(default = "once")]
    pub(crate) repeated: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Call {
    /// The connection.
    pub(crate) on: String,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Value,
    /// What the result holds, as far as it is said; or
    #[serde(default)]
    pub(crate) answers: Option<Value>,
    /// the message of the error.
    #[serde(default)]
    pub(crate) fails: Option<String>,
    /// What the answer says, to the letter.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// What it must not say.
    #[serde(default)]
    pub(crate) says_not: Vec<String>,
    /// The attack is decided here.
    #[serde(default)]
    pub(crate) decides: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Closed {
    pub(crate) on: String,
    pub(crate) code: u16,
    #[serde(default)]
    pub(crate) reason: String,
    /// What the log has of it.
    #[serde(default)]
    pub(crate) log: Option<Logged>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Gw {
    /// The command line, after `gw`.
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) exits: i32,
    /// What it prints, anywhere.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    #[serde(default)]
    pub(crate) says_not: Vec<String>,
    #[serde(default)]
    pub(crate) decides: bool,
}

/// How an attempt ends: one of the first five, and what belongs to it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// Let in, with these scopes.
    pub(crate) admitted: Option<Vec<String>>,
    /// Refused until the owner approves, for this reason.
    pub(crate) asked: Option<String>,
    /// Refused, with `error.details.code`, or `error.code` where there is no such.
    pub(crate) refused: Option<String>,
    /// Answered with this status in place of a WebSocket.
    pub(crate) http: Option<u16>,
    /// Closed with this code, without an answer.
    pub(crate) closed: Option<u16>,
    /// The scopes of the device token that is handed out; `[]` for none.
    pub(crate) token: Option<Vec<String>>,
    /// What the answer says, and what it must not say.
    pub(crate) says: Vec<String>,
    pub(crate) says_not: Vec<String>,
    /// What the log has of it. With this, the step is one that the case is about.
    pub(crate) log: Option<Logged>,
}

/// What a line of the log of decisions says, as far as it is said.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Logged {
    /// The kind of line; `decided` unless said.
    pub(crate) kind: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) reason: Option<String>,
    /// The line of the policy.
    pub(crate) by: Option<String>,
    pub(crate) law: Option<String>,
    /// Facts by their names; null where the line must not have it.
    pub(crate) facts: BTreeMap<String, Value>,
}

/// What is there when the story is over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct After {
    /// The requests that wait, by device: as `operator: operator.read operator.write`. None unless
    /// said.
    pub(crate) waiting: BTreeMap<String, String>,
    /// The devices that are paired, likewise. Those that were before unless said.
    pub(crate) paired: Option<BTreeMap<String, String>>,
    /// What no token of a device carries.
    pub(crate) no_token: Vec<String>,
    /// Further texts that are not in any log.
    pub(crate) not_logged: Vec<String>,
}

fn once() -> usize {
    1
}

fn root() -> String {
    "/".to_owned()
}

impl Attack {
    /// Reads a file's text.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        // By way of JSON, whose words for a step are the keys of a map.
        let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let attack: Attack = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let name = name.to_owned();
        Attack { name, ..attack }.checked()
    }

    /// The file, if what it says can fail and can be told.
    fn checked(self) -> Result<Self, String> {
        if (self.beside == Beside::Alike) != self.why.is_none() {
            return Err("`why` stands where, and only where, it is not `alike`".to_owned());
        }
        for case in &self.cases {
            if !case.steps.iter().any(Step::decides) {
                return Err(format!("{}: no step decides", case.name));
            }
            for expect in case.steps.iter().filter_map(Step::expected) {
                let said = [
                    expect.admitted.is_some(),
                    expect.asked.is_some(),
                    expect.refused.is_some(),
                    expect.http.is_some(),
                    expect.closed.is_some(),
                ];
                if said.into_iter().filter(|said| *said).count() != 1 {
                    return Err(format!("{}: each step ends in one way", case.name));
                }
            }
            for call in case.steps.iter() {
                if let Step::Call(call) = call
                    && call.answers.is_some() == call.fails.is_some()
                {
                    return Err(format!("{}: a call `answers` or `fails`", case.name));
                }
            }
        }
        Ok(self)
    }

    /// What a connection is made of, or a device that is remembered.
    pub(crate) fn spec(
        &self,
        case: &Case,
        own: &Map<String, Value>,
        known: Known<'_>,
    ) -> Result<Spec, String> {
        let mut all = self.spec.clone();
        all.extend(case.spec.clone());
        all.extend(own.clone());
        all.insert("settings".into(), Value::Object(self.settings(case)));
        let all = substituted_in(&Value::Object(all), known)?;
        serde_json::from_value(all).map_err(|error| error.to_string())
    }

    /// All of these that a case speaks of, as far as they are known before it runs.
    pub(crate) fn specs(&self, case: &Case) -> Result<Vec<Spec>, String> {
        let later = |words: &str| Ok(constant(words).unwrap_or_default());
        let own = case
            .holds
            .iter()
            .chain(case.steps.iter().filter_map(Step::spec));
        own.map(|own| self.spec(case, own, &later)).collect()
    }

    /// The settings that the gateway begins with, but for the shared secret.
    pub(crate) fn settings(&self, case: &Case) -> Map<String, Value> {
        let mut settings = self.settings.clone();
        settings.extend(case.settings.clone());
        settings
    }

    /// What is remembered before.
    pub(crate) fn holds(&self, case: &Case) -> Result<Vec<Spec>, String> {
        let each = case.holds.iter();
        each.map(|own| self.spec(case, own, &constant)).collect()
    }
}

impl Step {
    /// What its connection is made of.
    fn spec(&self) -> Option<&Map<String, Value>> {
        match self {
            Step::Dial(dial) => Some(&dial.spec),
            Step::Connect(connect) => Some(&connect.spec),
            Step::Knock(knock) => Some(&knock.spec),
            Step::Send(_) | Step::Call(_) | Step::Closed(_) | Step::Gw(_) | Step::Settings(_) => {
                None
            }
        }
    }

    pub(crate) fn expected(&self) -> Option<&Expect> {
        match self {
            Step::Dial(dial) => dial.expect.as_ref(),
            Step::Connect(connect) => Some(&connect.expect),
            Step::Knock(knock) => Some(&knock.expect),
            Step::Send(_) | Step::Call(_) | Step::Closed(_) | Step::Gw(_) | Step::Settings(_) => {
                None
            }
        }
    }

    /// Whether the case is about what comes of this step.
    pub(crate) fn decides(&self) -> bool {
        match self {
            Step::Dial(Dial { decides: true, .. }) => true,
            Step::Dial(_) | Step::Connect(_) | Step::Knock(_) => {
                self.expected().is_some_and(|expect| expect.log.is_some())
            }
            Step::Call(call) => call.decides,
            Step::Closed(closed) => closed.log.is_some(),
            Step::Gw(gw) => gw.decides,
            Step::Send(_) | Step::Settings(_) => false,
        }
    }
}
