//! The truth tables: what four OpenClaw releases answered, row by row.
//!
//! A table in `fixtures/truth` holds every input of one function of one release and its
//! outcome. What a single fact answers is asked of `gw::facts`; what needs several is a
//! policy in `fixtures/truth/releases`, which serves its release and every later one until
//! the next policy of that name; what a client is told is asked of `gw::wire::reply`. Where
//! releases differ, `policies/openclaw/VERSION.yaml` or a policy says how: nothing here knows
//! a release by name.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]
#![expect(
    clippy::print_stdout,
    reason = "how many rows were checked is worth saying"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use gw::auth::AuthReason;
use gw::auth::proxy::ProxyError;
use gw::facts::address::{self, Address, TrustedProxies};
use gw::facts::forwarding::Forwarding;
use gw::facts::host::{self, Host};
use gw::facts::metadata::normalize_metadata;
use gw::facts::origin::{AllowedOrigins, Origin};
use gw::facts::scopes;
use gw::facts::{AuthMode, Client, Facts, Mode, OriginClass, Role};
use gw::pairing::{DeviceRequest, Rules, Standing};
use gw::settings::Compatibility;
use gw::settings::compatibility::RefusalWording;
use gw::verdict::{PairingReason, Reason};
use gw::wire::reply::{Context, PairingRefusal, Refusal, pairing_required, refuse};
use gw::wire::{Close, SecretKind, SentSecrets};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

/// One row: an input for each dimension, and the outcome.
struct Row {
    input: Vec<Value>,
    outcome: Value,
}

type Answer = fn(&Compatibility, &[Value]) -> Value;

/// What one function answers.
const ANSWERS: &[(&str, Answer)] = &[
    ("isLoopbackAddress", |_, input| {
        json!(ip(&input[0]).is_some_and(|ip| Address::new(ip).is_loopback()))
    }),
    ("isTrustedProxyAddress", |_, input| {
        let (proxies, _) = TrustedProxies::parse(list(&input[1]));
        json!(text(&input[0]).is_some_and(|text| proxies.contains_literal(text)))
    }),
    ("normalizeDeviceAuthScopes", |_, input| {
        json!(scopes::normalize(&list(&input[0])))
    }),
    ("normalizeDeviceMetadataForAuth", |_, input| {
        json!(normalize_metadata(text(&input[0]).unwrap_or_default()))
    }),
    ("normalizeHostHeader", |_, input| {
        json!(host::normalize_header(text(&input[0]).unwrap_or_default()))
    }),
    ("parseGatewayRole", |_, input| {
        json!(text(&input[0]).and_then(Role::parse).map(Role::name))
    }),
    ("resolveClientIp", |_, input| {
        let (proxies, _) = TrustedProxies::parse(list(&input[3]));
        let real_ip_counts = input[4] == json!(true);
        let client = address::resolve_client(
            ip(&input[0]),
            text(&input[1]),
            text(&input[2]),
            &proxies,
            real_ip_counts,
        );
        client.map_or_else(undefined, |ip| json!(ip.to_string()))
    }),
    ("resolveHostName", |_, input| {
        json!(header_host(&input[0]).name())
    }),
    ("resolveMissingRequestedScope", |release, input| {
        json!(missing_scope(release, input))
    }),
    ("resolveScopeOutsideRequestedRoles", |_, input| {
        json!(scopes::outside_roles(&list(&input[0]), &list(&input[1])))
    }),
    ("roleScopesAllow", |release, input| {
        json!(missing_scope(release, input).is_none())
    }),
];

type Derive = fn(&Compatibility, &[Value]) -> Facts;

