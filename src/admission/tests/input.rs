//! Any bytes get an answer that can be sent.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::answer::{ill_decided, ill_formed};
use super::*;

/// The whole path of a message, for a device that is remembered and for a stranger.
fn check(base: &Arrives, policy: &Policy, message: &[u8]) -> Result<bool, TestCaseError> {
    let gate = base.gate(policy);
    let upgrade = base.upgrade(gate).unwrap();
    let presented = match present(gate.settings, message, CHALLENGED) {
        Ok(presented) => presented,
        Err(reply) => {
            prop_assert!(!matches!(reply, Reply::Admitted(_)));
            prop_assert_eq!(ill_formed(&reply), None);
            return Ok(false);
        }
    };
    for standing in [&base.standing, &Standing::default()] {
        let admission = decided(gate, &upgrade, &presented, standing, &mut 0);
        prop_assert_eq!(ill_decided(&admission), None);
    }
    Ok(true)
}

fn base() -> Arrives {
    let record = scenario::RecordSpec {
        scopes: words(&["operator.read"]),
        ..scenario::RecordSpec::default()
    };
    Arrives::of(&Spec {
        record: Some(record),
        ..Spec::default()
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        select(vec!["req", "connect", "type", "id", "operator", "cli"]).prop_map(Value::from),
    ];
    let names = select(vec![
        "type", "id", "method", "params", "client", "auth", "device", "role", "x",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let object = vec((names.clone(), inner.clone()), 0..6).prop_map(|properties| {
            let properties = properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            Value::Object(properties.collect())
        });
        prop_oneof![vec(inner, 0..6).prop_map(Value::Array), object]
    })
}

/// Where a frame is changed; the last ones are not there before.
const PLACES: [&str; 28] = [
    "/type",
    "/id",
    "/method",
    "/params",
    "/params/minProtocol",
    "/params/maxProtocol",
    "/params/client",
    "/params/client/id",
    "/params/client/mode",
    "/params/client/platform",
    "/params/client/version",
    "/params/scopes",
    "/params/scopes/0",
    "/params/auth",
    "/params/auth/token",
    "/params/device",
    "/params/device/id",
    "/params/device/publicKey",
    "/params/device/signature",
    "/params/device/signedAt",
    "/params/device/nonce",
    "/params/client/displayName",
    "/params/client/deviceFamily",
    "/params/client/buildId",
    "/params/role",
    "/params/commands",
    "/params/permissions",
    "/params/auth/deviceToken",
];

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({ "x": inner }))
}

fn nasty() -> impl Strategy<Value = Value> {
    let texts = vec![
        String::new(),
        " ".to_owned(),
        "\0".to_owned(),
        "a\0b\r\nforged line\u{1b}[31m".to_owned(),
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}".to_owned(),
        "\u{2028}\u{2029}\u{85}\u{9b}31m".to_owned(),
        "оpenclaw-tui".to_owned(),
        "\" close=none policy=\"".to_owned(),
        "é".repeat(80),
        "🦀".repeat(40),
        "x".repeat(60_000),
        "\u{1}".repeat(9_000),
        "operator.admin".to_owned(),
        "node".to_owned(),
        "webchat".to_owned(),
    ];
    prop_oneof![
        4 => select(texts).prop_map(Value::from),
        1 => select(vec![
            json!(0), json!(-1), json!(3), json!(4.0), json!(3.5), json!(u64::MAX),
            json!(i64::MIN), json!(1e300), json!(9_007_199_254_740_993_u64),
        ]),
        1 => select(vec![Value::Null, json!(true), json!([]), json!({}), json!([[]])]),
        1 => select(vec![json!(["\u{1b}[2J"]), json!(vec!["x"; 2_000]), json!(vec![0; 2_000])]),
        1 => (1..140_usize).prop_map(nested),
    ]
}

