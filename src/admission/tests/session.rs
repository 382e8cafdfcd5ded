//! What ends a session, and what does not.

use serde_json::{Map, Value, json};

use super::generated::spec;
use super::*;
use crate::auth::bootstrap::{Purpose, SetupCode};
use crate::pairing::record::SET_BACK_MS;
use crate::pairing::token::{revoke, rotate};

/// What a session is judged by later on; at first as it was left by its admission.
struct Later {
    policy: Policy,
    settings: Settings,
    standing: Standing,
    now_ms: i64,
}

struct Case {
    name: &'static str,
    connection: Value,
    policy: &'static str,
    then: fn(&mut Later),
    expected: Result<(), Ended>,
}

const SHIPPED: &str = "shipped";
const PAIRED: &str = "pairing=paired → approve\ndefault → reject(not-permitted)";
const ALL: &str = "default → silent-approve";
const HELPERS: &str = "client=gateway-client → approve\ndefault → require-pairing";
const FOR_AN_HOUR: &str = "pairing=paired → approve\ndefault → silent-approve(ttl=\"1h\")";
const HOUR_MS: i64 = 3_600_000;

fn unchanged(_: &mut Later) {}

fn paired(with: Value) -> Value {
    let mut spec = json!({
        "record": { "scopes": ["operator.read", "operator.write"] },
    });
    spec.as_object_mut()
        .unwrap()
        .extend(with.as_object().unwrap().clone());
    spec
}

/// A helper of the gateway, whose record says what is given.
fn helper(record: Value) -> Value {
    json!({ "client": "gateway-client/backend", "record": record })
}

fn proxied() -> Value {
    let settings = json!({
        "auth": { "mode": "trusted-proxy", "trustedProxy": { "userHeader": "X-User" } },
        "trustedProxies": ["192.168.1.10"],
    });
    let headers = json!([["X-User", "peter"], ["X-Forwarded-For", "10.0.0.5"]]);
    json!({ "peer": "192.168.1.10", "settings": settings, "headers": headers, "auth": "none" })
}

fn forget(later: &mut Later) {
    later.standing.record = None;
}

fn other_key(later: &mut Later) {
    let record = later.standing.record.as_mut().unwrap();
    record.public_key = sign::Identity::named("two").public_key.into();
}

fn revoke_token(later: &mut Later) {
    let change = revoke(&later.standing, "operator", NOW).unwrap();
    later.standing = change.apply(&later.standing);
}

fn rotate_token(later: &mut Later) {
    let holder: Vec<Box<str>> = vec!["operator.admin".into()];
    let rules = &later.settings.compatibility;
    let (_, change) = with_fresh(&mut 100, |fresh| {
        rotate(
            &later.standing,
            "operator",
            None,
            &holder,
            fresh,
            NOW,
            rules,
        )
    })
    .unwrap();
    later.standing = change.apply(&later.standing);
}

fn gain_scopes(later: &mut Later) {
    let record = later.standing.record.as_mut().unwrap();
    let more = record.approved_scopes.as_mut().unwrap();
    more.push("operator.admin".into());
}

fn other_secret(later: &mut Later) {
    later.settings.auth.token = Some(Secret::new("another-not-a-secret"));
}