/// The facts that a policy is asked about.
const FACTS: &[(&str, Derive)] = &[
    ("checkBrowserOrigin", browser_facts),
    ("hasForwardedRequestHeaders", |_, input| {
        let headers = input[0].as_object().unwrap().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let mut facts = Facts::default();
        forward(&mut facts, &Forwarding::of(headers));
        facts
    }),
    ("isLocalDirectRequest", request_facts),
    ("isLocalishHost", |_, input| Facts {
        host: header_host(&input[0]),
        ..Facts::default()
    }),
    ("isLoopbackHost", |_, input| Facts {
        host: bare_host(&input[0]),
        ..Facts::default()
    }),
    ("isPrivateOrLoopbackAddress", |_, input| Facts {
        peer: peer(&input[0]),
        ..Facts::default()
    }),
    ("isPrivateOrLoopbackHost", |_, input| Facts {
        host: bare_host(&input[0]),
        ..Facts::default()
    }),
];

type Tell = fn(&Compatibility, &Row) -> Option<(Value, Value)>;

/// What a client is told, and what of the outcome that is. `None` for an input that cannot
/// come about here.
const TOLD: &[(&str, Tell)] = &[
    ("buildPairingConnectCloseReason", |release, row| {
        let refusal = waits(release, row.input[0].as_object()?)?;
        // The table has it before it is cut.
        let theirs = Close::new(1008, row.outcome.as_str()?).reason;
        Some((json!(refusal.close.reason), json!(theirs)))
    }),
    ("buildPairingConnectErrorDetails", |release, row| {
        let refusal = waits(release, row.input[0].as_object()?)?;
        Some((json!(refusal.details), row.outcome.clone()))
    }),
    ("buildPairingConnectErrorMessage", |release, row| {
        let input = json!({ "reason": row.input[0] });
        let refusal = waits(release, input.as_object()?)?;
        Some((json!(refusal.message), row.outcome.clone()))
    }),
    ("formatGatewayAuthFailureMessage", |release, row| {
        let [mode, sent, word, client, local] = &*row.input else {
            panic!("five dimensions")
        };
        let context = Context {
            auth_mode: AuthMode::parse(text(mode)?)?,
            client: Client::parse(client[0].as_str()?)?,
            mode: Mode::parse(client[1].as_str()?)?,
            sent: sent_secret(text(sent)?),
            direct_local: *local == json!(true),
            ..context(release)
        };
        let refusal = unauthorized(word, &context)?;
        Some((json!(refusal.message), row.outcome.clone()))
    }),
    ("resolveAuthConnectErrorDetailCode", |release, row| {
        // Without a reason nothing is refused.
        text(&row.input[0])?;
        let refusal = unauthorized(&row.input[0], &context(release))?;
        Some((refusal.details?["code"].take(), row.outcome.clone()))
    }),
    ("resolveDeviceAuthConnectErrorDetailCode", |release, row| {
        let word = text(&row.input[0])?;
        let reason = Reason::parse(word).or_else(|| Reason::parse(&format!("{word}-invalid")))?;
        let refusal = refuse(reason, &context(release));
        Some((refusal.details?["code"].take(), row.outcome.clone()))
    }),
    ("resolvePinnedClientMetadata", |release, row| {
        let outcome = &row.outcome;
        let theirs = outcome["platformMismatch"] == true || outcome["deviceFamilyMismatch"] == true;
        Some((json!(is_another(release, &row.input)?), json!(theirs)))
    }),
    ("resolveUnauthorizedHandshakeContext", |release, row| {
        let [word, auth, device] = &*row.input else {
            panic!("three dimensions")
        };
        let sent = |name: &str| auth.get(name).is_some();
        let context = Context {
            sent: SentSecrets {
                password: sent("password"),
                token: sent("token"),
                bootstrap_token: sent("bootstrapToken"),
                device_token: sent("deviceToken"),
                agent_identity: false,
            },
            device: *device == json!(true),
            ..context(release)
        };
        let details = unauthorized(word, &context)?.details?;
        let ours = json!({
            "authProvided": strongest(context.sent),
            "canRetryWithDeviceToken": details["canRetryWithDeviceToken"],
            "recommendedNextStep": details["recommendedNextStep"],
        });
        Some((ours, row.outcome.clone()))
    }),
    ("truncateCloseReason", |_, row| {
        // What is closed without a reason is closed without one.
        let whole = text(&row.input[0]).filter(|whole| !whole.is_empty())?;
        let reason = Close::new(1008, whole).reason;
        // The table counts as JavaScript does.
        let units: Vec<u16> = reason.encode_utf16().collect();
        let tail = &units[units.len().saturating_sub(4)..];
        let ours = json!({
            "chars": reason.chars().count(), "bytes": reason.len(),
            "tail": String::from_utf16(tail).unwrap(),
        });
        Some((ours, row.outcome.clone()))
    }),
];

