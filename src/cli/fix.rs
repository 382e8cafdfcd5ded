//! `gw check-policy --fix`: what is found is done away with in the files themselves.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};
use similar::TextDiff;

use super::output::Output;
use super::replace::replace;
use super::{difference, load};
use crate::diagnostic::{Code, Diagnostic};
use crate::lang::Read;
use crate::lang::parse::MAX_BYTES;
use crate::lint::Search;
use crate::policy::{Policy, PolicyError};
use crate::repair::{Load, Made, Order, Repair, Unproved, readings, repair};
use crate::source::{shell_file, visible};

/// What `--fix` and its companions ask for.
pub(super) struct Asked<'a> {
    /// Nothing is written.
    pub(super) dry_run: bool,
    /// What may change what is decided.
    pub(super) semantic: &'a [Code],
    pub(super) search: Search,
    /// All policies of the command line.
    pub(super) files: &'a [String],
}

/// A policy with what was done to it.
pub(super) struct Mended {
    file: String,
    /// The policy as it was, or as it is read without edits that it does not load without.
    before: Policy,
    /// Its text as it was.
    text: String,
    repair: Repair,
    /// Whether networks were written with the addresses of hosts.
    had_readings: bool,
    written: Written,
    max_nodes: usize,
}

/// What became of the file.
enum Written {
    /// There was nothing to do.
    Nothing,
    /// It was only asked what would be done.
    DryRun,
    /// It has no file, but a stream.
    Printed,
    /// It is part of the program.
    BuiltIn,
    Done,
    Failed(io::Error),
}

/// Does away with what is found in a policy.
pub(super) fn mend(file: &str, asked: &Asked<'_>) -> Result<Mended, PolicyError> {
    let mut load = |text: &str| Policy::load(file, text, &mut load::reader_of(file));
    let own_text = |sources: &crate::source::Sources| {
        let first = sources.iter().next();
        first.map_or_else(String::new, |(_, source)| source.text.to_string())
    };
    let mut made = Vec::new();
    let (text, before, policy) = match load::policy(file, true) {
        Ok(policy) => (own_text(policy.sources()), policy.clone(), policy),
        Err(error) => {
            // Each network as what it says, and beside it as the one host.
            let Some([now, other]) = readings(&error, asked.semantic) else {
                return Err(error);
            };
            let (Ok(policy), Ok(other)) = (load(&now), load(&other)) else {
                return Err(error);
            };
            for found in &error.diagnostics.0 {
                let place = found.span().and_then(|span| {
                    let source = error.sources.get(span.source)?;
                    Some(source.position(span.start).0)
                });
                made.extend(found.fixes.first().map(|fix| Made {
                    code: found.code,
                    line: place.unwrap_or(1),
                    says: fix.says.clone(),
                }));
            }
            (own_text(&error.sources), other, policy)
        }
    };
    let had_readings = !made.is_empty();
    let order = Order {
        search: asked.search,
        asked: asked.semantic,
        offers: true,
    };
    let mut others = beside(file, asked.files);
    let mut repair = repair(policy, order, &mut load, &mut others);
    made.append(&mut repair.changed);
    repair.changed = made;
    let written = match () {
        () if repair.text == text => Written::Nothing,
        () if asked.dry_run => Written::DryRun,
        () if file == "-" => Written::Printed,
        () if load::is_built_in(file) => Written::BuiltIn,
        () => match replace(file, &text, &repair.text) {
            Ok(()) => Written::Done,
            Err(error) => Written::Failed(error),
        },
    };
    Ok(Mended {
        file: file.to_owned(),
        before,
        text,
        repair,
        had_readings,
        written,
        max_nodes: asked.search.nodes,
    })
}

