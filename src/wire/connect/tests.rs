//! Connect frames that the protocol takes, and its words for those that it does not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::settings::Compatibility;
use crate::settings::compatibility::{Protocol, SchemaWording};

fn read(frame: &Value) -> Result<Connect, ConnectError> {
    parse(frame, &Schema::of(&Compatibility::default()))
}

/// As a release read it that spoke protocol 3.
fn older(wording: SchemaWording) -> Compatibility {
    Compatibility {
        protocol: Protocol {
            current: 3,
            oldest: 3,
            oldest_for_probes_and_nodes: 3,
        },
        schema_wording: wording,
        unknown_clients: vec![Client::Tui],
        ..Compatibility::default()
    }
}

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
    read(&changed(pointer, value)).map_or_else(|error| error.message, |_| "accepted".into())
}

#[test]
fn a_frame_is_read() {
    let connect = read(&frame()).unwrap();
    let claims = connect.claims();
    assert_eq!(
        (claims.client, claims.mode, claims.role),
        (Client::Cli, Mode::Cli, Role::Operator)
    );
    assert_eq!(*claims.scopes, ["operator.read".into()]);
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
            "at /client/version: must not have fewer than 1 characters",
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
            "at /caps/0: must not have fewer than 1 characters",
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
            "at /role: must not have fewer than 1 characters",
        ),
        ("role", Some(json!(1)), "at /role: must be string"),
        ("scopes", Some(Value::Null), "at /scopes: must be array"),
        (
            "scopes",
            Some(json!(vec!["a"; MOST_SCOPES + 1])),
            "at /scopes: must not have more than 256 items",
        ),
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
    let most = json!(vec!["a"; MOST_SCOPES]);
    assert_eq!(told("/params/scopes", Some(most)), "accepted");
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
    let error = read(&frame).unwrap_err();
    assert_eq!(
        error.message,
        "invalid connect params: at root: unexpected property 'x'; at /client: must have required property 'id'; at /role: must not have fewer than 1 characters"
    );
    assert_eq!(
        (error.kind, error.pointer.as_str()),
        (ConnectErrorKind::Params, "/params")
    );
}

/// A client that names a property nastily is told that name, but as text that does nothing.
#[test]
fn names_are_told_without_control_characters() {
    let nasty = "a\0\u{1b}[2J\n\u{7f}\u{85}\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}z";
    let shown = "a\\0\\u{1b}[2J\\n\\u{7f}\\u{85}\\u{202e}\\u{2066}\\u{200b}\\u{2028}\\u{feff}z";
    let plain = "it's \"é\\日本";
    for (name, told) in [(nasty, shown), (plain, plain)] {
        for (place, expected) in [
            ("", format!("at root: unexpected property '{told}'")),
            ("auth", format!("at /auth: unexpected property '{told}'")),
            (
                "permissions",
                format!("at /permissions/{told}: must be boolean"),
            ),
        ] {
            let mut frame = frame();
            let at = match place {
                "" => &mut frame["params"],
                place => &mut frame["params"][place],
            };
            at[name] = json!(1);
            let error = read(&frame).unwrap_err();
            assert_eq!(error.message, format!("invalid connect params: {expected}"));
        }
    }
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

/// What protocol 3 does not know is one violation each, whatever its value is.
#[test]
fn the_older_protocol_knows_less() {
    let compatibility = older(SchemaWording::Constants);
    let told = |pointer: &str, value: Value| {
        parse(&changed(pointer, Some(value)), &Schema::of(&compatibility))
            .map_err(|error| error.message)
    };
    for (object, name) in [
        ("/client", "buildId"),
        ("/client", "timeZone"),
        ("/auth", "approvalRuntimeToken"),
        ("/auth", "agentRuntimeIdentityToken"),
        ("", "computerUse"),
        ("", "workerRuns"),
        ("", "modelCatalog"),
    ] {
        let place = if object.is_empty() { "root" } else { object };
        assert_eq!(
            told(&format!("/params{object}/{name}"), json!(7)).unwrap_err(),
            format!("invalid connect params: at {place}: unexpected property '{name}'")
        );
    }
    for name in ["traceparent", "expectedProfileId"] {
        let told = told(&format!("/{name}"), json!("x")).unwrap_err();
        assert_eq!(told, "invalid request frame", "{name}");
    }
    let unlisted = |place: &str| {
        format!(
            "invalid connect params: at {place}: must be equal to constant; at {place}: must match a schema in anyOf"
        )
    };
    for id in [
        "some-client",
        "",
        "openclaw-tui",
        "openclaw-linux",
        "openclaw-worker",
    ] {
        let told = told("/params/client/id", json!(id)).unwrap_err();
        assert_eq!(told, unlisted("/client/id"), "{id}");
    }
    let worker = told("/params/client/mode", json!("worker")).unwrap_err();
    assert_eq!(worker, unlisted("/client/mode"));
    assert_eq!(
        told("/params/role", json!("")).unwrap_err(),
        "invalid connect params: at /role: must NOT have fewer than 1 characters"
    );
    assert!(told("/params/client/id", json!("openclaw-macos")).is_ok());
}

#[test]
fn a_version_that_cannot_be_met_goes_before_a_role_that_is_not_known() {
    let mut frame = changed("/params/role", Some(json!("admin")));
    assert_eq!(read(&frame).unwrap_err().kind, ConnectErrorKind::Role);
    frame["params"]["minProtocol"] = json!(9);
    let error = read(&frame).unwrap_err();
    assert_eq!(error.message, "protocol mismatch");
    assert_eq!(error.request_id.as_deref(), Some("c1"));
    assert_eq!(read(&changed("/id", None)).unwrap_err().request_id, None);
}

/// Reference 1.8, "Provided kind": a blank secret was sent, an empty one was not.
#[test]
fn the_strongest_secret_is_told() {
    for (auth, strongest) in [
        (json!({}), None),
        (json!({ "token": "" }), None),
        (json!({ "token": "  " }), Some(SecretKind::Token)),
        (
            json!({ "token": "t", "password": "p" }),
            Some(SecretKind::Password),
        ),
        (
            json!({ "token": "t", "bootstrapToken": "b" }),
            Some(SecretKind::Token),
        ),
        (
            json!({ "deviceToken": "d", "bootstrapToken": "b" }),
            Some(SecretKind::BootstrapToken),
        ),
        (
            json!({ "deviceToken": "d", "token": "" }),
            Some(SecretKind::DeviceToken),
        ),
        (json!({ "agentRuntimeIdentityToken": "a" }), None),
    ] {
        let sent = read(&changed("/params/auth", Some(auth.clone())))
            .unwrap()
            .sent;
        assert_eq!(sent.strongest(), strongest, "{auth}");
        assert_eq!(
            sent.agent_identity,
            auth.get("agentRuntimeIdentityToken").is_some()
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
        if let Err(error) = read(&frame) {
            prop_assert!(!error.message.is_empty());
        }
    }
}
