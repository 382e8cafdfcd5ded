//! What real gateways found of credentials and device proofs, held against what is found here.
//!
//! Every recorded handshake that shows the outcome of authentication counts: its `authReason`,
//! the method that hello-ok names, or that it got further than authentication. A refusal for
//! the origin, for a missing device or for the form of the request hides the outcome. What the
//! policies make of it is not compared here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is a test: what is missing fails it, and it tells the figures"
)]

use std::collections::BTreeMap;
use std::io::Read as _;

use gw::auth::limiter::{self, Limiter, Subject};
use gw::auth::{Memory, Verified};
use gw::facts::{Auth, DeviceProof, Facts};
use gw::handshake::{self, Seen};
use gw::pairing::Standing;
use gw::recorded::{self, NONCE, NOW_MS, Recording, Row, Step};
use gw::settings::{Compatibility, Settings};
use gw::wire::Schema;

const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
/// How long the recorder waited for an answer.
const PATIENCE_MS: i64 = 4_000;

fn recording(release: &str) -> Recording {
    let file = std::fs::File::open(format!("fixtures/observed/{release}.jsonl.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    Recording::read(&text).unwrap()
}

fn compatibility(release: &str) -> Compatibility {
    let path = format!("policies/openclaw/{release}.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What the row shows of authentication.
#[derive(Debug, PartialEq)]
enum Shown {
    /// One held; in newer releases which.
    Held(Option<String>),
    /// None did, for this reason.
    Refused(String),
    /// The device proof did not.
    Proof(String),
    /// No device was looked at; whether that was for the kind of client alone.
    NoDevice(bool),
    /// Nothing.
    Hidden,
}

fn shown(step: &Step) -> Shown {
    let out = &step.out;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let details = &out["error"]["details"];
    let code = text(&details["code"]);
    match (&*text(&out["kind"]), &*code) {
        ("hello-ok", _) => Shown::Held(out["auth"]["method"].as_str().map(str::to_owned)),
        ("error", "PAIRING_REQUIRED") => Shown::Held(None),
        ("error", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED") => Shown::NoDevice(true),
        ("error", "DEVICE_IDENTITY_REQUIRED") => Shown::NoDevice(false),
        ("error", code) if code.starts_with("DEVICE_AUTH_") => Shown::Proof(code.to_owned()),
        ("error", code) if code.starts_with("AUTH_") => {
            Shown::Refused(text(&details["authReason"]))
        }
        _ => Shown::Hidden,
    }
}

/// Why what was found is not what the row shows.
fn difference(shown: &Shown, facts: &Facts, verified: &Verified) -> Option<String> {
    let proof = match facts.device {
        DeviceProof::Absent | DeviceProof::Proven => None,
        DeviceProof::IdMismatch => Some("DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        DeviceProof::SignatureStale => Some("DEVICE_AUTH_SIGNATURE_EXPIRED"),
        DeviceProof::NonceMissing => Some("DEVICE_AUTH_NONCE_REQUIRED"),
        DeviceProof::NonceMismatch => Some("DEVICE_AUTH_NONCE_MISMATCH"),
        DeviceProof::SignatureInvalid => Some("DEVICE_AUTH_SIGNATURE_INVALID"),
        DeviceProof::PublicKeyInvalid => Some("DEVICE_AUTH_PUBLIC_KEY_INVALID"),
    };
    let found = match (&verified.reason, proof) {
        (_, Some(code)) => Shown::Proof(code.to_owned()),
        (Some(reason), None) => Shown::Refused(reason.to_string()),
        (None, None) if facts.auth == Auth::Open => Shown::Held(Some("none".to_owned())),
        (None, None) => Shown::Held(Some(facts.auth.to_string())),
    };
    let same = match (shown, &found) {
        (Shown::Hidden, _) => true,
        (Shown::NoDevice(true), _) => facts.device == DeviceProof::Absent,
        // A secret that was sent and is wrong is told first.
        (Shown::NoDevice(false), _) => {
            facts.device == DeviceProof::Absent && (verified.reason.is_none() || !facts.secret_sent)
        }
        (Shown::Held(None), Shown::Held(_)) => true,
        (shown, found) => shown == found,
    };
    (!same).then(|| format!("{shown:?} -> {found:?}"))
}

/// What is found in a step of a row, if it can be sent without a socket.
fn found(
    row: &Row,
    step: &Step,
    settings: &Settings,
    limiter: Option<(&mut Limiter, i64)>,
) -> Option<(Facts, Verified, i64)> {
    let sent = recorded::sent::sent(row, step, settings, &BTreeMap::new()).unwrap()?;
    let client = step.connect.as_ref().unwrap();
    let device = recorded::sent::device_name(row, step);
    let prior = recorded::prior::standing(&row.prior, &device, client, true).unwrap();
    let standing: Standing = serde_json::from_value(prior).unwrap();
    let frame = serde_json::from_slice(&sent.message).unwrap();
    let connect = gw::wire::connect::parse(&frame, &Schema::of(&settings.compatibility))
        .unwrap_or_else(|wrong| panic!("{} {}: {wrong:?}", row.cfg, row.id));
    let seen = Seen {
        settings,
        socket: &sent.socket,
        http: &sent.http,
        nonce: NONCE,
        connect: &connect,
        standing: &standing,
        time_ms: NOW_MS,
    };
    let request = handshake::at_upgrade(settings, &sent.socket, &sent.http);
    let proof = handshake::prove(&seen);
    let Some((limiter, now_ms)) = limiter else {
        let (facts, verified) = handshake::at_connect(request, &seen, proof);
        return Some((facts, verified, 0));
    };
    let subject = Subject::of(settings, request.client_ip, &request.origin);
    let memory = Memory {
        locks: limiter.locks(&subject, now_ms),
        setup_codes: &[],
        now_ms,
    };
    let (facts, verified) = handshake::at_connect_remembering(request, &seen, proof, &memory);
    let steps = limiter::steps(&verified.tried, &settings.compatibility);
    let delay_ms = limiter.settle(&subject, &steps, now_ms);
    Some((facts, verified, delay_ms))
}

#[test]
fn authentication_is_what_was_recorded() {
    for release in RELEASES {
        let recording = recording(release);
        let compatibility = compatibility(release);
        let mut settings = BTreeMap::new();
        let mut groups: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        let mut different: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in recording.rows.iter().filter(|row| row.steps.is_empty()) {
            let shown = shown(&row.only);
            let settings = settings
                .entry(&row.cfg)
                .or_insert_with(|| recording.settings(&row.cfg, &compatibility).unwrap());
            if shown == Shown::Hidden {
                continue;
            }
            let Some((facts, verified, _)) = found(row, &row.only, settings, None) else {
                continue;
            };
            let group = row.id.split('/').next().unwrap();
            let (same, all) = groups.entry(group).or_default();
            *all += 1;
            match difference(&shown, &facts, &verified) {
                None => *same += 1,
                Some(difference) => different
                    .entry(difference)
                    .or_default()
                    .push(format!("{} {}", row.cfg, row.id)),
            }
        }
        let (same, all) = groups
            .values()
            .fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        println!("{release}: {same} of {all} the same; {groups:?}");
        for (difference, rows) in &different {
            println!("  {} × {difference}", rows.len());
            for row in rows.iter().take(8) {
                println!("      {row}");
            }
        }
        assert_eq!(same, all, "{release}");
    }
}

#[test]
fn failures_lock_out_as_was_recorded() {
    for release in RELEASES {
        let recording = recording(release);
        let compatibility = compatibility(release);
        let mut limiters: BTreeMap<&str, (Limiter, i64)> = BTreeMap::new();
        let mut steps = 0;
        for row in &recording.rows {
            if !row.id.starts_with("rate-limit/") {
                continue;
            }
            let settings = recording.settings(&row.cfg, &compatibility).unwrap();
            let (limiter, now_ms) = limiters
                .entry(&row.cfg)
                .or_insert_with(|| (Limiter::of(&settings), NOW_MS));
            for (at, step) in row.steps.iter().enumerate() {
                let (facts, verified, delay_ms) =
                    found(row, step, &settings, Some((limiter, *now_ms))).unwrap();
                *now_ms += 50 + delay_ms.min(PATIENCE_MS);
                steps += 1;
                let label = format!("{release} {} {} step {at}", row.cfg, row.id);
                let timed_out = step.out["kind"] == "timeout";
                assert_eq!(delay_ms >= PATIENCE_MS, timed_out, "{label}: {delay_ms}");
                let difference = difference(&shown(step), &facts, &verified);
                assert_eq!(difference, None, "{label}");
            }
        }
        assert_eq!(steps, 68, "{release}");
    }
}
