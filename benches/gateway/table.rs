//! The table: what each subject came to, and the ratio of the first to the second.

use std::time::Duration;

use crate::subject::{Round, Subject};

/// One line of figures; what could not be measured is empty.
struct Row {
    rate: Option<f64>,
    cpu_us: Option<f64>,
    median_ms: Option<f64>,
    slow_ms: Option<f64>,
    idle_kib: Option<f64>,
    start_ms: f64,
}

impl Row {
    fn of(subject: &Subject, rounds: &[Round], idle: Option<f64>) -> Self {
        let cpu: Option<Vec<f64>> = rounds
            .iter()
            .map(|round| round.cpu.map(|cpu| cpu.as_secs_f64() * 1e6))
            .collect();
        let within = |share: f64| {
            median(
                rounds
                    .iter()
                    .map(|round| quantile(&round.latencies, share) * 1e3)
                    .collect(),
            )
        };
        Row {
            rate: median(rounds.iter().map(|round| round.rate).collect()),
            cpu_us: cpu.and_then(median),
            median_ms: within(0.5),
            slow_ms: within(0.99),
            idle_kib: idle.map(|bytes| bytes / 1024.0),
            start_ms: subject.started_in().as_secs_f64() * 1e3,
        }
    }

    fn print(&self, name: &str) {
        let shown = |figure: Option<f64>, digits| {
            figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
        };
        println!(
            "{name:<19} {:>8} {:>10} {:>8} {:>8} {:>11} {:>9.0}",
            shown(self.rate, 0),
            shown(self.cpu_us, 0),
            shown(self.median_ms, 1),
            shown(self.slow_ms, 1),
            shown(self.idle_kib, 1),
            self.start_ms,
        );
    }
}

/// Prints what was measured of two subjects.
pub(crate) fn print(
    title: &str,
    subjects: [&Subject; 2],
    rounds: &[Vec<Round>; 2],
    idle: &[Option<f64>; 2],
) {
    println!(
        "{title:<19} {:>8} {:>10} {:>8} {:>8} {:>11} {:>9}",
        "each s", "CPU each", "median", "p99", "idle each", "start"
    );
    println!(
        "{:<19} {:>8} {:>10} {:>8} {:>8} {:>11} {:>9}",
        "", "", "µs", "ms", "ms", "KiB", "ms"
    );
    let rows: Vec<Row> = subjects
        .iter()
        .zip(rounds.iter().zip(idle))
        .map(|(subject, (rounds, idle))| Row::of(subject, rounds, *idle))
        .collect();
    for (subject, row) in subjects.iter().zip(&rows) {
        row.print(&subject.name);
    }
    if let [ours, bare] = rows.as_slice() {
        let ratio = |ours: Option<f64>, bare: Option<f64>| {
            ours.zip(bare)
                .map_or_else(String::new, |(ours, bare)| format!("{:.2} x", ours / bare))
        };
        println!(
            "{:<19} {:>8} {:>10} {:>8} {:>8} {:>11}\n",
            "ratio",
            ratio(ours.rate, bare.rate),
            ratio(ours.cpu_us, bare.cpu_us),
            ratio(ours.median_ms, bare.median_ms),
            ratio(ours.slow_ms, bare.slow_ms),
            ratio(ours.idle_kib, bare.idle_kib),
        );
    }
}

/// In seconds, of durations in order.
fn quantile(ordered: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is a place in it"
    )]
    let at = (ordered.len() as f64 * share) as usize;
    let last = ordered.len().saturating_sub(1);
    ordered.get(at.min(last)).map_or(0.0, Duration::as_secs_f64)
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
