//! The truth tables: what four OpenClaw releases answered, row by row.
//!
//! A table in `fixtures/truth` holds every input of one function of one release and its
//! outcome. What a single fact answers is asked of `gw::facts`; what needs several is a
//! policy in `fixtures/truth/releases`, which serves its release and every later one until
//! the next policy of that name. Where releases differ, `releases/settings.json` or a policy
//! says how: nothing here knows a release by name.

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
use gw::facts::address::{self, Address, TrustedProxies};
use gw::facts::forwarding::Forwarding;
use gw::facts::host::{self, Host};
use gw::facts::metadata::normalize_metadata;
use gw::facts::origin::{AllowedOrigins, Origin, OriginSyntax};
use gw::facts::scopes::{self, ScopeRule};
use gw::facts::{Facts, Role};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

/// What a release does differently where it is a setting.
#[derive(Clone, Copy, serde::Deserialize)]
struct Release {
    scopes: ScopeRule,
    origin: OriginSyntax,
}

/// One row: an input for each dimension, and the outcome.
struct Row {
    input: Vec<Value>,
    outcome: Value,
}

type Answer = fn(Release, &[Value]) -> Value;

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

type Derive = fn(Release, &[Value]) -> Facts;

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

#[test]
fn single_facts() {
    for (function, answer) in ANSWERS {
        check(function, |_, release| {
            Box::new(move |input| answer(release, input))
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
            Box::new(move |input| {
                let decision = gw::decide(policy.program(), &derive(release, input));
                outcome(
                    function,
                    &policy.label(decision.by),
                    decision.verdict.kind().admits(),
                )
            })
        });
    }
}

#[test]
fn every_table_is_checked() {
    let known: Vec<&str> = ANSWERS
        .iter()
        .map(|row| row.0)
        .chain(FACTS.iter().map(|row| row.0))
        .collect();
    for path in files(&truth(), "json") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (version, function) = name.split_once('-').unwrap();
        assert!(known.contains(&function), "no function answers {name}");
        assert!(
            releases().contains_key(version),
            "settings.json does not know {version}"
        );
    }
}

/// Checks every row of every release's table of a function, and says how many there were.
fn check<'a>(
    function: &str,
    answerer: impl Fn(&str, Release) -> Box<dyn Fn(&[Value]) -> Value + 'a>,
) {
    let mut counts = Vec::new();
    let mut wrong = Vec::new();
    for (version, release) in releases() {
        let Some(rows) = table(&version, function) else {
            continue;
        };
        let answer = answerer(&version, release);
        for row in &rows {
            let ours = answer(&row.input);
            if ours != row.outcome {
                wrong.push(format!(
                    "{version} {} → {}, not {ours}",
                    json!(row.input),
                    row.outcome
                ));
            }
        }
        counts.push(format!("{version}: {}", rows.len()));
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

fn browser_facts(release: Release, input: &[Value]) -> Facts {
    let [host, origin, allowed, fallback, local] = input else {
        panic!("five dimensions")
    };
    let origin = text(origin).map_or_else(Origin::absent, |text| {
        Origin::parse_with(text, release.origin)
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

fn request_facts(_: Release, input: &[Value]) -> Facts {
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

fn missing_scope(release: Release, input: &[Value]) -> Option<String> {
    let [role, requested, approved] = input else {
        panic!("three dimensions")
    };
    let requested = list(requested);
    let covered = scopes::covers(
        release.scopes,
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

fn releases() -> BTreeMap<String, Release> {
    serde_json::from_slice(&fs::read(truth().join("releases/settings.json")).unwrap()).unwrap()
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
