//! The schema in `docs/` describes what the reader reads: the same fields, each with its type,
//! its words and its default.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::Form;
use crate::settings::{Compatibility, RateLimit, Settings, TrustedProxy};
use crate::sign::{Spec, signed_handshake};

const SETTINGS: &str = "/properties/settings";

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/handshake.schema.json")).unwrap()
}

/// What the reader says of a handshake.
fn said(handshake: Value) -> Option<String> {
    let read = serde_json::from_value::<Form>(handshake);
    read.err().map(|error| error.to_string())
}

/// What the reader says when a value stands in a field of the object at a place.
fn said_of(object: &Object, name: &str, value: Value) -> Option<String> {
    let mut handshake = object.handshake.clone();
    handshake.pointer_mut(object.at).unwrap()[name] = value;
    said(handshake)
}

/// The words between back quotes, after `expected`.
fn listed(said: &str) -> Vec<&str> {
    let list = said.split_once("expected ").unwrap().1;
    list.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_schema_is_current() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let objects = objects();
    let mut there = BTreeSet::new();
    described_objects(&schema, String::new(), &mut there);
    let tried: BTreeSet<&str> = objects.iter().map(|object| object.pointer).collect();
    for pointer in &there {
        let open = OPEN.contains(&pointer.as_str());
        assert!(
            open || tried.contains(pointer.as_str()),
            "`{pointer}` of the schema is not tried: give it a row in `objects`"
        );
    }
    for object in &objects {
        let pointer = object.pointer;
        let described = schema.pointer(pointer).unwrap();
        assert_eq!(described["additionalProperties"], json!(false), "{pointer}");
        let properties = described["properties"].as_object().unwrap();
        // The reader lists its fields when it meets one that it does not know.
        let complaint = said_of(object, "?", json!(1)).unwrap();
        let read = listed(&complaint);
        for name in &read {
            assert!(
                properties.contains_key(*name),
                "`{name}` is read, but docs/handshake.schema.json has no row for it at `{pointer}`"
            );
        }
        for (name, property) in properties {
            assert!(
                read.contains(&name.as_str()),
                "docs/handshake.schema.json has `{name}` at `{pointer}`, but it is not read"
            );
            let wrong = held_against(&schema, object, name, property);
            assert_eq!(wrong, None, "`{name}` at `{pointer}`");
        }
    }
}

/// Objects that may have other fields than those of the schema.
const OPEN: [&str; 2] = ["/properties/connect", "/$defs/issuer"];

/// Every object of the schema that has properties.
fn described_objects(at: &Value, pointer: String, found: &mut BTreeSet<String>) {
    if OPEN.contains(&pointer.as_str()) {
        return;
    }
    for (name, inner) in at.as_object().into_iter().flatten() {
        described_objects(inner, format!("{pointer}/{name}"), found);
    }
    if at["properties"].is_object() {
        found.insert(pointer);
    }
}

/// What the schema says of a field otherwise than it is read.
fn held_against(schema: &Value, object: &Object, name: &str, property: &Value) -> Option<String> {
    let resolved = match property["$ref"].as_str() {
        Some(target) => schema.pointer(target.trim_start_matches('#')).unwrap(),
        None => property,
    };
    if !resolved["description"].is_string() {
        return Some("has no description".to_owned());
    }
    // The version is one number, and the frame is held against the protocol's own schema.
    if resolved.get("const").is_some() || name == "connect" {
        return None;
    }
    let expected = read_as(|value| said_of(object, name, value));
    let of_items =
        (expected["type"] == "array").then(|| read_as(|item| said_of(object, name, json!([item]))));
    let mut described = json!({});
    for key in ["type", "enum", "minimum"] {
        if let Some(value) = resolved.get(key) {
            described[key] = value.clone();
        }
    }
    // Where nothing may be said, `null` is another way to say it.
    if described["type"] == json!(["string", "null"]) {
        described["type"] = json!("string");
    }
    if described != expected {
        return Some(format!("is read as {expected}"));
    }
    let items = of_items?;
    let (type_, words) = (&resolved["items"]["type"], &resolved["items"]["enum"]);
    let same = *type_ == items["type"] && *words == items["enum"];
    (!same).then(|| format!("has items that are read as {items}"))
}

/// How a value is read, in the words of JSON Schema, by what is said of wrong ones.
fn read_as(said: impl Fn(Value) -> Option<String>) -> Value {
    let Some(complaint) = said(json!("?")) else {
        return match said(json!({})) {
            Some(_) => json!({ "type": "string" }),
            None => json!({}),
        };
    };
    if complaint.contains("unknown variant") {
        return json!({ "enum": listed(&complaint) });
    }
    let expected = complaint.split_once("expected ").unwrap().1;
    match expected {
        "a boolean" => json!({ "type": "boolean" }),
        "u32" | "u64" => json!({ "type": "integer", "minimum": 0 }),
        "i64" => json!({ "type": "integer" }),
        "a sequence" => json!({ "type": "array" }),
        _ if expected.starts_with("a tuple") => json!({ "type": "array" }),
        _ if expected.starts_with("struct") || expected == "a map" => json!({ "type": "object" }),
        _ => panic!("how is this read? {complaint}"),
    }
}

