//! Rows of recordings of real gateways, as handshakes that can be judged here.
//!
//! A row names what was sent by kind ("good", "stale-121s", "paired-read"); the keys and
//! secrets were the recorder's own. Here test keys and test secrets stand for them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::scenario::{PASSWORD, PendingSpec, Proof, RecordSpec, Spec, TOKEN, WRONG, device_token};

/// The port of the recorded gateways.
const PORT: u16 = 19001;
/// The name of the device of every row.
const DEVICE: &str = "observed";
const ADMINS: [&str; 5] = [
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.read",
    "operator.write",
];

/// A line of a recording: the settings of a configuration, or a handshake with its outcome.
#[derive(Clone, Deserialize)]
pub(crate) struct Row {
    /// The release.
    pub(crate) v: String,
    /// The configuration.
    pub(crate) cfg: String,
    pub(crate) id: String,
    /// The settings; only in the line that starts a configuration.
    pub(crate) gateway: Option<Value>,
    #[serde(default)]
    prior: String,
    #[serde(default)]
    req: Value,
    #[serde(default)]
    connect: Value,
    #[serde(default)]
    out: Value,
}

/// `fixtures/observed/differences.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differences {
    /// What of each release is a setting here.
    pub(crate) compatibility: BTreeMap<String, Value>,
    /// The handshakes that are written out, by file name: release, configuration and id.
    pub(crate) written: BTreeMap<String, [String; 3]>,
    /// Where the default policy answers otherwise, by the reason for it.
    pub(crate) differences: Vec<Difference>,
}

/// A way in which the default policy differs from releases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    /// Why, for an operator.
    #[serde(rename = "why")]
    _why: String,
    /// The rows that show it.
    pub(crate) rows: Vec<DifferentRow>,
}

/// A row that is answered otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DifferentRow {
    pub(crate) cfg: String,
    pub(crate) id: String,
    /// What each release answered.
    pub(crate) theirs: BTreeMap<String, String>,
    /// What the default policy answers.
    pub(crate) ours: String,
}

impl Row {
    /// What the real gateway answered: `admitted`, or the refusal in our words.
    pub(crate) fn outcome(&self) -> String {
        let details = &self.out["error"]["details"];
        let code = details["code"].as_str().unwrap_or_default();
        let reason = match (self.out["kind"].as_str().unwrap(), code) {
            ("hello-ok", _) => return "admitted".to_owned(),
            ("http", _) if self.out["status"] == 403 => "proxy-attribution-required".to_owned(),
            ("error", "PAIRING_REQUIRED") => {
                return format!("require-pairing({})", details["reason"].as_str().unwrap());
            }
            ("error", "CONTROL_UI_ORIGIN_NOT_ALLOWED") => "origin-not-allowed".to_owned(),
            ("error", "DEVICE_AUTH_SIGNATURE_EXPIRED") => "device-signature-stale".to_owned(),
            ("error", code) if code.ends_with("DEVICE_IDENTITY_REQUIRED") => {
                "device-required".to_owned()
            }
            ("error", code) => {
                let word = code
                    .strip_prefix("DEVICE_AUTH_DEVICE_")
                    .map(|rest| ("device-", rest));
                let word = word.or_else(|| Some(("device-", code.strip_prefix("DEVICE_AUTH_")?)));
                let word = word.or_else(|| Some(("", code.strip_prefix("AUTH_")?)));
                let (start, rest) = word.unwrap_or_else(|| panic!("{}: code {code}", self.id));
                format!("{start}{}", rest.to_lowercase().replace('_', "-"))
            }
            (kind, _) => panic!(
                "{}: a handshake that ended as {kind} cannot be compared",
                self.id
            ),
        };
        format!("reject({reason})")
    }

