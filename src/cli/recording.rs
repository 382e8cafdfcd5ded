//! A recorded handshake from disk: its facts, and whom they are about.

use serde_json::Value;

use super::fact::{NamedFacts, Problem};
use super::load;
use crate::diagnostic::{Code, Diagnostic};
use crate::explain::Subject;
use crate::facts::metadata::normalize_metadata;
use crate::facts::{AttributeId, Facts};
use crate::handshake::{self, Handshake, Observed};
use crate::settings::Compatibility;
use crate::source::{Source, Sources, Span};

/// The facts of a recording, found anew for what is supposed of it, and their subject.
/// With constants it is read as under these, not as under its own.
pub(super) fn read(
    path: &str,
    supposed: &NamedFacts,
    constants: Option<&Compatibility>,
) -> Result<(Facts, Subject), Problem> {
    Ok(facts(parse(path, constants)?, supposed))
}

/// The same, of a handshake that was read.
pub(super) fn facts(mut handshake: Handshake, supposed: &NamedFacts) -> (Facts, Subject) {
    // A device that is supposed to say something else is supposed to have signed it; and what
    // a proof is supposed to show counts for what depends on it, as a device token does.
    let mut judged = Facts {
        device: handshake::prove(&handshake.seen()),
        ..Facts::default()
    };
    for fact in &supposed.facts {
        handshake.suppose(fact.attribute, &fact.value);
        if fact.attribute.row().name == "device" {
            // A value that does not fit is reported when the facts are settled.
            let _ = fact.attribute.assign(&mut judged, &fact.value);
        }
    }
    let observed = handshake::observe_with(&handshake, judged.device);
    let subject = subject(&handshake, &observed);
    (observed.facts, subject)
}

fn parse(path: &str, constants: Option<&Compatibility>) -> Result<Handshake, Problem> {
    let text = load::read(path, load::MAX_HANDSHAKE_BYTES)
        .map_err(|error| (Box::new(load::unreadable(path, &error)), Sources::default()))?;
    let mut sources = Sources::default();
    // The text is shown where it is wrong; its secrets are not.
    let id = sources.add(Source::new(path, &handshake::masked(&text)));
    handshake::parse_as(&text, constants).map_err(|error| {
        let policy = text.trim_start().starts_with("gw-policy");
        let covered = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err();
        let help = if policy {
            Some("this is a policy: name it with --policy".to_owned())
        } else if let Some(flags) = of_lines(&text) {
            let file = crate::source::shell_file(path);
            Some(format!(
                "its lines are explained so: gw explain {}",
                flags.replace("FILE", &file)
            ))
        } else if covered && error.help.is_none() {
            Some("what is not JSON is shown covered, because it may hold secrets".to_owned())
        } else {
            error.help
        };
        let diagnostic = Diagnostic::error(Code::InvalidHandshake, error.message)
            .label(Span::new(id, error.range), "")
            .maybe_help(help);
        (Box::new(diagnostic), sources)
    })
}

/// How the lines of a file are explained that holds JSON, and no handshake.
fn of_lines(text: &str) -> Option<&'static str> {
    let first: Value = serde_json::from_str(text.lines().next()?).ok()?;
    let has = |key: &str| first.get(key).is_some();
    match () {
        () if !first.is_object() || has("gw-handshake") => None,
        () if has("gw-log") => Some("--log FILE --connection ID"),
        () if has("cfg") && has("id") => Some("--recorded FILE"),
        () if ["socket", "http", "connect"].into_iter().any(has) => None,
        // OpenClaw writes its log as JSON, too.
        () => Some("--log-line - < FILE"),
    }
}

fn subject(handshake: &Handshake, observed: &Observed) -> Subject {
    let Observed {
        facts,
        evidence,
        claims,
        verified: _,
    } = observed;
    let seen = handshake.seen();
    let record = handshake.pairing.record.as_ref();
    let owned = |names: &[Box<str>]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let mut roles: Vec<String> = record
        .iter()
        .flat_map(|record| record.approved_roles())
        .map(str::to_owned)
        .collect();
    roles.sort();
    roles.dedup();
    let changed = |name: &str, was: Option<&str>, is: &str| {
        let was = was.filter(|was| !was.trim().is_empty())?;
        let is_shown = if is.is_empty() { "not said" } else { is };
        (normalize_metadata(was) != normalize_metadata(is))
            .then(|| format!("{name} was {}, is {is_shown}", was.trim()))
    };
    let changes = record.into_iter().flat_map(|record| {
        let family = claims.device_family.as_deref().unwrap_or_default();
        [
            changed("platform", record.platform.as_deref(), &claims.platform),
            changed("device family", record.device_family.as_deref(), family),
        ]
    });
    Subject {
        device: claims.device.as_ref().map(|device| device.id.to_string()),
        requested_scopes: owned(&claims.scopes),
        requested_role: claims.role.name().to_owned(),
        approved_scopes: record.map(|record| owned(record.baseline())),
        scope_rule: handshake.settings.compatibility.scope_rule,
        approved_roles: roles,
        changes: changes.flatten().collect(),
        evidence: AttributeId::all()
            .map(|id| evidence.get(id).show(id, &seen, facts))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::fact;
    use crate::facts::{Auth, DeviceProof};

    /// Where a log hides the signature, it can be said what it showed; a device token is good
    /// only with its device.
    #[test]
    fn what_a_proof_is_supposed_to_show_counts_for_the_device_token() {
        let text = include_str!("../../fixtures/handshake/local-cli.json");
        let mut recorded: Value = serde_json::from_str(text).unwrap();
        recorded["connect"]["params"]["auth"] = json!({ "deviceToken": "example-device-token" });
        recorded["connect"]["params"]["device"]["signature"] = json!("hidden");
        let device = recorded["connect"]["params"]["device"].clone();
        let scopes = json!(["operator.read", "operator.write"]);
        recorded["pairing"] = json!({ "record": {
            "deviceId": device["id"], "publicKey": device["publicKey"], "platform": "linux",
            "role": "operator", "roles": ["operator"], "scopes": scopes, "approvedScopes": scopes,
            "tokens": { "operator": {
                "token": "example-device-token", "role": "operator", "createdAtMs": 1,
                "scopes": scopes,
            } },
            "createdAtMs": 1, "approvedAtMs": 1,
        } });
        let auth = |named: &[&str]| {
            let named: Vec<String> = named.iter().map(|fact| (*fact).to_owned()).collect();
            let Ok(named) = fact::read(&named) else {
                panic!("{named:?} cannot be read");
            };
            let handshake = handshake::parse(&recorded.to_string()).unwrap();
            let facts = facts(handshake, &named).0;
            (facts.device, facts.auth)
        };
        assert_eq!(auth(&[]), (DeviceProof::SignatureInvalid, Auth::None));
        assert_eq!(
            auth(&["device=proven"]),
            (DeviceProof::Proven, Auth::DeviceToken)
        );
    }
}