#[test]
fn single_facts() {
    for (function, answer) in ANSWERS {
        check(function, |_, release| {
            Box::new(move |row| Some((answer(release, &row.input), row.outcome.clone())))
        });
    }
}

#[test]
fn several_facts() {
    for (function, derive) in FACTS {
        check(function, |version, release| {
            let (name, source) = policy(version, function);
            let policy =
                gw::Policy::parse(&name, &source).unwrap_or_else(|found| panic!("{name}: {found}"));
            Box::new(move |row| {
                let decision = gw::decide(policy.program(), &derive(release, &row.input));
                let ours = outcome(
                    function,
                    &policy.label(decision.by),
                    decision.verdict.kind().admits(),
                );
                Some((ours, row.outcome.clone()))
            })
        });
    }
}

#[test]
fn told() {
    for (function, tell) in TOLD {
        check(function, |_, release| {
            Box::new(move |row| tell(release, row))
        });
    }
}

#[test]
fn every_table_is_checked() {
    let known: Vec<&str> = ANSWERS
        .iter()
        .map(|row| row.0)
        .chain(FACTS.iter().map(|row| row.0))
        .chain(TOLD.iter().map(|row| row.0))
        .collect();
    for path in files(&truth(), "json") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (version, function) = name.split_once('-').unwrap();
        assert!(known.contains(&function), "no function answers {name}");
        assert!(
            releases().contains_key(version),
            "{version} has no constants"
        );
    }
}

type Checked<'a> = Box<dyn Fn(&Row) -> Option<(Value, Value)> + 'a>;

/// Checks every row of every release's table of a function, and says how many there were.
fn check(function: &str, checker: impl for<'a> Fn(&str, &'a Compatibility) -> Checked<'a>) {
    let mut counts = Vec::new();
    let mut wrong = Vec::new();
    for (version, release) in releases() {
        let Some(rows) = table(&version, function) else {
            continue;
        };
        let checker = checker(&version, &release);
        let mut left_out = 0;
        for row in &rows {
            match checker(row) {
                None => left_out += 1,
                Some((ours, theirs)) if ours != theirs => wrong.push(format!(
                    "{version} {} → {theirs}, not {ours}",
                    json!(row.input)
                )),
                Some(_) => {}
            }
        }
        assert!(left_out * 2 < rows.len(), "{function}: {left_out} left out");
        counts.push(match left_out {
            0 => format!("{version}: {}", rows.len()),
            _ => format!("{version}: {} of {}", rows.len() - left_out, rows.len()),
        });
    }
    println!("{function}: {}", counts.join(", "));
    assert!(!counts.is_empty(), "{function} has no table");
    let shown = wrong
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{function}: {} rows differ, such as\n{shown}",
        wrong.len()
    );
}

fn context(release: &Compatibility) -> Context<'_> {
    Context {
        compatibility: release,
        auth_mode: AuthMode::Token,
        client: Client::Cli,
        mode: Mode::Cli,
        role: Role::Operator,
        sent: SentSecrets::default(),
        device: false,
        may_lack_device: false,
        direct_local: false,
        origin: OriginClass::Absent,
        auth_reason: None,
        hint: None,
        rule: None,
    }
}

