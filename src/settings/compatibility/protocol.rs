//! Which protocol is spoken, and how its schema complains.

use serde::{Deserialize, Serialize};

use crate::facts::word::words;

/// `compatibility.protocol`: which versions of the protocol are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protocol {
    /// The newest, which gives the schema too: 3 or 4.
    pub current: u64,
    /// The oldest that any client may speak.
    pub oldest: u64,
    /// The oldest that a probe, or a node in the role node, may speak.
    pub oldest_for_probes_and_nodes: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Protocol {
            current: 4,
            oldest: 3,
            oldest_for_probes_and_nodes: 3,
        }
    }
}

words! {
    /// How the schema's complaints are worded.
    SchemaWording {
        Constants "constants" "a word that is not listed fails against each constant (up to 2026.4.15)",
        Enumerated "enumerated" "a word that is not listed is not one of the allowed values (2026.4.22)",
        Plain "plain" "the same, with `must not` in lower case (2026.9)",
    }
}
