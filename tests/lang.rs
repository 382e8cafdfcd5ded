//! The policy language by example: `fixtures/lang/` holds policies, and beside each a golden
//! with what is said of it (`error/`, `files/`) or how it is laid out (`ok/`).
//!
//! `GW_BLESS=1 cargo test --test lang` writes the goldens; read them before you commit them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails loudly"
)]

#[path = "support/golden.rs"]
mod golden;
#[path = "support/layout.rs"]
mod layout;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gw::Policy;
use gw::diagnostic::Code;
use gw::diagnostic::render::{Format, render};
use gw::lang::parse::MAX_BYTES;
use gw::lang::{ReadError, format};
use gw::policy::PolicyError;
use layout::{laid_out, tree};
use libtest_mimic::{Arguments, Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for path in entries("error") {
        if path.extension().is_some_and(|ending| ending == "policy") {
            let name = format!("error/{}", stem(&path));
            trials.push(Trial::test(name, move || error(&path)));
        }
    }
    for path in entries("ok") {
        if path.extension().is_some_and(|ending| ending == "policy") {
            let name = format!("ok/{}", stem(&path));
            trials.push(Trial::test(name, move || accepted(&path)));
        }
    }
    for path in entries("files") {
        let name = format!("files/{}", stem(&path));
        trials.push(Trial::test(name, move || folder(&path)));
    }
    let shipped = ["policies", "policies/openclaw"].map(|folder| listed(&root().join(folder)));
    let is_policy = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "policy");
    for path in shipped.concat().into_iter().filter(is_policy) {
        let name = format!("policies/{}", stem(&path));
        trials.push(Trial::test(name, move || {
            Ok(laid_out(&read(&path)).map(drop)?)
        }));
    }
    for (name, test) in LIMITS {
        trials.push(Trial::test(format!("limits/{name}"), move || {
            test().map_err(Failed::from)
        }));
    }
    for (name, test) in PROPERTIES {
        trials.push(Trial::test(format!("properties/{name}"), move || {
            test().map_err(Failed::from)
        }));
    }
    for (name, form) in [
        ("plain.txt", Format::Plain),
        ("json.json", Format::Json),
        ("sarif.json", Format::Sarif),
        ("colour.txt", Format::Human { colour: true }),
    ] {
        trials.push(Trial::test(format!("formats/{name}"), move || {
            rendered(name, form)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

// -- Files -------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn entries(folder: &str) -> Vec<PathBuf> {
    listed(&root().join("fixtures/lang").join(folder))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Loads a policy whose other files stand in `folder`.
fn load(name: &str, text: &str, folder: &Path) -> Result<Policy, PolicyError> {
    Policy::load(name, text, &mut |path, _| {
        fs::read_to_string(folder.join(path)).map_err(|_| ReadError::NotFound)
    })
}

// -- What is said of a policy ------------------------------------------------------------------

/// A text with its control characters made visible.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => "\n".to_owned(),
            c if c.is_control() || "\u{feff}\u{200b}\u{200f}\u{202e}\u{2066}\u{a0}".contains(c) => {
                format!("<U+{:04X}>", u32::from(c))
            }
            c => c.to_string(),
        })
        .collect()
}

fn said(policy: &Result<Policy, PolicyError>) -> String {
    let human = Format::Human { colour: false };
    match policy {
        Ok(policy) => render(policy.warnings(), policy.sources(), human),
        Err(error) => render(&error.diagnostics, &error.sources, human),
    }
}

fn error(path: &Path) -> Result<(), Failed> {
    let text = read(path);
    let name = path.file_name().unwrap().to_str().unwrap();
    let policy = load(name, &text, path.parent().unwrap());
    if policy.is_ok() {
        return Err("this loads".into());
    }
    let golden = format!("{}\n{}", visible(&text), said(&policy));
    golden::check(&path.with_extension("txt"), &golden).map_err(Failed::from)
}

fn folder(path: &Path) -> Result<(), Failed> {
    let policy = load("main.policy", &read(&path.join("main.policy")), path);
    let mut golden = String::new();
    if let Ok(policy) = &policy {
        let checked = policy.checked();
        let label = |clause: &gw::lang::checked::Clause| {
            clause
                .label
                .clone()
                .unwrap_or_else(|| policy.sources().place(clause.span))
        };
        let guards: Vec<String> = checked.guards.iter().map(label).collect();
        let rules: Vec<String> = checked.rules.iter().map(label).collect();
        let _ = writeln!(golden, "loads\nguards {}", guards.join(", "));
        let _ = writeln!(
            golden,
            "rules {}\ndefault {}\n",
            rules.join(", "),
            label(&checked.default)
        );
    }
    golden.push_str(&said(&policy));
    golden::check(&path.join("golden.txt"), &golden).map_err(Failed::from)
}

// -- How a policy is laid out ------------------------------------------------------------------

fn accepted(path: &Path) -> Result<(), Failed> {
    let text = read(path);
    let policy = load(
        &format!("{}.policy", stem(path)),
        &text,
        path.parent().unwrap(),
    );
    if policy.is_err() {
        return Err(said(&policy).into());
    }
    golden::check(&path.with_extension("formatted"), &laid_out(&text)?).map_err(Failed::from)
}

// -- The other forms ---------------------------------------------------------------------------

/// One policy with several mistakes, in each form.
fn rendered(name: &str, form: Format) -> Result<(), Failed> {
    let folder = root().join("fixtures/lang/formats");
    let policy = load(
        "policies/main.policy",
        &read(&folder.join("policies/main.policy")),
        &folder,
    );
    let error = policy.err().ok_or("this loads")?;
    let text = render(&error.diagnostics, &error.sources, form);
    if name == "sarif.json" {
        is_sarif(&text)?;
    }
    // The pages and the version are not what this golden is about.
    let mut text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    for code in Code::ALL {
        let page = serde_json::to_string(code.page()).unwrap();
        text = text.replace(&page, "\"PAGE\"");
    }
    golden::check(&folder.join(name), &text).map_err(Failed::from)
}

/// What SARIF 2.1.0 asks of a log.
fn is_sarif(text: &str) -> Result<(), String> {
    let log: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let expect = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    expect(log["version"] == "2.1.0", "version")?;
    let run = &log["runs"][0];
    expect(run["tool"]["driver"]["name"] == "gw", "the driver's name")?;
    let rules = run["tool"]["driver"]["rules"].as_array().ok_or("rules")?;
    for result in run["results"].as_array().ok_or("results")? {
        expect(
            rules.iter().any(|rule| rule["id"] == result["ruleId"]),
            "ruleId is a rule",
        )?;
        expect(result["message"]["text"].is_string(), "message.text")?;
        let level = result["level"].as_str().unwrap_or("");
        expect(
            ["none", "note", "warning", "error"].contains(&level),
            "level",
        )?;
        let locations = result["locations"].as_array().ok_or("locations")?;
        for location in locations {
            let physical = &location["physicalLocation"];
            expect(physical["artifactLocation"]["uri"].is_string(), "uri")?;
            let number = |key: &str| physical["region"][key].as_u64().unwrap_or(0);
            let start = (number("startLine"), number("startColumn"));
            let end = (number("endLine"), number("endColumn"));
            expect(start.0 >= 1 && start.1 >= 1 && start <= end, "region")?;
        }
    }
    Ok(())
}

// -- Limits ------------------------------------------------------------------------------------

type Test = fn() -> Result<(), String>;

const LIMITS: [(&str, Test); 12] = [
    ("a_file_of_1_mib_is_read", || {
        let line = format!("# {}\n", "x".repeat(1021));
        let mut text = String::from("gw-policy 1\ndefault → approve\n");
        while text.len() + line.len() <= MAX_BYTES {
            text.push_str(&line);
        }
        codes(&text, &[])
    }),
    ("a_larger_file_is_refused", || {
        let text = format!("gw-policy 1\ndefault → approve\n{}", "#".repeat(MAX_BYTES));
        codes(&text, &[Code::FileTooLarge])
    }),
    ("a_hundred_thousand_parentheses", || {
        let (open, close) = ("(".repeat(100_000), ")".repeat(100_000));
        codes(
            &ruled(&format!("{open}tls{close}")),
            &[Code::NestedTooDeeply],
        )?;
        codes(&ruled(&open), &[Code::NestedTooDeeply])?;
        codes(
            &ruled(&format!("{}tls{}", "(".repeat(64), ")".repeat(64))),
            &[],
        )
    }),
    ("a_hundred_thousand_negations", || {
        codes(
            &ruled(&format!("{}tls", "not ".repeat(100_000))),
            &[Code::NestedTooDeeply],
        )?;
        codes(
            &ruled(&format!("{}tls", "not (".repeat(100_000))),
            &[Code::NestedTooDeeply],
        )?;
        codes(
            &ruled(&format!("{}tls{}", "not (".repeat(60), ")".repeat(60))),
            &[],
        )
    }),
    ("a_definition_that_doubles_forty_times", || {
        let mut text = String::from("gw-policy 1\ndefine a0 = tls\n");
        for level in 1..=40 {
            let below = level - 1;
            let _ = writeln!(text, "define a{level} = a{below} and a{below}");
        }
        text.push_str(
            "guard at upgrade a40 → reject(not-permitted)\na40 → approve\ndefault → approve\n",
        );
        codes(&text, &[Code::NestedTooDeeply])
    }),
    ("a_chain_of_ten_thousand_definitions", || {
        for reversed in [false, true] {
            let mut lines = vec!["define a0 = tls\n".to_owned()];
            lines.extend((1..10_000).map(|n| format!("define a{n} = not a{}\n", n - 1)));
            if reversed {
                lines.reverse();
            }
            let text = format!(
                "gw-policy 1\n{}a9999 → approve\ndefault → approve\n",
                lines.concat()
            );
            codes(&text, &[Code::NestedTooDeeply])?;
        }
        Ok(())
    }),
    ("many_large_definitions", || {
        let big: Vec<String> = (0..5_000).map(|_| "tls".to_owned()).collect();
        let mut text = format!("gw-policy 1\ndefine big = {}\n", big.join(" and "));
        for n in 0..5_000 {
            let _ = writeln!(text, "define a{n} = big");
        }
        text.push_str("default → approve\n");
        codes(&text, &[Code::NestedTooDeeply])
    }),
    ("a_large_definition_named_over_and_over", || {
        let large = vec!["tls"; 9_999].join(" or ");
        let over = vec!["large"; 100_000].join(" or ");
        let text = format!("define large = {large}\ndefine over = {over}");
        codes(
            &format!("gw-policy 1\n{text}\nover → approve\ndefault → approve\n"),
            &[Code::NestedTooDeeply],
        )
    }),
    ("a_large_condition_in_many_rules", || {
        let kinds = [
            "tls",
            "client=cli",
            "auth=token",
            "forwarded",
            "origin=loopback",
        ];
        let large: Vec<&str> = kinds.iter().copied().cycle().take(9_000).collect();
        let mut text = format!("gw-policy 1\ndefine large = {}\n", large.join(" or "));
        text.push_str(&"large → approve\n".repeat(40));
        codes(&(text + "default → approve\n"), &[])
    }),
    ("a_line_of_a_megabyte_is_told_and_not_drawn", || {
        let text = format!(
            "gw-policy 1\n{} → approve\ndefault → approve\n",
            "x".repeat(1_000_000)
        );
        let Err(error) = Policy::parse("x.policy", &text) else {
            return Err("it loads".to_owned());
        };
        let human = Format::Human { colour: false };
        let drawn = render(&error.diagnostics, &error.sources, human);
        let short = drawn.len() < 5_000 && drawn.contains("at x.policy:2:1");
        if short {
            Ok(())
        } else {
            Err(drawn.chars().take(2_000).collect())
        }
    }),
    ("half_a_million_mistakes_are_not_all_kept", || {
        let text = format!("gw-policy 1\n{}", "x\n".repeat(500_000));
        let Err(error) = Policy::parse("x.policy", &text) else {
            return Err("it loads".to_owned());
        };
        let kept = error.diagnostics.0.len();
        if (900..1_100).contains(&kept) {
            Ok(())
        } else {
            Err(format!("{kept} are kept"))
        }
    }),
    ("a_long_flat_condition", || {
        let clients: Vec<&str> = std::iter::repeat_n("client=cli", 2_000).collect();
        codes(&ruled(&clients.join(" or ")), &[])
    }),
];

fn ruled(condition: &str) -> String {
    format!("gw-policy 1\n{condition} → approve\ndefault → approve\n")
}

/// Loads a text, lays it out, and compares the codes of its diagnostics.
fn codes(text: &str, expected: &[Code]) -> Result<(), String> {
    let _ = format(text);
    let diagnostics = match Policy::parse("x.policy", text) {
        Ok(policy) => policy.warnings().clone(),
        Err(error) => error.diagnostics,
    };
    let found: Vec<Code> = diagnostics
        .0
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?}: {diagnostics}"))
    }
}