/// The refusal of a connection that waits for the owner.
fn waits(release: &Compatibility, input: &serde_json::Map<String, Value>) -> Option<Refusal> {
    let word = |name: &str| input.get(name).and_then(Value::as_str);
    let words = |name: &str| -> Vec<Box<str>> {
        let words = input.get(name).map(list).unwrap_or_default();
        words.into_iter().map(Into::into).collect()
    };
    let (scopes, approved_roles, approved_scopes) = (
        words("requestedScopes"),
        words("approvedRoles"),
        words("approvedScopes"),
    );
    let pairing = PairingRefusal {
        request_id: word("requestId"),
        device_id: word("deviceId"),
        scopes: &scopes,
        approved_roles: &approved_roles,
        approved_scopes: &approved_scopes,
        ..PairingRefusal::new(PairingReason::parse(word("reason")?)?)
    };
    let role = word("requestedRole").and_then(Role::parse);
    let context = Context {
        role: role.unwrap_or(Role::Operator),
        ..context(release)
    };
    Some(pairing_required(&pairing, &context))
}

/// The refusal for the protocol's word for it. A Tailscale login that fails is no reason here:
/// the token or the password is.
fn unauthorized(word: &Value, context: &Context<'_>) -> Option<Refusal> {
    let word = text(word).unwrap_or("unauthorized");
    let proxy = match word.strip_prefix("trusted_proxy_") {
        None => None,
        Some("untrusted_source") => Some(ProxyError::UntrustedPeer),
        Some("loopback_source") => Some(ProxyError::Loopback),
        Some("user_missing") => Some(ProxyError::NoUser("x-forwarded-user".into())),
        Some("user_not_allowed") => Some(ProxyError::UserNotAllowed),
        Some("no_proxies_configured") => Some(ProxyError::NoProxies),
        Some(rest) => Some(ProxyError::MissingHeader(
            rest.strip_prefix("missing_header_")?.into(),
        )),
    };
    let auth_reason = proxy.map(AuthReason::TrustedProxy);
    let reason = match &auth_reason {
        Some(_) => Reason::Unauthorized,
        None => {
            let name = word.replace("missing_config", "not_configured");
            Reason::parse(&name.replace('_', "-"))?
        }
    };
    // Words that the release does not have yet.
    let release = context.compatibility;
    let newer = match release.refusal_wording {
        RefusalWording::Brief => reason == Reason::ProxyAttributionRequired,
        RefusalWording::Guided => false,
    } || (reason == Reason::ScopeMismatch && !release.tell_scope_mismatch);
    if newer || release.unknown_clients.contains(&context.client) {
        return None;
    }
    let context = Context {
        auth_reason: auth_reason.as_ref(),
        ..*context
    };
    Some(refuse(reason, &context))
}

/// One secret of the kind that the protocol's word names.
fn sent_secret(word: &str) -> SentSecrets {
    SentSecrets {
        password: word == "password",
        token: word == "token",
        bootstrap_token: word == "bootstrap-token",
        device_token: word == "device-token",
        agent_identity: false,
    }
}

fn strongest(sent: SentSecrets) -> &'static str {
    match sent.strongest() {
        None => "none",
        Some(SecretKind::Password) => "password",
        Some(SecretKind::Token) => "token",
        Some(SecretKind::BootstrapToken) => "bootstrap-token",
        Some(SecretKind::DeviceToken) => "device-token",
    }
}

/// Whether a description is another device's than the one that was approved.
fn is_another(release: &Compatibility, input: &[Value]) -> Option<bool> {
    let [client, platform, pinned_platform, families] = input else {
        panic!("four dimensions")
    };
    let mut record = json!({
        "deviceId": "device", "publicKey": "key", "role": "operator", "roles": ["operator"],
        "scopes": [], "approvedScopes": [], "createdAtMs": 1, "approvedAtMs": 1,
    });
    for (name, value) in [
        ("platform", text(pinned_platform)),
        ("deviceFamily", families[1].as_str()),
    ] {
        if let Some(value) = value {
            record[name] = value.into();
        }
    }
    let standing: Standing = serde_json::from_value(json!({ "record": record })).unwrap();
    let request = DeviceRequest {
        device_id: "device",
        public_key: "key",
        client: Client::parse(client[0].as_str()?)?,
        mode: Mode::parse(client[1].as_str()?)?,
        role: Role::Operator,
        scopes: &[],
        platform: &normalize_metadata(text(platform).unwrap_or_default()),
        device_family: &normalize_metadata(families[0].as_str().unwrap_or_default()),
    };
    Some(
        standing
            .relation(&request, Rules::of(release), 2)
            .metadata_upgrade,
    )
}

