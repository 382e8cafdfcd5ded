//! What something costs: processor time of this thread, so that others on the machine cost nothing but
//! their share of the caches, and allocations. What is measured is not here.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    /// Until the figures can be read.
    Full,
    /// Everything once.
    Once,
}

impl Effort {
    /// How long one figure may take, once there are enough passes for a median.
    fn budget(self) -> Duration {
        match self {
            Effort::Full => Duration::from_millis(500),
            Effort::Once => Duration::ZERO,
        }
    }

    fn fewest(self) -> usize {
        match self {
            Effort::Full => 5,
            Effort::Once => 1,
        }
    }
}

/// How long a pass should take at least: far longer than reading the clock does.
const PASS: Duration = Duration::from_millis(2);
const MOST_PASSES: usize = 1_000;

/// Nanoseconds: the median of all passes, and what a tenth of them is below and above.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The processor time that this thread has had.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What one of `count` runs costs, of which each pass makes all.
pub(crate) fn cost(
    effort: Effort,
    count: usize,
    mut pass: impl FnMut() -> Result<(), String>,
) -> Result<Cost, String> {
    let began = now();
    pass()?;
    let first = now().saturating_sub(began);
    let repeated = match effort {
        Effort::Full => PASS.as_nanos() / first.as_nanos().max(1) + 1,
        Effort::Once => 1,
    };
    let mut passes = Vec::new();
    let began = now();
    while passes.len() < effort.fewest()
        || (passes.len() < MOST_PASSES && now().saturating_sub(began) < effort.budget())
    {
        let from = now();
        for _ in 0..repeated {
            pass()?;
        }
        passes.push(now().saturating_sub(from).as_secs_f64());
    }
    let runs = u32::try_from(repeated).unwrap_or(u32::MAX);
    let runs = f64::from(runs) * u32::try_from(count).map_or(1.0, f64::from);
    Ok(Cost::of(passes, runs))
}

/// What it costs to make something, without what it costs to drop it.
pub(crate) fn cost_of_making<T>(
    effort: Effort,
    mut make: impl FnMut() -> Result<T, String>,
) -> Result<Cost, String> {
    let mut passes = Vec::new();
    let mut spent = Duration::ZERO;
    while passes.len() < effort.fewest() || (passes.len() < MOST_PASSES && spent < effort.budget())
    {
        let from = now();
        let made = make()?;
        let pass = now().saturating_sub(from);
        drop(made);
        spent += pass;
        passes.push(pass.as_secs_f64());
    }
    Ok(Cost::of(passes, 1.0))
}

impl Cost {
    /// Of passes in seconds, each of so many runs.
    fn of(mut passes: Vec<f64>, runs: f64) -> Self {
        passes.sort_by(f64::total_cmp);
        let at = |tenths: usize| {
            let pass = passes.get(passes.len().saturating_sub(1) * tenths / 10);
            pass.copied().unwrap_or(f64::NAN) * 1e9 / runs
        };
        Cost {
            median: at(5),
            low: at(1),
            high: at(9),
        }
    }
}
