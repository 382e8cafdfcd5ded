//! The table of one policy, and the lines below it. What stands in it is measured elsewhere.

use crate::engine::Sort;
use crate::measure::Cost;

/// What was found of one engine.
pub(crate) struct Figures {
    pub(crate) load: Cost,
    /// Bytes on the heap that the loaded policy keeps.
    pub(crate) kept: i64,
    pub(crate) prepared: Cost,
    pub(crate) with_input: Cost,
    /// Allocations of a decision with its input.
    pub(crate) allocations: f64,
}

/// One engine's line: its figures, or why it has none.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) sort: Sort,
    pub(crate) found: Result<Figures, String>,
}

/// The lines of all engines for one number of rules.
pub(crate) struct Table {
    pub(crate) rules: usize,
    pub(crate) connections: usize,
    /// How many rules decide any of the connections.
    pub(crate) deciding: usize,
    /// How many of the connections are let in.
    pub(crate) admitted: usize,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} rules, the default among them; {} connections, decided by {} of the rules, {} let in\n",
            grouped(self.rules),
            self.connections,
            grouped(self.deciding),
            self.admitted,
        );
        text.push_str(&line("", &HEAD.map(str::to_owned)));
        for row in &self.rows {
            let cells = match &row.found {
                Ok(found) => self.cells(found),
                Err(_) => HEAD.map(|_| "–".to_owned()),
            };
            text.push_str(&line(row.name, &cells));
        }
        for row in &self.rows {
            if let Err(why) = &row.found {
                text.push_str(&format!("  {}: {}\n", row.name, cut(why)));
            }
        }
        text
    }

    fn cells(&self, of: &Figures) -> [String; 9] {
        let beside_gw = |cost| self.ratio(of, cost).map_or_else(String::new, ratio);
        [
            time(of.load.median),
            bytes(of.kept),
            time(of.prepared.median),
            range(of.prepared),
            beside_gw(|of| of.prepared),
            time(of.with_input.median),
            range(of.with_input),
            beside_gw(|of| of.with_input),
            count(of.allocations),
        ]
    }

    /// What gw costs here.
    fn gw(&self) -> Option<&Figures> {
        let row = self.rows.iter().find(|row| row.sort == Sort::Gw)?;
        row.found.as_ref().ok()
    }

    fn ratio(&self, of: &Figures, cost: fn(&Figures) -> Cost) -> Option<f64> {
        Some(cost(of).median / cost(self.gw()?).median)
    }

    /// How many times as long as gw the general engine takes that decides in the shortest time.
    fn quickest(&self, cost: fn(&Figures) -> Cost) -> Option<f64> {
        let general = self.rows.iter().filter(|row| row.sort == Sort::General);
        let times = general.filter_map(|row| self.ratio(row.found.as_ref().ok()?, cost));
        times.min_by(f64::total_cmp)
    }
}

/// What the tables come to together.
pub(crate) fn summary(tables: &[Table]) -> String {
    let mut text = String::new();
    let quickest = |cost: fn(&Figures) -> Cost| {
        let found = tables.iter().filter_map(|table| {
            let times = table.quickest(cost)?;
            Some(format!("{}: {}", grouped(table.rules), ratio(times)))
        });
        found.collect::<Vec<String>>().join(", ")
    };
    let (prepared, input) = (quickest(|of| of.prepared), quickest(|of| of.with_input));
    if !prepared.is_empty() {
        text.push_str(&format!(
            "× gw, quickest general engine, prepared  {prepared}\n\
             × gw, quickest general engine, + input   {input}\n"
        ));
    }
    if let (Some(first), Some(last)) = (tables.first(), tables.last())
        && let (Some(few), Some(many)) = (first.gw(), last.gw())
        && first.rules != last.rules
    {
        let times = ratio(many.prepared.median / few.prepared.median);
        let (few, many) = (grouped(first.rules), grouped(last.rules));
        text.push_str(&format!("gw, {many} rules beside {few}: {times} ×\n"));
    }
    text
}

const HEAD: [&str; 9] = [
    "load",
    "heap",
    "prepared",
    "p10–p90",
    "× gw",
    "+ input",
    "p10–p90",
    "× gw",
    "allocs",
];

/// A name and what belongs to it, in columns.
fn line(name: &str, cells: &[String; 9]) -> String {
    let [
        load,
        heap,
        prepared,
        prepared_range,
        prepared_ratio,
        input,
        input_range,
        input_ratio,
        allocations,
    ] = cells;
    format!(
        "{name:<14}{load:>9}{heap:>9} │{prepared:>9}{prepared_range:>11}{prepared_ratio:>8} \
         │{input:>9}{input_range:>11}{input_ratio:>8}{allocations:>8}\n",
    )
}

/// Three digits and a unit.
fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// What is around the median, in its unit.
fn range(cost: Cost) -> String {
    let unit = match cost.median {
        ns if ns < 1e3 => 1.0,
        ns if ns < 1e6 => 1e3,
        ns if ns < 1e9 => 1e6,
        _ => 1e9,
    };
    format!("{}–{}", digits(cost.low / unit), digits(cost.high / unit))
}

fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn bytes(bytes: i64) -> String {
    let bytes = i32::try_from(bytes / 1_000).map_or(f64::MAX, f64::from);
    match bytes {
        kilobytes if kilobytes < 1e3 => format!("{kilobytes:.0} kB"),
        kilobytes => format!("{} MB", digits(kilobytes / 1e3)),
    }
}

fn ratio(times: f64) -> String {
    if times < 99.95 {
        digits(times)
    } else {
        count(times)
    }
}

/// A number without fractions.
fn count(number: f64) -> String {
    let whole = format!("{number:.0}");
    whole.parse().map_or(whole, grouped)
}

fn grouped(number: usize) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
    }
}

/// The first line of a reason, with as many words as fit.
fn cut(why: &str) -> String {
    let line = why.lines().map(str::trim).find(|line| !line.is_empty());
    let mut found = String::new();
    for word in line.unwrap_or_default().split_inclusive(' ') {
        if found.chars().count() + word.chars().count() > 80 {
            found.push('…');
            break;
        }
        found.push_str(word);
    }
    found
}
