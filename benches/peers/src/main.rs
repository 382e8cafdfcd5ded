//! gw beside general policy engines: the same policies, the same connections, one table.
//!
//! Every engine gives the same answers before any of them is timed. What is compared, and what that
//! says and does not say, stands in `README.md`.

mod connection;
mod engine;
mod measure;
mod policy;
mod random;
mod rules;
mod table;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use gw::Facts;

use engine::{Candidate, Engine, Sort, Subject};
use measure::{Effort, cost, cost_of_making, now};
use policy::Files;
use rules::Rules;
use table::{Figures, Row, Table};

const USAGE: &str = "\
Usage: peers [--test] [--rules N,N,…] [--engine PART]

  --test         few connections, each figure once: whether all engines still agree
  --rules N,…    the numbers of rules, 12 or more [default: 12,100,1000,10000; --test: 12,100]
  --engine PART  of the general engines only those with this in their name";

/// A text may nest as deeply as there are rules, and so may the calls of who reads it.
const STACK: usize = 256 << 20;

/// A decision that takes longer is timed on fewer connections.
const SLOW: Duration = Duration::from_millis(1);
const CONNECTIONS_WHEN_SLOW: usize = 32;

struct Options {
    effort: Effort,
    connections: usize,
    rules: Vec<usize>,
    engine: String,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(mistake) => {
            println!("{mistake}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    let run = thread
        .spawn(move || compare(&options))
        .map(std::thread::JoinHandle::join);
    match run {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(message))) => {
            println!("{message}");
            ExitCode::FAILURE
        }
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => {
            println!("no thread: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        let (mut test, mut rules, mut engine) = (false, None, String::new());
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--test" => test = true,
                "--engine" => engine = value()?,
                "--rules" => {
                    let numbers = value()?;
                    let numbers = numbers.split(',').map(|number| number.trim().parse());
                    let numbers: Result<Vec<usize>, _> = numbers.collect();
                    rules = Some(numbers.map_err(|error| format!("--rules: {error}"))?);
                }
                other => return Err(format!("{other} is not known")),
            }
        }
        let (effort, connections, usual) = match test {
            true => (Effort::Once, 64, vec![12, 100]),
            false => (Effort::Full, 512, vec![12, 100, 1_000, 10_000]),
        };
        let rules = rules.unwrap_or(usual);
        Ok(Options {
            effort,
            connections,
            rules,
            engine,
        })
    }
}

/// Everything, table by table.
fn compare(options: &Options) -> Result<(), String> {
    let mut tables = Vec::new();
    for rules in &options.rules {
        let files = Files::of(*rules)?;
        let policy = files.load()?;
        let rules = Rules::of(policy.checked())?;
        let connections = connection::connections(&rules, options.connections)?;
        let decided: Vec<usize> = connections
            .iter()
            .map(|facts| gw::decide(policy.program(), facts).rule.0 as usize)
            .collect();
        let subject = Subject {
            files: &files,
            rules: &rules,
        };
        let mut rows = Vec::new();
        for candidate in engine::all() {
            // What gw is held against stays, and so does gw.
            let asked_for =
                candidate.sort != Sort::General || candidate.name.contains(&options.engine);
            if asked_for {
                let found = figures(&candidate, &subject, &connections, &decided, options.effort);
                let found = match found {
                    Ok(figures) => Ok(figures),
                    Err(Trouble::Fails(why)) => Err(why),
                    Err(Trouble::Disagrees(what)) => return Err(what),
                };
                rows.push(Row {
                    name: candidate.name,
                    sort: candidate.sort,
                    found,
                });
            }
        }
        let table = Table {
            rules: rules.rules.len(),
            connections: connections.len(),
            deciding: decided.iter().collect::<BTreeSet<_>>().len(),
            admitted: decided.iter().filter(|rule| admits(&rules, **rule)).count(),
            rows,
        };
        println!("{}", table.text());
        tables.push(table);
    }
    print!("{}", table::summary(&tables));
    Ok(())
}

fn admits(rules: &Rules, rule: usize) -> bool {
    rules.rules.get(rule).is_some_and(|rule| rule.admits)
}

/// Why an engine has no figures.
enum Trouble {
    /// It does not take this policy.
    Fails(String),
    /// It decides a connection otherwise.
    Disagrees(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Trouble::Fails(why)
    }
}

fn figures<'f>(
    candidate: &Candidate<'f>,
    subject: &Subject<'_>,
    connections: &'f [Facts],
    decided: &[usize],
    effort: Effort,
) -> Result<Figures, Trouble> {
    let load = (candidate.translate)(subject)?;
    // The first load makes what an engine makes once in a process.
    drop(load()?);
    let mut loaded = None;
    let kept = allocation_counter::measure(|| loaded = Some(load())).bytes_current;
    let mut engine = loaded.ok_or("not loaded".to_owned())??;

    let began = now();
    for (facts, rule) in connections.iter().zip(decided) {
        agree(candidate, subject, facts, *rule, engine.decide(facts)?)?;
    }
    let each =
        now().saturating_sub(began) / u32::try_from(connections.len().max(1)).unwrap_or(u32::MAX);

    let step = match each > SLOW {
        true => connections.len() / CONNECTIONS_WHEN_SLOW,
        false => 1,
    };
    // An odd step takes random connections and made ones alike.
    let step = (step.max(1) - 1) | 1;
    let timed: Vec<(usize, &Facts)> = connections.iter().enumerate().step_by(step).collect();
    engine.prepare(connections)?;
    for ((at, facts), rule) in timed.iter().zip(decided.iter().step_by(step)) {
        agree(
            candidate,
            subject,
            facts,
            *rule,
            engine.decide_prepared(*at)?,
        )?;
    }
    let prepared = cost(effort, timed.len(), || {
        timed
            .iter()
            .try_for_each(|(at, _)| black_box(engine.decide_prepared(black_box(*at))).map(drop))
    })?;
    let with_input = cost(effort, timed.len(), || {
        timed
            .iter()
            .try_for_each(|(_, facts)| black_box(engine.decide(black_box(facts))).map(drop))
    })?;
    let allocations = allocations(engine.as_mut(), &timed);
    drop(engine);
    Ok(Figures {
        load: cost_of_making(effort, load)?,
        kept,
        prepared,
        with_input,
        allocations,
    })
}

fn agree(
    candidate: &Candidate<'_>,
    subject: &Subject<'_>,
    facts: &Facts,
    rule: usize,
    outcome: engine::Outcome,
) -> Result<(), Trouble> {
    match outcome.agrees(rule, subject.rules) {
        true => Ok(()),
        false => Err(Trouble::Disagrees(format!(
            "{}, {} rules: {outcome:?}, and gw decides by rule {rule}\n{facts:#?}",
            candidate.name,
            subject.rules.rules.len(),
        ))),
    }
}

/// How many allocations a decision makes, its input among them.
fn allocations<'f>(engine: &mut (dyn Engine<'f> + 'f), timed: &[(usize, &Facts)]) -> f64 {
    let info = allocation_counter::measure(|| {
        for (_, facts) in timed {
            // It was decided before without an error.
            drop(black_box(engine.decide(facts)));
        }
    });
    let count = u32::try_from(timed.len().max(1)).unwrap_or(u32::MAX);
    u32::try_from(info.count_total).map_or(f64::INFINITY, f64::from) / f64::from(count)
}