/// The policies that read a file: those in its folder, and those of the command line.
fn beside<'a>(file: &str, named: &[String]) -> Vec<Box<Load<'a>>> {
    let Ok(target) = fs::canonicalize(file) else {
        return Vec::new();
    };
    let folder = Path::new(file).parent();
    let folder = folder.filter(|it| !it.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter();
    let mut paths: Vec<String> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "policy") && path.is_file())
        .filter_map(|path| path.to_str().map(str::to_owned))
        .collect();
    paths.sort();
    for path in named {
        let is_known = paths.iter().any(|it| is_file(it, Path::new(path)));
        if path != "-" && !load::is_built_in(path) && !is_known {
            paths.push(path.clone());
        }
    }
    paths.retain(|path| !is_file(path, &target));
    let mut found: Vec<Box<Load<'a>>> = Vec::new();
    for path in paths {
        let Ok(text) = load::read(&path, MAX_BYTES as u64) else {
            continue;
        };
        // Most policies read no other one.
        if !text.contains("extends") && !text.contains("include") {
            continue;
        }
        let target = target.clone();
        if reads(&path, &text, &target) {
            found.push(Box::new(move |changed| {
                let mut reader = load::reader_of(&path);
                Policy::load_untested(&path, &text, &mut |path, purpose| match purpose
                    == Read::Policy
                    && is_file(path, &target)
                {
                    true => Ok(changed.to_owned()),
                    false => reader(path, purpose),
                })
            }));
        }
    }
    found
}

/// Whether a policy reads a file.
fn reads(path: &str, text: &str, target: &Path) -> bool {
    let mut reads_it = false;
    let mut reader = load::reader_of(path);
    let _ = Policy::load_untested(path, text, &mut |path, purpose| {
        reads_it |= purpose == Read::Policy && is_file(path, target);
        reader(path, purpose)
    });
    reads_it
}

/// Whether a path leads to a file.
fn is_file(path: &str, file: &Path) -> bool {
    let real = fs::canonicalize(path);
    real.is_ok_and(|real| real == file || fs::canonicalize(file).is_ok_and(|file| file == real))
}

impl Mended {
    /// The policy that the file has now: places in it are places in the file.
    pub(super) fn policy(&self) -> &Policy {
        match self.is_written() {
            true => &self.repair.policy,
            false => &self.before,
        }
    }

    /// Whether what was done to the text was done where it is read from, too.
    fn is_written(&self) -> bool {
        match self.written {
            Written::DryRun | Written::BuiltIn | Written::Failed(_) => false,
            Written::Nothing | Written::Printed | Written::Done => true,
        }
    }

    /// Whether it is told already that something is mended, or would be.
    pub(super) fn would_mend(&self, found: &Diagnostic) -> bool {
        let source = found
            .span()
            .map(|span| (span, self.policy().sources().get(span.source)));
        let Some((span, Some(source))) = source else {
            return false;
        };
        let line = source.position(span.start).0;
        let is_it = |made: &Made| made.code == found.code && made.line == line;
        let Repair { kept, changed, .. } = &self.repair;
        !self.is_written() && kept.iter().chain(changed).any(is_it)
    }

    /// Whether something that was asked for by its name was not done.
    pub(super) fn has_left(&self, asked: &[Code]) -> bool {
        let mut left = self.repair.left.iter();
        left.any(|(made, _)| asked.contains(&made.code))
    }