    /// What a handshake like it is made from, under the settings of its configuration.
    pub(crate) fn spec(&self, gateway: &Value, compatibility: &Value) -> Spec {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let sub = |text: &str| text.replace("{port}", &PORT.to_string());
        let headers = self.req["headers"].as_array().unwrap().iter();
        let mut headers: Vec<(String, String)> = headers
            .map(|header| {
                (
                    sub(header[0].as_str().unwrap()),
                    sub(header[1].as_str().unwrap()),
                )
            })
            .collect();
        let host = match headers.first() {
            Some((name, _)) if name == "Host" => headers.remove(0).1,
            _ => String::new(),
        };
        for unknown in ["mutate", "raw", "protocol"] {
            assert!(
                self.connect.get(unknown).is_none(),
                "{}: `{unknown}`",
                self.id
            );
        }
        let scopes = self.connect["scopes"].as_array();
        let role = text(&self.connect["role"]);
        Spec {
            note: format!("OpenClaw {}, {}: {}", self.v, self.cfg, self.id),
            settings: settings(gateway, compatibility),
            peer: self.req["src"].as_str().unwrap().parse().unwrap(),
            local: Some(self.req["dst"].as_str().unwrap().parse().unwrap()),
            port: PORT,
            tls: self.req["tls"] == true,
            host,
            headers,
            client: text(&self.connect["client"]).unwrap(),
            platform: text(&self.connect["platform"]).unwrap_or_else(|| "linux".to_owned()),
            device_family: text(&self.connect["deviceFamily"]),
            scopes: scopes.map(|scopes| scopes.iter().filter_map(text).collect()),
            auth: credentials(
                self.connect["auth"].as_str().unwrap(),
                gateway,
                role.as_deref(),
            ),
            role,
            device: self.connect["device"].as_str().map(|_| DEVICE.to_owned()),
            proof: self.connect["device"]
                .as_str()
                .map(proof)
                .unwrap_or_default(),
            record: record(&self.prior),
            pending: pending(&self.prior),
            ..Spec::default()
        }
    }
}

/// The settings that an admission depends on, with test secrets.
fn settings(gateway: &Value, compatibility: &Value) -> Map<String, Value> {
    let mut settings = gateway.as_object().unwrap().clone();
    settings.remove("tls");
    let auth = settings["auth"].as_object_mut().unwrap();
    auth.remove("rateLimit");
    for (name, secret) in [("token", TOKEN), ("password", PASSWORD)] {
        if let Some(configured) = auth.get_mut(name) {
            *configured = secret.into();
        }
    }
    if !compatibility.is_null() {
        settings.insert("compatibility".into(), compatibility.clone());
    }
    settings
}

fn credentials(kind: &str, gateway: &Value, role: Option<&str>) -> Value {
    let (field, right, other) = match gateway["auth"]["mode"] == "password" {
        true => ("password", PASSWORD, "token"),
        false => ("token", TOKEN, "password"),
    };
    match kind {
        "none" => "none".into(),
        "good" => json!({ field: right }),
        "bad" => json!({ field: WRONG }),
        "wrong-kind" => json!({ other: right }),
        "device-good" => json!({ "deviceToken": device_token(role.unwrap_or("operator")) }),
        "device-bad" => json!({ "deviceToken": WRONG }),
        other => panic!("the credentials `{other}` are not converted"),
    }
}

fn proof(kind: &str) -> Proof {
    let good = Proof::default();
    match kind {
        "v2" | "v3" => Proof {
            version: Some(kind.to_owned()),
            ..good
        },
        "stale-121s" => Proof {
            signed_before_ms: 122_000,
            ..good
        },
        "nonce-wrong" => Proof {
            of_another_connection: true,
            ..good
        },
        "id-mismatch" => Proof {
            id_of: Some("other".to_owned()),
            ..good
        },
        "other-key-sig" => Proof {
            by: Some("other".to_owned()),
            ..good
        },
        "signed-other-scopes" => Proof {
            over_scopes: Some(vec!["operator.read".to_owned()]),
            ..good
        },
        other => panic!("the proof `{other}` is not converted"),
    }
}

fn record(prior: &str) -> Option<RecordSpec> {
    let with = |scopes: &[&str]| RecordSpec {
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ..RecordSpec::default()
    };
    Some(match prior {
        "paired-read" => with(&["operator.read"]),
        "paired-admin" => with(&ADMINS),
        "paired-otherkey" => RecordSpec {
            key_of: Some("other".to_owned()),
            ..with(&ADMINS)
        },
        "paired-platform" => RecordSpec {
            platform: Some("otheros".to_owned()),
            ..with(&ADMINS)
        },
        "unpaired" | "pending-same" => return None,
        other => panic!("the prior state `{other}` is not converted"),
    })
}

fn pending(prior: &str) -> Option<PendingSpec> {
    let scopes = vec!["operator.read".to_owned()];
    (prior == "pending-same").then_some(PendingSpec {
        scopes,
        silent: false,
    })
}