// -- Properties --------------------------------------------------------------------------------

const PROPERTIES: [(&str, Test); 4] = [
    ("arbitrary_text_is_answered", || {
        holds(256, any::<String>(), |text| {
            answered(&text)?;
            answered(&format!("gw-policy 1\n{text}\ndefault → approve\n"))
        })
    }),
    ("any_order_of_fragments_is_answered", || {
        let fragment = prop::sample::select(FRAGMENTS);
        holds(512, prop::collection::vec(fragment, 0..24), |fragments| {
            answered(&format!(
                "gw-policy 1\n{}\ndefault → approve\n",
                fragments.concat()
            ))
        })
    }),
    ("mutated_policies_are_answered", || {
        let index = any::<prop::sample::Index>;
        let change = (index(), index(), prop::sample::select(FRAGMENTS));
        holds(
            256,
            (policy(), prop::collection::vec(change, 1..8)),
            |(text, changes)| {
                let mut characters: Vec<char> = text.chars().collect();
                for (from, to, fragment) in changes {
                    let (from, to) = (from.index(characters.len()), to.index(characters.len()));
                    let end = from.max(to).min(from.min(to) + 6);
                    characters.splice(from.min(to)..end, fragment.chars());
                }
                answered(&characters.into_iter().collect::<String>())
            },
        )
    }),
    ("laying_out_changes_nothing_but_space", || {
        holds(256, policy(), |text| laid_out(&text).map(drop))
    }),
];

