//! Recordings that can be read, and what is said of those that cannot.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

use super::super::sign::{NOW, Spec, signed_handshake};

fn changed(pointer: &str, value: Value) -> String {
    let mut handshake = signed_handshake(&Spec::default());
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    handshake.pointer_mut(parent).unwrap()[name] = value;
    serde_json::to_string_pretty(&handshake).unwrap()
}

/// The message, and the text it points at.
fn refused(text: &str) -> (String, &str) {
    let error = parse(text).unwrap_err();
    (error.message, &text[error.range])
}

#[test]
fn the_form_is_read() {
    let text = changed("/note", json!("a note"));
    let handshake = parse(&text).unwrap();
    assert_eq!(handshake.note.as_deref(), Some("a note"));
    assert_eq!(
        handshake.socket.peer,
        Some("127.0.0.1:51000".parse().unwrap())
    );
    assert_eq!(handshake.time_ms, NOW);
}

/// The sample that the documentation shows is what a test device would send.
#[test]
fn the_sample_is_current() {
    let spec = Spec {
        settings: json!({ "auth": { "token": "example-token" } }),
        auth: Some(json!({ "token": "example-token" })),
        ..Spec::default()
    };
    let text = include_str!("../../../fixtures/handshake/local-cli.json");
    let handshake = parse(text).unwrap();
    let note = handshake.note.clone();
    let made = parse(&signed_handshake(&spec).to_string()).unwrap();
    assert_eq!(handshake, Handshake { note, ..made });
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (pointer, value, message, at) in [
        (
            "/sokcet",
            json!({}),
            "`sokcet` is no field here",
            r#""sokcet""#,
        ),
        (
            "/time",
            json!("now"),
            "an integer is expected here, not a string",
            r#""now""#,
        ),
        (
            "/gw-handshake",
            json!(2),
            "version 2 of the form is not known",
            "2",
        ),
        (
            "/socket/transport",
            json!("udp"),
            "this is none of the words that may stand here",
            r#""udp""#,
        ),
        (
            "/socket/peer",
            json!("127.0.0.1"),
            "`127.0.0.1` is no address with a port",
            r#""127.0.0.1""#,
        ),
        (
            "/socket/peer",
            json!("::1:80"),
            "`::1:80` is no address with a port",
            r#""::1:80""#,
        ),
        (
            "/socket/peer",
            json!("0.0.0.0:80"),
            "no connection comes from this address",
            r#""0.0.0.0:80""#,
        ),
        (
            "/socket/ownAddresses",
            json!(["10.0.0.1", "eth0"]),
            "`eth0` is no address",
            r#""eth0""#,
        ),
        (
            "/settings/trustedProxies",
            json!(["proxy"]),
            "`proxy` is no address and no network",
            r#""proxy""#,
        ),
        (
            "/settings/auth",
            json!({ "token": 12345 }),
            "a string is expected here, not an integer",
            "12345",
        ),
        (
            "/connect/params/client/id",
            json!("x"),
            "invalid connect params: at /client/id: must be equal to one of the allowed values",
            r#""x""#,
        ),
        (
            "/connect/params/role",
            json!("admin"),
            "invalid role",
            r#""admin""#,
        ),
        (
            "/pairing",
            json!({ "pending": { "requestId": "r", "deviceId": "d", "publicKey": "k", "ts": 1 } }),
            "this is of another device than the connect frame's",
            "",
        ),
    ] {
        let text = changed(pointer, value);
        let (said, place) = refused(&text);
        assert_eq!(said, message, "{pointer}");
        assert!(at.is_empty() || place == at, "{pointer}: {place}");
    }
    let text = changed("/sokcet", json!({}));
    assert_eq!(
        parse(&text).unwrap_err().help.as_deref(),
        Some("did you mean `socket`?")
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let unix = json!({ "transport": "unix" });
    for (socket, message) in [
        (
            json!({ "transport": "unix", "peer": "127.0.0.1:1" }),
            "`unix` has no peer address",
        ),
        (
            json!({ "transport": "unix", "local": "127.0.0.1:1" }),
            "`unix` has no local address",
        ),
        (
            json!({ "transport": "unix", "tls": true }),
            "`unix` has no TLS",
        ),
        (
            json!({ "transport": "in-process" }),
            "`in-process` has no HTTP request",
        ),
        (
            json!({ "local": "127.0.0.1:1" }),
            "a TCP connection has a `peer` address",
        ),
        (
            json!({ "peer": "127.0.0.1:1" }),
            "a TCP connection has a `local` address",
        ),
    ] {
        assert_eq!(refused(&changed("/socket", socket)).0, message);
    }
    assert!(parse(&changed("/socket", unix)).is_ok());
    let headers = |name: &str, value: &str| changed("/http", json!({ "headers": [[name, value]] }));
    assert!(
        refused(&headers("Origin:", "x"))
            .0
            .contains("no header that HTTP allows")
    );
    assert!(
        refused(&headers("Origin", "a\r\nb"))
            .0
            .contains("no header that HTTP allows")
    );
    assert!(
        refused(&headers("", "x"))
            .0
            .contains("no header that HTTP allows")
    );
    let mut value = signed_handshake(&Spec::default());
    value.as_object_mut().unwrap().remove("challenge");
    assert_eq!(
        refused(&value.to_string()).0,
        "the device signed a challenge that is not recorded"
    );
    let pairing = json!({ "record": { "deviceId": "d", "publicKey": "k" } });
    let spec = Spec {
        device: None,
        pairing: Some(pairing),
        ..Spec::default()
    };
    assert_eq!(
        refused(&signed_handshake(&spec).to_string()).0,
        "the connect frame names no device"
    );
}

#[test]
fn text_that_is_not_json_is_refused_where_it_breaks() {
    assert_eq!(
        refused("{\"gw-handshake\": 1,\n \"note\" 2}"),
        ("this is not JSON: expected `:`".into(), "2")
    );
    assert!(refused("").0.starts_with("this is not JSON"));
    let deep = "[".repeat(100_000);
    assert!(parse(&deep).is_err());
    assert!(parse(&format!("{{\"gw-handshake\":1,\"connect\":{deep}")).is_err());
}

/// The schema and the reader know the same fields, and the schema describes each.
#[test]
fn the_schema_is_current() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/handshake.schema.json")).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let mut checked = 0;
    for (pointer, object, at) in objects() {
        let properties = schema.pointer(pointer).unwrap()["properties"]
            .as_object()
            .unwrap();
        assert_eq!(
            schema.pointer(pointer).unwrap()["additionalProperties"],
            json!(false),
            "{pointer}"
        );
        for (name, property) in properties {
            assert!(
                property["description"].is_string() || property["$ref"].is_string(),
                "{pointer} {name}"
            );
            checked += 1;
        }
        // The reader lists its fields when it meets one that it does not know.
        let mut value = object;
        let here = if at.is_empty() {
            &mut value
        } else {
            value.pointer_mut(at).unwrap()
        };
        here["?"] = json!(1);
        let error = serde_json::from_value::<Form>(value)
            .err()
            .unwrap()
            .to_string();
        let known = error.split_once("expected ").unwrap().1;
        let mut known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let mut described: Vec<&str> = properties.keys().map(String::as_str).collect();
        known.sort_unstable();
        described.sort_unstable();
        assert_eq!(known, described, "{pointer}");
    }
    assert!(checked > 60, "{checked}");
    words(&schema);
}