/// Settings that are not there unless they are said.
const WITHOUT_DEFAULT: [&str; 6] = [
    "mode",
    "token",
    "password",
    "trustedProxy",
    "rateLimit",
    "userHeader",
];

/// The defaults that the schema gives to an object.
fn defaults(schema: &Value, pointer: &str) -> Value {
    let mut found = Map::new();
    for (name, property) in schema.pointer(pointer).unwrap()["properties"]
        .as_object()
        .unwrap()
    {
        if WITHOUT_DEFAULT.contains(&name.as_str()) {
            continue;
        }
        let value = if property["properties"].is_object() {
            defaults(schema, &format!("{pointer}/properties/{name}"))
        } else {
            let value = property.get("default");
            value
                .unwrap_or_else(|| panic!("give `{name}` at `{pointer}` its default"))
                .clone()
        };
        found.insert(name.clone(), value);
    }
    found.into()
}

/// Holds written defaults to the real ones, one by one.
fn same(name: &str, written: &Value, real: &Value) {
    match real.as_object() {
        None => assert_eq!(written, real, "the default of `{name}` in the schema"),
        Some(fields) => {
            for (field, real) in fields {
                same(&format!("{name}.{field}"), &written[field], real);
            }
        }
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let pointer = format!("{SETTINGS}/properties/compatibility");
    let written = defaults(&schema, &pointer);
    let real = serde_json::to_value(Compatibility::default()).unwrap();
    same("compatibility", &written, &real);
    let settings: Settings = serde_json::from_value(defaults(&schema, SETTINGS)).unwrap();
    assert_eq!(settings, Settings::default());

    let auth = format!("{SETTINGS}/properties/auth/properties");
    let limit: RateLimit =
        serde_json::from_value(defaults(&schema, &format!("{auth}/rateLimit"))).unwrap();
    assert_eq!(limit, RateLimit::default());
    let mut proxy = defaults(&schema, &format!("{auth}/trustedProxy"));
    proxy["userHeader"] = json!("x-user");
    let proxy: TrustedProxy = serde_json::from_value(proxy).unwrap();
    let user_header = "x-user".into();
    assert_eq!(
        proxy,
        TrustedProxy {
            user_header,
            ..TrustedProxy::default()
        }
    );
}

/// An object of the form: where the schema has it, and a handshake with one in it.
struct Object {
    pointer: &'static str,
    handshake: Value,
    at: &'static str,
}

/// Every object of the form that is closed.
fn objects() -> Vec<Object> {
    let object = |pointer, at: &'static str, (place, value): (&str, Value)| {
        let mut handshake = signed_handshake(&Spec::default());
        let mut here = &mut handshake;
        for step in place.split('/').skip(1) {
            here = &mut here[step];
        }
        *here = value;
        Object {
            pointer,
            handshake,
            at,
        }
    };
    let empty = |pointer, at| object(pointer, at, (at, json!({})));
    let record = || {
        let token = json!({ "token": "t", "role": "operator" });
        json!({ "deviceId": "d", "publicKey": "k", "tokens": { "operator": token } })
    };
    let pending = json!({ "requestId": "r", "deviceId": "d", "publicKey": "k", "ts": 1 });
    vec![
        object("", "", ("/note", json!("x"))),
        empty("/properties/settings", "/settings"),
        empty("/properties/settings/properties/auth", "/settings/auth"),
        object(
            "/properties/settings/properties/auth/properties/trustedProxy",
            "/settings/auth/trustedProxy",
            ("/settings/auth/trustedProxy", json!({ "userHeader": "x" })),
        ),
        empty(
            "/properties/settings/properties/auth/properties/rateLimit",
            "/settings/auth/rateLimit",
        ),
        empty(
            "/properties/settings/properties/controlUi",
            "/settings/controlUi",
        ),
        empty("/properties/settings/properties/nodes", "/settings/nodes"),
        empty(
            "/properties/settings/properties/nodes/properties/pairing",
            "/settings/nodes/pairing",
        ),
        empty(
            "/properties/settings/properties/compatibility",
            "/settings/compatibility",
        ),
        empty(
            "/properties/settings/properties/compatibility/properties/protocol",
            "/settings/compatibility/protocol",
        ),
        empty(
            "/properties/settings/properties/compatibility/properties/pairing",
            "/settings/compatibility/pairing",
        ),
        empty("/properties/socket", "/socket"),
        empty("/properties/http", "/http"),
        object(
            "/properties/challenge",
            "/challenge",
            ("/challenge", json!({ "nonce": "n" })),
        ),
        empty("/properties/pairing", "/pairing"),
        object(
            "/$defs/record",
            "/pairing/record",
            ("/pairing/record", record()),
        ),
        object(
            "/$defs/token",
            "/pairing/record/tokens/operator",
            ("/pairing/record", record()),
        ),
        object(
            "/$defs/pending",
            "/pairing/pending",
            ("/pairing/pending", pending),
        ),
        object(
            "/$defs/nodePending",
            "/pairing/nodePending",
            ("/pairing/nodePending", json!({ "requestId": "r", "ts": 1 })),
        ),
    ]
}
