//! Recordings that can be read, and what is said of those that cannot.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

use crate::sign::{NOW, Spec, signed_handshake};

mod schema;

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