/// Sets a place of a frame, making what leads there.
fn set(frame: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match frame.pointer_mut(parent) {
        Some(Value::Object(map)) => _ = map.insert(name.to_owned(), value),
        Some(Value::Array(list)) => list.insert(0, value),
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(&'static str, Value),
    Remove(&'static str),
    Unknown(&'static str, String, Value),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let parents = select(vec![
        "",
        "/params",
        "/params/client",
        "/params/auth",
        "/params/device",
    ]);
    prop_oneof![
        4 => (select(PLACES.to_vec()), nasty()).prop_map(|(place, value)| Mutation::Set(place, value)),
        1 => select(PLACES.to_vec()).prop_map(Mutation::Remove),
        1 => (parents, "\\PC{0,8}", nasty())
            .prop_map(|(parent, name, value)| Mutation::Unknown(parent, name, value)),
    ]
}

fn mutated(frame: &mut Value, mutation: Mutation) {
    match mutation {
        Mutation::Set(place, value) => set(frame, place, value),
        Mutation::Remove(place) => {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let parent = frame.pointer_mut(parent).and_then(Value::as_object_mut);
            if let Some(map) = parent {
                map.remove(name);
            }
        }
        Mutation::Unknown(parent, name, value) => {
            let parent = frame.pointer_mut(parent).and_then(Value::as_object_mut);
            if let Some(map) = parent {
                map.insert(name, value);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        check(&base(), &default_policy_once(), &bytes)?;
    }

    #[test]
    fn any_value(value in any_json()) {
        check(&base(), &default_policy_once(), value.to_string().as_bytes())?;
    }

    #[test]
    fn a_request_of_any_parameters(params in any_json()) {
        let frame = json!({ "type": "req", "id": "1", "method": "connect", "params": params });
        check(&base(), &default_policy_once(), frame.to_string().as_bytes())?;
    }

    #[test]
    fn a_changed_frame(mutations in vec(mutation(), 1..4)) {
        let base = base();
        let mut frame: Value = serde_json::from_slice(&base.message).unwrap();
        for mutation in mutations {
            mutated(&mut frame, mutation);
        }
        check(&base, &default_policy_once(), frame.to_string().as_bytes())?;
    }

    #[test]
    fn a_frame_with_other_bytes(at in any::<prop::sample::Index>(), bytes in vec(any::<u8>(), 0..4), cut in 0..4_usize) {
        let base = base();
        let mut message = base.message.clone();
        let at = at.index(message.len());
        let end = (at + cut).min(message.len());
        message.splice(at..end, bytes);
        check(&base, &default_policy_once(), &message)?;
    }

    /// A frame without a device is judged whatever else it says of its client.
    #[test]
    fn a_client_that_calls_itself_anything(name in "\\PC{1,200}|[\\x00-\\x1f]{1,200}", platform in ".{1,100}", family in ".{1,100}") {
        let base = base();
        let mut frame: Value = serde_json::from_slice(&base.message).unwrap();
        let client = frame["params"]["client"].as_object_mut().unwrap();
        let said: Map<String, Value> = [("displayName", name), ("platform", platform), ("deviceFamily", family)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        client.extend(said);
        frame["params"].as_object_mut().unwrap().remove("device");
        prop_assert!(check(&base, &default_policy_once(), frame.to_string().as_bytes())?);
    }
}

fn default_policy_once() -> std::sync::Arc<Policy> {
    static POLICY: std::sync::LazyLock<std::sync::Arc<Policy>> =
        std::sync::LazyLock::new(|| default_policy().into());
    POLICY.clone()
}

#[test]
fn messages_around_the_limit() {
    let base = base();
    let policy = default_policy();
    let mut frame: Value = serde_json::from_slice(&base.message).unwrap();
    let most = Limits::DEFAULT.first_message_bytes;
    for (length, judged) in [(most, true), (most + 1, false), (4 * most, false)] {
        frame["params"]["userAgent"] = "".into();
        let missing = length - frame.to_string().len();
        frame["params"]["userAgent"] = "x".repeat(missing).into();
        let message = frame.to_string();
        assert_eq!(message.len(), length);
        let checked = check(&base, &policy, message.as_bytes()).unwrap();
        assert_eq!(checked, judged, "{length} bytes");
    }
}

#[test]
fn what_is_no_frame() {
    let base = base();
    let policy = default_policy();
    let text = String::from_utf8(base.message.clone()).unwrap();
    let open = text.strip_suffix('}').unwrap();
    let messages: Vec<(Vec<u8>, bool)> = vec![
        (b"".to_vec(), false),
        (b"\0".to_vec(), false),
        (vec![b'['; 65_536], false),
        ([b"[".repeat(30_000), b"]".repeat(30_000)].concat(), false),
        (b"1e999".to_vec(), false),
        (b"\"\\ud800\"".to_vec(), false),
        ([open.as_bytes(), b",\"x\":\"\xff\xfe\"}"].concat(), false),
        ([b"\xef\xbb\xbf", text.as_bytes()].concat(), false),
        (format!("{open},\"method\":\"connect\"}}").into(), true),
        (format!("\n {text}\t").into(), true),
        (format!("{text}{text}").into(), false),
    ];
    for (at, (message, judged)) in messages.iter().enumerate() {
        let checked = check(&base, &policy, message).unwrap();
        assert_eq!(checked, *judged, "message {at}");
    }
}
