//! `gw schema`: what policies may speak of, from the tables.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Exit;
use super::output::{AnswerFormat, Output};
use crate::facts::{ATTRIBUTES, AttributeId, Facts, Word};
use crate::verdict::{PairingReason, Reason, VerdictKind};

/// Lists what policies may speak of
///
/// Attributes with their types, the stage from which they are known, who vouches for them
/// and what tests assume of them; verdicts; reasons with what helps against them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw schema                 everything
  gw schema auth            one attribute with its values
  gw schema --format json | jq '.attributes[].name'")]
pub(super) struct Args {
    /// Only these attributes, verdicts or reasons
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let wanted =
        |name: &str| args.names.is_empty() || args.names.iter().any(|wanted| wanted == name);
    let unknown = args
        .names
        .iter()
        .find(|name| !known().any(|known| known == name.as_str()));
    if let Some(name) = unknown {
        let help = crate::diagnostic::suggest::did_you_mean(name, known())
            .map_or_else(String::new, |help| format!("\n  help: {help}"));
        output.complain(&format!(
            "error: `{name}` is no attribute, verdict or reason{help}\n"
        ));
        return Exit::Usage;
    }
    if args.format == AnswerFormat::Json {
        output.say_json(&document(&wanted));
    } else {
        output.say(&listing(&wanted, !args.names.is_empty()));
    }
    Exit::Success
}

/// Names that stand for a comparison.
const SHORT: &[Word] = &[
    Word {
        name: "loopback",
        doc: "peer=loopback",
    },
    Word {
        name: "private",
        doc: "peer=private",
    },
    Word {
        name: "public",
        doc: "peer=public",
    },
    Word {
        name: "no-origin",
        doc: "origin=absent",
    },
    Word {
        name: "no-host",
        doc: "host=absent",
    },
    Word {
        name: "no-device",
        doc: "device=absent",
    },
    Word {
        name: "admit",
        doc: "approve | silent-approve, in tests and claims",
    },
];

/// What may stand in a verdict's parentheses.
const ARGUMENTS: &[Word] = &[
    Word {
        name: "as-found",
        doc: "reject(as-found): the reason that the facts carry, of the device proof, else of the authentication",
    },
    Word {
        name: "cap",
        doc: "cap(scopes={ … }), in guards: no more scopes than these",
    },
    Word {
        name: "hint",
        doc: "hint=\"…\": prose that the client may see",
    },
    Word {
        name: "reason",
        doc: "require-pairing(reason=…): what to say is missing",
    },
    Word {
        name: "scopes",
        doc: "approve(scopes=requested | none | approved | { … }): what the session may have",
    },
    Word {
        name: "token",
        doc: "approve(token=no): no device token goes back",
    },
    Word {
        name: "ttl",
        doc: "silent-approve(ttl=\"30d\"): how long the pairing lasts",
    },
];

fn known() -> impl Iterator<Item = &'static str> {
    let names = |words: &'static [Word]| words.iter().map(|word| word.name);
    ATTRIBUTES
        .iter()
        .map(|row| row.name)
        .chain(names(SHORT))
        .chain(names(VerdictKind::WORDS))
        .chain(names(ARGUMENTS))
        .chain(names(Reason::WORDS))
        .chain(names(PairingReason::WORDS))
}

fn listing(wanted: &dyn Fn(&str) -> bool, single: bool) -> String {
    let mut out = String::new();
    let quiet = Facts::default();
    let attributes: Vec<AttributeId> = AttributeId::all()
        .filter(|id| wanted(id.row().name))
        .collect();
    if !attributes.is_empty() {
        out.push_str("ATTRIBUTES   name, type, known at, vouched for, assumed in tests\n\n");
    }
    for id in attributes {
        let row = id.row();
        let _ = writeln!(
            out,
            "{:<28} {:<8} {:<8} {:<11} {}\n    {}",
            row.name,
            row.kind.name(),
            row.stage.name(),
            row.provenance.name(),
            id.show(&quiet),
            row.doc
        );
        if single {
            for word in row.kind.words() {
                let _ = writeln!(out, "      {:<26} {}", word.name, word.doc);
            }
        } else if !row.kind.words().is_empty() {
            let words: Vec<&str> = row.kind.words().iter().map(|word| word.name).collect();
            let _ = writeln!(out, "    {}", words.join(", "));
        }
    }
    section(&mut out, "SHORT for a comparison", SHORT, wanted, |_| None);
    section(&mut out, "VERDICTS", VerdictKind::WORDS, wanted, |_| None);
    section(
        &mut out,
        "ARGUMENTS of verdicts, and what only guards answer",
        ARGUMENTS,
        wanted,
        |_| None,
    );
    section(
        &mut out,
        "REASONS of reject, with what helps",
        Reason::WORDS,
        wanted,
        |name| Reason::parse(name).map(Reason::remedy),
    );
    section(
        &mut out,
        "REASONS of require-pairing",
        PairingReason::WORDS,
        wanted,
        |_| None,
    );
    out
}

fn section(
    out: &mut String,
    heading: &str,
    words: &[Word],
    wanted: &dyn Fn(&str) -> bool,
    remedy: fn(&str) -> Option<&'static str>,
) {
    let words: Vec<&Word> = words.iter().filter(|word| wanted(word.name)).collect();
    if words.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{heading}\n");
    for word in words {
        let _ = writeln!(out, "{:<28} {}", word.name, word.doc);
        if let Some(remedy) = remedy(word.name) {
            let _ = writeln!(out, "    → {remedy}");
        }
    }
}

fn document(wanted: &dyn Fn(&str) -> bool) -> Value {
    let quiet = Facts::default();
    let words = |words: &[Word]| -> Vec<Value> {
        words
            .iter()
            .map(|word| json!({ "name": word.name, "doc": word.doc }))
            .collect()
    };
    let attributes = AttributeId::all()
        .filter(|id| wanted(id.row().name))
        .map(|id| {
            let row = id.row();
            json!({
                "name": row.name,
                "type": row.kind.name(),
                "stage": row.stage,
                "provenance": row.provenance,
                "default": id.show(&quiet),
                "values": words(row.kind.words()),
                "doc": row.doc,
            })
        });
    let reasons = Reason::ALL.iter().filter(|reason| wanted(reason.name())).map(|reason| {
        json!({ "name": reason.name(), "doc": reason.doc(), "remedy": reason.remedy() })
    });
    let kept = |all: &'static [Word]| -> Vec<Word> {
        all.iter()
            .copied()
            .filter(|word| wanted(word.name))
            .collect()
    };
    json!({
        "edition": crate::lang::check::EDITION,
        "attributes": attributes.collect::<Vec<_>>(),
        "short": words(&kept(SHORT)),
        "verdicts": words(&kept(VerdictKind::WORDS)),
        "arguments": words(&kept(ARGUMENTS)),
        "reasons": reasons.collect::<Vec<_>>(),
        "pairingReasons": words(&kept(PairingReason::WORDS)),
    })
}
