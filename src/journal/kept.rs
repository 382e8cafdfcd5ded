//! Facts in a line: by who vouches for them, and read back as they were.
//!
//! A flag that does not hold and a text that is empty are left out. A header has its class
//! beside its text, since its text alone does not say whether it was there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::facts::{
    ATTRIBUTES, Address, Attribute, AttributeId, Facts, Host, HostClass, Kind, Origin, OriginClass,
    Provenance, Scope, ScopeSet, Stage, Word,
};

/// The longest text of a fact, in characters. A longer one is cut, and says how long it was: no
/// text that a policy may name is as long, so the policy sees no difference.
pub(super) const LONGEST: usize = 256;

/// The facts of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The facts, as exactly as a policy sees them.
    pub facts: Facts,
    /// Up to which stage they are known.
    pub until: Stage,
    /// Those that the line does not say, though it says others of their stage: a newer version
    /// knows them. They are the defaults.
    pub assumed: Vec<AttributeId>,
    /// Names that mean nothing here, or with a value that none has.
    pub strange: Vec<String>,
}

impl Kept {
    /// The facts of a connection, as far as they are known at a stage.
    #[must_use]
    pub fn new(facts: &Facts, until: Stage) -> Self {
        Kept {
            facts: facts.clone(),
            until,
            assumed: Vec::new(),
            strange: Vec::new(),
        }
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut groups = serializer.serialize_map(None)?;
        for vouched in Provenance::ALL {
            let group = Group {
                kept: self,
                vouched: *vouched,
            };
            groups.serialize_entry(vouched.name(), &group)?;
        }
        groups.end()
    }
}

/// The facts that one provenance vouches for.
struct Group<'a> {
    kept: &'a Kept,
    vouched: Provenance,
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mine =
            |row: &&Attribute| row.provenance == self.vouched && row.stage <= self.kept.until;
        for row in ATTRIBUTES.iter().filter(mine) {
            put(&mut map, row, &self.kept.facts)?;
        }
        map.end()
    }
}

fn put<M: serde::ser::SerializeMap>(
    map: &mut M,
    row: &Attribute,
    facts: &Facts,
) -> Result<(), M::Error> {
    let name = row.name;
    match row.kind {
        Kind::Flag { get, .. } if get(facts) => map.serialize_entry(name, &true),
        Kind::Text { get, .. } if !get(facts).is_empty() => {
            map.serialize_entry(name, &bounded(get(facts)))
        }
        Kind::Flag { .. } | Kind::Text { .. } => Ok(()),
        Kind::Enum { words, get, .. } => map.serialize_entry(name, word(words, get(facts))),
        Kind::Set { get, .. } => map.serialize_entry(name, &Names(get(facts))),
        Kind::Address { get, .. } => map.serialize_entry(name, &get(facts).ip()),
        Kind::Header {
            words,
            class,
            text,
            ip,
            ..
        } => {
            let class = word(words, class(facts));
            let text = match (text(facts), ip(facts)) {
                ("", _) => None,
                // A zone may be as long as it likes; the address is what counts.
                (text, Some(ip)) if is_long(text) && row.name == "host" => Some(ip.to_string()),
                (text, _) => Some(bounded(text)),
            };
            map.serialize_entry(name, &HeaderLine { class, text })
        }
    }
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    class: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

struct Names(ScopeSet);

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Scope::name))
    }
}

fn word(words: &'static [Word], code: u8) -> &'static str {
    words.get(usize::from(code)).map_or("", |word| word.name)
}

fn is_long(text: &str) -> bool {
    text.len() > LONGEST && text.chars().nth(LONGEST).is_some()
}

/// The text, or its beginning with how long it was.
fn bounded(text: &str) -> String {
    if !is_long(text) {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}… ({} bytes)", text.len())
}

/// Facts of a line, as they are written.
type Groups = BTreeMap<String, BTreeMap<String, Value>>;

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let groups = Groups::deserialize(deserializer)?;
        let mut kept = Kept {
            facts: blank(),
            until: Stage::Accept,
            assumed: Vec::new(),
            strange: Vec::new(),
        };
        let said: Vec<(&String, &Value)> = groups.values().flatten().collect();
        let mut named = [false; u8::MAX as usize + 1];
        for (name, value) in said {
            let id = AttributeId::named(name);
            match id.filter(|id| take(*id, value, &mut kept.facts).is_some()) {
                Some(id) => {
                    kept.until = kept.until.max(id.row().stage);
                    if let Some(named) = named.get_mut(usize::from(id.0)) {
                        *named = true;
                    }
                }
                None => kept.strange.push(name.clone()),
            }
        }
        let usual = Facts::default();
        for id in AttributeId::all() {
            let said = named.get(usize::from(id.0)).copied().unwrap_or(false);
            let row = id.row();
            let optional = matches!(row.kind, Kind::Flag { .. } | Kind::Text { .. });
            if row.stage > kept.until {
                copy(id, &usual, &mut kept.facts);
            } else if !said && !optional {
                kept.assumed.push(id);
            }
        }
        Ok(kept)
    }
}

/// The default facts, with every flag down and every text empty.
fn blank() -> Facts {
    let mut facts = Facts::default();
    for row in ATTRIBUTES {
        match row.kind {
            Kind::Flag { set, .. } => set(&mut facts, false),
            Kind::Text { set, .. } => set(&mut facts, ""),
            Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } | Kind::Header { .. } => {}
        }
    }
    facts
}

/// Copies a flag or a text: the others of [`blank`] are the defaults already.
fn copy(id: AttributeId, from: &Facts, to: &mut Facts) {
    match id.row().kind {
        Kind::Flag { get, set } => set(to, get(from)),
        Kind::Text { get, set } => set(to, get(from)),
        Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } | Kind::Header { .. } => {}
    }
}

/// Puts a value where it belongs; `None` when no fact has it.
fn take(id: AttributeId, value: &Value, facts: &mut Facts) -> Option<()> {
    let row = id.row();
    match row.kind {
        Kind::Flag { set, .. } => set(facts, value.as_bool()?),
        Kind::Enum { set, .. } => set(facts, row.kind.code(value.as_str()?)?),
        Kind::Text { .. } => match row.name {
            // As it was compared, and not as a client would send it.
            "path" => facts.path = value.as_str()?.into(),
            "platform" => facts.platform = value.as_str()?.into(),
            "device-family" => facts.device_family = value.as_str()?.into(),
            _ => return None,
        },
        Kind::Set { set, .. } => {
            let names = value.as_array()?.iter();
            let scopes: Option<ScopeSet> = names.map(|name| Scope::parse(name.as_str()?)).collect();
            set(facts, scopes?);
        }
        Kind::Address { set, .. } => match value {
            Value::Null => set(facts, Address::NONE),
            Value::String(text) => set(facts, Address::new(text.parse::<IpAddr>().ok()?)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
        },
        Kind::Header { .. } => {
            let class = value.get("class")?.as_str()?;
            let text = value.get("text").map_or(Some(""), Value::as_str)?;
            match row.name {
                "host" => facts.host = Host::restored(HostClass::parse(class)?, text),
                "origin" => facts.origin = Origin::restored(OriginClass::parse(class)?, text),
                _ => return None,
            }
        }
    }
    Some(())
}
