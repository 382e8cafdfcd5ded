//! What else may be asked about a connection: what leads elsewhere, why a clause did not decide,
//! what is possible where facts are not known.

use serde_json::Value;

use super::fact::{self, NamedFacts, Problem};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::explain::chart::Chart;
use crate::explain::open::Open;
use crate::explain::text::Style;
use crate::explain::{Explanation, Subject, answers, possible, ways, why_not};
use crate::facts::{AttributeId, Facts};
use crate::source::{Source, Sources, Span};

/// What is asked.
pub(super) struct Questions<'a> {
    pub(super) to: Option<&'a str>,
    pub(super) why_not: Option<&'a str>,
    pub(super) named: &'a NamedFacts,
}

/// Whom it is asked about.
pub(super) struct Connection<'a> {
    pub(super) chart: &'a Chart<'a>,
    pub(super) facts: &'a Facts,
    /// Whether the facts were seen of a connection, rather than assumed.
    pub(super) is_seen: bool,
    pub(super) subject: &'a Subject,
}

/// An answer.
pub(super) struct Further {
    /// Its name in the JSON account.
    pub(super) name: &'static str,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Connection<'_> {
    /// Answers what is asked, if anything is.
    pub(super) fn asked(
        &self,
        questions: &Questions<'_>,
        explanation: &Explanation,
        style: Style,
    ) -> Result<Option<Further>, Problem> {
        if let Some(to) = questions.to {
            return self.to(to, explanation, style).map(Some);
        }
        if let Some(name) = questions.why_not {
            return self.why_not(name, explanation, style).map(Some);
        }
        let named = questions.named;
        Ok((!named.unknown.is_empty()).then(|| {
            let given: Vec<AttributeId> = named.facts.iter().map(|fact| fact.attribute).collect();
            let open = Open {
                unknown: &named.unknown,
                given: &given,
                is_seen: self.is_seen,
            };
            self.possible(&open, style)
        }))
    }

    fn to(&self, to: &str, explanation: &Explanation, style: Style) -> Result<Further, Problem> {
        let expected = fact::verdict(to)?;
        let found = ways::ways(self.chart, self.facts, self.subject, expected);
        let to = expected.to_string();
        Ok(Further {
            name: "ways",
            json: answers::ways_json(self.chart.policy(), &to, found.as_ref()),
            text: answers::ways(explanation, self.chart.policy(), &to, found.as_ref(), style),
        })
    }

    fn why_not(
        &self,
        name: &str,
        explanation: &Explanation,
        style: Style,
    ) -> Result<Further, Problem> {
        let id =
            why_not::named(self.chart.policy(), name).map_err(|all| no_such_clause(name, &all))?;
        let found = why_not::why_not(self.chart, self.facts, self.subject, id);
        Ok(Further {
            name: "whyNot",
            json: answers::why_not_json(self.chart.policy(), &found),
            text: answers::why_not(explanation, &found, style),
        })
    }

    /// What is possible where some facts are not known.
    fn possible(&self, open: &Open<'_>, style: Style) -> Further {
        let policy = self.chart.policy();
        let found = possible::possible(self.chart, self.facts, open);
        Further {
            name: "possible",
            json: answers::possible_json(policy, found.as_ref()),
            text: answers::possible(policy, found.as_ref(), style),
        }
    }
}

fn no_such_clause(name: &str, all: &[String]) -> Problem {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("--why-not", name));
    let message = "no rule or guard of the policy has this label, or stands at this line";
    let nearest = suggest::did_you_mean(name, all.iter().map(String::as_str));
    let diagnostic = Diagnostic::error(Code::UnknownValue, message)
        .label(Span::new(id, 0..name.len()), "")
        .maybe_help(nearest)
        .help(format!("there are {}", all.join(", ")));
    (Box::new(diagnostic), sources)
}
