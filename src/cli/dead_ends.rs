//! Where the refusals of a policy lead: found for `gw prove --dead-ends`, and drawn.

use serde_json::{Value, json};

use super::lines;
use crate::analysis::OverBudget;
use crate::analysis::dead_end::{
    LockedOut, Lost, Refusal, Shown, Tried, Way, Ways, is_by_design, ways,
};
use crate::claims;
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic};
use crate::policy::Policy;
use crate::source::shell_file;
use crate::verdict::Verdict;

/// Where the refusals of a policy lead.
pub(super) struct DeadEnds<'a> {
    policy: &'a Policy,
    file: &'a str,
    ways: Ways,
}

impl<'a> DeadEnds<'a> {
    pub(super) fn find(
        policy: &'a Policy,
        file: &'a str,
        nodes: usize,
    ) -> Result<Self, Box<Diagnostic>> {
        let vocabulary = Some(policy.vocabulary());
        let ways = ways(policy.program(), vocabulary, nodes).map_err(|OverBudget| {
            let message =
                "nobody knows where its refusals lead: that takes more nodes than are allowed";
            Box::new(
                Diagnostic::error(Code::AnalysisBudget, message)
                    .help("name fewer networks and texts in one policy"),
            )
        })?;
        Ok(DeadEnds { policy, file, ways })
    }

    /// How many there are: clauses that send somebody nowhere, and states of the owner's.
    pub(super) fn count(&self) -> usize {
        let clauses = self.clauses();
        let lost = clauses.filter(|all| all.iter().any(|it| matches!(it.way, Way::DeadEnd(_))));
        lost.count() + self.ways.owner.len()
    }

    /// The refusals of each clause.
    fn clauses(&self) -> impl Iterator<Item = &[Refusal]> {
        let refusals = &self.ways.refusals;
        refusals.chunk_by(|one, other| one.by == other.by)
    }

    /// Drawn: every refusal with where it leads, then the dead ends, each with a connection.
    pub(super) fn drawn(&self) -> String {
        let mut text = String::new();
        for clause in self.clauses() {
            let Some(first) = clause.first() else {
                continue;
            };
            text.push_str(&format!("{}\n", self.name(first.by)));
            // Answers that lead the same way are told together.
            let mut ways: Vec<(String, Vec<String>)> = Vec::new();
            for refusal in clause {
                let leads = self.leads(refusal);
                let answer = refusal.verdict.to_string();
                match ways.iter_mut().find(|(known, _)| *known == leads) {
                    Some((_, answers)) => answers.push(answer),
                    None => ways.push((leads, vec![answer])),
                }
            }
            for (leads, answers) in ways {
                text.push_str(&format!("  {}\n      {leads}\n", wrapped(&answers)));
            }
        }
        for clause in self.clauses() {
            let lost = clause.iter().filter(|it| matches!(it.way, Way::DeadEnd(_)));
            let lost: Vec<&Refusal> = lost.collect();
            if let Some(first) = lost.first()
                && let Way::DeadEnd(tried) = &first.way
            {
                let answers: Vec<String> = lost.iter().map(|it| it.verdict.to_string()).collect();
                text.push_str(&format!(
                    "\nDEAD END  {}{}: what it names leads nowhere\n  {}\n{}{}  {}\n",
                    self.name(first.by),
                    self.issues(first.by),
                    wrapped(&answers),
                    self.only(first.by),
                    self.tried(Some(first.verdict).filter(|_| lost.len() > 1), tried),
                    self.see(&first.shown),
                ));
            }
        }
        for locked in &self.ways.owner {
            let report = locked.report.map(|report| format!(" ({report})"));
            text.push_str(&format!(
                "\nDEAD END  an owner {} cannot approve anything{}: {} by {}\n{}  {}\n",
                locked.state,
                report.unwrap_or_default(),
                locked.decision.verdict,
                self.name(locked.decision.by),
                self.tried(None, &locked.tried),
                self.see(&locked.shown),
            ));
        }
        let summary = match self.count() {
            0 => "no dead ends: what an answer names leads in, or to a refusal that is meant"
                .to_owned(),
            1 => "1 dead end".to_owned(),
            many => format!("{many} dead ends"),
        };
        format!(
            "{text}\n{}: {summary}, policy {}\n",
            self.file,
            self.policy.digest()
        )
    }

    /// As a program reads it.
    pub(super) fn document(&self) -> Value {
        let refusals = self
            .ways
            .refusals
            .iter()
            .map(|refusal| self.refusal(refusal));
        let owner = self.ways.owner.iter().map(|locked| self.locked(locked));
        json!({
            "policy": self.file,
            "digest": self.policy.digest(),
            "deadEnds": self.count(),
            "refusals": refusals.collect::<Vec<_>>(),
            "owner": owner.collect::<Vec<_>>(),
        })
    }

    fn refusal(&self, refusal: &Refusal) -> Value {
        let (leads, steps) = match &refusal.way {
            Way::Ends(steps) => {
                let last = steps.last().map_or(refusal.verdict, |it| it.1.verdict);
                let leads = match is_by_design(last) {
                    true => "to a refusal that is meant",
                    false => "in",
                };
                (leads, steps.as_slice())
            }
            Way::DeadEnd(_) => ("nowhere", &[][..]),
        };
        let tried = match &refusal.way {
            Way::Ends(_) => &[][..],
            Way::DeadEnd(tried) => tried,
        };
        let steps = steps.iter().map(|(change, decision)| {
            json!({
                "step": change.done,
                "decision": decision.verdict.to_string(),
                "by": self.policy.label(decision.by),
            })
        });
        json!({
            "by": self.policy.label(refusal.by),
            "answer": refusal.verdict.to_string(),
            "leads": leads,
            "steps": steps.collect::<Vec<_>>(),
            "tried": self.tried_json(tried),
            "where": match &refusal.way {
                Way::DeadEnd(_) => self.lost(refusal.by).map(|lost| &lost.conditions),
                Way::Ends(_) => None,
            },
            "issues": self.policy.clause(refusal.by).issues,
            "see": self.see(&refusal.shown),
        })
    }

