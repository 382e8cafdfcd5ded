//! How far attackers get under a policy: found for `gw prove` and `gw check-policy`, and drawn.

use serde_json::{Value, json};

use super::table::Table;
use crate::analysis::attacker::{Attacker, Gain, Intruder, Reach, Siege};
use crate::analysis::{Budget, OverBudget};
use crate::claims;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::AttributeId;
use crate::policy::Policy;
use crate::source::shell_file;

/// How far somebody gets.
pub(super) struct Found {
    pub(super) intruder: Intruder,
    /// Nothing where no connection is theirs.
    pub(super) reach: Option<Reach>,
    /// What has to be said so that the connection that shows it follows.
    named: Vec<AttributeId>,
    by: String,
    place: String,
    file: String,
}

/// How far each of some gets.
pub(super) fn find(
    policy: &Policy,
    file: &str,
    intruders: Vec<Intruder>,
    nodes: usize,
) -> Result<Vec<Found>, Box<Diagnostic>> {
    let budget = Budget::of(nodes);
    let siege = Siege::new(policy.program(), &intruders, budget);
    let reached = siege.and_then(|mut siege| Ok((siege.reaches()?, siege)));
    let (reached, siege) = reached.map_err(|OverBudget| {
        let message = "nobody knows how far they get: that takes more nodes than are allowed";
        Box::new(
            Diagnostic::error(Code::AnalysisBudget, message)
                .help("name fewer networks and texts in one policy"),
        )
    })?;
    let found = intruders.into_iter().zip(reached).map(|(intruder, reach)| {
        let named = reach.as_ref().map(|it| siege.named(it));
        let by = reach.as_ref().map(|it| policy.clause(it.decision.by));
        Found {
            by: reach.as_ref().map_or_else(String::new, |it| {
                match &policy.clause(it.decision.by).label {
                    Some(label) => format!("[{label}]"),
                    None => policy.label(it.decision.by),
                }
            }),
            place: by.map_or_else(String::new, |clause| policy.sources().place(clause.head)),
            intruder,
            reach,
            named: named.unwrap_or_default(),
            file: file.to_owned(),
        }
    });
    Ok(found.collect())
}

impl Found {
    /// Whether they get further than to the owner's list of requests.
    pub(super) fn is_in(&self) -> bool {
        self.reach.as_ref().is_some_and(Reach::is_in)
    }

    /// The verdict that they get at most, without its arguments.
    pub(super) fn verdict(&self) -> &'static str {
        let reach = self.reach.as_ref();
        reach.map_or("–", |it| it.decision.verdict.kind().name())
    }

    /// The line that decides it.
    pub(super) fn by(&self) -> String {
        match self.by.starts_with('[') {
            true => format!("{} {}", self.by, self.place),
            false => self.by.clone(),
        }
    }

    /// Those of the table whom they are.
    pub(super) fn attackers(&self) -> Vec<&'static Attacker> {
        let names = self.intruder.name.split('+');
        names.filter_map(Attacker::named).collect()
    }

    /// What they may do then.
    pub(super) fn gain(&self) -> &'static str {
        match self.reach.as_ref().map(|it| it.gain) {
            Some(Gain::Admin) => "may ask for operator.admin",
            Some(Gain::Some) => "gets scopes, but not operator.admin",
            Some(Gain::Nothing) | None => "gets no scopes",
        }
    }

    /// The command that shows a connection of theirs that gets so far.
    pub(super) fn see(&self) -> String {
        let Some(reach) = &self.reach else {
            return String::new();
        };
        let named = self.named.iter();
        let facts = named.map(|id| format!(" --fact {}", claims::fact(*id, &reach.facts)));
        let facts: String = facts.collect();
        format!("gw explain --policy {}{facts}", shell_file(&self.file))
    }

    /// As a program reads it.
    pub(super) fn document(&self) -> Value {
        let facts = self.reach.iter().flat_map(|reach| {
            let named = self.named.iter();
            named.map(|id| claims::written(*id, &reach.facts))
        });
        let decision = self.reach.as_ref().map(|it| it.decision);
        let who = self.attackers().into_iter().map(|it| {
            json!({ "name": it.name, "who": it.who, "chooses": it.controls, "cannot": it.cannot })
        });
        json!({
            "attacker": self.intruder.name,
            "who": who.collect::<Vec<_>>(),
            "condition": self.intruder.says,
            "assumed": self.intruder.assumes,
            "verdict": self.verdict(),
            "admitted": self.is_in(),
            "gains": self.gain(),
            "decision": decision.map(|it| it.verdict.to_string()),
            "by": self.by.trim_matches(['[', ']']),
            "place": self.place,
            "law": decision.and_then(|it| it.law).map(|it| it.doc()),
            "facts": facts.collect::<Vec<_>>(),
            "see": self.see(),
        })
    }
}

/// How far every attacker of the table gets, without the secret and with it.
pub(super) struct Everybody(Vec<(&'static Attacker, Vec<Found>)>);

impl Everybody {
    pub(super) fn find(policy: &Policy, file: &str, nodes: usize) -> Result<Self, Box<Diagnostic>> {
        let intruders = Intruder::everybody();
        let all = intruders.iter().flat_map(|(_, own)| own.clone()).collect();
        let mut found = find(policy, file, all, nodes)?.into_iter();
        let rows = intruders.iter();
        let rows =
            rows.map(|(attacker, own)| (*attacker, found.by_ref().take(own.len()).collect()));
        Ok(Everybody(rows.collect()))
    }

    /// Drawn, with a command for each who gets in.
    pub(super) fn drawn(&self, file: &str) -> String {
        let cell = |found: Option<&Found>| found.map_or("–", Found::verdict).to_owned();
        let by = |found: Option<&Found>| found.map_or_else(|| "–".to_owned(), |it| it.by.clone());
        let rows = self.0.iter().map(|(attacker, found)| {
            let (without, with) = match found.as_slice() {
                [only] => (None, Some(only)),
                [without, with] => (Some(without), Some(with)),
                _ => (None, None),
            };
            [
                attacker.name.to_owned(),
                cell(without),
                by(without),
                cell(with),
                by(with),
            ]
        });
        let columns = [
            "attacker",
            "gets at most",
            "by",
            "with the shared secret",
            "by",
        ];
        let mut text = format!("{file}: how far each attacker gets\n\n");
        text.push_str(&Table::new(columns, rows.collect()).drawn());
        let entering: Vec<&Found> = self
            .0
            .iter()
            .flat_map(|it| &it.1)
            .filter(|it| it.is_in())
            .collect();
        for found in entering {
            text.push_str(&format!(
                "\n{} gets in, and {}:\n  {}\n",
                found.intruder.name,
                found.gain(),
                found.see()
            ));
        }
        text.push_str(
            "\nwho they are: gw prove --attacker NAME; settings are those of no configuration, with a token or a password\n",
        );
        text
    }

    /// As a program reads it.
    pub(super) fn document(&self) -> Value {
        let all = self.0.iter().flat_map(|it| &it.1);
        all.map(Found::document).collect()
    }
}
