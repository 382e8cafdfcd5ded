//! Replays recorded rows.
use std::collections::BTreeMap;
use std::io::Read as _;
use gw::recorded::{self, Recording};
use gw::settings::Compatibility;
use gw::verdict::Verdict;
use gw::{handshake, Policy};

fn text(path: &str) -> String {
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}
fn recorded_code(out: &serde_json::Value) -> String {
    let kind = out["kind"].as_str().unwrap_or_default();
    match kind {
        "hello-ok" => "admit".into(),
        "error" => {
            let d = &out["error"]["details"];
            match d["code"].as_str() {
                Some("PAIRING_REQUIRED") => format!("pair {}", d["reason"].as_str().unwrap()),
                Some(code) => code.to_owned(),
                None => format!("{}: {}", out["error"]["code"].as_str().unwrap(), out["error"]["message"].as_str().unwrap()),
            }
        }
        "http" => format!("http {}", out["status"]),
        "closed" => format!("closed {}", out["close"][0]),
        other => other.into(),
    }
}
fn ours(verdict: Verdict, ui: bool) -> String {
    match verdict {
        Verdict::Reject(reason) => {
            let name = reason.name().to_uppercase().replace('-', "_");
            match &*name {
                "ORIGIN_NOT_ALLOWED" => "CONTROL_UI_ORIGIN_NOT_ALLOWED".into(),
                "DEVICE_REQUIRED" if ui => "CONTROL_UI_DEVICE_IDENTITY_REQUIRED".into(),
                "DEVICE_REQUIRED" => "DEVICE_IDENTITY_REQUIRED".into(),
                "DEVICE_ID_MISMATCH" => "DEVICE_AUTH_DEVICE_ID_MISMATCH".into(),
                "DEVICE_SIGNATURE_STALE" => "DEVICE_AUTH_SIGNATURE_EXPIRED".into(),
                "DEVICE_NONCE_MISSING" => "DEVICE_AUTH_NONCE_REQUIRED".into(),
                "DEVICE_TOKEN_MISMATCH" => "AUTH_DEVICE_TOKEN_MISMATCH".into(),
                n if n.starts_with("DEVICE_") => n.replacen("DEVICE_", "DEVICE_AUTH_", 1),
                n => format!("AUTH_{n}"),
            }
        }
        Verdict::RequirePairing(r) => format!("pair {r}"),
        _ => "admit".into(),
    }
}
#[test]
fn lite() {
    for v in std::env::var("V").unwrap_or("2026.3.23,2026.4.15,2026.4.22,2026.9.6".into()).split(',') {
        let rec = Recording::read(&text(&format!("fixtures/observed/{v}.jsonl.gz"))).unwrap();
        let compat: Compatibility = serde_yaml::from_str(&std::fs::read_to_string(format!("policies/openclaw/{v}.yaml")).unwrap_or("{}".into())).unwrap();
        let p = format!("policies/openclaw/{v}.policy");
        let policy = Policy::parse(&p, &std::fs::read_to_string(&p).unwrap()).unwrap();
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut same, mut diff) = (0, 0);
        let mut settings = BTreeMap::new();
        for row in &rec.rows {
            if row.steps.len() > 0 { continue; }
            let set = settings.entry(row.cfg.clone()).or_insert_with(|| rec.settings(&row.cfg, &compat).unwrap());
            let step = &row.only;
            let Some(sent) = recorded::sent::sent(row, step, set, &BTreeMap::new()).unwrap() else { continue };
            let prior = recorded::prior::standing(&row.prior, &recorded::sent::device_name(row, step), step.connect.as_ref().unwrap()).unwrap();
            let standing = serde_json::from_value(prior).unwrap();
            let theirs = recorded_code(&step.out);
            let mut request = handshake::at_upgrade(set, &sent.socket, &sent.http);
            let mine = if let Some((_, reason)) = gw::decide::at_upgrade(policy.program(), &request) { let _ = reason; "http 403".to_owned() } else {
                let Ok(frame) = serde_json::from_slice(&sent.message) else { continue };
                let Ok(connect) = gw::wire::connect::parse(&frame) else { continue };
                let seen = handshake::Seen { settings: set, socket: &sent.socket, http: &sent.http, nonce: recorded::NONCE, connect: &connect, standing: &standing, time_ms: recorded::NOW_MS };
                let proof = handshake::prove(&seen);
                request = handshake::at_connect(request, &seen, proof).0;
                let d = gw::decide(policy.program(), &request);
                let ui = matches!(request.client.name(), "openclaw-control-ui" | "openclaw-tui");
                ours(d.verdict, ui)
            };
            if theirs == mine { same += 1 } else { diff += 1; groups.entry(format!("{theirs}  ->  {mine}")).or_default().push(format!("{} {}", row.cfg, row.id)); }
        }
        println!("{v}: {same} same, {diff} differ");
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|g| std::cmp::Reverse(g.1.len()));
        for (k, rows) in groups.iter().take(40) {
            println!("{:5} {k}\n        {}", rows.len(), rows.iter().step_by((rows.len() / 6).max(1)).take(7).cloned().collect::<Vec<_>>().join(" | "));
        }
    }
}