fn holds<S: Strategy>(
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), String>,
) -> Result<(), String> {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&strategy, |value| test(value).map_err(TestCaseError::fail))
        .map_err(|error| error.to_string())
}

/// Reading, laying out and showing a text end, whatever it is; and if it can be read, it is
/// laid out without a change.
fn answered(text: &str) -> Result<(), String> {
    let _ = format(text);
    if tree(text).is_ok() {
        laid_out(text)?;
    }
    if let Err(error) = Policy::parse("x.policy", text) {
        for form in [
            Format::Human { colour: false },
            Format::Plain,
            Format::Json,
            Format::Sarif,
        ] {
            let _ = render(&error.diagnostics, &error.sources, form);
        }
    }
    Ok(())
}

/// What mutations put in.
const FRAGMENTS: &[&str] = &[
    "",
    " ",
    " ",
    " tls ",
    " cli",
    "client",
    "peer",
    "scopes",
    "=cli",
    "=10.0.0.1",
    "fd00::/64",
    "approve",
    "reject(not-permitted)",
    "test ",
    "\"x\"",
    "set ",
    "x",
    "[x] ",
    "@issue",
    "because ",
    "hint=",
    "trial ",
    "never ",
    "at upgrade ",
    "includes ",
    "within ",
    "{ cli, test }",
    "# x\n",
    "\n",
    "\n  ",
    "#",
    "\"",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "|",
    "=",
    "==",
    "!=",
    "!",
    "@",
    "→",
    "->",
    "=>",
    "⇒",
    "&&",
    "not ",
    " and ",
    " or ",
    " in ",
    "\r",
    "\t",
    "\u{feff}",
    "\u{202e}",
    "é",
    "🦀",
    "default",
    "guard ",
    "define ",
    "::",
    "1.2.3.4",
    "/",
    "-",
    ".",
];

fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,6}(-[a-z0-9]{1,3})?".prop_map(|name| format!("x{name}"))
}

/// What may stand between two parts of a statement.
fn gap() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just(" "),
        1 => Just("   "),
        1 => Just("\t"),
        1 => Just("\n    "),
        1 => Just("\n  # a \"comment\" → x\n  "),
        1 => Just(" # another\n\t"),
    ]
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["cli", "openclaw-tui", "webchat-ui", "test", "webchat"])
}

fn comparison() -> impl Strategy<Value = String> {
    let flags = prop::sample::select(vec![
        "tls",
        "loopback",
        "no-origin",
        "forwarded-for",
        "private",
    ]);
    let network = prop::sample::select(vec!["10.0.0.0/8", "::1", "fd00:1::/64", "192.168.1.7"]);
    prop_oneof![
        flags.prop_map(str::to_owned),
        (gap(), gap(), word()).prop_map(|(a, b, word)| format!("client{a}={b}{word}")),
        word().prop_map(|word| format!("client!={word}")),
        (gap(), prop::collection::vec(word(), 1..4))
            .prop_map(|(gap, words)| { format!("client{gap}in{gap}{{{}}}", words.join(",")) }),
        (gap(), network).prop_map(|(gap, network)| format!("peer not{gap}in {{ {network} }}")),
        Just("scopes={}".to_owned()),
        gap().prop_map(|gap| format!("scopes includes{gap}operator.read")),
        Just("path=\"/a # b\"".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    comparison().prop_recursive(3, 16, 4, |inner| {
        let joined = |word: &'static str| {
            (prop::collection::vec(inner.clone(), 2..4), gap()).prop_map(move |(parts, gap)| {
                let parts: Vec<String> =
                    parts.iter().map(|part| format!("({gap}{part})")).collect();
                parts.join(&format!("{gap}{word}{gap}"))
            })
        };
        prop_oneof![
            joined("and"),
            joined("or"),
            (gap(), inner.clone()).prop_map(|(gap, inner)| format!("not{gap}({inner})")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let arrow = prop::sample::select(vec!["→", "->", " → ", " -> "]);
    let verdict = prop::sample::select(vec![
        "approve",
        "silent-approve( scopes = none,ttl=\"30d\" )",
        "reject(not-permitted) because \"# no\"",
        "require-pairing hint=\"ask\"",
        "approve(scopes={operator.read,operator.write})",
    ]);
    let guarded = prop::sample::select(vec!["guard", "guard at upgrade", "guard [xg]"]);
    prop_oneof![
        4 => (condition(), arrow.clone(), verdict)
            .prop_map(|(condition, arrow, verdict)| format!("{condition}{arrow}{verdict}")),
        2 => (guarded, gap(), condition(), arrow).prop_map(|(guard, gap, condition, arrow)| {
            format!("{guard}{gap}({condition}){arrow}reject(not-permitted)")
        }),
        1 => (name(), gap(), condition())
            .prop_map(|(name, gap, condition)| format!("define {name}{gap}={gap}{condition}")),
        1 => (name(), gap(), word()).prop_map(|(name, gap, word)| format!("set{gap}{name}={{{gap}{word},}}")),
        1 => (gap(), condition())
            .prop_map(|(gap, condition)| format!("never \"n\"{gap}:{condition}{gap}⇒ admit|approve")),
        1 => Just("@issue(\"#1\")\n@x-y ( \"z\" )\ntest \"t\":loopback and tls->approve".to_owned()),
        1 => Just("# a comment".to_owned()),
        1 => Just(String::new()),
    ]
}

/// A policy that parses; what it says need not load.
fn policy() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(statement(), 0..8),
        prop::sample::select(vec!["\n", "\n\n", " # x\n", "\r\n"]),
    )
        .prop_map(|(statements, end)| {
            let mut text = format!("gw-policy 1{end}");
            for statement in statements {
                text.push_str(&statement);
                text.push_str(end);
            }
            text.push_str("default → require-pairing");
            text
        })
}