/// The outcome that the table of a function has for a decision.
fn outcome(function: &str, label: &str, admitted: bool) -> Value {
    if function != "checkBrowserOrigin" {
        return json!(admitted);
    }
    match label {
        "origin-missing-or-invalid" => {
            json!({ "ok": false, "reason": "origin missing or invalid" })
        }
        "private-same-origin-local" => json!({ "ok": true, "matchedBy": "private-same-origin" }),
        rule if admitted => json!({ "ok": true, "matchedBy": rule }),
        _ => json!({ "ok": false, "reason": "origin not allowed" }),
    }
}

fn browser_facts(release: &Compatibility, input: &[Value]) -> Facts {
    let [host, origin, allowed, fallback, local] = input else {
        panic!("five dimensions")
    };
    let origin = text(origin).map_or_else(Origin::absent, |text| {
        Origin::parse_with(text, release.origin_syntax)
    });
    let (allowed, _) = AllowedOrigins::parse(list(allowed));
    let mut facts = Facts {
        host: header_host(host),
        same_origin: text(host).is_some_and(|host| origin.matches_host(host)),
        origin_allowed: allowed.allows(&origin),
        origin,
        peer: match local.as_bool() {
            Some(true) => Address::new([127, 0, 0, 1].into()),
            Some(false) => Address::new([203, 0, 113, 9].into()),
            None => Address::NONE,
        },
        ..Facts::default()
    };
    facts.setting.host_header_origin = *fallback == json!(true);
    facts
}

fn request_facts(_: &Compatibility, input: &[Value]) -> Facts {
    let [
        remote,
        host,
        xff,
        real_ip,
        rfc,
        proto,
        forwarded_host,
        proxies,
        real_ip_counts,
    ] = input
    else {
        panic!("nine dimensions")
    };
    let names = [
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
        "x-forwarded-proto",
        "x-forwarded-host",
    ];
    let values = [xff, real_ip, rfc, proto, forwarded_host].map(text);
    let headers = names
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name, value?)));
    let found = Forwarding::of(headers);
    let (proxies, _) = TrustedProxies::parse(list(proxies));
    let client = address::resolve_client(
        ip(remote),
        found.forwarded_for.as_deref(),
        found.forwarded_real_ip.as_deref(),
        &proxies,
        *real_ip_counts == json!(true),
    );
    let mut facts = Facts {
        peer: peer(remote),
        peer_is_proxy: ip(remote).is_some_and(|ip| proxies.contains(ip)),
        client_ip: client.map_or(Address::NONE, Address::new),
        host: header_host(host),
        ..Facts::default()
    };
    forward(&mut facts, &found);
    facts
}

fn forward(facts: &mut Facts, found: &Forwarding<'_>) {
    facts.forwarded = found.any;
    facts.forwarded_rfc = found.rfc;
    facts.forwarded_for = found.for_client;
    facts.forwarded_host = found.host;
    facts.forwarded_proto = found.proto;
    facts.forwarded_real_ip = found.real_ip;
    facts.forwarded_other = found.other;
    facts.forwarded_tailscale = found.tailscale;
}

fn missing_scope(release: &Compatibility, input: &[Value]) -> Option<String> {
    let [role, requested, approved] = input else {
        panic!("three dimensions")
    };
    let requested = list(requested);
    let covered = scopes::covers(
        release.scope_rule,
        role.as_str().unwrap(),
        &requested,
        &list(approved),
    );
    covered.err().map(str::to_owned)
}

fn header_host(value: &Value) -> Host {
    text(value).map_or_else(Host::absent, Host::from_header)
}