    /// Whether what was to be written could not be.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.written, Written::Failed(_))
    }

    /// Whether the policy itself goes to standard output.
    pub(super) fn is_printed(&self, dry_run: bool) -> bool {
        self.file == "-" && !dry_run
    }

    /// For people: the patch, and what was done and was not.
    pub(super) fn say(&self, dry_run: bool, output: &mut Output) {
        let told = format!("{}{}", self.patch(), self.told());
        if self.is_printed(dry_run) {
            output.say(&self.repair.text);
            output.complain(&told);
        } else {
            output.say(&told);
        }
    }

    fn patch(&self) -> String {
        let patch = patch(&self.file, &self.text, &self.repair.text);
        if patch.is_empty() {
            patch
        } else {
            format!("{patch}\n")
        }
    }

    fn told(&self) -> String {
        let mut text = String::new();
        let Repair {
            kept,
            changed,
            left,
            offered,
            more,
            ..
        } = &self.repair;
        let file = &self.file;
        let mut section = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                let _ = write!(text, "{file}: {title}\n{}", lines.concat());
            }
        };
        let would = match self.is_written() {
            true => "",
            false => "would be ",
        };
        let than = match self.had_readings {
            true => "than for the one host",
            false => "then",
        };
        let lines = |all: &[Made]| all.iter().map(line).collect::<Vec<_>>();
        section(
            &format!("{would}mended; no connection is answered otherwise, which is proved"),
            lines(kept),
        );
        let mut asked = lines(changed);
        if !asked.is_empty() {
            asked.push(self.effect(&self.repair.policy).0);
        }
        section(
            &format!("{would}changed as asked, and what is decided otherwise {than}"),
            asked,
        );
        let left_is_empty = left.is_empty();
        let left = left.iter().map(|(made, why)| {
            let made = line(made);
            format!("{}: {}\n", made.trim_end(), because(why))
        });
        section("left as it is", left.collect());
        let offers = offered.iter().filter_map(|offer| {
            let effect = match &offer.then {
                Some(then) => self.effect(then).0,
                None => "    its tests or claims would not hold then\n".to_owned(),
            };
            // Another rule takes its place.
            if effect == NOTHING {
                return None;
            }
            let is_gone = matches!(self.written, Written::Done)
                && kept
                    .iter()
                    .any(|it| (it.code, it.line) == (offer.made.code, offer.made.line));
            let command = match (&offer.refused, is_gone) {
                (Some(Unproved::DoesNotLoad), _) => String::new(),
                (Some(why), _) => format!("    not done if it is asked for: {}\n", because(why)),
                (None, gone) => format!(
                    "    {}: gw check-policy --fix --semantic {} {}\n",
                    if gone {
                        "instead: put the old text back, and"
                    } else {
                        "do it"
                    },
                    offer.made.code.name(),
                    shell_file(file)
                ),
            };
            Some(format!("{}{effect}{command}", line(&offer.made)))
        });
        let mut offers: Vec<String> = offers.collect();
        if *more > 0 {
            offers.push(format!("  and {more} more\n"));
        }
        section("not done unasked, for it changes what is decided", offers);
        let end = match &self.written {
            Written::Nothing if kept.is_empty() && changed.is_empty() && left_is_empty => {
                "nothing to mend".to_owned()
            }
            Written::Nothing | Written::Printed => String::new(),
            Written::DryRun => "nothing was written".to_owned(),
            Written::BuiltIn => {
                "it is part of the program, and is not written: `gw fmt` and `--fix` take files"
                    .to_owned()
            }
            Written::Done => "written".to_owned(),
            Written::Failed(error) => format!("not written: {error}"),
        };
        if !end.is_empty() {
            let _ = writeln!(text, "{file}: {end}");
        }
        text
    }

    /// What is decided otherwise by another policy: told, and for programs.
    fn effect(&self, then: &Policy) -> (String, Value) {
        match difference::effect(&self.before, then, self.max_nodes.saturating_mul(4)) {
            Ok((told, value)) if told.is_empty() => (NOTHING.to_owned(), value),
            Ok((told, value)) => (indented(&told), value),
            Err(_too_much) => (
                "    nobody knows: comparing takes more nodes than are allowed\n".to_owned(),
                Value::Null,
            ),
        }
    }

    /// As a program reads it.
    pub(super) fn document(&self) -> Value {
        let made =
            |made: &Made| json!({ "code": made.code.name(), "line": made.line, "does": made.says });
        let with = |it: &Made, name: &str, value: Value| {
            let mut document = made(it);
            if let Some(document) = document.as_object_mut() {
                document.insert(name.to_owned(), value);
            }
            document
        };
        let repair = &self.repair;
        let left = repair.left.iter();
        let left = left.map(|(made, why)| with(made, "why", json!(because(why))));
        let offered = repair.offered.iter().map(|offer| {
            let effect = offer.then.as_ref();
            let effect = effect.map_or(Value::Null, |then| self.effect(then).1);
            let mut document = with(&offer.made, "effect", effect);
            if let Value::Object(fields) = &mut document {
                let refused = offer.refused.as_ref().map(because);
                fields.insert("refused".to_owned(), json!(refused));
            }
            document
        });
        let effect = match repair.changed.is_empty() {
            true => Value::Null,
            false => self.effect(&repair.policy).1,
        };
        json!({
            "policy": self.file,
            "written": matches!(self.written, Written::Done),
            "before": { "fingerprint": self.before.fingerprint() },
            "after": {
                "digest": repair.policy.digest(),
                "fingerprint": repair.policy.fingerprint(),
            },
            "mended": repair.kept.iter().map(made).collect::<Vec<_>>(),
            "changed": repair.changed.iter().map(made).collect::<Vec<_>>(),
            "effect": effect,
            "left": left.collect::<Vec<_>>(),
            "offered": offered.collect::<Vec<_>>(),
            "moreOffered": repair.more,
            "patch": patch(&self.file, &self.text, &repair.text),
        })
    }
}

