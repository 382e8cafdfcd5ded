//! What real gateways left written, against what `pairing` writes for the same decision: every
//! recorded handshake with a device, of four releases.
//!
//! What was decided is taken from the recorded answer; the record, the request that waits, the
//! token and its scopes afterwards are compared. Whether the decision was right is not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is a test: what is missing fails it, and the agreement is for a person to read"
)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use gw::facts::address::{Address, TrustedProxies, resolve_client};
use gw::facts::{Client, Mode, Role};
use gw::pairing::rpc::{Call, Caller, RpcError, View};
use gw::pairing::stored::Stored;
use gw::pairing::{
    Ask, Course, Fresh, Issuer, Memory, Outcome, Standing, Store as _, Via, carry_out,
};
use gw::secret::Secret;
use gw::settings::Compatibility;
use gw::settings::compatibility::{HelloScopes, NodeSurface};
use gw::verdict::PairingReason;
use serde_json::{Map, Value, json};

const NOW: i64 = 1_770_000_000_000;
const ADMINS: [&str; 5] = [
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.read",
    "operator.write",
];

/// Headers that show that a request was forwarded.
const SIGNS: [&str; 5] = [
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// What is not compared: it is of one run, or the recorder did not see it change.
const UNSEEN: [&str; 8] = [
    "createdAtMs",
    "approvedAtMs",
    "ts",
    "requestId",
    "deviceId",
    "refreshedAtMs",
    "lastSeenAtMs",
    "lastSeenReason",
];

/// A release, as it is recorded.
struct Release {
    version: &'static str,
    rules: Compatibility,
    /// The settings of each configuration.
    gateways: BTreeMap<String, Value>,
    rows: Vec<Value>,
}

impl Release {
    fn load(version: &'static str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let yaml = root.join(format!("policies/openclaw/{version}.yaml"));
        let rules = serde_yaml::from_str(&std::fs::read_to_string(yaml).unwrap()).unwrap();
        let packed = root.join(format!("fixtures/observed/{version}.jsonl.gz"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        let rows: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let gateways = rows
            .iter()
            .filter(|row| row.get("gateway").is_some())
            .map(|row| (word(&row["cfg"]).to_owned(), row["gateway"].clone()))
            .collect();
        Release {
            version,
            rules,
            gateways,
            rows,
        }
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> Vec<Box<str>> {
    let texts = value.as_array().into_iter().flatten();
    texts.map(|text| word(text).into()).collect()
}

/// A device of a row. The keys of all are made up; only that they differ is looked at.
fn key_of(device: &str) -> String {
    let names = ["A", "B", "C", "D", "A-other"];
    let place = names.iter().position(|name| *name == device).unwrap();
    format!("{}{}", "A".repeat(42), ["A", "E", "I", "M", "Q"][place])
}

fn named(text: &str) -> String {
    ["A-other", "A", "B", "C", "D"]
        .iter()
        .find(|name| key_of(name) == text)
        .map_or_else(|| text.to_owned(), |name| format!("<pubkey:{name}>"))
}

/// The standing that a recording names, as the recorder seeded it (`priorState`).
fn prior(name: &str, connect: &Value, rules: &Compatibility) -> Standing {
    let (id, mode) = word(&connect["client"]).split_once('/').unwrap();
    let platform = connect["platform"].as_str().unwrap_or("linux");
    let family = connect["deviceFamily"].as_str();
    let describe = |value: &mut Value, platform: &str, family: Option<&str>| {
        value["platform"] = platform.into();
        value["clientId"] = id.into();
        value["clientMode"] = mode.into();
        if let Some(family) = family {
            value["deviceFamily"] = family.into();
        }
    };
    let record = |roles: &[&str], scopes: &[&str]| {
        let token = |role: &&str| {
            let carried = if *role == "operator" { scopes } else { &[] };
            let token = json!({ "token": format!("token of {role}"), "role": role,
                "scopes": carried, "createdAtMs": NOW - 1000 });
            ((*role).to_owned(), token)
        };
        let tokens: Map<String, Value> = roles.iter().map(token).collect();
        let mut record = json!({
            "deviceId": "A", "publicKey": key_of("A"), "role": roles[0], "roles": roles,
            "scopes": scopes, "approvedScopes": scopes, "tokens": tokens,
            "createdAtMs": NOW - 1000, "approvedAtMs": NOW - 1000,
        });
        if rules.pairing.provenance {
            // The release that keeps it takes old files for approved by their owner.
            record["approvedVia"] = "owner".into();
        }
        describe(&mut record, platform, family);
        record
    };
    let pending = |scopes: &[&str], silent: bool, repair: bool| {
        let role = if mode == "node" { "node" } else { "operator" };
        let mut pending = json!({
            "requestId": "seeded", "deviceId": "A", "publicKey": key_of("A"), "role": role,
            "roles": [role], "scopes": scopes, "silent": silent, "isRepair": repair,
            "ts": NOW - 1000,
        });
        describe(&mut pending, platform, family);
        pending
    };
    let admin = || record(&["operator"], &ADMINS);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut record = admin();
        change(&mut record);
        json!({ "record": record })
    };
    let without = |field: &str| {
        with(&|record| {
            record.as_object_mut().unwrap().remove(field);
        })
    };
    let standing = match name {
        "unpaired" => json!({}),
        "paired-read" => json!({ "record": record(&["operator"], &["operator.read"]) }),
        "paired-write" => {
            json!({ "record": record(&["operator"], &["operator.read", "operator.write"]) })
        }
        "paired-admin" => with(&|_| ()),
        "paired-pairing" => json!({ "record": record(&["operator"], &["operator.pairing"]) }),
        "paired-noscopes" => json!({ "record": record(&["operator"], &[]) }),
        "paired-otherkey" => with(&|record| record["publicKey"] = key_of("A-other").into()),
        "paired-node" => json!({ "record": record(&["node"], &[]) }),
        "paired-both" => json!({ "record": record(&["operator", "node"], &ADMINS) }),
        "paired-admin-notoken" => with(&|record| record["tokens"] = json!({})),
        "paired-admin-revoked" => with(&|record| {
            record["tokens"]["operator"]["revokedAtMs"] = (NOW - 500).into();
        }),
        "paired-admin-token-read" => with(&|record| {
            record["tokens"]["operator"]["scopes"] = json!(["operator.read"]);
        }),
        "paired-platform" => with(&|record| record["platform"] = "otheros".into()),
        "paired-platform-case" => with(&|record| {
            record["platform"] = format!("{} ", platform.to_uppercase()).into();
        }),
        "paired-family" => with(&|record| record["deviceFamily"] = "OtherFamily".into()),
        "paired-read-platform" => {
            let mut record = record(&["operator"], &["operator.read"]);
            record["platform"] = "otheros".into();
            json!({ "record": record })
        }
        "paired-legacy-scopes" => without("approvedScopes"),
        "paired-legacy-role" => without("roles"),
        "pending-same" => json!({ "pending": pending(&["operator.read"], false, false) }),
        "pending-other-scopes" => json!({ "pending": pending(&ADMINS, false, false) }),
        "pending-silent" => json!({ "pending": pending(&["operator.read"], true, false) }),
        "paired-read-pending" => json!({
            "record": record(&["operator"], &["operator.read"]),
            "pending": pending(&ADMINS, false, true),
        }),
        other => panic!("the prior state `{other}` is not known"),
    };
    serde_json::from_value(standing).unwrap()
}

/// What one handshake says of its device, owned.
struct Asked {
    device: String,
    key: String,
    client: Client,
    mode: Mode,
    role: Role,
    scopes: Vec<Box<str>>,
    platform: String,
    family: Option<String>,
    name: Option<String>,
    ip: Option<String>,
    issuer: Option<Issuer>,
    by_device_token: bool,
    wants_token: bool,
}

impl Asked {
    fn read(step: &Value, gateway: &Value, release: &Release) -> Option<Self> {
        let (version, rules) = (release.version, &release.rules);
        let connect = &step["connect"];
        connect["device"].as_str()?;
        let (id, mode) = word(&connect["client"]).split_once('/').unwrap();
        let (client, mode) = (Client::parse(id)?, Mode::parse(mode)?);
        let device = step["key"].as_str().unwrap_or("A");
        let mutated = |path: &str| {
            let all = connect["mutate"].as_array().into_iter().flatten();
            let mut set = all.filter(|change| word(&change[0]) == "set");
            set.find(|change| word(&change[1]) == path)
                .and_then(|change| change[2].as_str().map(str::to_owned))
        };
        let auth = word(&connect["auth"]);
        let open = word(&gateway["auth"]["mode"]) == "none";
        let page = matches!(client, Client::ControlUi | Client::WebchatUi) || mode == Mode::Webchat;
        let secret = !open && !auth.contains("device") && !auth.contains("issued");
        let flagged = gateway["controlUi"]["dangerouslyDisableDeviceAuth"] == true;
        let dashboard = matches!(client, Client::ControlUi | Client::Tui);
        if rules.discard_flagged_device && flagged && dashboard {
            return None;
        }
        Some(Asked {
            device: device.to_owned(),
            key: key_of(device),
            client,
            mode,
            role: Role::parse(connect["role"].as_str().unwrap_or("operator"))?,
            scopes: list(&connect["scopes"]),
            platform: connect["platform"].as_str().unwrap_or("linux").to_owned(),
            family: connect["deviceFamily"].as_str().map(str::to_owned),
            name: mutated("params.client.displayName"),
            ip: client_ip(&step["req"], gateway, version),
            issuer: (page && secret).then(|| Issuer {
                kind: Issuer::SHARED_SECRET.into(),
                which: Map::new(),
            }),
            by_device_token: !open
                && !vouched(&step["req"], gateway, rules)
                && by_device_token(auth),
            wants_token: true,
        })
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            device_id: &self.device,
            public_key: &self.key,
            client: self.client,
            mode: self.mode,
            role: self.role,
            scopes: &self.scopes,
            display_name: self.name.as_deref(),
            platform: Some(&self.platform),
            device_family: self.family.as_deref(),
            remote_ip: self.ip.as_deref(),
            browser_origin: None,
            issuer: self.issuer.as_ref(),
            by_device_token: self.by_device_token,
            until_ms: None,
            wants_token: self.wants_token,
        }
    }

    /// Whether some release lets such a client past pairing (reference 6.2, 6.3).
    fn may_pass(&self) -> bool {
        let backend = self.client == Client::GatewayClient && self.mode == Mode::Backend;
        let dashboard = matches!(self.client, Client::ControlUi | Client::Tui);
        backend || dashboard
    }
}

/// Whether a trusted proxy vouched for the user: then no device token was looked at.
fn vouched(req: &Value, gateway: &Value, rules: &Compatibility) -> bool {
    let (proxies, _) = TrustedProxies::parse(list(&gateway["trustedProxies"]));
    let peer = Address::new(word(&req["src"]).parse().unwrap());
    let by_proxy = gateway["auth"]["mode"] == "trusted-proxy";
    let heard = rules.proxy_on_loopback || !peer.is_loopback();
    by_proxy && heard && peer.ip().is_some_and(|ip| proxies.contains(ip))
}

/// Whether the device token was what counted: nothing else that was sent was right.
fn by_device_token(auth: &str) -> bool {
    matches!(
        auth,
        "device-good"
            | "device-as-token"
            | "device-as-token-bad+device-good"
            | "token-bad+device-good"
            | "issued"
            | "issued-as-token"
    )
}

/// Where a connection is said to come from (reference 5.2).
fn client_ip(req: &Value, gateway: &Value, version: &str) -> Option<String> {
    let peer = Address::new(word(&req["src"]).parse().unwrap());
    let headers = req["headers"].as_array().unwrap();
    let header = |name: &str| {
        let mut all = headers.iter();
        let found = all.find(|pair| word(&pair[0]).eq_ignore_ascii_case(name));
        found.map(|pair| word(&pair[1]))
    };
    let is_sent = |name: &&str| header(name).is_some_and(|value| !value.trim().is_empty());
    let (proxies, _) = TrustedProxies::parse(list(&gateway["trustedProxies"]));
    // Before 2026.4.20 only two headers are signs of a proxy (reference 5.3).
    let signs = match version < "2026.4.20" {
        true => &SIGNS[..2],
        false => &SIGNS[..],
    };
    if signs.iter().any(is_sent) && !proxies.contains(peer.ip()?) {
        return None;
    }
    let client = resolve_client(
        peer.ip(),
        header("x-forwarded-for"),
        header("x-real-ip"),
        &proxies,
        gateway["allowRealIpFallback"] == true,
    )?;
    let client = Address::new(client);
    (!client.is_loopback()).then(|| client.to_string())
}

/// What was decided, as far as the recording tells: the courses that fit it, likeliest first.
fn courses(step: &Value, asked: &Asked, before: &Standing, rules: &Compatibility) -> Vec<Course> {
    let (out, state) = (&step["out"], &step["state"]);
    let details = &out["error"]["details"];
    if details["code"] == "PAIRING_REQUIRED" {
        let reason = PairingReason::parse(word(&details["reason"])).unwrap();
        // What waits is marked silent only when the policy asked for no asking.
        let waits = state["pending"].as_array().into_iter().flatten();
        let silent = match state["changed"] == true {
            true => waits.into_iter().any(|pending| pending["silent"] == true),
            false => before
                .pending
                .as_ref()
                .is_some_and(|old| old.silent == Some(true)),
        };
        return vec![if silent {
            Course::Pair(Via::Silent)
        } else {
            Course::Ask(reason)
        }];
    }
    // Some refusals of 2026.9 come after all has been written.
    let too_late = [
        "Control UI updated",
        "authenticated node pairing identity unavailable",
        "agent runtime identity token is only accepted",
    ];
    let message = word(&out["error"]["message"]);
    if out["kind"] != "hello-ok" && !too_late.iter().any(|late| message.contains(late)) {
        return Vec::new();
    }
    let by_network = asked.role == Role::Node && asked.ip.is_some() && rules.pairing.provenance;
    let via = if by_network {
        Via::TrustedCidr
    } else {
        Via::Silent
    };
    let mut courses = vec![Course::Pair(via)];
    if asked.may_pass() {
        courses.push(Course::Pass);
    }
    courses
}

/// Ids and secrets that count up.
struct Counter(u32);

impl Counter {
    fn carry_out(
        &mut self,
        course: Course,
        before: &Standing,
        asked: &Asked,
        now: i64,
        rules: &Compatibility,
    ) -> Outcome {
        let (mut ids, mut secrets) = (0, 0);
        let base = self.0;
        self.0 += 100;
        let mut fresh = Fresh {
            request_id: &mut || {
                ids += 1;
                format!("request {}", base + ids).into()
            },
            secret: &mut || {
                secrets += 1;
                Secret::new(&format!("secret {}", base + secrets))
            },
        };
        carry_out(course, before, &asked.ask(), &mut fresh, now, rules)
    }
}

fn without(value: &Value, unseen: &[&str]) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !unseen.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), without(value, unseen)))
            .collect(),
        Value::Array(list) => list.iter().map(|value| without(value, unseen)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn scrub_record(standing: &Standing) -> Option<Value> {
    let record = standing.record.as_ref()?;
    let mut shown = without(&json!(Stored(record)), &UNSEEN);
    shown["publicKey"] = named(&record.public_key).into();
    if let Some(surface) = shown.get_mut("pendingNodeSurface") {
        *surface = "present".into();
    }
    for token in shown["tokens"].as_object_mut().into_iter().flatten() {
        let token = token.1.as_object_mut().unwrap();
        token.retain(|key, _| key != "token" && key != "lastUsedAtMs");
        for (key, value) in token.iter_mut() {
            if key.ends_with("AtMs") {
                *value = true.into();
            }
        }
    }
    Some(shown)
}

fn scrub_pending(standing: &Standing) -> Option<Value> {
    let pending = standing.pending.as_ref()?;
    let mut shown = without(&json!(pending), &UNSEEN);
    shown["publicKey"] = named(&pending.public_key).into();
    shown["device"] = format!("<device:{}>", pending.device_id).into();
    shown["seeded"] = (&*pending.request_id == "seeded").into();
    Some(shown)
}

/// The recorder's account of all devices (`stateOf`).
fn state_of(before: &[Standing], after: &[Standing]) -> Value {
    let all = |standings: &[Standing]| {
        let written = standings.iter().map(|standing| {
            let record = standing.record.as_ref().map(|record| json!(Stored(record)));
            let unseen = ["refreshedAtMs", "lastSeenAtMs", "lastSeenReason"];
            without(&json!([record, standing.pending]), &unseen)
        });
        written
            .filter(|written| *written != json!([null, null]))
            .collect::<Vec<_>>()
    };
    let nodes = after
        .iter()
        .filter(|standing| standing.node_pending.is_some());
    let nodes = nodes.count();
    let mut state = if all(before) == all(after) {
        json!({ "changed": false })
    } else {
        let paired: Map<String, Value> = after
            .iter()
            .filter_map(|standing| {
                let device = &standing.record.as_ref()?.device_id;
                Some((format!("<device:{device}>"), scrub_record(standing)?))
            })
            .collect();
        let pending: Vec<Value> = after.iter().filter_map(scrub_pending).collect();
        json!({ "changed": true, "paired": paired, "pending": pending })
    };
    if nodes > 0 {
        state["nodePending"] = nodes.into();
    }
    state
}

/// Whether the token and scopes of hello-ok are those recorded.
fn same_hello(out: &Value, outcome: &Outcome, rules: &Compatibility) -> bool {
    if out["kind"] != "hello-ok" {
        return true;
    }
    let recorded = out["auth"]["deviceToken"] == true;
    match &outcome.token {
        None => !recorded,
        Some(token) => {
            let scopes = match rules.hello_scopes {
                HelloScopes::Token => json!(token.scopes) == out["auth"]["scopes"],
                HelloScopes::Session => true,
            };
            recorded && scopes
        }
    }
}

/// Cases that are known to differ, by what they have in common.
fn is_known(row: &Value, rules: &Compatibility) -> bool {
    // A role that is had without asking is written, with the scopes asked for, before these
    // very scopes have to wait, so the record says that they were approved. Here a connection
    // that has to wait writes a request and nothing else.
    let lacks_role = matches!(
        (word(&row["prior"]), word(&row["connect"]["role"])),
        ("paired-node", "operator") | ("paired-read", "node")
    );
    let half_written = matches!(rules.pairing.node_surface, NodeSurface::Request)
        && lacks_role
        && row["out"]["error"]["details"]["reason"] == "scope-upgrade";
    // Past pairing, by its device token, with a record of another key: no token goes back.
    let other_key = rules.pairing.provenance
        && row["prior"] == "paired-otherkey"
        && row["connect"]["auth"] == "device-good"
        && row["out"]["kind"] == "hello-ok"
        && row["connect"]["client"] == "gateway-client/backend";
    half_written || other_key
}

/// Carries out what was decided in each handshake with one step.
fn compare(version: &'static str) -> (usize, usize, Vec<String>) {
    let release = Release::load(version);
    let rules = &release.rules;
    let (mut all, mut known, mut wrong) = (0, 0, Vec::new());
    for row in &release.rows {
        if row.get("connect").is_none() || row["connect"]["device"].is_null() {
            continue;
        }
        all += 1;
        let gateway = &release.gateways[word(&row["cfg"])];
        let before = prior(word(&row["prior"]), &row["connect"], rules);
        let mut fits = row["state"]["changed"] == false;
        let mut ours = json!({ "changed": false });
        if let Some(asked) = Asked::read(row, gateway, &release) {
            for course in courses(row, &asked, &before, rules) {
                let outcome = Counter(0).carry_out(course, &before, &asked, NOW, rules);
                let after = outcome.change.apply(&before);
                ours = state_of(std::slice::from_ref(&before), &[after]);
                let code = &row["out"]["error"]["details"];
                let waits = outcome.waits.map(PairingReason::name);
                let expected = (code["code"] == "PAIRING_REQUIRED").then(|| word(&code["reason"]));
                fits = ours == row["state"]
                    && same_hello(&row["out"], &outcome, rules)
                    && waits == expected;
                ours["token"] = json!(outcome.token.map(|token| token.scopes));
                ours["waits"] = json!(waits);
                if fits {
                    break;
                }
            }
        }
        match (fits, is_known(row, rules)) {
            (true, _) => {}
            (false, true) => known += 1,
            (false, false) => wrong.push(format!(
                "{} {}\n  {}\n  theirs {}\n  ours   {ours}",
                row["cfg"], row["id"], row["out"], row["state"]
            )),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousand rows")]
    let share = 100.0 * (all - known - wrong.len()) as f64 / all as f64;
    println!(
        "{version}: {share:.2} % of {all} handshakes with a device agree; {known} are known to \
         differ, {} are not",
        wrong.len()
    );
    (all, known, wrong)
}

fn agrees(version: &'static str, most_known: usize) {
    let (all, known, wrong) = compare(version);
    assert!(
        all > 6_000 && known <= most_known,
        "{known} are known to differ"
    );
    let shown = &wrong[..wrong.len().min(5)];
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        shown.join("\n")
    );
}

#[test]
fn openclaw_2026_3_23_wrote_the_same() {
    agrees("2026.3.23", 0);
}

#[test]
fn openclaw_2026_4_15_wrote_the_same() {
    agrees("2026.4.15", 37);
}

#[test]
fn openclaw_2026_4_22_wrote_the_same() {
    agrees("2026.4.22", 37);
}

#[test]
fn openclaw_2026_9_6_wrote_the_same() {
    agrees("2026.9.6", 1);
}

/// Plays the recorded cases of several steps on a store, with the calls made in them.
fn play(version: &'static str) {
    let release = Release::load(version);
    let rules = &release.rules;
    let mut wrong = Vec::new();
    let mut played = 0;
    for row in &release.rows {
        let Some(steps) = row["steps"].as_array() else {
            continue;
        };
        if !word(&row["id"]).starts_with("sequence/") {
            continue;
        }
        let gateway = &release.gateways[word(&row["cfg"])];
        let store = Memory::default();
        let mut counter = Counter(0);
        let mut last_request: Option<Box<str>> = None;
        for (index, step) in steps.iter().enumerate() {
            let now = NOW + 1_000 * i64::try_from(index).unwrap();
            let before = standings(&store);
            let asked = Asked::read(step, gateway, &release);
            if let Some(asked) = &asked {
                let (standing, seen) = store.load(&asked.device).unwrap();
                let all = courses(step, asked, &standing, rules);
                let mut fitting = None;
                for course in all {
                    let outcome = counter.carry_out(course, &standing, asked, now, rules);
                    let after = replaced(&before, outcome.change.apply(&standing), &asked.device);
                    let fits = same_hello(&step["out"], &outcome, rules);
                    let calls = step["out"].get("rpc").is_some();
                    if fits && (calls || state_of(&before, &after) == step["state"]) {
                        fitting = Some(outcome);
                        break;
                    }
                    fitting.get_or_insert(outcome);
                }
                if let Some(outcome) = fitting {
                    if outcome.waits.is_some() {
                        last_request = outcome.request_id(&standing);
                    }
                    store.commit(&outcome.change, seen).unwrap();
                }
            }
            let scopes = list(&step["out"]["auth"]["scopes"]);
            let caller = Caller {
                scopes: &scopes,
                device: asked.as_ref().map(|asked| &*asked.device),
                by_device_token: asked.as_ref().is_some_and(|asked| asked.by_device_token),
            };
            for rpc in step["out"]["rpc"].as_array().into_iter().flatten() {
                if let Some(said) = call(rpc, &caller, &store, last_request.as_deref(), now, rules)
                {
                    wrong.push(format!("{} step {index}: {said}", row["id"]));
                }
            }
            played += 1;
            let ours = state_of(&before, &standings(&store));
            if ours != step["state"] {
                wrong.push(format!(
                    "{} step {index}:\n  theirs {}\n  ours   {ours}",
                    row["id"], step["state"]
                ));
            }
        }
    }
    println!("{version}: {played} steps played, {} differ", wrong.len());
    assert!(played > 40, "{played}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn standings(store: &Memory) -> Vec<Standing> {
    let all = store.list().unwrap().into_iter();
    all.map(|(standing, _)| standing).collect()
}

fn replaced(before: &[Standing], after: Standing, device: &str) -> Vec<Standing> {
    let of = |standing: &Standing| {
        let record = standing.record.as_ref().map(|record| &record.device_id);
        record
            .or(standing.pending.as_ref().map(|pending| &pending.device_id))
            .map(|id| id.to_string())
    };
    let mut all: Vec<Standing> = before
        .iter()
        .filter(|standing| of(standing).as_deref() != Some(device))
        .cloned()
        .collect();
    all.push(after);
    all.sort_by_key(of);
    all
}

/// Makes a recorded call, and says how its answer differs.
fn call(
    rpc: &Value,
    caller: &Caller<'_>,
    store: &Memory,
    last_request: Option<&str>,
    now: i64,
    rules: &Compatibility,
) -> Option<String> {
    let method = word(&rpc["method"]);
    // What was sent is not recorded: what was answered tells enough of it.
    let message = word(&rpc["error"]["message"]);
    let device = rpc["payload"]["deviceId"].as_str().unwrap_or("<device:A>");
    let device = device.trim_start_matches("<device:").trim_end_matches('>');
    let request = match message {
        "unknown requestId" => "none",
        _ => last_request.unwrap_or("none"),
    };
    let params = match method {
        "device.pair.list" => json!({}),
        _ if message.contains("must have required property") => json!({}),
        "device.pair.approve" | "device.pair.reject" => json!({ "requestId": request }),
        "device.pair.remove" => json!({ "deviceId": device }),
        "device.token.rotate" | "device.token.revoke" => {
            json!({ "deviceId": device, "role": "operator" })
        }
        _ => return None,
    };
    let all = standings(store);
    let view = View {
        standings: &all,
        is_connected: &|_| true,
        now_ms: now,
        rules,
    };
    let mut fresh = Fresh {
        request_id: &mut || panic!("no call makes a request"),
        secret: &mut || Secret::new("rotated"),
    };
    let answer = Call::parse(method, &params)
        .unwrap()
        .and_then(|call| call.answer(caller, &view, &mut fresh));
    let ours = match answer {
        Ok(reply) => {
            let (_, version) = store.load(&reply.change.device_id).unwrap();
            store.commit(&reply.change, version).unwrap();
            shown_payload(&reply.payload)
        }
        Err(error @ (RpcError::MethodScope(_) | RpcError::Invalid(_))) => error.to_string().into(),
    };
    let theirs = match rpc["ok"] == true {
        true => shown_payload(&rpc["payload"]),
        false => message.into(),
    };
    (ours != theirs).then(|| format!("{method}\n  theirs {theirs}\n  ours   {ours}"))
}

/// An answer without what differs from run to run.
fn shown_payload(payload: &Value) -> Value {
    match payload {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let shown = match key.as_str() {
                    _ if key.ends_with("AtMs") || key == "ts" => "<ms>".into(),
                    "token" => "<redacted>".into(),
                    "requestId" => "<uuid>".into(),
                    "deviceId" | "publicKey" => {
                        let name = word(value);
                        let plain = name.trim_end_matches('>');
                        let plain = plain.rsplit(':').next().unwrap_or_default();
                        let key = named(plain);
                        key.trim_start_matches("<pubkey:")
                            .trim_end_matches('>')
                            .into()
                    }
                    _ => shown_payload(value),
                };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(list) => list.iter().map(shown_payload).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => payload.clone(),
    }
}

#[test]
fn sequences_of_2026_3_23_come_out_the_same() {
    play("2026.3.23");
}

#[test]
fn sequences_of_2026_4_15_come_out_the_same() {
    play("2026.4.15");
}

#[test]
fn sequences_of_2026_4_22_come_out_the_same() {
    play("2026.4.22");
}

#[test]
fn sequences_of_2026_9_6_come_out_the_same() {
    play("2026.9.6");
}
