//! What became of each value of an OpenClaw configuration.

use std::fmt;

use crate::facts::word::words;
use crate::source::visible;

words! {
    /// What became of a value.
    Outcome {
        Taken "taken" "it counts here too",
        Left "left" "it does not count here",
        Refused "refused" "it would open to more than the configuration names, or is unsafe",
    }
}

/// A value, with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The JSON pointer of the value.
    pub pointer: String,
    /// What became of it.
    pub outcome: Outcome,
    /// As what it counts here, or why it does not; never a secret.
    pub text: String,
    /// Whether `--allow-wider` would take it.
    pub wider: bool,
}

/// What became of a whole configuration, in the order of its pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Item>);

impl Report {
    /// What has this outcome.
    pub fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Item> {
        self.0.iter().filter(move |item| item.outcome == outcome)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in [Outcome::Refused, Outcome::Taken, Outcome::Left] {
            for item in self.of(outcome) {
                let wider = if item.wider {
                    "; --allow-wider takes it"
                } else {
                    ""
                };
                let (pointer, text) = (visible(&item.pointer), visible(&item.text));
                writeln!(f, "{outcome} {pointer}: {text}{wider}")?;
            }
        }
        Ok(())
    }
}