fn wait_for_more(later: &mut Later) {
    let waiting = Arrives::of(&spec(
        &json!({ "pending": { "scopes": ["operator.admin"] } }),
    ));
    later.standing.pending = waiting.standing.pending;
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases() -> Vec<Case> {
    let case = |name, connection, policy, then: fn(&mut Later), expected| Case {
        name,
        connection,
        policy,
        then,
        expected,
    };
    let here = || json!({});
    let by_token = || paired(json!({ "auth": "device-token" }));
    let updated = || {
        paired(json!({ "auth": "device-token", "platform": "darwin",
            "record": { "scopes": ["operator.read", "operator.write"], "platform": "linux" } }))
    };
    let (ok, changed) = (Ok(()), Err(Ended::PolicyChanged));
    let (revoked, auth) = (Err(Ended::Revoked), Err(Ended::AuthChanged));
    vec![
        case("nothing changes", here(), SHIPPED, unchanged, ok),
        case(
            "the proof is old",
            here(),
            SHIPPED,
            |later| later.now_ms += 24 * HOUR_MS,
            ok,
        ),
        case(
            "it is a device that was paired",
            paired(json!({})),
            SHIPPED,
            unchanged,
            ok,
        ),
        case(
            "a record gains scopes",
            paired(json!({})),
            SHIPPED,
            gain_scopes,
            ok,
        ),
        case(
            "without a device",
            json!({ "device": null }),
            ALL,
            unchanged,
            ok,
        ),
        case(
            "the policy refuses it now",
            here(),
            ALL,
            |later| later.policy = policy("client=cli → reject(not-permitted)\ndefault → approve"),
            changed,
        ),
        case(
            "the policy asks now",
            here(),
            ALL,
            |later| later.policy = policy("default → require-pairing"),
            changed,
        ),
        case(
            "a guard asks now",
            here(),
            ALL,
            |later| later.policy = policy("guard loopback → require-pairing\ndefault → approve"),
            changed,
        ),
        case(
            "a guard refuses its request now",
            here(),
            ALL,
            |later| {
                later.policy = policy(
                    "guard at upgrade loopback → reject(not-permitted)\ndefault → silent-approve",
                );
            },
            changed,
        ),
        case(
            "another rule admits it now",
            here(),
            ALL,
            |later| later.policy = policy("client=cli → approve\ndefault → reject(not-permitted)"),
            ok,
        ),
        case(
            "a narrower grant",
            here(),
            ALL,
            |later| later.policy = policy("default → approve(scopes={ operator.read })"),
            changed,
        ),
        case(
            "a grant that is enough",
            here(),
            ALL,
            |later| {
                later.policy =
                    policy("default → approve(scopes={ operator.read, operator.write })");
            },
            ok,
        ),
        case(
            "only what was approved, which it was",
            here(),
            ALL,
            |later| later.policy = policy("default → approve(scopes=approved)"),
            ok,
        ),
        case(
            "a narrower cap",
            here(),
            ALL,
            |later| {
                later.policy = policy(
                    "guard loopback → cap(scopes={ operator.read })\ndefault → silent-approve",
                );
            },
            changed,
        ),
        case(
            "a request is not worth what it was",
            json!({ "headers": [["Origin", "https://ui.example.com"]],
                "settings": { "controlUi": { "allowedOrigins": ["https://ui.example.com"] } } }),
            "origin-allowed → silent-approve\ndefault → reject(not-permitted)",
            |later| later.settings.control_ui = Default::default(),
            changed,
        ),
        case("its record is removed", here(), SHIPPED, forget, revoked),
        case(
            "its record is removed, and all are paired",
            here(),
            ALL,
            forget,
            revoked,
        ),
        case(
            "its record has another key",
            here(),
            ALL,
            other_key,
            revoked,
        ),
        case(
            "its record ended",
            here(),
            FOR_AN_HOUR,
            |later| later.now_ms = NOW + HOUR_MS,
            revoked,
        ),
        case(
            "its record did not end",
            here(),
            FOR_AN_HOUR,
            |later| later.now_ms = NOW + HOUR_MS - 1,
            ok,
        ),
        case(
            "the clock was put right",
            here(),
            FOR_AN_HOUR,
            |later| later.now_ms = NOW - SET_BACK_MS,
            ok,
        ),
        case(
            "the clock was set back to before its record",
            here(),
            FOR_AN_HOUR,
            |later| later.now_ms = NOW - SET_BACK_MS - 1,
            revoked,
        ),
        case(
            "the token of its role is revoked",
            paired(json!({})),
            ALL,
            revoke_token,
            revoked,
        ),
        case(
            "the token of its role is rotated",
            paired(json!({})),
            ALL,
            rotate_token,
            ok,
        ),
        case("the secret is another one", here(), ALL, other_secret, auth),
        case(
            "no secret is asked for any more",
            here(),
            ALL,
            |later| later.settings.auth.mode = Some(crate::facts::AuthMode::None),
            auth,
        ),
        case("by device token", by_token(), PAIRED, unchanged, ok),
        case(
            "by device token, and the secret is another one",
            by_token(),
            PAIRED,
            other_secret,
            ok,
        ),
        case(
            "by device token, which is revoked",
            by_token(),
            ALL,
            revoke_token,
            revoked,
        ),
        case(
            "by device token, which is rotated",
            by_token(),
            ALL,
            rotate_token,
            revoked,
        ),
        case(
            "by device token, and its record is removed",
            by_token(),
            ALL,
            forget,
            revoked,
        ),
        case(
            "by device token, and no secret is asked for any more",
            by_token(),
            ALL,
            |later| later.settings.auth.mode = Some(crate::facts::AuthMode::None),
            auth,
        ),
        case(
            "its token was replaced by its admission",
            updated(),
            ALL,
            unchanged,
            ok,
        ),
        case(
            "the replaced token is rotated",
            updated(),
            ALL,
            rotate_token,
            revoked,
        ),
        case(
            "the replaced token is revoked",
            updated(),
            ALL,
            revoke_token,
            revoked,
        ),
        case("its device asks for more", here(), ALL, wait_for_more, ok),
        case(
            "its device asks for more, and was given nothing",
            here(),
            "default → silent-approve(scopes=none)",
            wait_for_more,
            ok,
        ),
        case(
            "the device asks for more, as known",
            paired(json!({})),
            SHIPPED,
            wait_for_more,
            ok,
        ),
        case(
            "a helper whose record has not its role",
            helper(json!({ "scopes": [], "roles": ["node"] })),
            HELPERS,
            unchanged,
            ok,
        ),
        case(
            "a helper whose record has less",
            helper(json!({ "scopes": ["operator.read"] })),
            HELPERS,
            unchanged,
            ok,
        ),
        case(
            "a helper whose record has another key",
            helper(json!({ "scopes": [], "keyOf": "two" })),
            HELPERS,
            unchanged,
            ok,
        ),
        case(
            "a helper without a record",
            helper(Value::Null),
            HELPERS,
            unchanged,
            ok,
        ),
        case(
            "a helper whose record is removed",
            helper(json!({ "scopes": [] })),
            HELPERS,
            forget,
            revoked,
        ),
        case(
            "a setup code is gone",
            json!({ "auth": { "bootstrapToken": CODE } }),
            ALL,
            unchanged,
            ok,
        ),
        case(
            "a setup code is gone, and so is the record",
            json!({ "auth": { "bootstrapToken": CODE } }),
            ALL,
            forget,
            revoked,
        ),
        case(
            "a proxy vouched for the user",
            proxied(),
            ALL,
            unchanged,
            ok,
        ),
        case(
            "the proxy is not trusted any more",
            proxied(),
            ALL,
            |later| later.settings.trusted_proxies = Default::default(),
            auth,
        ),
        case(
            "the user may not come in any more",
            proxied(),
            ALL,
            |later| {
                let proxy = later.settings.auth.trusted_proxy.as_mut().unwrap();
                proxy.allow_users = vec!["anna".into()];
            },
            auth,
        ),
    ]
}

const CODE: &str = "test-setup-code-not-a-secret";

/// The policy of a case, and the session that it begins with.
fn begun(case: &Case) -> (Permit, Later) {
    let loaded = match case.policy {
        SHIPPED => default_policy(),
        text => policy(text),
    };
    let arrives = Arrives::of(&spec(&case.connection));
    let gate = arrives.gate(&loaded);
    let codes = [SetupCode::issue(
        Secret::new(CODE),
        Purpose::ControlUiOwner,
        NOW,
    )];
    let upgrade = arrives.upgrade(gate).unwrap();
    let presented = arrives.presented(gate);
    let remembered = Remembered {
        setup_codes: &codes,
        ..Remembered::of(&arrives.standing)
    };
    let admission = with_fresh(&mut 0, |fresh| {
        at_connect(gate, &upgrade, &presented, remembered, fresh)
    });
    let (event, permit) = (admission.event, admission.permit);
    let permit = permit.unwrap_or_else(|| panic!("{}: {event}", case.name));
    let standing = admission.change.apply(&arrives.standing);
    let later = Later {
        policy: loaded,
        settings: arrives.settings,
        standing,
        now_ms: NOW + 1,
    };
    (permit, later)
}

#[test]
fn what_ends_a_session() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (permit, mut later) = begun(&case);
        let Case {
            name,
            then,
            expected,
            ..
        } = case;
        then(&mut later);
        let gate = Gate {
            policy: &later.policy,
            settings: &later.settings,
        };
        let found = still_admitted(gate, &permit, &later.standing, later.now_ms);
        if found != expected {
            wrong.push(format!("{name}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn how_a_session_ends() {
    let closes = [Ended::AuthChanged, Ended::Revoked, Ended::PolicyChanged].map(Ended::close);
    let said = closes.map(|close| (close.code, close.reason));
    let expected = [
        (4001, "gateway auth changed"),
        (1008, "device access revoked"),
        (1008, "policy changed"),
    ];
    assert_eq!(
        said,
        expected.map(|(code, reason)| (code, reason.to_owned()))
    );
}

/// A device that is passed over is not proven, whatever it says.
#[test]
fn a_device_that_was_passed_over_is_none() {
    let settings = json!({
        "compatibility": { "discardFlaggedDevice": true },
        "controlUi": { "dangerouslyDisableDeviceAuth": true },
    });
    let record = json!({ "scopes": ["operator.admin"] });
    let mut connection: Map<String, Value> = Map::new();
    connection.insert("settings".into(), settings);
    connection.insert("client".into(), "openclaw-control-ui/webchat".into());
    connection.insert("proof".into(), json!({ "by": "two" }));
    connection.insert("record".into(), record);
    connection.insert("scopes".into(), json!(["operator.admin"]));
    let arrives = Arrives::of(&spec(&connection.into()));
    let all = policy("default → approve");
    let permit = arrives.admission(&all, &mut 0).unwrap().permit.unwrap();
    assert_eq!(permit.device_id(), None);
    let approved = policy("default → approve(scopes=approved)");
    let permit = arrives
        .admission(&approved, &mut 0)
        .unwrap()
        .permit
        .unwrap();
    assert_eq!(
        permit.scopes(),
        [],
        "those of a record that it did not prove to be its own"
    );
}