    fn locked(&self, locked: &LockedOut) -> Value {
        json!({
            "state": locked.state,
            "answer": locked.decision.verdict.to_string(),
            "by": self.policy.label(locked.decision.by),
            "report": locked.report,
            "tried": self.tried_json(&locked.tried),
            "see": self.see(&locked.shown),
        })
    }

    fn leads(&self, refusal: &Refusal) -> String {
        match &refusal.way {
            Way::DeadEnd(_) if self.lost(refusal.by).is_some() => "DEAD END for some".to_owned(),
            Way::DeadEnd(_) => "DEAD END".to_owned(),
            Way::Ends(steps) if steps.is_empty() => MEANT.to_owned(),
            Way::Ends(steps) => {
                let told = steps.iter().map(|(change, decision)| {
                    let verdict = decision.verdict;
                    let last = if is_by_design(verdict) { MEANT } else { "" };
                    let comma = if last.is_empty() { "" } else { ", " };
                    format!("{}: {}{comma}{last}", change.done, verdict.kind().name())
                });
                told.collect::<Vec<_>>().join(",\n      then ")
            }
        }
    }

    /// Of whom a clause sends nowhere, who that is, where it is not all.
    fn lost(&self, by: ClauseId) -> Option<&Lost> {
        self.ways.lost.iter().find(|lost| lost.by == by)
    }

    /// The same as lines, nothing where it is all of them.
    fn only(&self, by: ClauseId) -> String {
        let Some(lost) = self.lost(by) else {
            return String::new();
        };
        let conditions = lost.conditions.iter();
        let folded = conditions.map(|it| lines::folded(10, 12, &lines::joined(it)));
        let mut told: Vec<String> = folded.collect();
        if lost.is_cut {
            told.push(match told.is_empty() {
                true => "which of them takes too much to find".to_owned(),
                false => "          for some besides".to_owned(),
            });
        }
        format!("    where {}\n", told.join(", or\n").trim_start())
    }

    /// What somebody is told to do, and what comes of that, step by step; of several answers, who
    /// gets this one.
    fn tried(&self, answer: Option<Verdict>, tried: &[Tried]) -> String {
        let steps = tried.iter().map(|step| {
            let then = step.then.told(|id| self.name(id));
            format!("    told  {}\n    then  {then}\n", step.change.done)
        });
        let whose = answer.map_or_else(String::new, |answer| format!("  such as {answer}:\n"));
        whose + &steps.collect::<String>()
    }

    /// The same as a program reads it.
    fn tried_json(&self, tried: &[Tried]) -> Value {
        let steps = tried.iter().map(
            |step| json!({ "step": step.change.done, "then": step.then.told(|id| self.name(id)) }),
        );
        steps.collect()
    }

    fn name(&self, id: ClauseId) -> String {
        match &self.policy.clause(id).label {
            Some(label) => format!("[{label}]"),
            None => self.policy.label(id),
        }
    }

    /// The reports that a clause names.
    fn issues(&self, id: ClauseId) -> String {
        let issues = &self.policy.clause(id).issues;
        match issues.is_empty() {
            true => String::new(),
            false => format!(" ({})", issues.join(", ")),
        }
    }

    /// The command that shows a connection.
    fn see(&self, shown: &Shown) -> String {
        let named = shown.named.iter();
        let facts = named.map(|id| format!(" --fact {}", claims::fact(*id, &shown.facts)));
        let facts: String = facts.collect();
        format!("gw explain --policy {}{facts}", shell_file(self.file))
    }
}

/// What is said of an answer that no step changes, on purpose.
const MEANT: &str = "never, by design";

/// Answers one behind the other, on lines that a terminal holds.
fn wrapped(answers: &[String]) -> String {
    let mut lines = vec![String::new()];
    for answer in answers {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(answer),
            Some(line) if line.len() + answer.len() < 90 => line.push_str(&format!(", {answer}")),
            _ => lines.push(answer.clone()),
        }
    }
    lines.join(",\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load;
    use crate::decide::decide;
    use crate::facts::assumptions::broken;

    /// Every way that is shown ends with an admission, and each step of it changes the answer.
    #[test]
    fn each_step_that_is_shown_changes_the_answer() {
        let mut steps_taken = 0;
        for name in ["default.policy", "docker.policy", "lan.policy"] {
            let policy = load::policy(&format!("built-in:{name}"), false).unwrap();
            let found = DeadEnds::find(&policy, name, 1_000_000).unwrap();
            assert!(found.ways.owner.is_empty(), "{name}");
            for refusal in &found.ways.refusals {
                let Way::Ends(steps) = &refusal.way else {
                    panic!("{name}: {refusal:#?}");
                };
                let mut facts = refusal.shown.facts.clone();
                let mut before = decide(policy.program(), &facts).verdict;
                assert_eq!(before, refusal.verdict);
                for (change, decision) in steps {
                    (change.apply)(&mut facts);
                    assert_eq!(broken(&facts).count(), 0, "{name}: {facts:#?}");
                    let now = decide(policy.program(), &facts).verdict;
                    assert_eq!(now, decision.verdict);
                    assert_ne!(now, before, "{name}: {}", change.done);
                    before = now;
                    steps_taken += 1;
                }
                let is_over = before.kind().admits() || is_by_design(before);
                assert!(is_over, "{name}: {refusal:#?}");
            }
        }
        assert!(steps_taken > 100);
    }
}