/// What is said where nothing is decided otherwise.
const NOTHING: &str = "    nothing\n";

/// What could be done about a policy that does not load: told where it was not asked for.
pub(super) fn offered(file: &str, error: &PolicyError, nodes: usize) -> Option<String> {
    let codes: Vec<Code> = error.diagnostics.0.iter().map(|found| found.code).collect();
    let [now, other] = readings(error, &codes)?;
    let load = |text: &str| Policy::load(file, text, &mut load::reader_of(file)).ok();
    let (now, other) = (load(&now)?, load(&other)?);
    let effect = difference::effect(&other, &now, nodes.saturating_mul(4));
    let effect = effect.map_or_else(|_too_much| String::new(), |(told, _)| indented(&told));
    let fixes = error
        .diagnostics
        .0
        .iter()
        .filter_map(|found| found.fixes.first());
    let says: Vec<&str> = fixes.map(|fix| fix.says.as_str()).collect();
    Some(format!(
        "{file}: not done unasked, for one host could be meant: {}, which lets in beside it\n{effect}    do it: gw check-policy --fix --semantic host-bits-set {}\n",
        says.join(", "),
        shell_file(file)
    ))
}

fn indented(told: &str) -> String {
    let lines = told.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("    {line}\n")).collect()
}

fn line(made: &Made) -> String {
    format!(
        "  line {:<4} {}: {}\n",
        made.line,
        made.code.name(),
        made.says
    )
}

/// Why an edit was not made.
fn because(why: &Unproved) -> String {
    match why {
        Unproved::DoesNotLoad => {
            "the policy would not load, or its tests and claims would fail".to_owned()
        }
        Unproved::Differs => "some connections would be answered otherwise".to_owned(),
        Unproved::Widens(names) => {
            let first = if names.len() == 1 {
                "that one"
            } else {
                "those"
            };
            let names = names.join(", ");
            format!("somebody would get more, from {names} behind it: mend {first} first")
        }
        Unproved::OfTrials => "a trial would be recorded for other connections".to_owned(),
        Unproved::Beside(name) => {
            format!("{name} reads this file, and would not be the same without it")
        }
        Unproved::TooLarge => {
            "nobody knows whether it changes anything: that takes more than is allowed".to_owned()
        }
    }
}

/// What became of a text, as a unified diff that `patch` takes; nothing where it is the same.
fn patch(name: &str, old: &str, new: &str) -> String {
    let name = visible(name);
    let difference = TextDiff::from_lines(old, new);
    difference.unified_diff().header(&name, &name).to_string()
}
