//! Any bytes as a recorded handshake. Reading it ends, and says where it is wrong without telling a
//! secret; what can be read has facts that go together, an explanation in every form, and an admission
//! on the same facts.

use std::sync::LazyLock;

use gw::Policy;
use gw::admission::{Challenged, Gate, Remembered, at_connect, at_upgrade, present};
use gw::explain::{Subject, explain, json, text};
use gw::facts::AttributeId;
use gw::handshake::{HandshakeError, masked, observe, parse};
use gw::source::is_hidden;

use super::answer::ill_decided;
use super::arrives::with_fresh;
use super::releases::goes_together;

/// What every secret of a fixture ends in.
const MARK: &str = "-not-a-secret";

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../../policies/default.policy");
    Policy::parse("default.policy", text).unwrap()
});

/// Reads the bytes as a handshake.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let covered = masked(&text);
    assert_eq!(covered.len(), text.len());
    let handshake = match parse(&text) {
        Ok(handshake) => handshake,
        Err(error) => return is_placed(&text, &covered, &error),
    };
    let observed = observe(&handshake);
    let facts = &observed.facts;
    let constants = &handshake.settings.compatibility;
    assert!(goes_together(facts, constants), "{facts:#?}");

    let phrase = |id: AttributeId| observed.evidence.get(id).show(id, &handshake.seen(), facts);
    let subject = Subject {
        evidence: AttributeId::all().map(phrase).collect(),
        ..Subject::of_facts(facts)
    };
    let explanation = explain(&POLICY, facts, &subject);
    assert!(json::json(&explanation).is_object());
    for drawn in [false, true] {
        let style = text::Style {
            drawn,
            colour: false,
            all: true,
        };
        let account = text::text(&explanation, style);
        let is_raw = |it: char| it != '\n' && (it.is_control() || is_hidden(it));
        assert!(
            !account.is_empty() && !account.contains(is_raw),
            "{account:?}"
        );
    }

    let gate = Gate {
        policy: &POLICY,
        settings: &handshake.settings,
    };
    let Ok(upgrade) = at_upgrade(gate, handshake.socket.clone(), handshake.http.clone()) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).unwrap();
    let challenged = Challenged {
        nonce: handshake.challenge.as_ref().map_or("", |it| &it.nonce),
        time_ms: handshake.time_ms,
    };
    let message = recorded["connect"].to_string();
    let Ok(presented) = present(gate.settings, message.as_bytes(), challenged) else {
        return;
    };
    let remembered = Remembered::of(&handshake.pairing);
    let admission = with_fresh(&mut 0, |fresh| {
        at_connect(gate, &upgrade, &presented, remembered, fresh)
    });
    assert_eq!(admission.facts, *facts);
    assert_eq!(ill_decided(&admission), None);
}

/// Whether an error says what is wrong, and where; and no secret of the text.
fn is_placed(text: &str, covered: &str, error: &HandshakeError) {
    let range = error.range.clone();
    assert!(text.get(range.clone()).is_some(), "{error:?}");
    assert!(covered.get(range).is_some(), "{error:?}");
    let said = [Some(&error.message), error.help.as_ref()];
    for said in said.into_iter().flatten() {
        assert!(
            !said.is_empty() && !said.contains(char::is_control),
            "{error:?}"
        );
    }
    // Names of fields are told, so a text that has the mark elsewhere than in a secret says nothing.
    let of_secrets = ["token", "password", "deviceToken", "bootstrapToken"].map(|name| {
        let named = format!("\"{name}\": \"");
        let secrets = text.split(&named).skip(1);
        let secrets = secrets.filter_map(|rest| rest.split_once('"'));
        secrets
            .filter(|(secret, _)| secret.matches(MARK).count() == 1)
            .count()
    });
    if of_secrets.iter().sum::<usize>() == text.matches(MARK).count() {
        assert!(!format!("{error:?}").contains(MARK), "{error:?}");
    }
}
