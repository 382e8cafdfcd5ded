//! Values of an attribute: each word of its vocabulary, and what stands for all others.

use gw::facts::attributes::Value;
use gw::facts::{AttributeId, Kind};

/// Sets of scopes: what roles and assumptions tell apart.
const SCOPES: [&[&str]; 5] = [
    &[],
    &["operator.read"],
    &["operator.write"],
    &["operator.read", "operator.write"],
    &["operator.admin"],
];

/// One value for each kind of value.
pub(crate) fn values(id: AttributeId) -> Vec<Value> {
    let word = |word: &gw::facts::Word| Value::Word(word.name.to_owned());
    match id.row().kind {
        Kind::Flag { .. } => vec![Value::Flag(false), Value::Flag(true)],
        Kind::Enum { words, .. } | Kind::Address { words, .. } | Kind::Header { words, .. } => {
            words.iter().map(word).collect()
        }
        Kind::Set { .. } => {
            let owned = |set: &&[&str]| set.iter().map(|scope| (*scope).to_owned()).collect();
            SCOPES.iter().map(|set| Value::Words(owned(set))).collect()
        }
        Kind::Text { .. } => ["absent", "/x"]
            .map(|text| Value::Text(text.to_owned()))
            .to_vec(),
    }
}