/// Every object of the form: where the schema has it, and a handshake with one in it.
fn objects() -> Vec<(&'static str, Value, &'static str)> {
    let with = |pointer: &str, value: Value| {
        let mut handshake = signed_handshake(&Spec::default());
        let mut here = &mut handshake;
        for step in pointer.split('/').skip(1) {
            here = &mut here[step];
        }
        *here = value;
        handshake
    };
    let record = || json!({ "deviceId": "d", "publicKey": "k", "tokens": { "operator": { "token": "t", "role": "operator" } } });
    vec![
        ("", with("/note", json!("x")), ""),
        (
            "/properties/settings",
            with("/settings", json!({})),
            "/settings",
        ),
        (
            "/properties/settings/properties/auth",
            with("/settings/auth", json!({})),
            "/settings/auth",
        ),
        (
            "/properties/settings/properties/auth/properties/trustedProxy",
            with("/settings/auth/trustedProxy", json!({ "userHeader": "x" })),
            "/settings/auth/trustedProxy",
        ),
        (
            "/properties/settings/properties/controlUi",
            with("/settings/controlUi", json!({})),
            "/settings/controlUi",
        ),
        (
            "/properties/settings/properties/nodes",
            with("/settings/nodes", json!({})),
            "/settings/nodes",
        ),
        (
            "/properties/settings/properties/compatibility",
            with("/settings/compatibility", json!({})),
            "/settings/compatibility",
        ),
        ("/properties/socket", with("/socket", json!({})), "/socket"),
        ("/properties/http", with("/http", json!({})), "/http"),
        (
            "/properties/challenge",
            with("/challenge", json!({ "nonce": "n" })),
            "/challenge",
        ),
        (
            "/properties/pairing",
            with("/pairing", json!({})),
            "/pairing",
        ),
        (
            "/$defs/record",
            with("/pairing/record", record()),
            "/pairing/record",
        ),
        (
            "/$defs/token",
            with("/pairing/record", record()),
            "/pairing/record/tokens/operator",
        ),
        (
            "/$defs/pending",
            with(
                "/pairing/pending",
                json!({ "requestId": "r", "deviceId": "d", "publicKey": "k", "ts": 1 }),
            ),
            "/pairing/pending",
        ),
    ]
}

/// The closed vocabularies of the schema are those of the facts.
fn words(schema: &Value) {
    use crate::facts::origin::OriginSyntax;
    use crate::facts::scopes::ScopeRule;
    use crate::facts::{AuthMode, Bind, Word};
    let rows: [(&str, &[Word]); 6] = [
        ("/properties/socket/properties/transport", Transport::WORDS),
        ("/properties/socket/properties/peerUid", PeerUid::WORDS),
        ("/properties/settings/properties/bind", Bind::WORDS),
        (
            "/properties/settings/properties/auth/properties/mode",
            AuthMode::WORDS,
        ),
        (
            "/properties/settings/properties/compatibility/properties/scopeRule",
            ScopeRule::WORDS,
        ),
        (
            "/properties/settings/properties/compatibility/properties/originSyntax",
            OriginSyntax::WORDS,
        ),
    ];
    for (pointer, words) in rows {
        let names: Vec<&str> = words.iter().map(|word| word.name).collect();
        assert_eq!(
            schema.pointer(pointer).unwrap()["enum"],
            json!(names),
            "{pointer}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_damage_is_answered_within_the_text(at in 0usize..2000, drop in 0usize..40, with in "[\\[\\]{}:,\"\\\\0-9a-z\u{e9} ]{0,8}") {
        let text = serde_json::to_string_pretty(&signed_handshake(&Spec::default())).unwrap();
        let start = at.min(text.len());
        let end = (start + drop).min(text.len());
        let damaged = format!("{}{with}{}", &text[..start], &text[end..]);
        if let Err(error) = parse(&damaged) {
            prop_assert!(damaged.get(error.range.clone()).is_some(), "{error:?}");
        }
    }
}
