//! Connect frames that the protocol takes, and its words for those that it does not.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn frame() -> Value {
    json!({
        "type": "req", "id": "c1", "method": "connect",
        "params": {
            "minProtocol": 3, "maxProtocol": 4,
            "client": { "id": "cli", "version": "1", "platform": "linux", "mode": "cli" },
            "scopes": ["operator.read"],
            "auth": { "token": "t" },
            "device": { "id": "d", "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n" },
        },
    })
}

/// Sets the property at a pointer, or takes it away.
fn changed(pointer: &str, value: Option<Value>) -> Value {
    let mut frame = frame();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let object = frame.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(name.to_owned(), value),
        None => object.remove(name),
    };
    frame
}

fn told(pointer: &str, value: Option<Value>) -> String {
    parse(&changed(pointer, value)).map_or_else(|error| error.message, |_| "accepted".into())
}

#[test]
fn a_frame_is_read() {
    let connect = parse(&frame()).unwrap();
    let claims = connect.claims();
    assert_eq!(
        (claims.client, claims.mode, claims.role),
        (Client::Cli, Mode::Cli, Role::Operator)
    );
    assert_eq!(claims.scopes, ["operator.read".into()]);
    assert_eq!((connect.min_protocol, connect.max_protocol), (3, 4));
    assert_eq!(claims.device.as_ref().unwrap().signed_at_ms, 1);
}

/// What the real gateway answers (the `schema/…` rows of the recordings).
#[test]
fn violations_are_told_as_observed() {
    let rows = [
        (
            "minProtocol",
            None,
            "must have required property 'minProtocol'",
        ),
        (
            "minProtocol",
            Some(json!("3")),
            "at /minProtocol: must be integer",
        ),
        ("client", None, "must have required property 'client'"),
        ("client", Some(Value::Null), "at /client: must be object"),
        (
            "client/id",
            None,
            "at /client: must have required property 'id'",
        ),
        (
            "client/id",
            Some(json!("some-client")),
            "at /client/id: must be equal to one of the allowed values",
        ),
        (
            "client/id",
            Some(json!("")),
            "at /client/id: must be equal to one of the allowed values",
        ),
        (
            "client/mode",
            Some(json!("operator")),
            "at /client/mode: must be equal to one of the allowed values",
        ),
        (
            "client/version",
            Some(json!("")),
            "at /client/version: must NOT have fewer than 1 characters",
        ),
        (
            "client/extra",
            Some(json!(1)),
            "at /client: unexpected property 'extra'",
        ),
        (
            "extra",
            Some(json!(1)),
            "at root: unexpected property 'extra'",
        ),
        (
            "auth/extra",
            Some(json!("x")),
            "at /auth: unexpected property 'extra'",
        ),
        (
            "caps",
            Some(json!([""])),
            "at /caps/0: must NOT have fewer than 1 characters",
        ),
        ("caps", Some(json!("x")), "at /caps: must be array"),
        (
            "permissions",
            Some(json!({ "a": 1 })),
            "at /permissions/a: must be boolean",
        ),
        (
            "role",
            Some(json!("")),
            "at /role: must NOT have fewer than 1 characters",
        ),
        ("role", Some(json!(1)), "at /role: must be string"),
        ("scopes", Some(Value::Null), "at /scopes: must be array"),
        ("auth", Some(json!("x")), "at /auth: must be object"),
        (
            "auth/token",
            Some(Value::Null),
            "at /auth/token: must be string",
        ),
        ("device", Some(Value::Null), "at /device: must be object"),
        (
            "device/nonce",
            None,
            "at /device: must have required property 'nonce'",
        ),
        (
            "device/signedAt",
            Some(json!(1.5)),
            "at /device/signedAt: must be integer",
        ),
        (
            "device/signedAt",
            Some(json!(-1)),
            "at /device/signedAt: must be >= 0",
        ),
    ];
    for (pointer, value, says) in rows {
        let told = told(&format!("/params/{pointer}"), value);
        assert_eq!(told, format!("invalid connect params: {says}"), "{pointer}");
    }
    assert_eq!(
        told("/params", None),
        "invalid connect params: must be object"
    );
    assert_eq!(told("/params/role", Some(json!("admin"))), "invalid role");
    assert_eq!(
        told("/method", Some(json!("health"))),
        "invalid handshake: first request must be connect"
    );
    for (pointer, value) in [
        ("/method", None),
        ("/type", Some(json!("event"))),
        ("/id", Some(json!(""))),
        ("/id", Some(json!(1))),
        ("/extra", Some(json!(1))),
    ] {
        assert_eq!(told(pointer, value), "invalid request frame", "{pointer}");
    }
}

#[test]
fn everything_wrong_is_told_in_the_schema_s_order() {
    let mut frame = changed("/params/client/id", None);
    frame["params"]["x"] = json!(1);
    frame["params"]["role"] = json!("");
    let error = parse(&frame).unwrap_err();
    assert_eq!(
        error.message,
        "invalid connect params: at root: unexpected property 'x'; at /client: must have required property 'id'; at /role: must NOT have fewer than 1 characters"
    );
    assert_eq!(
        (error.kind, error.pointer.as_str()),
        (ConnectErrorKind::Params, "/params")
    );
}

#[test]
fn what_is_optional_is_accepted() {
    for (pointer, value) in [
        ("client/displayName", json!("Test")),
        ("client/buildId", json!("b")),
        ("permissions", json!({ "": true })),
        ("pathEnv", json!("")),
        ("userAgent", json!("ua")),
        ("modelCatalog", json!({})),
        ("auth/approvalRuntimeToken", json!("x")),
        ("minProtocol", json!(3.0)),
        ("role", json!("node")),
    ] {
        assert_eq!(
            told(&format!("/params/{pointer}"), Some(value)),
            "accepted",
            "{pointer}"
        );
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "type",
        "id",
        "method",
        "params",
        "client",
        "device",
        "auth",
        "scopes",
        "role",
        "minProtocol",
        "mode",
        "x~/y",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["req", "connect", "cli", "", "operator"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_answered(value in any_json(), place in prop::sample::select(vec![
        "", "/params", "/params/client", "/params/device", "/params/auth", "/params/scopes",
    ])) {
        let mut frame = frame();
        *frame.pointer_mut(place).unwrap() = value;
        if let Err(error) = parse(&frame) {
            prop_assert!(!error.message.is_empty());
        }
    }
}
