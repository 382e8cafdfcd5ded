//! Laws of lines: facts come back as a policy sees them, and nothing in a line can command a
//! terminal or end the line.

use proptest::collection::vec;
use proptest::prelude::*;

use super::kept::LONGEST;
use super::*;
use crate::compile::compile;
use crate::decide::tests::{facts, policy};
use crate::decide::{decide, traced};
use crate::facts::origin::OriginSyntax;
use crate::facts::{Facts, Host, Origin, Stage};
use crate::policy::Policy;
use crate::source::is_hidden;

fn written(facts: &Facts, until: Stage) -> Line {
    Line {
        facts: Some(Kept::new(facts, until)),
        ..Line::new(Kind::Decided, 1_770_000_000_000, "connection".into())
    }
}

/// The line as it comes back out of a file.
fn again(line: &Line) -> Line {
    let text = line.text();
    read::line(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn default_policy() -> Policy {
    let text = include_str!("../../policies/default.policy");
    Policy::parse("default.policy", text).unwrap()
}

/// Facts with texts as clients may send them.
fn any_facts() -> impl Strategy<Value = Facts> {
    let syntax = prop_oneof![Just(OriginSyntax::Strict), Just(OriginSyntax::Lenient)];
    let page = "(https?://)?[a-z.\\[\\]:0-9@%]{0,12}(/x)?";
    let text = prop_oneof![page.prop_map(String::from), any::<String>()];
    let origin = (vec(text.clone(), 0..3), syntax).prop_map(|(values, syntax)| {
        let values = values.iter().map(String::as_str);
        Origin::from_headers(values, syntax)
    });
    let host = text.prop_map(|text| Host::from_header(&text));
    let texts = (any::<String>(), any::<String>(), any::<String>());
    (facts(), origin, host, texts).prop_map(|(facts, origin, host, texts)| Facts {
        origin,
        host,
        path: texts.0.into(),
        platform: texts.1.into(),
        device_family: texts.2.into(),
        ..facts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn facts_come_back_as_they_were(facts in any_facts(), policy in policy()) {
        let line = written(&facts, Stage::Connect);
        let back = again(&line);
        prop_assert_eq!(&back, &line);
        let explained = back.explained().unwrap();
        prop_assert_eq!(&explained.facts, &facts);
        prop_assert!(explained.unread.is_empty(), "{:?}", explained.unread);
        let program = compile(&policy);
        prop_assert_eq!(traced(&program, &explained.facts), traced(&program, &facts));
    }

    #[test]
    fn a_line_is_one_line_that_commands_no_terminal(facts in any_facts(), name: String) {
        let line = Line {
            device: Some(name.as_str().into()),
            ..written(&facts, Stage::Connect)
        };
        let text = line.text();
        prop_assert!(!text.chars().any(is_hidden), "{}", text);
        prop_assert_eq!(again(&line).device, line.device);
    }

    #[test]
    fn what_is_no_line_is_told_and_never_a_panic(text: String, cut in 0usize..2_000) {
        let _ = read::line(&text);
        let whole = written(&Facts::default(), Stage::Connect).text();
        if let Some(part) = whole.get(..cut.min(whole.len() - 1)) {
            prop_assert!(read::line(part).is_err());
        }
    }
}

/// Texts beyond the bound are cut, and decided alike: no policy names one as long.
#[test]
fn a_long_text_is_cut_and_decided_alike() {
    let long = "a".repeat(LONGEST * 4);
    let policy = default_policy();
    for facts in [
        Facts {
            host: Host::from_header(&format!("{long}.local")),
            ..Facts::default()
        },
        Facts {
            host: Host::from_header(&format!("[fe80::1%{long}]:443")),
            ..Facts::default()
        },
        Facts {
            origin: Origin::parse(&format!("https://{long}.ts.net")),
            ..Facts::default()
        },
        Facts {
            path: format!("/{long}").into(),
            platform: "é".repeat(LONGEST + 1).into(),
            ..Facts::default()
        },
    ] {
        let line = written(&facts, Stage::Connect);
        assert!(line.text().len() < 4_000);
        let back = again(&line).explained().unwrap().facts;
        assert_eq!(back.host.class(), facts.host.class());
        assert_eq!(back.host.ip(), facts.host.ip());
        assert_eq!(back.origin.class(), facts.origin.class());
        assert_eq!(
            decide(policy.program(), &back),
            decide(policy.program(), &facts)
        );
    }
}

/// At the upgrade nothing is known of the connect frame: those facts are the defaults, and said
/// to be.
#[test]
fn facts_of_later_stages_are_assumed() {
    let facts = Facts {
        platform: "windows".into(),
        ..Facts::default()
    };
    let back = again(&written(&facts, Stage::Upgrade));
    let explained = back.explained().unwrap();
    assert_eq!(explained.facts, Facts::default());
    let shown = &explained.subject.evidence;
    assert!(
        shown
            .iter()
            .any(|phrase| phrase.starts_with("not known yet"))
    );
}

/// A line of a newer version is read as far as it is known, and says what was not.
#[test]
fn what_another_version_wrote_is_told() {
    let text = written(&Facts::default(), Stage::Connect).text();
    let newer = text
        .replace(
            "\"transport\":\"tcp\"",
            "\"transport\":\"quic\",\"mood\":\"good\"",
        )
        .replace("\"gw-log\":1,", "\"gw-log\":1,\"more\":{\"of\":\"this\"},");
    let explained = read::line(&newer).unwrap().explained().unwrap();
    assert_eq!(explained.unread, ["transport", "mood", "transport"]);
    let later = text.replace("\"gw-log\":1,", "\"gw-log\":2,");
    let error = read::line(&later).unwrap_err();
    assert!(error.message.contains("of format 2"), "{error}");
}

#[test]
fn times_are_read_as_they_are_written() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (1_770_000_000_007, "2026-02-02T02:40:00.007Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Moment(ms).to_string(), text);
    }
    let read = Moment::parse("2026-02-02T02:40:00.007Z");
    assert_eq!(read, Some(Moment(1_770_000_000_007)));
    assert_eq!(Moment::parse("yesterday"), None);
}