fn bare_host(value: &Value) -> Host {
    text(value).map_or_else(Host::absent, Host::parse)
}

fn peer(value: &Value) -> Address {
    ip(value).map_or(Address::NONE, Address::new)
}

fn ip(value: &Value) -> Option<IpAddr> {
    address::parse_literal(text(value)?)
}

/// What stands for JavaScript's `undefined` in the tables.
fn undefined() -> Value {
    json!({ "undefined": true })
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().map_or_else(Vec::new, |items| {
        items.iter().filter_map(Value::as_str).collect()
    })
}

fn truth() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/truth")
}

/// The constants of each release that has a policy.
fn releases() -> BTreeMap<String, Compatibility> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/openclaw");
    files(&folder, "yaml")
        .into_iter()
        .map(|path| {
            let version = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            (version, serde_yaml::from_str(&text).unwrap())
        })
        .collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .collect()
}

/// The policy for a function that was the latest when the release was made: its file's name
/// and text.
fn policy(version: &str, function: &str) -> (String, String) {
    let numbers = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|number| number.parse().unwrap())
            .collect()
    };
    let own = files(&truth().join("releases"), "policy")
        .into_iter()
        .filter_map(|path| {
            let name = path.file_stem()?.to_string_lossy().into_owned();
            let (since, of) = name.split_once('-')?;
            let serves = of == function && numbers(since) <= numbers(version);
            serves.then(|| (numbers(since), path))
        });
    let (_, path) = own
        .max()
        .unwrap_or_else(|| panic!("no policy is {function} of {version}"));
    (
        path.file_name().unwrap().to_string_lossy().into_owned(),
        fs::read_to_string(&path).unwrap(),
    )
}

/// A table as it was recorded: a list of cases, or a grid whose outcomes are packed.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Table {
    Cases {
        cases: Vec<Case>,
    },
    Grid {
        dims: Dimensions,
        outcomes: Vec<Value>,
        data: String,
    },
}

/// The values of each dimension, in the order of the file, which gives the rows theirs.
struct Dimensions(Vec<Vec<Value>>);

impl<'de> Deserialize<'de> for Dimensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Dimensions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of lists")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dimensions, A::Error> {
                let mut values = Vec::new();
                while let Some((_name, list)) = map.next_entry::<String, _>()? {
                    values.push(list);
                }
                Ok(Dimensions(values))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[derive(serde::Deserialize)]
struct Case {
    #[serde(rename = "in")]
    input: Value,
    out: Value,
}

fn table(version: &str, function: &str) -> Option<Vec<Row>> {
    let json = fs::read(truth().join(format!("{version}-{function}.json"))).ok()?;
    Some(match serde_json::from_slice(&json).unwrap() {
        Table::Cases { cases } => cases
            .into_iter()
            .map(|case| Row {
                input: vec![case.input],
                outcome: case.out,
            })
            .collect(),
        Table::Grid {
            dims,
            outcomes,
            data,
        } => grid(&dims, &outcomes, &data),
    })
}

/// Row-major, the last dimension fastest; one byte a row is the index of its outcome.
fn grid(Dimensions(dims): &Dimensions, outcomes: &[Value], data: &str) -> Vec<Row> {
    let packed = base64::engine::general_purpose::STANDARD
        .decode(data)
        .unwrap();
    let mut codes = Vec::new();
    flate2::read::DeflateDecoder::new(&packed[..])
        .read_to_end(&mut codes)
        .unwrap();
    assert_eq!(codes.len(), dims.iter().map(Vec::len).product::<usize>());
    let row = |(at, code): (usize, &u8)| {
        let mut rest = at;
        let mut input = Vec::new();
        for values in dims.iter().rev() {
            input.push(values[rest % values.len()].clone());
            rest /= values.len();
        }
        input.reverse();
        Row {
            input,
            outcome: outcomes[usize::from(*code)].clone(),
        }
    };
    codes.iter().enumerate().map(row).collect()
}
