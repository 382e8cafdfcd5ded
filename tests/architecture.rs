//! What holds the structure: which module may name which, what every file begins with, and
//! that what is generated from the tables is current.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Each module with the modules it may name, in the order in which data meets them.
const LAYERS: &[(&str, &[&str])] = &[
    ("source", &[]),
    ("secret", &[]),
    ("facts", &[]),
    ("diagnostic", &["facts", "source"]),
    ("verdict", &["facts"]),
    ("settings", &["facts", "secret", "source"]),
    (
        "pairing",
        &["facts", "secret", "settings", "source", "verdict"],
    ),
    (
        "config",
        &["diagnostic", "facts", "secret", "settings", "source"],
    ),
    ("auth", &["facts", "pairing", "secret", "settings"]),
    (
        "wire",
        &[
            "auth", "facts", "pairing", "secret", "settings", "source", "verdict",
        ],
    ),
    (
        "handshake",
        &[
            "auth",
            "diagnostic",
            "facts",
            "pairing",
            "secret",
            "settings",
            "source",
            "wire",
        ],
    ),
    ("lang", &["diagnostic", "facts", "source", "verdict"]),
    ("compile", &["facts", "lang", "source", "verdict"]),
    ("decide", &["compile", "facts", "lang", "source", "verdict"]),
    (
        "claims",
        &[
            "compile",
            "decide",
            "diagnostic",
            "facts",
            "handshake",
            "lang",
            "source",
        ],
    ),
    (
        "analysis",
        &[
            "claims",
            "compile",
            "decide",
            "diagnostic",
            "facts",
            "lang",
            "source",
            "verdict",
        ],
    ),
    (
        "policy",
        &[
            "analysis",
            "claims",
            "compile",
            "diagnostic",
            "facts",
            "lang",
            "source",
        ],
    ),
    (
        "audit",
        &[
            "analysis", "compile", "decide", "facts", "policy", "verdict",
        ],
    ),
    (
        "lint",
        &[
            "analysis",
            "compile",
            "decide",
            "diagnostic",
            "facts",
            "lang",
            "policy",
            "source",
            "verdict",
        ],
    ),
    (
        "repair",
        &[
            "analysis",
            "compile",
            "diagnostic",
            "lang",
            "lint",
            "policy",
            "source",
            "verdict",
        ],
    ),
    (
        "coverage",
        &[
            "analysis",
            "claims",
            "compile",
            "decide",
            "diagnostic",
            "facts",
            "lang",
            "policy",
            "source",
            "verdict",
        ],
    ),
    ("logline", &["facts"]),
    (
        "explain",
        &[
            "analysis",
            "compile",
            "decide",
            "diagnostic",
            "facts",
            "lang",
            "policy",
            "settings",
            "source",
            "verdict",
            "wire",
        ],
    ),
    (
        "admission",
        &[
            "auth",
            "compile",
            "decide",
            "facts",
            "handshake",
            "pairing",
            "policy",
            "secret",
            "settings",
            "verdict",
            "wire",
        ],
    ),
    (
        "journal",
        &[
            "admission",
            "compile",
            "decide",
            "explain",
            "facts",
            "handshake",
            "pairing",
            "policy",
            "source",
            "verdict",
            "wire",
        ],
    ),
    (
        "recorded",
        &[
            "admission",
            "auth",
            "decide",
            "facts",
            "handshake",
            "pairing",
            "secret",
            "settings",
            "wire",
        ],
    ),
];

/// Modules that may do what the pure half may not.
const WORLD: [&str; 8] = [
    "cli", "client", "host", "lib", "main", "pipe", "relay", "server",
];

/// Names, with the files that may use them.
const RESERVED: &[(&str, &[&str])] = &[
    ("pest", &["src/lang/grammar.rs", "src/lang/parse.rs"]),
    ("miette", &["src/diagnostic/render.rs"]),
    ("clap", &["src/cli/"]),
    (
        "std::fs",
        &[
            "src/cli/",
            "src/host/",
            "src/server/",
            "src/pairing/import/folder.rs",
            "src/pairing/sqlite/files.rs",
        ],
    ),
    (
        "rusqlite",
        &["src/pairing/import/folder.rs", "src/pairing/sqlite"],
    ),
    ("saphyr_parser", &["src/config/document.rs"]),
    ("json5", &["src/config/openclaw/mod.rs"]),
    ("if_addrs", &["src/host/"]),
    ("rustix", &["src/host/", "src/pairing/sqlite/files.rs"]),
    (
        "std::time",
        &[
            "src/cli/",
            "src/client/",
            "src/host/",
            "src/journal/moment.rs",
            "src/relay/",
            "src/server/",
        ],
    ),
    (
        "tokio",
        &[
            "src/cli/",
            "src/client/",
            "src/pipe/",
            "src/relay/",
            "src/server/",
        ],
    ),
    ("hyper", &["src/pipe/", "src/relay/", "src/server/"]),
    ("rustls", &["src/client/", "src/server/"]),
    (
        "tracing",
        &["src/cli/", "src/pipe/", "src/relay/", "src/server/"],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                // What a package of its own was built into, as `benches/peers` is.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Whether all of a file is tests.
fn is_tests(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

/// The part of a file before its tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The top-level modules that a text names: `crate::x` and `crate::{x, y::z}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let items = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(", ").collect(),
            None => vec![rest],
        };
        for item in items {
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            names.insert(item.trim().chars().take_while(|c| word(*c)).collect());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn modules_name_only_what_is_below_them() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in files("src", ".rs") {
        let module = file
            .trim_start_matches("src/")
            .split(['/', '.'])
            .next()
            .unwrap();
        if WORLD.contains(&module) || is_tests(&file) {
            continue;
        }
        let allowed = layers
            .get(module)
            .unwrap_or_else(|| panic!("give `{module}` a row"));
        for name in named(&code(&text)) {
            let known = layers.contains_key(name.as_str()) || WORLD.contains(&name.as_str());
            if known && name != module && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{file} names crate::{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_of_the_world_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, text) in files("src", ".rs") {
        let code = if is_tests(&file) {
            String::new()
        } else {
            code(&text)
        };
        for (name, allowed) in RESERVED {
            let used = code.contains(&format!("{name}::"));
            if used && !allowed.iter().any(|allowed| file.starts_with(allowed)) {
                wrong.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_holds() {
    for folder in ["src", "tests", "benches", "fuzz"] {
        for (file, text) in files(folder, ".rs") {
            assert!(text.starts_with("//! "), "{file} does not begin with `//!`");
        }
    }
}

#[test]
fn every_pure_module_denies_the_world() {
    let denial = "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]";
    for (module, _) in LAYERS {
        let paths = [format!("src/{module}/mod.rs"), format!("src/{module}.rs")];
        let text = paths
            .iter()
            .find_map(|path| fs::read_to_string(root().join(path)).ok());
        assert!(
            text.unwrap().contains(denial),
            "{module} does not deny clocks and files"
        );
    }
}

/// `docs/attributes.md` is the table, for those who read docs.
#[test]
fn the_attribute_page_is_current() {
    use gw::facts::{AttributeId, Facts};
    use std::fmt::Write as _;
    let quiet = Facts::default();
    let mut page = String::from(
        "# Attributes\n\nWhat a policy may ask about. Made from the table in \
         `src/facts/attributes.rs`; `gw schema NAME` shows every value with its meaning.\n\n\
         | name | type | known at | vouched for | in tests, unless named | what it says |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for id in AttributeId::all() {
        let row = id.row();
        let (kind, stage, vouched) = (row.kind.name(), row.stage, row.provenance);
        let default = id.show(&quiet);
        writeln!(
            page,
            "| `{}` | {kind} | {stage} | {vouched} | `{default}` | {} |",
            row.name, row.doc
        )
        .unwrap();
    }
    page.push_str("\n## Values\n\n");
    for id in AttributeId::all() {
        let words = id.row().kind.words();
        if !words.is_empty() {
            let names: Vec<String> = words
                .iter()
                .map(|word| format!("`{}`", word.name))
                .collect();
            writeln!(page, "- `{}`: {}", id.row().name, names.join(", ")).unwrap();
        }
    }
    let path = root().join("docs/attributes.md");
    if std::env::var_os("GW_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attributes.md is behind: GW_BLESS=1 cargo test --test architecture"
    );
}

/// The tables of `docs/settings.md` are the schema, the defaults and the constants of each
/// release, for those who read docs.
#[test]
fn the_settings_page_is_current() {
    use gw::facts::{
        AuthMode, Bind, Word, forwarding::ForwardingRule, metadata::MetadataRule,
        origin::OriginSyntax, scopes::ScopeRule,
    };
    use gw::settings::{Compatibility, compatibility as constants};
    use serde_yaml::Value as Yaml; // keeps the order of its fields
    const WORDS: &[(&str, &[Word])] = &[
        ("bind", Bind::WORDS),
        ("auth.mode", AuthMode::WORDS),
        ("schemaWording", constants::SchemaWording::WORDS),
        ("originSyntax", OriginSyntax::WORDS),
        ("forwarding", ForwardingRule::WORDS),
        ("sharedFailures", constants::SharedFailures::WORDS),
        ("scopeRule", ScopeRule::WORDS),
        ("approvedBaseline", constants::ApprovedBaseline::WORDS),
        ("metadataRule", MetadataRule::WORDS),
        ("refusalWording", constants::RefusalWording::WORDS),
        ("pairingDetails", constants::PairingDetails::WORDS),
        ("helloAuth", constants::HelloAuth::WORDS),
        ("helloScopes", constants::HelloScopes::WORDS),
        ("pairing.supersede", constants::Supersede::WORDS),
        ("pairing.repeat", constants::Repeat::WORDS),
        ("pairing.approval", constants::Approval::WORDS),
        ("pairing.approvedToken", constants::ApprovedToken::WORDS),
        ("pairing.nodeSurface", constants::NodeSurface::WORDS),
        ("pairing.otherDevices", constants::OtherDevices::WORDS),
    ];
    /// Each setting of an object of the schema, with what is described of it.
    fn settings<'a>(object: &'a Yaml, prefix: &str) -> Vec<(String, &'a Yaml)> {
        let mut found = Vec::new();
        for (name, described) in object["properties"].as_mapping().unwrap() {
            let name = format!("{prefix}{}", name.as_str().unwrap());
            match described.get("properties") {
                _ if name == "compatibility" => {}
                Some(_) => found.extend(settings(described, &format!("{name}."))),
                None => found.push((name, described)),
            }
        }
        found
    }
    fn show(value: Option<&Yaml>) -> String {
        match value {
            None | Some(Yaml::Null) => "–".to_owned(),
            Some(Yaml::Sequence(items)) if items.is_empty() => "–".to_owned(),
            Some(Yaml::Sequence(items)) => {
                let items: Vec<String> = items.iter().map(|item| show(Some(item))).collect();
                items.join(", ")
            }
            Some(Yaml::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{}`", serde_yaml::to_string(value).unwrap().trim()),
        }
    }
    fn values(described: &Yaml) -> String {
        if let Some(words) = described.get("enum") {
            return show(Some(words));
        }
        match described["type"].as_str() {
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("integer") => "a number".to_owned(),
            Some("array") if described["items"].get("enum").is_some() => "client ids".to_owned(),
            Some("array") => "texts".to_owned(),
            Some(_) | None => "a text".to_owned(),
        }
    }
    fn at<'a>(constants: &'a Yaml, name: &str) -> &'a Yaml {
        let found = name.split('.').try_fold(constants, |at, step| at.get(step));
        found.unwrap_or_else(|| panic!("no `{name}`"))
    }
    let schema = fs::read_to_string(root().join("docs/handshake.schema.json")).unwrap();
    let schema: Yaml = serde_yaml::from_str(&schema).unwrap();
    let schema = &schema["properties"]["settings"];
    let default = serde_yaml::to_value(Compatibility::default()).unwrap();
    let mut releases: Vec<(String, Yaml)> = files("policies/openclaw", ".yaml")
        .iter()
        .map(|(file, text)| {
            let release = file.rsplit('/').next().unwrap().trim_end_matches(".yaml");
            (release.to_owned(), serde_yaml::from_str(text).unwrap())
        })
        .collect();
    let number = |part: &str| part.parse::<u32>().unwrap();
    releases.sort_by_key(|(release, _)| release.split('.').map(number).collect::<Vec<_>>());

    let ordinary = settings(schema, "");
    let constants = settings(&schema["properties"]["compatibility"], "");
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = |columns: usize| format!("|{}\n", " --- |".repeat(columns));
    let table = |rows: &[(String, &Yaml)]| {
        let head = "| name | values | default | what it says |\n".to_owned() + &rule(4);
        rows.iter().fold(head, |table, (name, described)| {
            let cells = [
                format!("`{name}`"),
                values(described),
                show(described.get("default")),
                described["description"].as_str().unwrap().to_owned(),
            ];
            table + &row(&cells)
        })
    };
    let mut words = String::new();
    for (name, described) in ordinary.iter().chain(&constants) {
        if described.get("enum").is_some() {
            let known = WORDS.iter().find(|(known, _)| known == name);
            let (_, list) = known.unwrap_or_else(|| panic!("give `{name}` a row in WORDS"));
            words += &format!("- `{name}`\n");
            for word in *list {
                words += &format!("  - `{}`: {}\n", word.name, word.doc);
            }
        }
    }
    let mut head = vec!["name".to_owned(), "default".to_owned()];
    head.extend(releases.iter().map(|(release, _)| release.clone()));
    let mut matrix = row(&head) + &rule(head.len());
    for (name, _) in &constants {
        let usual = at(&default, name);
        let mut cells = vec![format!("`{name}`"), show(Some(usual))];
        for (_, release) in &releases {
            let own = at(release, name);
            let shown = show(Some(own));
            cells.push(if own == usual {
                shown
            } else {
                format!("**{shown}**")
            });
        }
        matrix += &row(&cells);
    }

    let path = root().join("docs/settings.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut page = written.clone();
    for (name, made) in [
        ("settings", table(&ordinary)),
        ("constants", table(&constants)),
        ("words", words),
        ("releases", matrix),
    ] {
        let head = format!("<!-- {name}: made by tests/architecture.rs -->\n");
        let (before, rest) = page.split_once(&head).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        page = format!("{before}{head}\n{made}\n<!-- end -->{after}");
    }
    if std::env::var_os("GW_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/settings.md is behind: GW_BLESS=1 cargo test --test architecture"
    );
}

/// The handshake that the README shows is the one that stands in its file.
#[test]
fn the_handshake_of_the_readme_is_current() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = readme.split_once("```json\n").unwrap().1;
    let shown = shown.split_once("```").unwrap().0;
    let file = fs::read_to_string(root().join("fixtures/handshake/minimal.json")).unwrap();
    assert_eq!(shown, file);
    assert!(gw::handshake::parse(shown).is_ok());
}

/// The tables of `docs/configuration.md` are the table of keys.
#[test]
fn the_configuration_page_is_current() {
    use gw::config::keys::{GROUPS, KEYS, Kind};
    let mut table = String::from(
        "| name | what may stand there | default | what it says | counts |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for key in KEYS {
        let default = match key.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let values = key.kind.values();
        let (path, doc, counts) = (key.path, key.doc, key.counts.name());
        table += &format!("| `{path}` | {values} | {default} | {doc} | {counts} |\n");
    }
    let mut groups = String::from("| group | what it is about |\n| --- | --- |\n");
    for (path, doc) in GROUPS {
        groups += &format!("| `{path}` | {doc} |\n");
    }
    let mut words = String::new();
    for key in KEYS {
        if let Kind::Word(list) = key.kind {
            words += &format!("- `{}`\n", key.path);
            for word in list {
                words += &format!("  - `{}`: {}\n", word.name, word.doc);
            }
        }
    }
    let path = root().join("docs/configuration.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut page = written.clone();
    for (name, made) in [("keys", table), ("groups", groups), ("words", words)] {
        let head = format!("<!-- {name}: made by tests/architecture.rs -->\n");
        let (before, rest) = page.split_once(&head).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        page = format!("{before}{head}\n{made}\n<!-- end -->{after}");
    }
    if std::env::var_os("GW_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/configuration.md is behind: GW_BLESS=1 cargo test --test architecture"
    );
}

/// `docs/trust.md` says of each attacker who that is, and how far each gets under each shipped policy.
#[test]
fn the_page_about_trust_is_current() {
    use std::fmt::Write as _;
    let proved = |policy: &str, attackers: &[String]| -> Vec<Value> {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gw"));
        command.current_dir(root());
        command.args(["prove", "--format", "json", "--policy", policy]);
        command.args(attackers.iter().flat_map(|it| ["--attacker", it]));
        let output = command.output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        said["attackers"].as_array().unwrap().clone()
    };
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let thief = "stolen-token";
    let names = [
        "browser-page",
        "browser-rebind",
        "lan-host",
        "sibling-container",
        "remote-via-proxy",
        "headerless-proxy",
        "same-user-proxy",
        "local-process",
        thief,
    ];
    let places = names.iter().filter(|name| **name != thief);
    let with_token = places.map(|name| format!("{thief}+{name}"));
    let everybody: Vec<String> = names
        .iter()
        .map(|it| (*it).to_owned())
        .chain(with_token)
        .collect();
    let mut attackers = String::from(
        "| attacker | who | chooses | cannot | where from, and with what |\n| --- | --- | --- | --- | --- |\n",
    );
    let shipped = files("policies", ".policy");
    let mut tables = String::new();
    for (file, _) in &shipped {
        let found = proved(file, &everybody);
        if tables.is_empty() {
            for who in found.iter().take(names.len()) {
                let row = &who["who"][0];
                let cells = [&row["name"], &row["who"], &row["chooses"], &row["cannot"]].map(text);
                let condition = text(&who["condition"]);
                writeln!(
                    attackers,
                    "| `{}` | {} | {} | {} | `{condition}` |",
                    cells[0], cells[1], cells[2], cells[3]
                )
                .unwrap();
            }
        }
        let by = |name: &str| found.iter().find(|it| it["attacker"] == name);
        let cell = |who: Option<&Value>| {
            who.map_or_else(
                || "– | –".to_owned(),
                |who| {
                    let verdict = text(&who["verdict"]);
                    let verdict = match who["admitted"] == true {
                        true => format!("**{verdict}**, {}", text(&who["gains"])),
                        false => verdict,
                    };
                    let place = text(&who["by"]);
                    let place = match place.contains(':') {
                        true => format!("`{}`", text(&who["place"])),
                        false => format!("`[{place}]`"),
                    };
                    format!("{verdict} | {place}")
                },
            )
        };
        writeln!(tables, "### {file}\n").unwrap();
        tables.push_str("| attacker | at most | by | with the shared secret | by |\n| --- | --- | --- | --- | --- |\n");
        for name in names {
            let (without, with) = match name == thief {
                true => (None, by(name)),
                false => (by(name), by(&format!("{thief}+{name}"))),
            };
            writeln!(tables, "| `{name}` | {} | {} |", cell(without), cell(with)).unwrap();
        }
        tables.push('\n');
        let entering = found.iter().filter(|it| it["admitted"] == true);
        let entering: Vec<String> = entering
            .map(|it| format!("{}:\n  {}\n", text(&it["attacker"]), text(&it["see"])))
            .collect();
        if !entering.is_empty() {
            writeln!(tables, "```text\n{}```\n", entering.join("")).unwrap();
        }
    }
    let path = root().join("docs/trust.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut page = written.clone();
    for (name, made) in [("attackers", attackers), ("tables", tables)] {
        let head = format!("<!-- {name}: made by tests/architecture.rs -->\n");
        let (before, rest) = page.split_once(&head).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        page = format!("{before}{head}\n{}\n\n<!-- end -->{after}", made.trim_end());
    }
    if std::env::var_os("GW_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/trust.md is behind: GW_BLESS=1 cargo test --test architecture"
    );
}

/// Every shipped policy is part of the program, under its name.
#[test]
fn every_shipped_policy_is_built_in() {
    let load = fs::read_to_string(root().join("src/cli/load.rs")).unwrap();
    let shipped = [files("policies", ".policy"), files("policies", ".yaml")].concat();
    for (file, _) in shipped {
        assert!(
            load.contains(&format!("../../{file}")),
            "{file} is not in src/cli/load.rs"
        );
    }
}

/// The part of JSON Schema that the schemas here are written in.
fn check(schema: &Value, root: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        if !target.starts_with('#') {
            let other = schema_named(target);
            return check(&other, &other, value, at, wrong);
        }
        let target = root.pointer(target.trim_start_matches('#')).unwrap();
        return check(target, root, value, at, wrong);
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        if !allowed.contains(value) {
            wrong.push(format!("{at}: {value} is not one of {allowed:?}"));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            vec![schema["type"].clone()]
        }
    };
    let is_whole = value.is_i64() && types.contains(&Value::from("integer"));
    if !types.contains(&Value::from(kind)) && !is_whole {
        wrong.push(format!("{at}: {kind} is not {types:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(
            &schema["items"],
            root,
            item,
            &format!("{at}/{index}"),
            wrong,
        );
    }
    if let (Some(object), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().unwrap() {
            if !object.contains_key(name.as_str().unwrap()) {
                wrong.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in object {
            match known.get(name) {
                Some(schema) => check(schema, root, value, &format!("{at}/{name}"), wrong),
                None => wrong.push(format!("{at}: {name} is not described")),
            }
        }
    }
}

fn schema_named(file: &str) -> Value {
    let schema = fs::read_to_string(root().join("docs").join(file)).unwrap();
    serde_json::from_str(&schema).unwrap()
}

/// What `gw explain` prints with these arguments is described.
#[test]
fn other_answers_of_explain_keep_their_schemas() {
    let waiting = "closed before connect conn=aaaa1111 remote=127.0.0.1 fwd=n/a origin=n/a host=127.0.0.1:18789 ua=n/a code=1008 reason=pairing required";
    let elsewhere = "closed before connect conn=bbbb2222 remote=203.0.113.9 fwd=n/a origin=n/a host=127.0.0.1:18789 ua=n/a code=1008 reason=pairing required";
    let both = format!("{waiting}\n{elsewhere}");
    let handshake = "fixtures/issues/55067-docker-cli-refused/no-token.json";
    let admitted = "fixtures/issues/55067-docker-cli/handshake.json";
    let asked: [(&str, &[&str]); 5] = [
        ("explanation.schema.json", &["--log-line", waiting]),
        ("connections.schema.json", &["--log-line", &both]),
        (
            "client-account.schema.json",
            &[handshake, "--for", "client"],
        ),
        ("client-account.schema.json", &[admitted, "--for", "client"]),
        (
            "client-account.schema.json",
            &[
                "--log",
                "fixtures/log/decisions.jsonl",
                "--connection",
                "1a015c6d",
                "--for",
                "client",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (file, arguments) in asked {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gw"));
        let command = command.current_dir(root()).arg("explain").args(arguments);
        let output = command.args(["--format", "json"]).output().unwrap();
        let account = serde_json::from_slice(&output.stdout).unwrap();
        let schema = schema_named(file);
        check(&schema, &schema, &account, file, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn explanations_keep_their_schema() {
    let schema = schema_named("explanation.schema.json");
    let policy = "gw-policy 1
guard [proof] device not in { absent, proven } → reject(as-found) because \"why\" hint=\"what\"
trial [later] client=cli → silent-approve
@issue(\"#1\")
client=cli and loopback → approve(scopes=none)
default → require-pairing
";
    let policy = gw::Policy::parse("schema.policy", policy).unwrap();
    let local = gw::facts::AddressClass::Loopback.example();
    let connections = [
        gw::Facts::default(),
        gw::Facts {
            peer: local,
            same_host: true,
            ..gw::Facts::default()
        },
        gw::Facts {
            device: gw::facts::DeviceProof::SignatureStale,
            ..gw::Facts::default()
        },
        gw::Facts {
            device: gw::facts::DeviceProof::Absent,
            ..gw::Facts::default()
        },
    ];
    let mut wrong = Vec::new();
    for facts in connections {
        use gw::explain::chart::Chart;
        use gw::explain::open::Open;
        use gw::explain::{answers, nearest, possible, ways, why_not};
        let chart = Chart::new(&policy);
        let subject = gw::explain::Subject::of_facts(&facts);
        let mut explanation = gw::explain(&policy, &facts, &subject);
        nearest::look(&mut explanation, &chart, &facts, &subject);
        assert!(explanation.nearest.is_some());
        let mut account = gw::explain::json::json(&explanation);
        let account_of = account.as_object_mut().unwrap();
        let to = gw::lang::checked::Expected::Admit;
        let found = ways::ways(&chart, &facts, &subject, to);
        account_of.insert(
            "ways".into(),
            answers::ways_json(&policy, "admit", found.as_ref()),
        );
        let rule = why_not::named(&policy, "5").unwrap();
        let found = why_not::why_not(&chart, &facts, &subject, rule);
        account_of.insert("whyNot".into(), answers::why_not_json(&policy, &found));
        let peer = gw::facts::AttributeId::named("peer").unwrap();
        let open = Open {
            unknown: &[peer],
            given: &[],
            is_seen: false,
        };
        let found = possible::possible(&chart, &facts, &open);
        account_of.insert(
            "possible".into(),
            answers::possible_json(&policy, found.as_ref()),
        );
        check(&schema, &schema, &account, "", &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
